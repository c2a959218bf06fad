"""``vlc search``: what is most like a text or an image. Nothing heavy is imported until it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlc_plugin_data.commands import Json
from vlc_plugin_search.indexing.kind import Kind
from vlc_plugin_search.sides import Side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vlc_plugin_search.searching.query import Change, Query
    from vlc_plugin_search.searching.search import Answer
    from vlc_plugin_search.searching.seen import Seen

_Texts = list[str]


def search(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run that embedded, or its model folder.")],
    index: Annotated[Path, typer.Argument(metavar="INDEX", help="The folder that vlc embed wrote.")],
    texts: Annotated[_Texts, typer.Option("--text", metavar="TEXT", help="Look for a text. Repeatable.")] = [],  # noqa: B006
    images: Annotated[_Texts, typer.Option("--image", metavar="FILE", help="Look for an image. Repeatable.")] = [],  # noqa: B006
    like: Annotated[
        _Texts, typer.Option("--like", metavar="KEY", help="Look for what is like an embedded sample. Repeatable.")
    ] = [],  # noqa: B006
    plus: Annotated[_Texts, typer.Option("--plus", metavar="TEXT", help="… and this. Repeatable.")] = [],  # noqa: B006
    minus: Annotated[_Texts, typer.Option("--minus", metavar="TEXT", help="… but not this. Repeatable.")] = [],  # noqa: B006
    plus_weight: Annotated[float, typer.Option("--plus-weight", min=0, help="Of each --plus.")] = 1.0,
    minus_weight: Annotated[float, typer.Option("--minus-weight", min=0, help="Of each --minus.")] = 1.0,
    count: Annotated[int, typer.Option("--count", "-k", min=1, max=100_000, help="How many to find.")] = 10,
    among: Annotated[
        Side | None, typer.Option("--among", help="What is looked through; images, where they are embedded, without.")
    ] = None,
    how: Annotated[
        Kind | None,
        typer.Option("--index", help="Compare all vectors, or follow the graph; without, what vlc embed has made."),
    ] = None,
    expansion: Annotated[
        int, typer.Option("--expansion", min=1, max=65_536, help="Of --index ann: candidates that are followed.")
    ] = 256,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a contact sheet as a page.")
    ] = None,
    check: Annotated[
        bool | None,
        typer.Option(
            "--check-seen/--no-check-seen",
            help="Say whether the texts are training captions of the run; done with --html unless switched off.",
        ),
    ] = None,
    captions: Annotated[
        _Texts,
        typer.Option("--captions", metavar="SOURCE", help="Compare with these captions instead. Repeatable."),
    ] = [],  # noqa: B006
    json: Json = False,
) -> None:
    """Find the images or texts that are most like a text, an image, or an image with something added or taken away."""
    from vlc_core import terminal
    from vlc_core.plugins import plugins
    from vlc_plugin_data.pages import check_file, write_page
    from vlc_plugin_search.searching.page import as_page
    from vlc_plugin_search.searching.search import Search

    queries = _queries(texts, images, like, _change(plus, minus, plus_weight, minus_weight))
    check_file(html)
    _check_kind(how)
    with terminal.waiting(f"searching {index} …"):
        searching = Search(run, index, side=among, kind=how, expansion=expansion)
        answers = searching(queries, count)
    wanted = check or bool(captions) or (check is None and html is not None)
    seen, unchecked = _seen(run, queries, captions, must=bool(check or captions)) if wanted else ([], "")
    if html is not None:
        write_page(html, as_page(answers, searching, seen, plugins().registry, unchecked))
    if json:
        told = {"queries": [answer.as_json() for answer in answers]}
        terminal.say_json(told | ({"seen": [_seen_as_json(one) for one in seen]} if wanted else {}))
        return
    _say(answers, seen, unchecked, html)


def _change(plus: Sequence[str], minus: Sequence[str], plus_weight: float, minus_weight: float) -> Change:
    from vlc_plugin_search.searching.query import Change

    return Change(tuple(plus), tuple(minus), plus_weight, minus_weight)


def _queries(texts: Sequence[str], images: Sequence[str], like: Sequence[str], change: Change) -> list[Query]:
    from vlc_core.errors import RecipeError
    from vlc_plugin_search.searching.query import Kind, Query

    asked = {Kind.TEXT: texts, Kind.IMAGE: images, Kind.LIKE: like}
    queries = [Query(kind, value, change) for kind, values in asked.items() for value in values]
    if not queries:
        raise RecipeError("nothing to look for: give --text TEXT, --image FILE or --like KEY")
    if any(not text.strip() for query in queries for text in query.texts):
        raise RecipeError("a text to look for is empty: say what to find")
    return queries


def _seen(run: Path, queries: Sequence[Query], captions: Sequence[str], *, must: bool) -> tuple[list[Seen], str]:
    """What the training captions know of the texts, or why that was not found out."""
    from vlc_core.errors import VlcError
    from vlc_core.plugins import plugins
    from vlc_core.progress import Tracker
    from vlc_plugin_search.searching.seen import find_seen, training_captions

    texts = list(dict.fromkeys(text for query in queries for text in query.texts))
    if not texts:
        return [], ""
    try:
        sources = training_captions(run, captions, plugins().registry)
        with Tracker("comparing captions") as tracker:
            return find_seen(texts, sources, tracker), ""
    except VlcError as error:
        if must:
            raise
        return [], str(error)


def _check_kind(how: Kind | None) -> None:
    from vlc_core.errors import RecipeError

    if how is Kind.NONE:
        raise RecipeError("--index none finds nothing: give exact or ann")


def _seen_as_json(seen: Seen) -> dict[str, object]:
    return {"text": seen.text, "captions": seen.captions, "exactly": seen.exactly, "alike": seen.alike}


def _say(answers: Sequence[Answer], seen: Sequence[Seen], unchecked: str, html: Path | None) -> None:
    from vlc_core import terminal

    for answer in answers:
        rows = [
            (str(hit.rank), f"{hit.score:.4f}", hit.row.key, next(iter(hit.row.texts), hit.row.label or ""))
            for hit in answer.hits
        ]
        columns = ("rank", "score", "key", "text")
        terminal.say(terminal.table(columns, rows, title=str(answer.query), right=("rank", "score")))
    for one in seen:
        terminal.say(str(one))
    if unchecked:
        terminal.say(f"whether the queries are training captions was not checked: {unchecked}")
    if html is not None:
        terminal.say(terminal.dim(f"written to {html}"))
