"""The contrast op, and the targets that objectives state with it.

``streaming_logsumexp`` is the one primitive; :mod:`vlc_core.contrast.targets` turns it into cross entropies.
"""

from vlc_core.contrast.keys import Queue, joined_logsums, key_losses
from vlc_core.contrast.op import Attended, PairSums, pair_logsumexp, streaming_logsumexp, streaming_mean
from vlc_core.contrast.targets import batch_mean, label_sums, pair_losses

__all__ = [
    "Attended",
    "PairSums",
    "Queue",
    "batch_mean",
    "joined_logsums",
    "key_losses",
    "label_sums",
    "pair_logsumexp",
    "pair_losses",
    "streaming_logsumexp",
    "streaming_mean",
]
