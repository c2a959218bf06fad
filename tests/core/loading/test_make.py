"""Sample numbers to batches: views, texts, labels, identities, and what becomes of unusable samples."""

from __future__ import annotations

import time
from typing import Any, final

import numpy as np
import pytest
import torch
from PIL import Image

from vlc_core import DataError, Dataset, Sample
from vlc_core.batch import Batch
from vlc_core.loading.make import identity
from vlc_core.loading.order import redraw
from vlc_core.loading.sources import TrainingSource

Kit = Any  # of conftest.py


@final
class Listed(Dataset):
    """The given samples; an exception among them is raised."""

    def __init__(self, *samples: Sample | Exception, classes: list[str] | None = None) -> None:
        self.samples, self.classes = samples, classes

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        sample = self.samples[index]
        if isinstance(sample, Exception):
            raise sample
        return sample


def sample(*texts: str, label: int = -1, key: str = "k") -> Sample:
    return Sample(image=Image.new("RGB", (4, 4)), texts=texts, label=label, key=key)


def same(a: Batch, b: Batch) -> bool:
    """Whether two batches hold the same bytes."""
    fields = ("pixels", "tokens", "mask", "labels", "groups", "numbers")
    tensors = all(torch.equal(getattr(a, name), getattr(b, name)) for name in fields)
    return tensors and (a.keys, a.skipped, a.truncated) == (b.keys, b.skipped, b.truncated)


def test_a_batch_has_the_shapes_and_types_it_promises(kit: Kit) -> None:
    batch = kit.maker(kit.pictures(), views=2)(np.arange(6))
    assert (batch.pixels.shape, batch.pixels.dtype) == ((2, 6, 3, 8, 8), torch.uint8)
    assert batch.tokens.shape == batch.mask.shape
    assert (batch.tokens.dtype, batch.mask.dtype) == (torch.int64, torch.bool)
    assert batch.mask.any(dim=0).all(), "a column of padding only"
    assert batch.labels.tolist() == [-1] * 6
    assert (batch.groups.dtype, len(set(batch.groups.tolist()))) == (torch.int64, 6)
    assert batch.numbers.tolist() == list(range(6))
    assert len(batch) == len(batch.keys) == 6
    assert batch.pixels.is_contiguous()


def test_equal_numbers_give_equal_batches_whatever_stands_beside_them(kit: Kit) -> None:
    maker = kit.maker(kit.pictures(bad_every=5), views=2)
    assert same(maker(np.arange(20)), maker(np.arange(20)))
    whole, part = maker(np.arange(20)), maker(np.arange(7, 12))
    assert torch.equal(whole.pixels[:, 7:12], part.pixels)
    assert whole.keys[7:12] == part.keys
    assert tuple(s for s in whole.skipped if 7 <= s.number < 12) == part.skipped


def test_views_and_seeds_differ(kit: Kit) -> None:
    first = kit.maker(kit.pictures(1), views=2)(np.arange(1))
    other = kit.maker(kit.pictures(1), views=2, seed=1)(np.arange(1))
    assert not torch.equal(first.pixels[0], first.pixels[1])
    assert not torch.equal(first.pixels, other.pixels)


def test_channels_and_rows_keep_their_places(kit: Kit, picture: Image.Image) -> None:
    from vlc_core.loading.order import Purpose, rng
    from vlc_core.loading.picture import fit

    maker = kit.maker(Listed(Sample(picture, ("x",), key="p")))
    pixels = maker(np.array([4])).pixels[0, 0].permute(1, 2, 0).numpy()
    noise = rng(0, 4, Purpose.VIEW, 0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert np.array_equal(pixels ^ noise, fit(picture, 8))


def test_each_caption_has_its_turn(kit: Kit) -> None:
    maker = kit.maker(Listed(sample("1", "2", "3")))
    counts = torch.bincount(maker(np.arange(300)).tokens.flatten())
    known = counts[counts > 0]
    assert len(known) == 3
    assert known.min() > 70


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (sample(""), "its caption is empty"),
        (sample(" \t\n", "\u3000"), "its caption is empty"),
        (sample(), "it has neither a caption nor a label"),
        (sample("x", label=3), "its label 3 is none of 3 classes"),
        (sample("x", label=-2), "its label -2 is none of 3 classes"),
        (Sample(b"", ("x",), key="k"), "the file is empty"),
        (Sample(b"<html>", ("x",), key="k"), "the file is not an image but a web page"),
        (DataError("there is no file a.jpg"), "there is no file a.jpg"),
        (FileNotFoundError(2, "No such file"), "[Errno 2] No such file"),
    ],
)
def test_a_bad_sample_is_recorded_and_its_slot_drawn_again(bad: Sample | Exception, reason: str, kit: Kit) -> None:
    data = Listed(sample("1", key="good"), bad, classes=["ant", "bee", "cat"])
    batch = kit.maker(data)(np.arange(40))
    assert len(batch) == 40
    assert set(batch.keys) == {"good"}
    assert batch.skipped
    assert {s.reason for s in batch.skipped} == {reason}
    assert {s.source for s in batch.skipped} == {"a"}
    assert {s.key for s in batch.skipped} == ({"#1"} if isinstance(bad, Exception) else {"k"})


