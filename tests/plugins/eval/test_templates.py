from __future__ import annotations

import pytest

from vlc_core.errors import RecipeError, UnknownComponent
from vlc_plugin_eval.templates import fill, templates_of


def test_a_name_gives_the_registered_set() -> None:
    templates = templates_of("clip80")
    assert len(templates) == 80
    assert "a bad photo of a {}." in templates


def test_a_string_with_a_slot_is_a_template() -> None:
    assert templates_of("a photo of a {}.") == ("a photo of a {}.",)
    assert templates_of(["{}", "the {}"]) == ("{}", "the {}")


def test_an_unknown_set_names_the_nearest() -> None:
    with pytest.raises(UnknownComponent, match="clip80"):
        templates_of("clip8")


@pytest.mark.parametrize("prompts", [[], ["a photo"], ["{}", "clip80"]])
def test_lists_that_cannot_tell_classes_apart_are_refused(prompts: list[str]) -> None:
    with pytest.raises(RecipeError, match=r"\{\}"):
        templates_of(prompts)


def test_fill_leaves_braces_of_the_name_alone() -> None:
    assert fill(("a {} and {}", "{0} {}"), "{x}") == ("a {x} and {x}", "{0} {x}")
