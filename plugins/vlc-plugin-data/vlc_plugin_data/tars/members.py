"""Files of a tar to samples: which belong together, and which are left alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from vlc_plugin_data.tars.headers import BLOCK, Member, Walked

# What is read of a tar, by the ending of its name. Anything else stays unread: a pickle in it is just bytes.
FIELDS = {
    **dict.fromkeys(("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "jp2", "avif"), "image"),
    "txt": "txt",
    "json": "json",
    "cls": "cls",
}
LARGEST = (1 << 32) - 1  # bytes of a member: sizes are kept in 32 bits
_LONGEST_CLASS = 1_024  # bytes of a class name or number

Place = tuple[int, int]  # the first block of a member's content (block 0 is never that) and its size in bytes
ABSENT: Place = (0, 0)


@dataclass(slots=True)
class Found:
    """A sample, so far.

    Attributes:
        key: The name that its members share.
        places: Where they stand, by field.
        label: What its ``cls`` holds.
    """

    key: str
    places: dict[str, Place] = field(default_factory=dict)
    label: str | None = None


@dataclass(slots=True)
class Sorted:
    """What a tar holds.

    Attributes:
        samples: Those with an image, in the order of their first members.
        without_image: Keys with texts and labels alone.
        without_text: Samples with neither caption file nor label.
        repeated: Members left out because another one of that name or kind came before.
        outside: Members left out because their path leaves the tar's own folder.
        ignored: Members left out because of their ending, by ending.
        half: Samples left out because the tar breaks off among their members: 0 or 1.
    """

    samples: list[Found] = field(default_factory=list)
    without_image: int = 0
    without_text: int = 0
    repeated: int = 0
    outside: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    half: int = 0


def sort_members(walked: Walked, content: Callable[[Member], bytes]) -> Sorted:
    """Brings members of one key together, wherever in the tar they stand.

    Args:
        walked: The tar's members.
        content: Reads a class file, which is kept in the index.
    """
    into = Sorted()
    found = _by_key(walked.members, content, into)
    if walked.broken_at is not None:
        _drop_half(found, into)
    into.samples = [one for one in found.values() if "image" in one.places]
    into.without_image = len(found) - len(into.samples)
    into.without_text = sum(one.label is None and len(one.places) == 1 for one in into.samples)
    return into


def name_of(path: str) -> tuple[str, str] | None:
    """The key and the ending of a member: ``a/0.x.JPG`` has the key ``a/0.x`` and the ending ``jpg``.

    None where the path leads out of the folder that the tar would be unpacked into.
    """
    path = path.replace("\\", "/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or not parts or (len(path) > 1 and path[1] == ":"):
        return None
    key, _, ending = "/".join(parts).rpartition(".")
    return key, ending.lower()


def _by_key(members: Iterable[Member], content: Callable[[Member], bytes], into: Sorted) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for member in members:
        named = name_of(member.name)
        if named is None:
            into.outside += 1
            continue
        key, ending = named
        kind = FIELDS.get(ending)
        if kind is None or member.size > LARGEST or key.rpartition("/")[2] in ("", "."):
            into.ignored[ending[:16]] += 1
            continue
        one = found.setdefault(key, Found(key))
        if kind in one.places or (kind == "cls" and one.label is not None):
            into.repeated += 1
        elif kind == "cls":
            one.label = _label(content(member)) if member.size <= _LONGEST_CLASS else None
        else:
            one.places[kind] = (member.start // BLOCK, member.size)
    return found


def _label(data: bytes) -> str:
    return data.decode("utf-8", "replace").strip()


def _drop_half(found: dict[str, Found], into: Sorted) -> None:
    """Leaves out the last sample where members may have followed: others have fields that it lacks."""
    if not found:
        return
    last = found[next(reversed(found))]
    fields = {name for one in found.values() if one is not last for name in _fields(one)}
    if not fields or not fields <= set(_fields(last)):
        del found[last.key]
        into.half = 1


def _fields(one: Found) -> list[str]:
    return [*one.places, *(() if one.label is None else ("cls",))]
