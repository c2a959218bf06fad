"""A component's options: read from its signature, checked against a recipe, described, and what is built from them."""

from vlc_core.options.building import RESERVED, Checked, build, check, templates
from vlc_core.options.describing import OptionInfo, describe
from vlc_core.options.signatures import REQUIRED, Component, PathLike, options_model

__all__ = [
    "REQUIRED",
    "RESERVED",
    "Checked",
    "Component",
    "OptionInfo",
    "PathLike",
    "build",
    "check",
    "describe",
    "options_model",
    "templates",
]
