"""From a recipe to the parts of a run."""

from __future__ import annotations

from contextlib import nullcontext
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from vlc_core import assemble
from vlc_core.assemble.needs import check_needs
from vlc_core.batch import Sample
from vlc_core.errors import DataError, RecipeError
from vlc_core.interfaces.dataset import Dataset
from vlc_core.interfaces.encoder import TextEncoder, Vocabulary
from vlc_core.interfaces.objective import ModelInfo, Needs, Objective
from vlc_core.interfaces.sampler import Sampler
from vlc_core.interfaces.tokenizer import TokenizerSource
from vlc_core.interfaces.transform import Transform
from vlc_core.loading.picture import Picture
from vlc_core.plugins import plugins
from vlc_core.recipe.schema import Recipe
from vlc_core.registry import Registrar, Registry
from vlc_core.tokenizer import Tokenizer

COUNT = 10


class Pictures(Dataset):
    """Pictures with a caption each, of which one cannot be read; or with labels."""

    def __init__(self, *, count: int = COUNT, labelled: bool = False) -> None:
        self.count = count
        self.classes = ["cat", "dog"] if labelled else None

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        return Sample(Image.new("RGB", (6, 6)), self.texts(index), label=index % 2 if self.classes else -1)

    def texts(self, index: int) -> tuple[str, ...]:
        if self.classes:
            return ()
        if index == 3:
            raise DataError("torn")
        return (f"caption {index}",)


class InOrder(Sampler):
    """One sample after the other."""

    def draw(self, numbers: Any) -> Any:
        return np.zeros_like(numbers), numbers % COUNT


class AsItIs(Transform):
    """The middle."""

    def __call__(self, picture: Picture, size: int, rng: np.random.Generator) -> Any:
        return np.asarray(picture.pil().resize((size, size)))


class Letters(TokenizerSource):
    """Makes the word tokenizer, and tells what it was given."""

    seen: list[list[str]] = []  # noqa: RUF012

    def make(self, captions: Any) -> Tokenizer:
        given = list(captions())
        self.seen.append(given)
        source = plugins().registry.find("tokenizer", "word").load()()
        made: Tokenizer = source.make(lambda: given)
        return made


class Bare(Objective):
    """Has a parameter without dimensions."""

    def __init__(self, model: ModelInfo, *, labels: bool = False) -> None:
        super().__init__(model)
        self.bias = nn.Parameter(torch.tensor(-3.0))

    @classmethod
    def requires(cls, options: Any) -> Needs:
        return Needs(labels=bool(options.get("labels")), text_tokens=not options.get("labels"))

    def forward(self, step: Any) -> Any:
        return step.image.embed.sum() * self.bias


@pytest.fixture
def registry(small: ModuleType) -> Registry:
    registry = Registry()
    add = Registrar(registry, "sample")
    here = {"Pictures": Pictures, "InOrder": InOrder, "AsItIs": AsItIs, "Letters": Letters, "Bare": Bare}
    for name, component in here.items():
        setattr(small, name, component)

    class Reader(small.Read):  # type: ignore[misc,name-defined]
        """Reads."""

        default_tokenizer = "letters"

        def __init__(self, vocabulary: Vocabulary, *, dropout: float = 0.0) -> None:
            super().__init__(dropout=dropout)
            self.words = nn.Embedding(vocabulary.size, self.width)

    small.Reader = Reader
    add.image_encoder("look", f"{small.__name__}:Look")
    add.text_encoder("read", f"{small.__name__}:Reader")
    add.tokenizer("letters", f"{small.__name__}:Letters")
    add.objective("bare", f"{small.__name__}:Bare")
    add.objective("clip", f"{small.__name__}:Clip")
    add.dataset("pictures", f"{small.__name__}:Pictures")
    add.sampler("shuffle", f"{small.__name__}:InOrder")
    add.transform("clip", f"{small.__name__}:AsItIs")
    assert issubclass(Reader, TextEncoder)
    return registry


def recipe(**changes: Any) -> Recipe:
    plain = {
        "model": {"image": {"use": "look"}, "text": {"use": "read"}, "embed_dim": 5},
        "objectives": [{"use": "clip"}, {"use": "bare", "weight": 0.5}],
        "data": {"train": [{"use": "pictures"}]},
        "train": {"steps": 3, "batch_size": 4},
    }
    return Recipe.model_validate({**plain, **changes}, strict=False)


def built(registry: Registry, said: Recipe) -> Any:
    data = assemble.build_data(said, registry)
    tokenizer = assemble.build_tokenizer(said.model, registry, data.captions)
    towers = assemble.build_towers(said.model, registry, tokenizer)
    return assemble.build_pretrainer(said, registry, towers, tokenizer, data), data, tokenizer


def test_captions_are_those_that_training_may_draw(registry: Registry):
    data = assemble.build_data(recipe(), registry)
    assert list(data.captions()) == [f"caption {index}" for index in range(COUNT) if index != 3]
    labelled = {"use": "pictures", "labelled": True, "name": "b", "prompts": ["a {}", "one {}"]}
    data = assemble.build_data(recipe(data={"train": [{"use": "pictures", "name": "a"}, labelled]}), registry)
    assert list(data.captions())[:4] == ["a cat", "one cat", "a dog", "one dog"]
    assert data.classes == ("cat", "dog")


