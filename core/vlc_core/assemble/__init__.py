"""From a recipe to the things that run: data, tokenizer, towers, pretrainer, batches, evaluators."""

from vlc_core.assemble.data import Data, build_data, build_loader, total_steps
from vlc_core.assemble.towers import build_tokenizer, build_towers
from vlc_core.assemble.training import build_evaluators, build_pretrainer, parameter_counts, seed_everything

__all__ = [
    "Data",
    "build_data",
    "build_evaluators",
    "build_loader",
    "build_pretrainer",
    "build_tokenizer",
    "build_towers",
    "parameter_counts",
    "seed_everything",
    "total_steps",
]
