"""Using a model: pictures and texts in, embeddings out."""

from vlc_core.inference.dual_encoder import DualEncoder
from vlc_core.inference.image_set import ImageSet
from vlc_core.inference.inference import Inference

__all__ = ["DualEncoder", "ImageSet", "Inference"]
