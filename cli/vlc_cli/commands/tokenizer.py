"""``vlc tokenizer train``: captions to a tokenizer that recipes can name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vlc_cli import options

if TYPE_CHECKING:
    from vlc_core.captions.learning import Learnt


def train(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A recipe or preset, a text file with a text a line, a table of captions, a folder, tars, or a "
            "dataset: its name, or {use: NAME, …}.",
        ),
    ],
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="bpe, byte-level, unigram, word, or what a plugin adds.")
    ] = "byte-level",
    size: Annotated[
        int | None, typer.Option("--size", metavar="N", help="The most ids, special ones included.")
    ] = None,
    min_count: Annotated[
        int | None, typer.Option("--min-count", metavar="N", help="How often a word or pair must occur to count.")
    ] = None,
    keep_case: Annotated[bool, typer.Option("--keep-case", help="Tell upper from lower case.")] = False,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FOLDER|FILE", help="A folder, or a file that ends in .json."),
    ] = Path("tokenizer"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the tokenizer that is there.")] = False,
    sets: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a key of the recipe, or set an option of the dataset, such as text=COLUMN. Repeatable.",
        ),
    ] = [],  # noqa: B006
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Train a tokenizer on captions.

    The texts are those that a run would draw from SOURCE. What comes out is named in a recipe as `model.tokenizer`.
    """
    from vlc_cli import console
    from vlc_core.captions import learning
    from vlc_core.plugins import plugins

    asked = {"size": size, "min_count": min_count, "lowercase": False if keep_case else None}
    spec = {name: value for name, value in asked.items() if value is not None}
    learning.check_output(output, overwrite=overwrite)
    learnt = learning.learn(source, kind, spec, plugins().registry, sets=sets, waiting=console.waiting)
    learning.write(learnt.tokenizer, output)
    if json:
        console.say_json(_as_json(learnt, output))
    else:
        console.say(_described(learnt, output))
        console.say(_recipe_line(output))


def _described(learnt: Learnt, output: Path) -> str:
    from vlc_cli import console

    unread = f", {learnt.empty:,} of them without a text" if learnt.empty and not learnt.classes else ""
    classes = f" and {_number(learnt.classes, 'class', 'classes')}" if learnt.classes else ""
    source = f"{_number(learnt.samples, 'sample', 'samples')}{classes}{unread}"
    seen, pieces = learnt.summary, learnt.tokenizer.vocabulary.size
    fewer = f": the texts gave no more of the {learnt.size:,} allowed" if learnt.size and pieces < learnt.size else ""
    unknown = (
        "none"
        if seen.unknown == 0
        else f"{_percent(seen.unknown)} of the tokens, in {_percent(seen.texts_with_unknown)} of the texts"
    )
    return console.listing(
        {
            "tokenizer": f"{learnt.kind} in {output}",
            "learnt from": f"{_number(learnt.texts, 'text', 'texts')} of {source}",
            "pieces": f"{pieces:,}{fewer}",
            "length": f"{seen.mean_tokens:.1f} tokens a text; 99 of 100 have {seen.tokens_99:,} or fewer, "
            f"the longest {seen.longest:,}",
            "unknown": unknown,
        }
    )


def _recipe_line(output: Path) -> str:
    from vlc_cli import console

    line = f"  tokenizer: {{use: file, path: {_yaml(str(output))}}}"
    return "\n".join([console.dim("in a recipe, which looks for paths from its own folder:"), "model:", line])


def _yaml(text: str) -> str:
    plain = all(c.isalnum() or c in "._/-~+" for c in text) and text[:1] not in "-~"
    return text if plain else "'" + text.replace("'", "''") + "'"


def _number(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _as_json(learnt: Learnt, output: Path) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "output": str(output),
        "kind": learnt.kind,
        "texts": learnt.texts,
        "samples": learnt.samples,
        "classes": learnt.classes,
        "samples_without_text": learnt.empty,
        "vocabulary": learnt.tokenizer.vocabulary._asdict(),
        **asdict(learnt.summary),
        "recipe": {"model": {"tokenizer": {"use": "file", "path": str(output)}}},
    }
