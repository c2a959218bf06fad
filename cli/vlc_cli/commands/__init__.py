"""The commands of ``vlc``: a file each, and nothing slow at the top of any."""

from collections.abc import Callable

from vlc_cli.commands.check import check
from vlc_cli.commands.eval import evaluate
from vlc_cli.commands.list_plugins import list_plugins
from vlc_cli.commands.show_plugin import show_plugin
from vlc_cli.commands.train import train

COMMANDS: dict[str, Callable[..., None]] = {
    "train": train,
    "eval": evaluate,
    "check": check,
    "list-plugins": list_plugins,
    "show-plugin": show_plugin,
}
"""In the order in which ``vlc --help`` lists them."""
