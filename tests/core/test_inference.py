"""Pictures and texts to embeddings: finished models from disk, and what evaluators ask, on one rank and on two."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from vlc_core.assemble import build_towers
from vlc_core.batch import Sample
from vlc_core.errors import DataError, StorageError
from vlc_core.folders import write_folder
from vlc_core.inference import DualEncoder, Inference
from vlc_core.interfaces.dataset import Dataset
from vlc_core.model.folder import model_files
from vlc_core.plugins import plugins
from vlc_core.recipe.schema import Model
from vlc_core.testing.ranks import run_on_ranks
from vlc_core.tokenizer import Tokenizer

SIZE, DIM = 8, 6
SECTION: dict[str, Any] = {
    "image": {"use": "vit", "size": SIZE, "patch": 4, "width": 8, "depth": 1, "heads": 2},
    "text": {"use": "text-transformer", "width": 8, "depth": 1, "heads": 2, "context": 6},
    "tokenizer": {"use": "word"},
    "embed_dim": DIM,
}
CAPTIONS = ["a red square", "a blue circle", "two green stars", "", "a very long text about nothing at all, cut"]


def towers_and_tokenizer() -> tuple[Any, Tokenizer]:
    from vlc_core.assemble import build_tokenizer

    model = Model.model_validate(SECTION)
    tokenizer = build_tokenizer(model, plugins().registry, lambda: CAPTIONS)
    torch.manual_seed(0)
    return build_towers(model, plugins().registry, tokenizer), tokenizer


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with nothing in it but its model."""
    towers, tokenizer = towers_and_tokenizer()
    run, scratch = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("scratch")
    files = model_files(Model.model_validate(SECTION), towers.state_dict(), tokenizer, scratch)
    write_folder(run / "model", files)
    return run


@pytest.fixture(scope="module")
def encoder(saved: Path) -> DualEncoder:
    return DualEncoder.load(saved)


def pictures(count: int = 5) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    sides = [(8, 8), (30, 20), (9, 40), (1, 1), (100, 7)]
    return [Image.fromarray(rng.integers(0, 256, (*sides[i % 5], 3), np.uint8)) for i in range(count)]


