"""The contrast op and the targets that objectives state with it."""

from vlc_core.contrast.op import streaming_logsumexp
from vlc_core.contrast.targets import pair_losses

__all__ = ["pair_losses", "streaming_logsumexp"]
