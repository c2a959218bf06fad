"""Where first weights come from: they arrive bit by bit, and what does not fit is named."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch
from safetensors.torch import load_file, save_file
from tokenizers import models
from torch import Tensor, nn

from vlc_core.errors import RecipeError, StorageError
from vlc_core.interfaces.encoder import Encoded, ImageEncoder, TextEncoder, Vocabulary
from vlc_core.model import folder as model_folder
from vlc_core.model.heads import make_head
from vlc_core.model.start import check_origins, load_start, tokenizer_home
from vlc_core.model.temperature import Temperature
from vlc_core.model.towers import ImageTower, TextTower, Towers
from vlc_core.model.weights import compared, fit, read_weights
from vlc_core.recipe.schema import Model
from vlc_core.tokenizer import Tokenizer


class Eye(ImageEncoder):
    """One matrix over pixels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.size, self.width = 2, width
        self.matrix = nn.Linear(12, width)

    def forward(self, pixels: Tensor) -> Encoded:
        return Encoded(self.matrix(pixels.flatten(1)))


class Reader(TextEncoder):
    """A table."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width, self.context = width, 4
        self.words = nn.Embedding(9, width)

    def forward(self, tokens: Tensor, mask: Tensor) -> Encoded:
        return Encoded((self.words(tokens) * mask[..., None]).sum(1))


def section(**changes: Any) -> Model:
    towers = {"image": {"use": "eye"}, "text": {"use": "reader"}, "tokenizer": {"use": "words"}}
    for key, value in changes.items():
        side, _, name = key.partition("_")
        if side in towers and name:
            towers[side] = {**towers[side], name: value}
        else:
            towers[{"start": "from"}.get(key, key)] = value
    return Model.model_validate(towers)


def build(model: Model, *, seed: int, width: int = 6) -> Towers:
    torch.manual_seed(seed)
    eye, reader = Eye(width), Reader(width)
    heads = [make_head(spec.head, width, 6, "head") for spec in (model.image, model.text)]
    temperature = Temperature(**model.temperature.model_dump())
    return Towers(ImageTower(eye, 6, heads[0]), TextTower(reader, 6, heads[1]), temperature)


def reads() -> Tokenizer:
    words = {"<pad>": 0, "a": 1}
    return Tokenizer(tokenizers.Tokenizer(models.WordLevel(words, unk_token="a")), Vocabulary(2, pad=0))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder with a model in it, whose temperature has been learned."""
    model = section()
    towers = build(model, seed=1)
    with torch.no_grad():
        towers.temperature.value.fill_(3.25)
    folder = tmp_path / "run" / "model"
    folder.mkdir(parents=True)
    for name, content in model_folder.model_files(model, towers.state_dict(), reads(), tmp_path / "scratch").items():
        (folder / name).write_bytes(content)
    return folder.parent


