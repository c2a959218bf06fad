"""Spark gives the rows that DuckDB gives; a master that is not there is refused in seconds."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from vlc_core.errors import RecipeError, StorageError
from vlc_plugin_curate.cleaning.chosen import refuse_engine
from vlc_plugin_curate.cleaning.options import Filter

Table = Callable[..., Path]

pytestmark = [
    pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

TEXTS = [
    "  A Dog, runs. ",
    "Red Shoe - Size 9",
    "don’t stop",
    "一只狗 runs",
    "日本語のテキスト",
    "กำลังวิ่ง",
    "İstanbul ΣΑΣ and more",
    "tab\tand\nline",
    "«Привет», мир! Ещё раз",
    "-",
    "",
    "x\u3000y\u00a0z w",
    "C++ & c# 50% off_now",
    "Ärger über STRAẞE",
]


# What runs for seconds is not worth compiling well.
QUICK = """spark.driver.extraJavaOptions -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
spark.sql.codegen.wholeStage false
spark.sql.codegen.factoryMode NO_CODEGEN
spark.sql.adaptive.enabled false
spark.log.level ERROR
"""


def test_both_engines_keep_and_drop_the_same_rows(
    tmp_path: Path, table: Table, small: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("pyspark") is None or shutil.which("java") is None:
        pytest.skip("PySpark or Java is not installed")
    (tmp_path / "spark-defaults.conf").write_text(QUICK)
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    pairs = small.corpus(60, seed=4)
    pairs += [(f"http://y/{n % 5}.jpg", TEXTS[n % len(TEXTS)], 200, 90 + n) for n in range(2 * len(TEXTS) + 3)]
    listed = tmp_path / "more.jsonl"
    rows = [{"url": f"http://z/{n}.jpg", "captions": [TEXTS[n], "a dog runs", "w1 w2"]} for n in range(6)]
    listed.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    chosen = Filter(min_side=120, max_aspect=1.8, max_texts=3, max_images=3, min_words=2, max_words=7, vocabulary=150)
    found = []
    for engine in ("duckdb", "local[1]"):
        out = tmp_path / engine
        report = small.run_clean([table(pairs), listed], out, chosen, engine=engine)
        found.append((small.kept(out), small.dropped(out), report.as_json()))
    (kept, dropped, report), others = found
    assert 0 < len(kept) < len(pairs)
    assert others[0] == kept
    assert others[1] == dropped
    assert {row["rule"] for row in dropped} >= {"small", "elongated", "shared", "short", "rare"}
    assert {**others[2], "digest": "", "engine": ""} == {**report, "digest": "", "engine": ""}


def test_a_master_that_does_not_answer_is_refused_in_seconds() -> None:
    pytest.importorskip("pyspark")
    if shutil.which("java") is None:
        pytest.skip("Java is not installed")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(
        StorageError, match=rf"no Spark master answers at spark://127\.0\.0\.1:{port}: check that it runs"
    ):
        refuse_engine(f"spark://127.0.0.1:{port}")
    assert time.monotonic() - began < 10


def test_what_is_no_engine_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"duckdb, spark://host:7077 or local\[4\]"):
        refuse_engine("postgres")
