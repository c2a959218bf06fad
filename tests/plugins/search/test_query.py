"""Query arithmetic against the sum written out in float64, and whether texts were trained on."""

from __future__ import annotations

import math

import pytest
import torch

from vlc_core.captions.source import Captions
from vlc_core.errors import RecipeError
from vlc_plugin_search.searching.query import Change, Kind, Query, combine
from vlc_plugin_search.searching.seen import Seen, find_seen, fold, training_captions


def unit(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(count, 5, generator=generator), dim=1)


def test_texts_are_added_and_taken_away_and_the_sum_has_length_one():
    base, texts, weights = unit(3, 0), unit(2, 1), [0.5, -2.0]
    for query, got in zip(base.double().tolist(), combine(base, texts, weights).tolist(), strict=True):
        moved = [q + 0.5 * a - 2.0 * b for q, a, b in zip(query, *texts.double().tolist(), strict=True)]
        length = math.sqrt(sum(x * x for x in moved))
        assert got == pytest.approx([x / length for x in moved], abs=1e-6)


def test_nothing_is_moved_by_texts_of_no_weight():
    base = unit(2, 0)
    torch.testing.assert_close(combine(base, unit(1, 1), [0.0]), base)


def test_a_query_of_which_nothing_is_left_is_refused():
    base = unit(1, 0)
    with pytest.raises(RecipeError, match="take away all of the query"):
        combine(base, base, [-1.0])


def test_weights_have_the_signs_of_their_sides():
    change = Change(("a", "b"), ("c",), plus_weight=0.5, minus_weight=2)
    assert change.texts == ("a", "b", "c")
    assert change.weights == [0.5, 0.5, -2]
    assert Query(Kind.TEXT, "dog", change).texts == ("dog", "a", "b", "c")
    assert Query(Kind.IMAGE, "dog.jpg", change).texts == ("a", "b", "c")
    assert str(Query(Kind.IMAGE, "dog.jpg", change)) == "image dog.jpg + 'a' + 'b' − 'c'"


def test_captions_are_counted_to_the_letter_and_in_spirit():
    rows = [("A dog runs.", "a cat"), ("a dog  runs",), (), ("two dogs run", "A dog runs.")]
    captions = [Captions("first", 3, lambda: iter(rows[:3])), Captions("second", 1, lambda: iter(rows[3:]))]
    steps = []
    found = find_seen(
        ["A dog runs.", "a dog", "A dog runs."], captions, lambda done, total: steps.append((done, total))
    )
    assert found == [Seen("A dog runs.", 5, exactly=2, alike=3), Seen("a dog", 5, exactly=0, alike=0)]
    assert steps[-1] == (4, 4)
    assert str(found[0]) == "'A dog runs.' is 3 of 5 training captions, 2 to the letter"
    assert str(found[1]) == "'a dog' is none of 5 training captions"


@pytest.mark.parametrize(
    ("one", "other"), [("A  dog!", "a dog"), ("“Ａ dog”", "a dog"), ("STRASSE", "straße"), ("a\tdog.\n", "a dog")]
)
def test_what_hardly_tells_texts_apart_does_not(one, other):
    assert fold(one) == fold(other)


def test_a_model_without_a_recipe_needs_captions_to_be_named(tmp_path):
    with pytest.raises(RecipeError, match=r"has no recipe.yaml .* name them with --captions"):
        training_captions(tmp_path, [], None)
