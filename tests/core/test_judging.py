"""Pairs judged outside training: against each pair by itself, on one rank and on two, and what is refused.

Shapes: N pairs, W width.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from vlc_core.assemble import build_tokenizer, build_towers
from vlc_core.batch import Sample
from vlc_core.errors import DataError, RecipeError
from vlc_core.inference import DualEncoder, Inference
from vlc_core.inference.judges import SavedJudges
from vlc_core.interfaces.dataset import Dataset
from vlc_core.interfaces.encoder import Encoded
from vlc_core.interfaces.objective import Objective
from vlc_core.loading.picture import fit
from vlc_core.model.judging import Look
from vlc_core.model.learned import model_info
from vlc_core.plugins import plugins
from vlc_core.recipe.schema import Model
from vlc_core.testing.ranks import run_on_ranks

SECTION: dict[str, Any] = {
    "image": {"use": "vit", "size": 8, "patch": 4, "width": 8, "depth": 1, "heads": 2},
    "text": {"use": "text-transformer", "width": 8, "depth": 1, "heads": 2, "context": 6, "causal": False},
    "fusion": {"use": "cross-attention", "depth": 2, "heads": 2},
    "tokenizer": {"use": "word"},
    "embed_dim": 6,
}
TEXTS = ["a red square", "a blue circle", "", "two green stars of gold"]
PAIRS = [(0, 1), (0, 0), (3, 2), (1, 3), (2, 0), (0, 1), (4, 3)]


class Judge(Objective):
    """A head over the summary; ``images`` as given."""

    def __init__(self, model: Any, images: int = 1) -> None:
        super().__init__(model)
        self.images = images
        self.head = nn.Linear(images * model.fusion_width, 3)

    def forward(self, step: Any) -> Any:
        raise AssertionError("nothing is trained here")

    def judge(self, fused: Encoded) -> Tensor:
        logits: Tensor = self.head(fused.summary)
        return logits


class Silent(Objective):
    def forward(self, step: Any) -> Any:
        raise AssertionError("nothing is trained here")


class Greys(Dataset):
    """Five pictures, the second unreadable, each with its negative as the second image."""

    def __init__(self, *, second: bool = True) -> None:
        self.second = second

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> Sample:
        if index == 1:
            raise DataError("torn")
        one, other = (Image.linear_gradient("L").resize((9, 8)).rotate(turn * index) for turn in (50, 80))
        return Sample(one, (f"number {index}",), second=other if self.second else None)


def towers(**changes: Any) -> tuple[Any, Any]:
    section = {key: value for key, value in (SECTION | changes).items() if value is not None}
    model = Model.model_validate(section)
    tokenizer = build_tokenizer(model, plugins().registry, lambda: TEXTS)
    torch.manual_seed(0)
    made = build_towers(model, plugins().registry, tokenizer)
    made.image.encoder.returns_tokens = made.text.encoder.returns_tokens = False
    return made, tokenizer


def asked(batch_size: int = 2) -> Inference:
    made, tokenizer = towers()
    model = DualEncoder(made, tokenizer)
    info = model_info(made, tokenizer, ("a", "b", "c"))
    torch.manual_seed(1)
    given: dict[str, Objective] = {"one": Judge(info), "two": Judge(info, 2), "silent": Silent(info)}
    return Inference.of(model, batch_size=batch_size, judges=SavedJudges(model, given=given))


def by_hand(model: Inference, name: str, image: int, text: int) -> Tensor:
    """The logits (3,) of one pair, read by itself."""
    made, tokenizer = towers()
    made.eval()
    made.image.encoder.returns_tokens = made.text.encoder.returns_tokens = True
    ids = tokenizer.encode([TEXTS[text]], 6)
    sample = Greys()[image]
    words = made.text(ids.ids, ids.mask)
    summaries = []
    for picture in (sample.image, sample.second)[: model.objective(name).images]:
        pixels = torch.from_numpy(fit(picture, 8).copy()).permute(2, 0, 1)[None]  # type: ignore[arg-type]
        summaries.append(made.fuse(words, made.image(pixels)).summary)
    return model.objective(name).judge(Encoded(torch.cat(summaries, dim=1)))[0].detach()


@pytest.mark.parametrize("name", ["one", "two"])
@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_each_pair_is_judged_as_if_alone(name: str, batch_size: int):
    model = asked(batch_size)
    logits = model.judge(name, Greys(), TEXTS, torch.tensor(PAIRS))
    assert logits.shape == (len(PAIRS), 3)
    for row, (image, text) in zip(logits, PAIRS, strict=True):
        if image == 1:
            assert row.isnan().all()
        else:
            torch.testing.assert_close(row, by_hand(model, name, image, text), rtol=0, atol=1e-6)
    assert not logits[0].allclose(logits[1]), "the text tells"
    assert not logits[1].allclose(logits[4]), "the image tells"


def judged_on_rank(rank: int, world: int, count: int) -> list[Any]:
    pairs = torch.tensor(PAIRS[:count]).reshape(-1, 2)
    return [asked().judge("two", Greys(), TEXTS, pairs), asked().attention("one", Greys(), TEXTS, pairs, Look(-1, 1))]


@pytest.mark.parametrize("count", [7, 3, 0])
def test_two_ranks_judge_as_one_does(count: int):
    alone = judged_on_rank(0, 1, count)
    for rank in run_on_ranks(judged_on_rank, 2, count):
        for found, expected in zip(rank, alone, strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-6, equal_nan=True)


def test_towers_give_no_tokens_again_when_all_is_judged():
    model = asked()
    before = model.encode_texts(TEXTS)
    model.judge("one", Greys(), TEXTS, torch.tensor(PAIRS))
    torch.testing.assert_close(model.encode_texts(TEXTS), before, rtol=0, atol=0)


@pytest.mark.parametrize("block", [0, 1])
def test_a_map_is_attention_times_its_positive_gradient(block: int):
    """By finite differences of the logit, one weight of the attention at a time."""
    model, (made, tokenizer) = asked(), towers()
    made.double().eval()
    made.image.encoder.returns_tokens = made.text.encoder.returns_tokens = True
    ids = tokenizer.encode([TEXTS[0]], 6)
    pixels = torch.from_numpy(fit(Greys()[0].image, 8).copy()).permute(2, 0, 1)[None]  # type: ignore[arg-type]
    image = made.image(pixels.double() * made.image.gain - made.image.offset)
    head = model.objective("one").double()
    text, fusion = made.text(ids.ids, ids.mask), made.fusion
    watched = fusion.blocks[block]
    kept: dict[str, Tensor] = {}

    def logit(change: tuple[int, ...] | None = None, by: float = 0.0) -> float:
        def moved(x: Tensor, tokens: Tensor, seen: Any, rows: Any) -> Tensor:
            x = x + watched.attention(watched.attention_norm(x), rows, None)
            q, k, v = watched._heads(x, tokens, rows)
            maps = (q @ k.transpose(2, 3) * q.shape[-1] ** -0.5).softmax(dim=-1)
            kept.setdefault("maps", maps.detach().clone())
            if change is not None:
                maps = maps.detach().clone()
                maps[change] += by
            found: Tensor = watched._rest(x, maps @ v, rows)
            return found

        original, watched.forward = watched.forward, moved
        try:
            return float(head.judge(made.fuse(text, image))[0, 1].detach())
        finally:
            watched.forward = original

    logit()
    maps = kept["maps"]
    slope = torch.zeros_like(maps)
    for place in torch.cartesian_prod(*(torch.arange(n) for n in maps.shape)).tolist():
        slope[tuple(place)] = (logit(tuple(place), 1e-4) - logit(tuple(place), -1e-4)) / 2e-4
    real = ids.mask[0, : maps.shape[2]]
    expected = (maps * slope.clamp(min=0))[0].mean(dim=0)[real].mean(dim=0)[made.image.encoder.leading_tokens :]
    head.float()
    found = model.attention("one", Greys(), TEXTS, torch.tensor([(0, 0)]), Look(block, 1))
    torch.testing.assert_close(found[0].double(), expected.view(2, 2), rtol=1e-3, atol=1e-7)


def test_maps_of_all_blocks_are_the_sum_of_each():
    each = [asked().attention("one", Greys(), TEXTS, torch.tensor(PAIRS), Look(block, 1)) for block in (0, 1)]
    found = asked().attention("one", Greys(), TEXTS, torch.tensor(PAIRS), Look(None, 1))
    torch.testing.assert_close(found, each[0] + each[1], equal_nan=True)
    assert not torch.equal(found, each[1])


@pytest.mark.parametrize(
    ("name", "words"),
    [("tow", "no objective called 'tow'; did you mean 'two'"), ("silent", "'silent' tells no classes of pairs")],
)
def test_an_objective_that_is_not_there_or_judges_nothing_is_refused(name: str, words: str):
    with pytest.raises(RecipeError, match=words):
        asked().judge(name, Greys(), TEXTS, torch.tensor(PAIRS))


def test_a_model_without_fusion_is_refused():
    model = Inference.of(DualEncoder(*towers(fusion=None)))
    with pytest.raises(RecipeError, match="no fusion encoder"):
        model.judge("itm", Greys(), TEXTS, torch.tensor(PAIRS))


def test_a_sample_with_one_image_where_two_are_read_is_refused():
    with pytest.raises(DataError, match="the sample 0 has one image, and two of each are read"):
        asked().judge("two", Greys(second=False), TEXTS, torch.tensor(PAIRS))


def test_a_map_shows_one_image():
    with pytest.raises(RecipeError, match="'two' reads two images"):
        asked().attention("two", Greys(), TEXTS, torch.tensor(PAIRS), Look(-1, 1))
