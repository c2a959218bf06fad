"""Class folders: classes, labels, and folders that are not what they should be."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import fsspec
import pytest
from PIL import Image

from vlc_core import DataError
from vlc_plugin_data.folder import Folder


def png(colour: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2), colour).save(buffer, "PNG")
    return buffer.getvalue()


FILES = (
    "bee/2.png",
    "bee/1.PNG",
    "cell_phone/a/b/3.png",
    "ant/x.png",
    "ant/notes.txt",
    "ant/.hidden.png",
    ".git/4.png",
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(png())
    (tmp_path / "loose.png").write_bytes(png())
    return tmp_path


def test_each_folder_is_a_class_and_images_may_lie_deeper(tree: Path) -> None:
    data = Folder(path=str(tree))
    assert data.classes == ["ant", "bee", "cell phone"]
    read = [(s.key, s.label) for s in (data[i] for i in range(len(data)))]
    assert read == [("ant/x.png", 0), ("bee/1.PNG", 1), ("bee/2.png", 1), ("cell_phone/a/b/3.png", 2)]
    assert data[0].image == png()
    assert data.texts(0) == ()


def test_class_folders_may_be_links(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    subset = tmp_path_factory.mktemp("subset")
    (subset / "dog").mkdir()
    (subset / "dog" / "1.png").write_bytes(png())
    (subset / "dog" / "again").symlink_to(subset)
    (subset / "bee").symlink_to(tree / "bee")
    (subset / ".git").symlink_to(tree / ".git")
    (subset / "gone").symlink_to(tree / "nowhere")
    data = Folder(path=str(subset))
    assert data.classes == ["bee", "dog"]
    assert [data[i].key for i in range(len(data))] == ["bee/1.PNG", "bee/2.png", "dog/1.png"]


def test_underscores_can_be_kept(tree: Path) -> None:
    assert Folder(path=str(tree), underscores=True).classes == ["ant", "bee", "cell_phone"]


def test_any_store_reads_alike(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    local = Folder(path=str(tree))
    memory = fsspec.filesystem("memory")
    archive = tmp_path_factory.mktemp("zip") / "images.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for name in FILES:
            memory.pipe_file(f"/pictures/{name}", png())
            packed.writestr(f"top/{name}", png())
    for url in (
        f"file://{tree}",
        f"{tree}/",
        "memory://pictures",
        f"zip://top::{archive}",
        f"zip://top::file://{archive}",
    ):
        stored = Folder(path=url)
        assert stored.classes == local.classes, url
        assert [stored[i] for i in range(len(stored))] == [local[i] for i in range(len(local))], url
    memory.rm("/pictures", recursive=True)


def test_it_goes_through_pickle(tree: Path) -> None:
    data = Folder(path=str(tree))
    again = pickle.loads(pickle.dumps(data))
    assert [again[i] for i in range(len(again))] == [data[i] for i in range(len(data))]


def test_a_file_that_went_away_is_a_bad_sample(tree: Path) -> None:
    data = Folder(path=str(tree))
    (tree / "ant/x.png").unlink()
    with pytest.raises(DataError, match=r"there is no file ant/x\.png in /"):
        data[0]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "there is no folder {}: check the option `path`"),
        ([], "the folder {} holds no class folders: put the images of each class in a folder of its own"),
        (
            ["a.png"],
            "the folder {} holds no class folders: put the images of each class in a folder of its own",
        ),
        (["a/", "b/"], "the folder {} holds no image: its files must end in .jpg, .jpeg, .png"),
        (["a/1.png", "b/", "c/x.txt"], "{}: no image in the class folder b, c: add some or remove it"),
        (
            ["a/1.png", *(f"{c}/" for c in "bcdefgh")],
            "{}: no image in the class folder b, c, d, e, f and 2 more: add some or remove it",
        ),
    ],
)
def test_a_folder_that_will_not_do_says_why(files: list[str] | None, message: str, tmp_path: Path) -> None:
    root = tmp_path / "images"
    if files is not None:
        root.mkdir()
    for name in files or ():
        (root / name).parent.mkdir(exist_ok=True)
        if name.endswith("/"):
            (root / name).mkdir(exist_ok=True)
        else:
            (root / name).write_bytes(png())
    with pytest.raises(DataError) as caught:
        Folder(path=str(root))
    assert str(caught.value).startswith(message.format(root))


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    with pytest.raises(DataError, match=r"a\.png is a file: the option"):
        Folder(path=str(tmp_path / "a.png"))


def test_an_unknown_store_names_what_is_missing() -> None:
    with pytest.raises(DataError, match=r"quux://bucket/x cannot be opened: .*quux"):
        Folder(path="quux://bucket/x")


def test_real_class_folders(shared_data: Path) -> None:
    data = Folder(path=str(shared_data / "caltech101"))
    assert (len(data), len(data.classes or ())) == (2000, 100)
