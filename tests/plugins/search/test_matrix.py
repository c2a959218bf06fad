"""The file of the exact index: its bytes, and in which pieces the system is given them."""

from __future__ import annotations

import io

import numpy as np
import pytest

from vlc_core.errors import StorageError
from vlc_plugin_search.indexing.matrix import PAGE, map_matrix, write_by_pages, write_matrix


class Written(io.RawIOBase):
    """A file that remembers what it was given at a time."""

    def __init__(self):
        self.pieces = []

    def writable(self):
        return True

    def write(self, data):
        self.pieces.append(bytes(data))
        return len(data)

    def seekable(self):
        return True

    def tell(self):
        return sum(map(len, self.pieces))

    def seek(self, offset, whence=0):
        assert (offset, whence) == (0, 1)
        return self.tell()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_it_holds_the_pieces_in_their_order(tmp_path, dtype):
    pieces = [np.arange(n * 5, dtype=dtype).reshape(n, 5) / 7 for n in (3, 1, 0, 4)]
    file = tmp_path / "rows.npy"
    assert list(write_matrix(file, pieces, shape=(8, 5), dtype=dtype)) == [3, 1, 0, 4]
    np.testing.assert_array_equal(np.load(file), np.concatenate(pieces))
    assert np.load(file).dtype == dtype
    np.testing.assert_array_equal(map_matrix(file, (8, 5)), np.concatenate(pieces))


def test_the_system_is_given_whole_large_pages_whatever_the_pieces():
    given = np.random.default_rng(0).integers(0, 256, 2 * PAGE + 999, np.uint8).tobytes()
    raw = Written()
    with io.BufferedWriter(raw, PAGE) as file:
        file.write(given[:128])
        for start, stop in ((128, 700_000), (700_000, 701_000), (701_000, 2 * PAGE), (2 * PAGE, len(given))):
            write_by_pages(file, memoryview(given)[start:stop])
        file.flush()
        assert [len(piece) for piece in raw.pieces] == [PAGE, PAGE, 999]
        assert b"".join(raw.pieces) == given


def test_a_matrix_of_another_shape_is_refused(tmp_path):
    file = tmp_path / "rows.npy"
    np.save(file, np.zeros((3, 4), np.float32))
    with pytest.raises(StorageError, match=r"rows.npy is broken \(it holds \(3, 4\) numbers, and the parts \(4, 4\)\)"):
        map_matrix(file, (4, 4))
