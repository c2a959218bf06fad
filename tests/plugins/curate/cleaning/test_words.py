"""What a word is, in any script."""

from __future__ import annotations

import ibis
import pytest

from vlc_plugin_curate.cleaning.words import spaced

CASES = {
    "a dog runs": "a dog runs",
    "  A Dog, runs. ": "a dog runs",
    "Red Shoe - Size 9": "red shoe size 9",
    "photo.jpg (1920x1080)": "photo jpg 1920x1080",
    "don’t stop the well-known rock'n'roll": "don’t stop the well-known rock'n'roll",
    "C++ & c# 50% off_now": "c++ c# 50% off_now",
    "tab\tand\nline\u3000wide\u00a0hard": "tab and line wide hard",
    "一只狗 runs": "一 只 狗 runs",
    "日本語のテキスト。": "日 本 語 の テ キ ス ト",
    "ลั่น": "ลั่ น",
    "«Привет», мир!": "привет мир",
    "कुत्ता दौड़ता है।": "कुत्ता दौड़ता है",
    "كلب يجري، بسرعة": "كلب يجري بسرعة",
    "İstanbul ΣΑΣ": "istanbul σασ",
    "ein Hund": "ein hund",
    "-": "",
    " ": "",
    "": "",
}


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")
def test_texts_are_cut_into_words() -> None:
    connection = ibis.duckdb.connect(threads=1)
    table = connection.create_table("texts", schema=ibis.schema({"text": "string"}))
    connection.con.executemany("INSERT INTO texts VALUES (?)", [[text] for text in CASES])
    query = connection.compile(table.select("text", words=spaced(table.text, r"\1")))
    assert dict(connection.con.execute(query).fetchall()) == CASES
    connection.disconnect()