def same(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_what_is_loaded_is_what_was_saved(encoder: DualEncoder):
    towers, tokenizer = towers_and_tokenizer()
    other = DualEncoder(towers, tokenizer)
    same(encoder.encode_image(pictures()), other.encode_image(pictures()))
    same(encoder.encode_text(CAPTIONS), other.encode_text(CAPTIONS))
    assert (encoder.size, encoder.context) == (SIZE, 6)
    assert not encoder.towers.training


def test_a_run_and_its_model_folder_are_the_same(saved: Path, encoder: DualEncoder):
    same(DualEncoder.load(saved / "model").encode_text(CAPTIONS), encoder.encode_text(CAPTIONS))
    same(DualEncoder.load(str(saved), device="cpu").encode_text(CAPTIONS), encoder.encode_text(CAPTIONS))


def test_embeddings_have_unit_length(encoder: DualEncoder):
    for embed, count in ((encoder.encode_image(pictures()), 5), (encoder.encode_text(CAPTIONS), 5)):
        assert embed.shape == (count, DIM)
        assert embed.dtype == torch.float32
        same(embed.norm(dim=1), torch.ones(count))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_a_picture_may_have_any_mode(encoder: DualEncoder, mode: str):
    picture = Image.new("L", (20, 12), 128).convert(mode) if mode != "I;16" else Image.new("I;16", (20, 12), 30_000)
    embed = encoder.encode_image([picture])
    assert embed.isfinite().all()
    assert embed.shape == (1, DIM)


def test_a_picture_without_defined_colours_is_named(encoder: DualEncoder):
    with pytest.raises(DataError, match="picture 1 cannot be encoded: its pixels are floating-point"):
        encoder.encode_image([*pictures(1), Image.new("F", (4, 4))])


def test_pictures_and_their_pixels_are_the_same(encoder: DualEncoder):
    plain = [picture.resize((SIZE, SIZE)) for picture in pictures()]
    pixels = torch.from_numpy(np.stack([np.asarray(picture) for picture in plain])).permute(0, 3, 1, 2)
    mean, std = (
        torch.tensor(x).view(3, 1, 1) for x in (encoder.towers.image.encoder.mean, encoder.towers.image.encoder.std)
    )
    expected = encoder.encode_image(plain)
    same(encoder.encode_image(pixels), expected)
    torch.testing.assert_close(encoder.encode_image((pixels / 255 - mean) / std), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_how_many_at_once_makes_no_difference(encoder: DualEncoder, size: int):
    same(encoder.encode_image(pictures(), batch_size=size), encoder.encode_image(pictures()))
    same(encoder.encode_text(CAPTIONS, batch_size=size), encoder.encode_text(CAPTIONS))


def test_nothing_gives_no_rows(encoder: DualEncoder):
    for embed in (
        encoder.encode_image([]),
        encoder.encode_image(torch.zeros(0, 3, SIZE, SIZE, dtype=torch.uint8)),
        encoder.encode_text([]),
    ):
        assert embed.shape == (0, DIM)


def test_one_where_many_are_meant_is_told(encoder: DualEncoder):
    with pytest.raises(ValueError, match="takes a list of texts; got one text"):
        encoder.encode_text("a red square")
    with pytest.raises(ValueError, match="got one picture"):
        encoder.encode_image(pictures()[0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"a tensor \(N, 3, 8, 8\); got a tensor of shape \(3, 8, 8\)"):
        encoder.encode_image(torch.zeros(3, 8, 8))


def test_embeddings_may_be_trained_upon(encoder: DualEncoder):
    embed = encoder.encode_text(CAPTIONS)
    assert not embed.requires_grad
    probe = torch.nn.Linear(DIM, 2)
    probe(embed).sum().backward()
    assert probe.weight.grad is not None


def copied(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved / "model", tmp_path / "model"))


@pytest.mark.parametrize("name", ["weights.safetensors", "model.json", "tokenizer.json", "special_ids.json"])
def test_a_damaged_file_is_named(saved: Path, tmp_path: Path, name: str):
    path = copied(saved, tmp_path) / name
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    with pytest.raises(StorageError, match=rf"is not what was written there \({name} differs\)"):
        DualEncoder.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("weights.safetensors", b"", "cannot be loaded"),
        ("weights.safetensors", None, "cannot be loaded"),
        ("model.json", b"{}", "does not describe a model: image: Field required; text: Field required"),
        ("model.json", b"[1", "does not describe a model"),
        ("model.json", b"\xff", "does not describe a model"),
        ("tokenizer.json", b"{}", "cannot be loaded"),
        ("tokenizer.json", None, "cannot be loaded"),
        ("special_ids.json", b"[]", "cannot be loaded"),
    ],
)
def test_a_model_that_cannot_be_read_is_one_sentence(saved: Path, tmp_path: Path, name: str, content, words: str):
    folder = copied(saved, tmp_path)
    (folder / "manifest.json").unlink()
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(StorageError, match=words) as caught:
        DualEncoder.load(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"embed_dim": 7}, "cannot be loaded: .*head.weight"),
        ({"image": {"use": "nobody-offers-this"}}, "cannot be built here"),
        ({"image": {**SECTION["image"], "depth": "deep"}}, "cannot be built here"),
    ],
)
def test_files_that_do_not_fit_together_are_told(saved: Path, tmp_path: Path, change, words: str):
    folder = copied(saved, tmp_path)
    (folder / "manifest.json").unlink()
    section = json.loads((folder / "model.json").read_text()) | change
    (folder / "model.json").write_text(json.dumps(section))
    with pytest.raises(StorageError, match=words):
        DualEncoder.load(folder)


