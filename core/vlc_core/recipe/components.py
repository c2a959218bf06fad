"""Where a recipe names components, and what kind each is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vlc_core.options import RESERVED
from vlc_core.options.validation import KeyPath
from vlc_core.recipe.tree import Node

# key path → kind; "*" stands for every item of a list
PLACES: dict[tuple[str, ...], str] = {
    ("model", "image"): "image_encoder",
    ("model", "text"): "text_encoder",
    ("model", "fusion"): "fusion_encoder",
    ("model", "tokenizer"): "tokenizer",
    ("objectives", "*"): "objective",
    ("data", "train", "*"): "dataset",
    ("data", "sampler"): "sampler",
    ("data", "transform"): "transform",
    ("evaluate", "with", "*"): "evaluator",
}

# Named like components, but the recipe's own; the bare name may stand for the mapping there too.
NAMED: tuple[tuple[str, ...], ...] = (("model", "image", "head"), ("model", "text", "head"))


@dataclass(frozen=True, slots=True)
class Spec:
    """A component that a recipe names.

    Attributes:
        path: Its key path.
        kind: Its kind.
        use: Its name.
        options: Its own options, without the keys that the recipe reads.
        prompts: Of a dataset: the prompt templates that the recipe gives beside its options.
    """

    path: KeyPath
    kind: str
    use: str
    options: dict[str, Any]
    prompts: str | list[str] | None = None


def specs(data: Any) -> Iterator[Spec]:
    """Every component named in ``data``, which may be wrong elsewhere."""
    for place, kind in PLACES.items():
        for path, value in _matches(data, place, ()):
            if isinstance(value, Mapping) and isinstance(value.get("use"), str) and value["use"]:
                reserved = RESERVED.get(kind, frozenset({"use"}))
                options = {k: v for k, v in value.items() if k not in reserved}
                yield Spec(path, kind, value["use"], options, _prompts(value) if "prompts" in reserved else None)


def _prompts(value: Mapping[str, Any]) -> str | list[str] | None:
    """The value's prompts where they are of the right type."""
    prompts = value.get("prompts")
    if isinstance(prompts, list):
        return prompts if all(isinstance(p, str) for p in prompts) else None
    return prompts if isinstance(prompts, str) else None


def _matches(data: Any, place: tuple[str, ...], path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if not place:
        yield path, data
    elif place[0] == "*":
        for i, item in enumerate(data if isinstance(data, list) else ()):
            yield from _matches(item, place[1:], (*path, i))
    elif isinstance(data, Mapping) and place[0] in data:
        yield from _matches(data[place[0]], place[1:], (*path, place[0]))


def with_full_specs(tree: Node) -> Node:
    """The tree with every bare component name written as ``{use: NAME}``, so that layers merge alike."""
    for place in (*PLACES, *NAMED):
        tree = _full_spec(tree, place)
    return tree


def _full_spec(node: Node, place: tuple[str, ...]) -> Node:
    if not place:
        return Node({"use": node}, node.mark) if isinstance(node.value, str) else node
    if place[0] == "*":
        if not isinstance(node.value, tuple):
            return node
        return Node(tuple(_full_spec(item, place[1:]) for item in node.value), node.mark)
    child = node.get(place[0])
    if child is None or not isinstance(node.value, Mapping):
        return node
    return Node({**node.value, place[0]: _full_spec(child, place[1:])}, node.mark)
