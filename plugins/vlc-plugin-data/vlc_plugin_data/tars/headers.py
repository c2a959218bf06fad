"""The headers of a tar, without its contents.

POSIX ustar and pax, GNU's long names, the oldest form without a magic word. Nothing is extracted; links, devices and
folders are passed over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

BLOCK = 512
_LONGEST_NAME = 1 << 16  # of a name that stands in a member of its own
_ZEROS = bytes(BLOCK)
_SPACES = sum(b" " * 8)  # what the checksum's own field counts as
_FILES = b"0\x007"
_LONG_NAME, _PAX = b"L", b"x"

Read = Callable[[int, int], bytes]


class Member(NamedTuple):
    """A file in a tar.

    Attributes:
        name: As written, with ``/`` between folders.
        start: Of its content, in bytes from the start of the tar.
        size: Of its content.
    """

    name: str
    start: int
    size: int


class Walked(NamedTuple):
    """What the headers say.

    Attributes:
        members: Files whose content is all there, in the order of the tar.
        broken_at: The byte where the tar breaks off or stops making sense; None where it ends as it should.
    """

    members: list[Member]
    broken_at: int | None


class _Header(NamedTuple):
    name: str
    size: int
    kind: bytes


def walk(read: Read, size: int) -> Walked:
    """All files of a tar of ``size`` bytes, up to its end or the place where it breaks.

    Args:
        read: (start, length) to that many bytes.
        size: Of the whole tar.
    """
    members: list[Member] = []
    start = 0
    named: str | None = None
    sized: int | None = None
    while start + BLOCK <= size:
        block = read(start, BLOCK)
        if block == _ZEROS:
            return Walked(members, None)
        header = _header(block)
        content = start + BLOCK
        if header is None:
            break
        length = header.size if sized is None else sized
        if content + length > size:
            break
        if header.kind in (_LONG_NAME, _PAX) and length <= _LONGEST_NAME:
            data = read(content, length)
            path, sized = _pax(data) if header.kind == _PAX else (_text(data), sized)
            named = named if path is None else path
        else:
            if header.kind in _FILES:
                members.append(Member(header.name if named is None else named, content, length))
            if header.kind != b"g":  # global headers say nothing that is read here
                named, sized = None, None
        start = content + -(-length // BLOCK) * BLOCK
    return Walked(members, start)


def _header(block: bytes) -> _Header | None:
    """None where the block is no header: its checksum does not match."""
    checksum = _number(block[148:156])
    if checksum is None or checksum != sum(block) - sum(block[148:156]) + _SPACES:
        return None
    size = _number(block[124:136])
    if size is None or size < 0:
        return None
    name = _text(block[:100])
    if block[257:263] == b"ustar\0" and block[345] != 0:
        name = f"{_text(block[345:500])}/{name}"
    kind = block[156:157]
    return _Header(name, size, b"5" if kind == b"\0" and name.endswith("/") else kind)


def _number(field: bytes) -> int | None:
    """Octal digits, or GNU's binary form for sizes that need more of them."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    try:
        return int(digits or b"0", 8)
    except ValueError:
        return None


def _pax(data: bytes) -> tuple[str | None, int | None]:
    """The path and the size that an extended header gives its successor; None where it gives none."""
    path, size = None, None
    while data:
        length, _, _ = data.partition(b" ")
        if not length.isdigit() or not len(length) < int(length) <= len(data):
            break
        record, data = data[len(length) + 1 : int(length)], data[int(length) :]
        keyword, _, value = record.rstrip(b"\n").partition(b"=")
        if keyword == b"path":
            path = _text(value)
        elif keyword == b"size" and value.isdigit():
            size = int(value)
    return path, size


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")
