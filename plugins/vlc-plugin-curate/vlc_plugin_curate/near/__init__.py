"""Near-duplicate images, found by perceptual hashes and, where a model is given, by its embeddings."""

from vlc_plugin_curate.near.find import NearDuplicates, near_duplicates
from vlc_plugin_curate.near.fingerprints import Fingerprints
from vlc_plugin_curate.near.reading import ImageSource

__all__ = ["Fingerprints", "ImageSource", "NearDuplicates", "near_duplicates"]