def same(one: Any, other: Any) -> bool:
    return all(torch.equal(x, y) for x, y in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize("folder", [".", "model"])
def test_a_model_goes_on_from_a_run_to_the_bit(run: Path, folder: str):
    model = section(start=str(run / folder))
    towers = build(model, seed=2)
    load_start(model, towers)
    assert same(towers, build(section(), seed=1)) is False  # the temperature was learned
    assert towers.temperature.value.item() == 3.25
    towers.temperature.take(build(section(), seed=1).temperature)
    assert same(towers, build(section(), seed=1))


def test_a_tower_with_weights_of_its_own_takes_nothing_from_the_run(run: Path, tmp_path: Path):
    own = build(section(), seed=5).image.encoder
    save_file(own.state_dict(), tmp_path / "eye.safetensors")
    model = section(start=str(run), image_pretrained=str(tmp_path / "eye.safetensors"), image_head="mlp")
    towers = build(model, seed=2)
    load_start(model, towers)
    assert same(towers.image.encoder, own)
    assert same(towers.image.head, build(model, seed=2).image.head)
    assert same(towers.text, build(section(), seed=1).text)


@pytest.mark.parametrize("kind", ["run", "model", "weights", "checkpoint"])
def test_a_tower_is_found_in_all_that_a_run_leaves_behind(run: Path, tmp_path: Path, kind: str):
    weights = load_file(run / "model" / "weights.safetensors")
    save_file({f"towers.{name}": x for name, x in weights.items()}, tmp_path / "checkpoint.safetensors")
    path = {
        "run": run,
        "model": run / "model",
        "weights": run / "model" / "weights.safetensors",
        "checkpoint": tmp_path / "checkpoint.safetensors",
    }[kind]
    model = section(text_pretrained=str(path))
    towers = build(model, seed=2)
    load_start(model, towers)
    assert same(towers.text, build(section(), seed=1).text)
    assert same(towers.image, build(section(), seed=2).image)


def test_a_head_that_does_not_fit_starts_fresh(run: Path):
    model = section(text_pretrained=str(run), text_head="mlp")
    towers = build(model, seed=2)
    load_start(model, towers)
    assert same(towers.text.encoder, build(section(), seed=1).text.encoder)
    assert same(towers.text.head, build(model, seed=2).text.head)


def test_a_temperature_goes_on_however_it_is_learned_now(run: Path):
    model = section(start=str(run), temperature={"learn_as": "temperature"})
    towers = build(model, seed=2)
    load_start(model, towers)
    assert towers.temperature().item() == pytest.approx(float(torch.tensor(3.25).exp()), rel=1e-6)


@pytest.mark.parametrize(
    ("options", "expected"), [({"init": 0.3, "learn": False}, 0.3), ({"min": 0.05, "init": 0.5}, 0.05)]
)
def test_a_temperature_that_is_not_learned_stays_and_one_that_is_stays_within_its_bounds(run, options, expected):
    model = section(start=str(run), temperature=options)
    towers = build(model, seed=2)
    load_start(model, towers)
    assert 1 / towers.temperature().item() == pytest.approx(expected, rel=1e-6)


def test_weights_that_do_not_fit_are_listed_and_change_nothing(run: Path):
    model = section(start=str(run))
    towers = build(model, seed=2, width=7)
    before = build(model, seed=2, width=7)
    with pytest.raises(RecipeError) as caught:
        load_start(model, towers, lambda key: f"r.yaml:3: {key}")
    assert str(caught.value) == (
        f"r.yaml:3: model.from: the weights in {run}/model do not fit this recipe's model: image.encoder.matrix.weight "
        "is 6 × 12 there and 7 × 12 here, image.encoder.matrix.bias is 6 there and 7 here, image.head.weight is 6 × 6 "
        "there and 6 × 7 here, text.encoder.words.weight is 9 × 6 there and 9 × 7 here and 1 more"
    )
    assert same(towers, before)
    model = section(image_pretrained=str(run))
    with pytest.raises(
        RecipeError, match=r"^r: model\.image\.pretrained: the weights in .* do not fit: matrix\.weight"
    ):
        load_start(model, towers, lambda key: f"r: {key}")
    assert same(towers, before)


def test_missing_and_spare_weights_are_named():
    own = {"a": torch.zeros(2), "b": torch.zeros(())}
    assert compared(own, own) == ""
    other = {"b": torch.zeros(()), **{f"c{i}": torch.zeros(1) for i in range(6)}}
    assert compared(own, other) == ("missing there: a 2; not wanted here: c0 1, c1 1, c2 1, c3 1 and 2 more")
    assert compared({"b": torch.zeros(1)}, {"b": torch.zeros(())}) == "b is a scalar there and 1 here"
    with pytest.raises(RecipeError, match=r"the weights in w do not fit: missing there: weight 1 × 1"):
        fit(nn.Linear(1, 1), {"bias": torch.zeros(1)}, "w")


def test_a_folder_without_a_model_is_refused(tmp_path: Path):
    with pytest.raises(StorageError, match=r"model\.from: .* holds no model"):
        check_origins(section(start=str(tmp_path)))
    with pytest.raises(StorageError, match=r"model\.text\.pretrained: there is nothing at .*/gone on this machine"):
        check_origins(section(text_pretrained=str(tmp_path / "gone")))
    with pytest.raises(StorageError, match="holds no model"):
        read_weights(tmp_path)
    with pytest.raises(StorageError, match="there are no weights at"):
        read_weights(tmp_path / "gone.safetensors")
    check_origins(section())


def test_a_pickle_is_not_opened(tmp_path: Path):
    torch.save({"matrix.weight": torch.zeros(1)}, tmp_path / "w.pt")
    model = section(image_pretrained=str(tmp_path / "w.pt"))
    with pytest.raises(StorageError, match=r"^model\.image\.pretrained: .*w\.pt is no file of safetensors"):
        load_start(model, build(model, seed=2))


def test_a_broken_model_folder_is_refused(run: Path):
    model = section(start=str(run))
    (run / "model" / "model.json").write_text('{"temperature": {"init": "warm"}}')
    with pytest.raises(StorageError, match=r"model\.from: the model in .* cannot be read"):
        load_start(model, build(model, seed=2))


def test_a_head_that_is_frozen_as_drawn_is_warned_of(run: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING, "vlc")
    for changes in (
        {"image_freeze": "encoder"},
        {"image_freeze": "all", "start": str(run)},
        {"image_freeze": "all", "image_pretrained": str(run)},
        {"image_freeze": "all", "image_head": "none"},
    ):
        model = section(**changes)
        load_start(model, build(model, seed=2))
    assert caplog.messages == []
    model = section(image_freeze="all", image_pretrained=str(run), image_head="mlp")
    load_start(model, build(model, seed=2))
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("model.image.freeze: the head is frozen as it was drawn")


def test_a_text_tower_brings_its_tokenizer(run: Path):
    home = run / "model"
    assert tokenizer_home(section()) is None
    assert tokenizer_home(section(start=str(run))) == home
    assert tokenizer_home(section(start=str(run), tokenizer=None)) == home
    assert tokenizer_home(section(text_pretrained=str(run), tokenizer=None)) == home
    assert tokenizer_home(section(text_pretrained=str(run), tokenizer={"use": "bpe"})) is None
    assert tokenizer_home(section(image_pretrained=str(run))) is None
    with pytest.raises(
        RecipeError, match=r"^model\.tokenizer: the run in .* reads texts with .*'words'.* and not with"
    ):
        tokenizer_home(section(start=str(run), tokenizer={"use": "bpe"}))


def test_a_model_folder_tells_nothing_of_the_training(run: Path):
    model = section(
        start=str(run), image_freeze="all", image_pretrained="/secret", text_layer_decay=0.5, text_compile=True
    )
    files = model_folder.model_files(model, {}, reads(), run / "scratch")
    written = json.loads(files["model.json"])
    assert "from" not in written
    assert set(written["image"]) == set(written["text"]) == {"use", "head"}
    assert Model.model_validate_json(files["model.json"]).image.freeze == 0