def test_a_blank_caption_among_others_is_passed_over(kit: Kit) -> None:
    batch = kit.maker(Listed(sample(" ", "1", "")))(np.arange(30))
    assert not batch.skipped
    assert batch.tokens.unique().numel() == 1


def test_a_redraw_follows_number_and_attempt_and_stays_in_its_source(kit: Kit) -> None:
    bad = DataError("no")
    data = Listed(*[bad if i < 25 else sample("x", key=str(i)) for i in range(50)])
    batch = kit.maker(data, Listed(sample("y", key="other")), seed=3)(np.arange(51))
    by_number: dict[int, list[str]] = {}
    for skipped in batch.skipped:
        by_number.setdefault(skipped.number, []).append(skipped.key)
    assert by_number
    for number, keys in by_number.items():
        redrawn = [f"#{redraw(3, number, attempt, 50)}" for attempt in range(1, len(keys) + 1)]
        assert keys[1:] == redrawn[:-1]
        assert "#" + batch.keys[number] == redrawn[-1]


def test_data_that_is_bad_throughout_ends_soon_with_the_reason(kit: Kit) -> None:
    data = Listed(*[Sample(b"", ("x",), key=f"{i}.jpg") for i in range(1000)])
    start = time.monotonic()
    with pytest.raises(DataError, match=r"16 samples .* from the source a .*\d+\.jpg: the file is empty\. Check"):
        kit.maker(data)(np.arange(512))
    assert time.monotonic() - start < 2


def test_labels_become_words_through_a_template_drawn_by_number(kit: Kit) -> None:
    data = Listed(sample(label=1), classes=["ant", "bee"])
    source = TrainingSource("a", data, ("a photo of a {}.", "{}", "{} {}"))
    batch = kit.maker(data, sources=[source])(np.arange(60))
    bee = kit.maker(data)(np.arange(1)).tokens[0, 0]
    assert set((batch.tokens == bee).sum(dim=1).tolist()) == {1, 2}
    assert set(batch.mask.sum(dim=1).tolist()) == {1, 2, 6}
    assert batch.labels.tolist() == [1] * 60


def test_captions_come_before_the_name_of_the_class(kit: Kit) -> None:
    batch = kit.maker(Listed(sample("1 2 3", label=0), classes=["ant"]))(np.arange(3))
    assert batch.mask.sum(dim=1).tolist() == [3, 3, 3]


def test_class_labels_of_two_sources_stay_apart(kit: Kit) -> None:
    from vlc_core.loading.sources import share_label_space

    first = Listed(sample(label=1, key="1"), classes=["ant", "bee"])
    plain = Listed(sample("x", key="2"))
    second = Listed(sample(label=0, key="3"), classes=["bee", "cat", "dog"])
    named = [TrainingSource(name, data) for name, data in (("a", first), ("b", plain), ("c", second))]
    sources, classes = share_label_space(named)
    assert classes == ("ant", "bee", "bee", "cat", "dog")
    batch = kit.maker(first, plain, second, sources=sources)(np.arange(3))
    assert dict(zip(batch.keys, batch.labels.tolist(), strict=True)) == {"1": 1, "2": -1, "3": 2}


def test_identities_are_of_the_image_and_of_the_source(kit: Kit) -> None:
    twice = Listed(sample("x", key="p"), sample("y", key="p"), sample("z", key="q"))
    batch = kit.maker(twice, Listed(sample("x", key="p")))(np.arange(4))
    of = {(key, int(group)) for key, group in zip(batch.keys, batch.groups, strict=True)}
    assert of == {("p", identity("a", "p")), ("q", identity("a", "q")), ("p", identity("b", "p"))}
    assert identity("a", "p") == 9095841199121488807  # the same in every process, release and machine
    assert 0 <= identity("a", "\ud800") < 2**63


def test_samples_without_a_name_are_told_apart_by_their_place(kit: Kit) -> None:
    batch = kit.maker(Listed(sample("x", key=""), sample("y", key="")))(np.arange(2))
    assert set(batch.keys) == {"#0", "#1"}
    assert len(set(batch.groups.tolist())) == 2


@pytest.mark.parametrize(
    "text", ["\x00", "a\ud800b", "👩‍👩‍👧‍👦", "שלום עולם", "a" * 2_000_000, "\u202e x", "é" * 100, "<pad>"]
)
def test_odd_texts_become_tokens(text: str, kit: Kit) -> None:
    batch = kit.maker(Listed(sample(text)))(np.arange(2))
    assert 1 <= batch.tokens.shape[1] <= 12
    assert batch.mask[:, 0].all()
    assert batch.tokens.min() >= 0


def test_long_texts_are_counted(kit: Kit) -> None:
    batch = kit.maker(Listed(sample("word " * 30)))(np.arange(4))
    assert (batch.truncated, batch.tokens.shape) == (4, (4, 12))
