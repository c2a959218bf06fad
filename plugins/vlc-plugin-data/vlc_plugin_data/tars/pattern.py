"""The shards that a path means: brace ranges, globs, lists of both."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from vlc_core import DataError
from vlc_plugin_data.retries import patiently
from vlc_plugin_data.stores import is_local, open_store

MOST = 1_000_000  # shards of one source
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")
_GLOB = re.compile(r"[*?\[]")


def shard_urls(path: str | Sequence[str]) -> list[str]:
    """Every shard that ``path`` means, each once: ranges in their order, what globs find sorted.

    Raises:
        DataError: A glob finds nothing, braces do not parse or mean more than a million shards, a pipe.
    """
    urls: dict[str, None] = {}
    for pattern in [path] if isinstance(path, str) else path:
        if pattern.lstrip().startswith("pipe:"):
            raise DataError(f"{pattern}: commands are not run to read data; give a path or a URL that fsspec knows")
        for one in expand(pattern):
            urls |= dict.fromkeys(_globbed(one) if _GLOB.search(one.partition("::")[0]) else [one])
    if not urls:
        raise DataError("no shard is named: the option `path` is an empty list")
    return list(urls)


def expand(pattern: str) -> list[str]:
    """``a-{00..02}-{x,y}.tar`` to the six names that it stands for.

    Raises:
        DataError: An empty brace, one that is never closed, or too many names.
    """
    names = [pattern]
    while any("{" in name for name in names):
        longer = chain.from_iterable(_first_brace(name, pattern) for name in names)
        names = list(islice(longer, MOST + 1))
        if len(names) > MOST:
            raise DataError(_too_many(pattern))
    return names


def _first_brace(name: str, pattern: str) -> Iterator[str]:
    found = _BRACES.search(name)
    if found is None:
        if "{" in name:
            raise DataError(f"{pattern}: a brace is opened and not closed; write ranges as {{00000..00331}}")
        yield name
        return
    for choice in _choices(found[1], pattern):
        yield name[: found.start()] + choice + name[found.end() :]


def _choices(inside: str, pattern: str) -> list[str]:
    ends = _RANGE.fullmatch(inside)
    if ends is None:
        if "," not in inside:
            raise DataError(
                f"{pattern}: {{{inside}}} is no range; write one as {{00000..00331}}, or a choice as {{a,b}}"
            )
        return inside.split(",")
    first, last = int(ends[1]), int(ends[2])
    if abs(last - first) >= MOST:
        raise DataError(_too_many(pattern))
    width = max(len(ends[1]), len(ends[2])) if ends[1].lstrip("-").startswith("0") else 0
    step = 1 if last >= first else -1
    return [f"{number:0{width}d}" for number in range(first, last + step, step)]


def _globbed(pattern: str) -> list[str]:
    """The files that a glob finds, sorted, written as the pattern is."""
    file_system, inside = open_store(pattern)
    found = sorted(patiently(lambda: file_system.glob(inside), pattern))
    if not found:
        raise DataError(f"{pattern} matches no shard: check the option `path`")
    if is_local(pattern):
        return [str(name) for name in found]
    _, chain, rest = pattern.partition("::")
    return [str(file_system.unstrip_protocol(name)) + chain + rest for name in found]


def _too_many(pattern: str) -> str:
    return f"{pattern} stands for more than {MOST:,} shards: check its ranges"
