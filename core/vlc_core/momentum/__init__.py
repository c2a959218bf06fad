"""Momentum: a module's slow twin, and a queue of the features that such twins gave to earlier batches."""

from vlc_core.momentum.queue import NO_GROUP, FeatureQueue
from vlc_core.momentum.twin import MomentumTwin

__all__ = ["NO_GROUP", "FeatureQueue", "MomentumTwin"]