def test_where_there_is_no_model_it_says_what_to_give(tmp_path: Path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(StorageError, match="holds no model: give a run folder"):
            DualEncoder.load(path)


@pytest.mark.parametrize("left", [".model.old", ".model.partial"])
def test_a_model_is_read_between_two_names(saved: Path, tmp_path: Path, encoder: DualEncoder, left: str):
    copied(saved, tmp_path).rename(tmp_path / left)
    same(DualEncoder.load(tmp_path).encode_text(CAPTIONS), encoder.encode_text(CAPTIONS))


class Some(Dataset):
    """Pictures of one grey each; every third cannot be read, one of them for want of its file."""

    def __init__(self, count: int, broken: bool = True) -> None:
        self.count, self.broken = count, broken

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if self.broken and index % 3 == 2:
            if index == 5:
                raise FileNotFoundError(f"no file {index}")
            raise DataError(f"sample {index} is torn")
        image: Image.Image | bytes = Image.new("RGB", (6, 6), (index * 9 % 256, index * 5 % 256, 0))
        if self.broken and index == 4:
            image = b"no image"
        return Sample(image, (f"text {index}",), label=index % 4, key=f"key {index}")


def asked(batch_size: int, count: int, broken: bool, texts: list[str]) -> tuple[Any, ...]:
    """What an evaluator may ask, as plain values."""
    model = Inference.of(DualEncoder(*towers_and_tokenizer()), batch_size=batch_size)
    found = model.encode_images(Some(count, broken))
    skipped = [[one.number, one.key, one.reason] for one in found.skipped]
    captions = [list(texts) for texts in found.texts]
    return found.embed, found.labels, captions, found.keys, skipped, model.encode_texts(texts), model.scale


def asked_on_rank(rank: int, world: int, cases: list[Any]) -> list[Any]:
    return [list(asked(*case)) for case in cases]


CASES = [
    [4, 14, True, CAPTIONS],
    [3, 7, False, CAPTIONS[:1]],
    [100, 14, True, CAPTIONS],
    [2, 0, True, []],
    [1, 3, True, []],
]


def test_unreadable_samples_are_left_out_and_listed():
    embed, labels, captions, keys, skipped, texts, scale = asked(4, 14, True, CAPTIONS)
    read = [0, 1, 3, 6, 7, 9, 10, 12, 13]
    assert keys == [f"key {index}" for index in read]
    assert captions == [[f"text {index}"] for index in read]
    assert labels.tolist() == [index % 4 for index in read]
    assert embed.shape == (len(read), DIM)
    assert [number for number, _, _ in skipped] == [2, 4, 5, 8, 11]
    assert skipped[0][2] == "sample 2 is torn"
    assert "not an image" in skipped[1][2]
    assert "no file 5" in skipped[2][2]
    assert texts.shape == (len(CAPTIONS), DIM)
    assert scale == pytest.approx(1 / 0.07, rel=1e-5)


def test_rows_are_those_of_each_sample_alone():
    embed = asked(4, 7, False, [])[0]
    encoder = DualEncoder(*towers_and_tokenizer())
    same(embed, encoder.encode_image([Some(7, False)[index].image for index in range(7)]))  # type: ignore[misc]


def agree(one: Any, other: Any) -> None:
    for mine, theirs in zip(one, other, strict=True):
        if isinstance(mine, Tensor):
            assert mine.shape == theirs.shape
            torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6)
        else:
            assert mine == theirs


def test_how_many_are_encoded_at_once_makes_no_difference_to_an_evaluator():
    for size in (1, 3, 100):
        agree(asked(size, 14, True, CAPTIONS), asked(4, 14, True, CAPTIONS))


def test_two_ranks_give_what_one_gives_in_the_same_order():
    for rank in run_on_ranks(asked_on_rank, 2, CASES):
        for case, found in zip(CASES, rank, strict=True):
            agree(found, asked(*case))
