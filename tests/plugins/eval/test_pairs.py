"""Re-ranking, classes of pairs and grounding, against counts by hand."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from vlc_core.errors import RecipeError
from vlc_core.model.judging import Look
from vlc_plugin_data.shapes.phrases import ShapesPhrases
from vlc_plugin_eval import boxes
from vlc_plugin_eval.grounding import Asked, Grounding, measured
from vlc_plugin_eval.heat_maps import Shown, overlay, page
from vlc_plugin_eval.pair_classes import chosen_scores, columns, consistency
from vlc_plugin_eval.ranking import best_ranks
from vlc_plugin_eval.rerank import candidates, reranked, to_read


def rank_by_hand(order: list[int], relevant: set[int]) -> int:
    """The place of the best relevant item, without counting other relevant ones before it."""
    return 1 + next(
        sum(item not in relevant for item in order[:place]) for place, item in enumerate(order) if item in relevant
    )


@pytest.mark.parametrize("top", [1, 2, 4, 50])
def test_ranks_are_those_of_the_lists_sorted_again(top: int):
    torch.manual_seed(top)
    image, text = (torch.nn.functional.normalize(torch.randn(n, 5), dim=1) for n in (7, 11))
    pairs = torch.tensor([(i % 7, i) for i in range(11)])
    match = torch.randn(7, 11)
    by_image, by_text = candidates(image, text, top)
    read = to_read(by_image, by_text)
    assert len(read) == len({tuple(pair) for pair in read.tolist()})
    before = best_ranks(image, text, pairs)
    found = reranked(before, by_image, by_text, pairs, read, match[read[:, 0], read[:, 1]])
    for i in range(7):
        order = (image[i] @ text.T).argsort(descending=True).tolist()
        order = sorted(order[:top], key=lambda j: -float(match[i, j])) + order[top:]
        assert found.of_text[i] == rank_by_hand(order, {j for j in range(11) if j % 7 == i}), i
    for j in range(11):
        order = (image @ text[j]).argsort(descending=True).tolist()
        order = sorted(order[:top], key=lambda i: -float(match[i, j])) + order[top:]
        assert found.of_image[j] == rank_by_hand(order, {j % 7}), j


def test_an_objective_that_finds_all_alike_finds_nothing():
    image = text = torch.eye(4)
    pairs = torch.arange(4).unsqueeze(1).expand(-1, 2)
    by_image, by_text = candidates(image, text, 4)
    read = to_read(by_image, by_text)
    found = reranked(best_ranks(image, text, pairs), by_image, by_text, pairs, read, torch.zeros(len(read)))
    assert found.of_text.tolist() == found.of_image.tolist() == [4] * 4


def test_classes_are_matched_by_name_and_answers_count_by_their_score():
    column = columns(["yes", "three", "no"], ["no", "yes", "two"])
    assert column.tolist() == [1, -1, 0]
    logits = torch.tensor([[3.0, 0, 0], [0, 3, 0], [0, 0, 3], [3, 0, 0]])
    scores = torch.tensor([[0, 1 / 3, 1], [1, 0, 0], [1, 0, 0], [1, 0, 0]])
    found = chosen_scores(logits, scores, column)
    assert found.tolist() == pytest.approx([1 / 3, 0, 1, 0])


def test_a_text_is_consistent_where_all_its_samples_are_right():
    assert consistency(["a", "b", "a", "c", "b"], torch.tensor([1.0, 1, 0, 1, 1])) == pytest.approx(2 / 3)


def test_overlap_of_rectangles():
    assert boxes.overlap((0, 0, 1, 1), (0, 0, 1, 1)) == 1
    assert boxes.overlap((0, 0, 0.5, 1), (0.25, 0, 0.75, 1)) == pytest.approx(1 / 3)
    assert boxes.overlap((0, 0, 0.2, 0.2), (0.5, 0.5, 1, 1)) == 0


def test_rectangles_move_into_the_centre_square():
    assert boxes.in_centre((0.25, 0.0, 0.75, 1.0), 200, 100) == pytest.approx((0, 0, 1, 1))
    assert boxes.in_centre((0.5, 0.2, 1.0, 0.4), 200, 100) == pytest.approx((0.5, 0.2, 1, 0.4))
    assert boxes.in_centre((0.1, 0.5, 0.2, 0.75), 100, 200) == pytest.approx((0.1, 0.5, 0.2, 1.0))
    assert boxes.area(boxes.in_centre((0, 0, 0.2, 1), 200, 100)) == 0


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 2), (2, 3), (3, 3), (1, 0)])
def test_the_largest_value_of_an_enlarged_map_lies_in_the_middle_of_its_patch_at_the_edges_too(row: int, column: int):
    small = torch.zeros(1, 4, 4)
    small[0, row, column] = 1.0
    across, down = boxes.peak(boxes.enlarged(small, 64)[0])
    assert across == pytest.approx((column + 0.5) / 4, abs=1 / 64)
    assert down == pytest.approx((row + 0.5) / 4, abs=1 / 64)


def test_between_two_patches_that_are_alike_an_enlarged_map_is_largest_between_them():
    small = torch.zeros(1, 4, 4)
    small[0, 0, 1] = small[0, 0, 2] = 1.0
    large = boxes.enlarged(small, 64)
    assert large.shape == (1, 64, 64)
    torch.testing.assert_close(large, large.flip(2))
    assert boxes.peak(large[0])[0] == pytest.approx(0.5, abs=0.5 / 4)


def test_grounding_of_maps_made_by_hand():
    """A bright square at the upper left, in a picture with that named, another named, and what nobody sees."""
    hot = torch.zeros(10, 10)
    hot[1:4, 1:4] = 0.5
    hot[2, 2] = 1.0
    corner, other, whole = (0.1, 0.1, 0.4, 0.4), (0.6, 0.6, 0.9, 0.9), (0.0, 0.0, 1.0, 1.0)
    asked = [Asked(0, "right", (corner,), (other, corner)), Asked(0, "wrong", (other,), (other, corner))]
    found = measured(asked, torch.stack([hot, hot]), (0.4, 0.8))
    assert found["pointing_accuracy"] == 0.5
    assert found["box_accuracy@0.4"] == 0.5
    assert found["box_accuracy@0.8"] == 0, "one pixel of nine"
    assert (found["recall@1"], found["recall@5"], found["recall@10"]) == (0.5, 1.0, 1.0)
    assert found["chance_pointing"] == pytest.approx(0.09)
    assert boxes.above(hot, 0.4) == pytest.approx(corner)
    assert boxes.peak(hot) == pytest.approx((0.25, 0.25))
    assert boxes.weight(hot, corner) == pytest.approx(5 / 3)
    assert boxes.weight(hot, whole) == pytest.approx(0.5)


class Watching:
    """Keeps what it was asked, and sees everything in the upper left."""

    size = 32

    def attention(self, objective, images, texts, pairs, look):
        self.texts, self.look = texts, look
        maps = torch.zeros(len(pairs), 4, 4)
        maps[:, 0, 0] = 1
        return maps


def test_grounding_asks_for_phrases_in_the_words_of_its_prompt():
    model, data = Watching(), ShapesPhrases(length=2, size=32)
    phrases = [phrase.text for image in range(2) for phrase in data.phrases(image)]
    told = Grounding(data=data, prompt="a picture of {}", drawn=0).evaluate(model)
    assert model.texts == [f"a picture of {text}" for text in dict.fromkeys(phrases)]
    assert model.look == Look(None, 1)
    assert told.details["prompt"] == "a picture of {}"
    Grounding(data=data, block=-1, drawn=0).evaluate(model)
    assert (model.texts, model.look.block) == (list(dict.fromkeys(phrases)), -1)
    with pytest.raises(RecipeError, match=r"no single \{\}"):
        Grounding(data=data, prompt="a picture")


def test_a_page_escapes_what_it_shows_and_loads_nothing():
    shown = Shown(Image.new("RGB", (20, 10), "white"), "<script>a & b", ((0, 0, 1, 1),), torch.rand(8, 8), (0.5, 0.5))
    made = page([shown], 32)
    assert "&lt;script&gt;a &amp; b" in made
    assert "<script" not in made
    assert "://" not in made
    assert "default-src 'none'" in made
    assert made.count("data:image/png;base64,") == 1


def test_heat_is_where_the_map_is_large():
    hot = torch.zeros(4, 4)
    hot[0, 0] = 1.0
    drawn = overlay(torch.full((8, 8, 3), 200, dtype=torch.uint8).numpy(), hot)
    assert drawn[0, 0].tolist() == pytest.approx([238, 60, 60], abs=1)
    assert drawn[7, 7].tolist() == [200, 200, 200]
