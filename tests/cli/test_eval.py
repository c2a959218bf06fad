"""How ``vlc eval`` prints what was measured."""

from __future__ import annotations

from vlc_cli.commands.eval import table_as_text
from vlc_core.interfaces.evaluator import Table


def test_columns_of_numbers_stand_against_their_right_edge() -> None:
    table = Table(("language", "images", "recall"), (("en", 300, 0.0205), ("de", 5, 0.2), ("mean", "", 0.11026)))
    assert table_as_text(table).splitlines()[2:] == [
        "en            300   0.0205",
        "de              5      0.2",
        "mean                0.1103",
    ]


def test_a_table_without_rows_has_its_heads() -> None:
    assert table_as_text(Table(("a", "b"), ())).startswith("a   b")
