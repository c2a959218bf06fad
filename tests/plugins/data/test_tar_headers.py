"""Headers of tars in all their dialects, against the standard library's reader."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlc_plugin_data.tars.headers import BLOCK, Walked, walk

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def tar(files: list[tuple[str, int]], format: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as out:
        for name, size in files:
            info = tarfile.TarInfo(name)
            info.size = size
            out.addfile(info, io.BytesIO(b"x" * size))
    return buffer.getvalue()


def walked(data: bytes) -> Walked:
    return walk(lambda start, length: data[start : start + length], len(data))


def theirs(data: bytes) -> list[tuple[str, int, int]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as found:
        return [(m.name, m.offset_data, m.size) for m in found if m.isreg()]


NAMES = st.text(st.sampled_from("ab/.é水"), min_size=1, max_size=180).filter(lambda n: n.strip("/.") and n[-1] != "/")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(NAMES, st.integers(0, 1500)), max_size=6), st.sampled_from(["gnu", "pax"]))
def test_any_files_are_found_as_tarfile_finds_them(files: list[tuple[str, int]], format: str) -> None:
    data = tar(files, FORMATS[format])
    found = walked(data)
    assert [tuple(member) for member in found.members] == theirs(data)
    assert found.broken_at is None


@pytest.mark.parametrize("format", FORMATS)
def test_long_names_and_prefixes(format: str) -> None:
    files = [("d" * 90 + "/" + "n" * 60 + ".jpg", 3), ("short.txt", 0)]
    data = tar(files, FORMATS[format])
    assert [member[:1] + member[2:] for member in walked(data).members] == files


def test_links_folders_and_devices_are_no_files() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as out:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            info = tarfile.TarInfo("link.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            out.addfile(info)
        out.addfile(tarfile.TarInfo("file.jpg"))
    assert [member.name for member in walked(buffer.getvalue()).members] == ["file.jpg"]


def test_sizes_beyond_eight_gibibytes() -> None:
    info = tarfile.TarInfo("huge.bin")
    info.size = 9 << 30
    header = info.tobuf(tarfile.GNU_FORMAT)
    found = walk(lambda start, length: header if start == 0 else bytes(length), BLOCK + info.size + 2 * BLOCK)
    assert found == Walked([("huge.bin", BLOCK, 9 << 30)], None)  # type: ignore[list-item]


@pytest.mark.parametrize("damage", [b"\xff" * BLOCK, b"<!DOCTYPE html>".ljust(BLOCK), b"\x1f\x8b" + b"\1" * 510])
def test_what_is_no_header_ends_the_walk_where_it_stands(damage: bytes) -> None:
    data = tar([("a.jpg", 5)], tarfile.USTAR_FORMAT)[: 2 * BLOCK]
    assert walked(damage) == Walked([], 0)
    found = walked(data + damage + bytes(2 * BLOCK))
    assert ([member.name for member in found.members], found.broken_at) == (["a.jpg"], 2 * BLOCK)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=3 * BLOCK), st.integers(0, 2 * BLOCK))
def test_noise_never_raises(noise: bytes, at: int) -> None:
    data = bytearray(tar([("a.jpg", 5), ("l" * 120, 2)], tarfile.PAX_FORMAT))
    data[at : at + len(noise)] = noise
    walked(bytes(data))
