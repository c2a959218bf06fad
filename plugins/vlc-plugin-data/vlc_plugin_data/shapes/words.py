"""English for kinds and facts."""

from __future__ import annotations

from typing import assert_never

from vlc_plugin_data.shapes.facts import Boxed, Exists, Fact, Related, Sized
from vlc_plugin_data.shapes.scene import Kind

NUMBERS = ("none", "one", "two", "three", "four", "five")


def indefinite(noun: str) -> str:
    """The noun with ``a`` or ``an``."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def a(kind: Kind, size: str = "") -> str:
    """``a small red circle``."""
    return indefinite(f"{size} {kind}".strip())


def phrasings(fact: Fact) -> tuple[str, ...]:
    """All sentences that say ``fact``; they mean the same."""
    match fact:
        case Exists(kind):
            return f"there is {a(kind)}", f"the scene has {a(kind)}", f"somewhere there is {a(kind)}"
        case Sized(kind, size):
            return f"the {kind} is {size}", f"the {kind} is a {size} one"
        case Related(kind, relation, other):
            where = relation.value
            return (
                f"the {kind} is {where} the {other}",
                f"{where} the {other} is the {kind}",
                f"{a(kind)} lies {where} {a(other)}",
            )
        case Boxed(kind):
            held = a(kind)
            return f"the box holds {held}", f"there is {held} in the box", f"{held} is inside the box"
    assert_never(fact)
