"""Fingerprints are kept, taken again, and made anew where an image has changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from vlc_core.errors import RecipeError, StorageError
from vlc_plugin_curate.near import fingerprints as module
from vlc_plugin_curate.near import near_duplicates
from vlc_plugin_curate.near.fingerprints import FLAT, ROW, UNREADABLE, fingerprints
from vlc_plugin_curate.near.kept import KeptParts
from vlc_plugin_curate.near.phash import Look, look_at
from vlc_plugin_data.folder import Folder

Images = list[tuple[str, bytes]]


@pytest.fixture
def images(drawn: SimpleNamespace) -> Images:
    return [(f"{i}.png", drawn.encoded(drawn.scene(i))) for i in range(7)]


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The images that were decoded; parts are of three."""
    seen: list[bytes] = []

    def look(image: bytes) -> Look:
        seen.append(image)
        return look_at(image)

    monkeypatch.setattr(module, "look_at", look)
    monkeypatch.setattr(module, "PART", 3)
    return seen


def test_what_is_kept_is_not_decoded_again(images: Images, looked: list[bytes], tmp_path: Path) -> None:
    first = fingerprints(images, cache=tmp_path)
    again = fingerprints(images, cache=tmp_path)
    assert len(looked) == len(images)
    assert np.array_equal(first.rows, again.rows)
    assert np.array_equal(first.rows, fingerprints(images).rows)


def test_it_goes_on_where_it_was_killed(images: Images, looked: list[bytes], tmp_path: Path) -> None:
    def killed() -> Iterator[tuple[str, bytes]]:
        yield from images[:5]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fingerprints(killed(), name="x", cache=tmp_path)
    del looked[:]
    assert np.array_equal(fingerprints(images, name="x", cache=tmp_path).rows, fingerprints(images, name="y").rows)
    assert [image for image in looked if image == images[0][1]] == [images[0][1]]  # by y alone
    assert looked[:4] == [image for _, image in images[3:]]


def test_an_image_that_changed_is_looked_at_again(
    images: Images, looked: list[bytes], tmp_path: Path, drawn: SimpleNamespace
) -> None:
    fingerprints(images, cache=tmp_path)
    del looked[:]
    images[4] = ("4.png", drawn.encoded(drawn.scene(99)))
    changed = fingerprints(images, cache=tmp_path)
    assert looked == [images[4][1]]
    assert np.array_equal(changed.rows, fingerprints(images).rows)
    del looked[:]
    fingerprints(images, cache=tmp_path)
    assert looked == []


@pytest.mark.parametrize("content", [b"", b"no array", None])
def test_a_broken_part_is_made_anew(images: Images, tmp_path: Path, content: bytes | None) -> None:
    whole = fingerprints(images, cache=tmp_path)
    (file,) = tmp_path.rglob("*.npy")
    if content is None:
        np.save(file, np.zeros(7, np.int64))
    else:
        file.write_bytes(content)
    assert np.array_equal(fingerprints(images, cache=tmp_path).rows, whole.rows)
    assert KeptParts(tmp_path, "images", ROW).read(0) is not None


def test_unreadable_images_are_counted_and_in_no_pair(images: Images) -> None:
    images[2:2] = [("gone.jpg", b""), ("page.jpg", b"<html>no such image</html>")]
    found = near_duplicates(images, images)
    assert found.unreadable == 4
    assert [(one.number, one.key) for one in found.train_images.unreadable] == [(2, "gone.jpg"), (3, "page.jpg")]
    assert "web page" in found.train_images.unreadable[1].reason
    assert not {2, 3} & set(found.train.tolist())
    assert found.train_images.rows["state"][2] == UNREADABLE
    assert found.cosine is None


def test_a_dataset_has_the_same_fingerprints_in_several_processes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, drawn: SimpleNamespace
) -> None:
    files = {f"{'ab'[i % 2]}/{i:02d}.jpg": drawn.encoded(drawn.scene(i % 5, (64, 48)), 80) for i in range(70)}
    folder = Folder(path=str(drawn.write(tmp_path, files | {"a/00.jpg": b"broken"})))
    alone, together = fingerprints(folder), fingerprints(folder, workers=2)
    assert np.array_equal(alone.rows, together.rows)
    assert alone.unreadable == together.unreadable
    assert len(alone.unreadable) == 1


def test_sizes_and_texts(drawn: SimpleNamespace, images: Images) -> None:
    row = fingerprints([("", drawn.encoded(drawn.scene(1, (90, 40)), 70))]).rows[0]
    assert (row["width"], row["height"]) == (90, 40)
    assert len(np.unique(fingerprints(images).rows["digest"], axis=0)) == len(images)
    assert len(fingerprints([])) == 0
    assert FLAT not in fingerprints(images).rows["state"]


def test_wrong_thresholds_are_refused(images: Images) -> None:
    with pytest.raises(RecipeError, match=r"radius 17 .* 0 … 16"):
        near_duplicates(images, images, radius=17)
    with pytest.raises(RecipeError, match=r"cosine 1\.5"):
        near_duplicates(images, images, min_cosine=1.5)


def test_a_cache_that_cannot_be_written_is_named(images: Images, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file cannot be written"):
        fingerprints(images, cache=tmp_path / "file")
