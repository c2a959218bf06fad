"""The texts of a data source alone: where they are, walked over, and what a tokenizer makes of them."""

from vlc_core.captions.source import Captions, open_captions
from vlc_core.captions.summary import Reservoir, Summary, summarise

__all__ = ["Captions", "Reservoir", "Summary", "open_captions", "summarise"]