def test_only_so_many_captions_are_read(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("vlc_core.assemble.data.CAPTIONS_READ", 4)
    assert len(list(assemble.build_data(recipe(), registry).captions())) == 4


def test_an_empty_source_is_refused_by_name(registry: Registry):
    source = {"use": "pictures", "count": 0, "name": "nothing"}
    with pytest.raises(DataError, match=r"the source 'nothing' of data.train holds no sample"):
        assemble.build_data(recipe(data={"train": [source]}), registry)


def test_classes_merge_by_name_on_request(registry: Registry):
    both = [{"use": "pictures", "labelled": True, "name": name} for name in "ab"]
    assert assemble.build_data(recipe(data={"train": both}), registry).classes == ("cat", "dog", "cat", "dog")
    merged = assemble.build_data(recipe(data={"train": both, "merge_classes": True}), registry)
    assert merged.classes == ("cat", "dog")
    assert [source.label_map for source in merged.sources] == [(0, 1), (0, 1)]


def test_a_share_that_the_sampler_does_not_read_is_refused(registry: Registry):
    sources = [{"use": "pictures", "name": "a"}, {"use": "pictures", "name": "b", "share": 0.5}]
    with pytest.raises(RecipeError, match=r"data.train.b.share: the sampler shuffle gives shares of its own"):
        assemble.build_data(recipe(data={"train": sources}), registry)


def test_the_text_encoder_chooses_its_tokenizer_where_the_recipe_does_not(registry: Registry):
    Letters.seen.clear()
    _, _, tokenizer = built(registry, recipe())
    assert Letters.seen == [[f"caption {index}" for index in range(COUNT) if index != 3]]
    assert tokenizer.encode(["caption 1"], 8).ids.shape[1] >= 2


def test_scalars_get_a_dimension_and_keep_their_value(registry: Registry):
    model, _, _ = built(registry, recipe())
    assert all(parameter.dim() > 0 for parameter in model.parameters())
    assert model.objectives["bare"].bias.tolist() == [-3.0]
    assert model.objectives["bare"].bias.requires_grad


def test_needs_are_merged_and_tokens_offered_to_who_reads_them(registry: Registry):
    model, _, _ = built(registry, recipe())
    assert model.weights == {"clip": 1.0, "bare": 0.5}
    assert model.needs.text_tokens
    assert model.towers.text.encoder.returns_tokens is True
    assert model.towers.image.encoder.returns_tokens is False


def test_an_objective_that_needs_labels_is_refused_without_classes(registry: Registry):
    objectives = [{"use": "bare", "labels": True, "name": "mine"}]
    with pytest.raises(RecipeError, match=r"objectives.mine needs class labels, and no source of data.train has"):
        built(registry, recipe(objectives=objectives))
    model, data, _ = built(
        registry, recipe(objectives=objectives, data={"train": [{"use": "pictures", "labelled": True}]})
    )
    assert data.classes == model.objectives["mine"].model.classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("labels", "refused"), [([[0, 1], [0]], True), ([[0, 1], [0, -1]], False), ([[0, 1], None], False)]
)
def test_an_objective_of_pairs_is_refused_where_every_sample_is_known_to_have_a_label(labels: list, refused: bool):
    sources = [SimpleNamespace(dataset=SimpleNamespace(labels=lambda y=y: y and np.array(y))) for y in labels]
    with pytest.raises(RecipeError, match="pairs") if refused else nullcontext():
        check_needs("objectives.mine", Needs(pairs=True), None, SimpleNamespace(sources=sources), None)  # type: ignore[arg-type]


def test_parameters_are_counted_by_part(registry: Registry):
    model, _, tokenizer = built(registry, recipe())
    counts = assemble.parameter_counts(model)
    assert counts == {
        "towers.image": (12 * 6 + 6) + (6 * 6 + 6) + 6 * 5,
        "towers.text": tokenizer.vocabulary.size * 6 + (6 * 6 + 6) + 6 * 5,
        "towers.temperature": 1,
        "objectives.bare": 1,
    }
    assert sum(counts.values()) == sum(p.numel() for p in model.parameters())
    model.towers.image.requires_grad_(False)
    assert "towers.image" not in assemble.parameter_counts(model, trained=True)


def test_a_seed_gives_the_same_weights(registry: Registry):
    def weights(seed: int) -> Any:
        assemble.seed_everything(seed)
        return built(registry, recipe())[0].state_dict()

    one, same, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["towers.text.head.weight"], other["towers.text.head.weight"])


@pytest.mark.parametrize(
    ("train", "epoch", "steps"),
    [({"steps": 7}, 100, 7), ({"epochs": 2}, 100, 50), ({"epochs": 0.5}, 100, 12), ({"epochs": 0.001}, 100, 1)],
)
def test_steps_are_given_or_follow_from_epochs(train: Any, epoch: int, steps: int):
    assert assemble.total_steps(recipe(train={"batch_size": 4, **train}), epoch) == steps


def test_the_batches_of_a_rank(registry: Registry):
    said = recipe()
    model, data, tokenizer = built(registry, said)
    loader = assemble.build_loader(said, data, model, tokenizer, batch_size=2, steps=3, start_step=1, rank=1, world=2)
    batches = list(loader)
    assert [batch.numbers.tolist() for batch in batches] == [[6, 7], [10, 11]]
    assert batches[0].pixels.shape == (1, 2, 3, 4, 4)
