"""What is read, from tables, tars and folders, and what is written."""

from __future__ import annotations

import io
import json
import logging
import re
import tarfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from vlc_core.errors import DataError
from vlc_core.naming import find_sources
from vlc_core.plugins import plugins
from vlc_plugin_curate.cleaning.engines.duck import DuckDb, Limits
from vlc_plugin_curate.cleaning.options import Filter
from vlc_plugin_curate.cleaning.sources.gather import find
from vlc_plugin_data.manifest import Manifest
from vlc_plugin_data.webdataset import WebDataset

pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")


def png(width: int, height: int, shade: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (width, height), shade).save(buffer, "PNG")
    return buffer.getvalue()


def write_tar(path: Path, samples: dict[str, tuple[bytes, list[str]]]) -> None:
    with tarfile.open(path, "w") as tar:
        for key, (image, captions) in samples.items():
            for name, content in ((f"{key}.png", image), (f"{key}.json", json.dumps({"captions": captions}).encode())):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))


def test_tables_of_links_go_to_the_engine_whatever_their_format(tmp_path: Path, small: SimpleNamespace) -> None:
    (tmp_path / "a.csv").write_text('URL,Alt,WIDTH,HEIGHT\nhttp://x/1.jpg,"a cat, here",300,200\nhttp://x/2.jpg,,,\n')
    (tmp_path / "b.tsv").write_text("url\ttext\nhttp://x/3.jpg\ta dog\n\tno image\n")
    (tmp_path / "c.jsonl").write_text(
        '{"url": "http://x/4.jpg", "captions": ["one", "two"]}\n{"url": "here.jpg", "captions": null}\n'
        '{"url": "http://x/5.jpg", "captions": "three"}\n'
    )
    names = [tmp_path / name for name in ("a.csv", "b.tsv", "c.jsonl")]
    duck = DuckDb(Limits(500_000_000, 1, tmp_path / "temporary"))
    for number, name in enumerate(names):
        (spec,) = find_sources(str(name), plugins().registry)
        assert find(spec, number, duck, sizes=True).table is not None
    duck.close()

    report = small.run_clean(names, tmp_path / "out")
    assert [(row["key"], row["source"], row["row"], row["texts"]) for row in small.kept(tmp_path / "out")] == [
        ("http://x/1.jpg", str(names[0]), 0, ["a cat, here"]),
        ("http://x/2.jpg", str(names[0]), 1, [""]),
        ("http://x/3.jpg", str(names[1]), 0, ["a dog"]),
        ("http://x/4.jpg", str(names[2]), 0, ["one", "two"]),
        (f"{tmp_path}/here.jpg", str(names[2]), 1, [""]),
        ("http://x/5.jpg", str(names[2]), 2, ["three"]),
    ]
    assert [one.without_image for one in report.sources] == [0, 1, 0]


def test_images_are_judged_by_their_headers_and_the_list_is_trained_on(tmp_path: Path, small: SimpleNamespace) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for name, size in {"wide": (700, 200), "small": (100, 100), "good": (300, 250)}.items():
        (folder / f"{name}.png").write_bytes(png(*size))
    (folder / "cut.png").write_bytes(b"no image")
    rows = ["wide.png,a wide picture here", "small.png,a small picture here", "good.png,a good picture here"]
    rows += ["good.png,too short", "cut.png,this is no picture", "none.png,there is no picture"]
    (folder / "pairs.csv").write_text("\n".join(["image,caption", *rows]) + "\n")
    report = small.run_clean([folder / "pairs.csv"], tmp_path / "out", Filter())
    assert [row["rule"] for row in small.dropped(tmp_path / "out")] == ["elongated", "small", "short"]
    assert (report.sources[0].unreadable, report.found.pairs) == (2, 4)
    assert "there is no file none.png" in report.sources[0].reasons[1]

    dataset = Manifest(path=str(tmp_path / "out" / "list.parquet"), image="key", text="texts")
    assert len(dataset) == 1
    sample = dataset[0]
    assert (sample.image, sample.texts) == (png(300, 250), ("a good picture here",))


def test_columns_have_the_same_names_whoever_reads_the_table(tmp_path: Path, small: SimpleNamespace) -> None:
    (tmp_path / "a.png").write_bytes(png(300, 250))
    (tmp_path / "pairs.csv").write_text("link,alt\na.png,a good picture here\n")
    report = small.run_clean([tmp_path / "pairs.csv"], tmp_path / "out", Filter())
    (row,) = small.kept(tmp_path / "out")
    assert (row["key"], row["texts"]) == (f"{tmp_path}/a.png", ["a good picture here"])
    assert "image: link, text: alt" in report.sources[0].read_as  # so a recipe reads it in the same way


@pytest.mark.parametrize(
    ("table", "sets", "told"),
    [
        ("url,width\nhttp://x/1.jpg,300\n", [], "no column is one of texts by its name: name it by --set text=COLUMN"),
        ("url,caption\nhttp://x/1.jpg,a cat\n", ["text=capton"], "did you mean 'caption'?"),
        ("url,caption\n", [], "holds no row"),
    ],
)
def test_wrong_tables_are_refused_for_what_is_wrong(
    tmp_path: Path, small: SimpleNamespace, table: str, sets: list[str], told: str
) -> None:
    (tmp_path / "t.csv").write_text(table)
    with pytest.raises(DataError, match=re.escape(told)):
        small.run_clean([tmp_path / "t.csv"], tmp_path / "out", Filter(), sets=sets)


def test_tars_are_read_filtered_and_written_anew(tmp_path: Path, small: SimpleNamespace) -> None:
    samples = {f"in/{n}": (png(200 + n, 210, n), [f"picture number {n} here", "short"]) for n in range(5)}
    write_tar(tmp_path / "0.tar", samples)
    write_tar(tmp_path / "1.tar", {"in/small": (png(20, 20), ["a small picture here"]), "in/9": (png(300, 300), [])})
    (tmp_path / "2.tar").write_bytes(b"this is no tar" * 100)
    report = small.run_clean([tmp_path / "{0..3}.tar"], tmp_path / "out", Filter(), shard=2)
    (source,) = report.sources
    assert len(source.bad_shards) == 2
    assert (source.pairs, source.without_text, report.kept.pairs) == (11, 1, 5)

    listed = Manifest(path=str(tmp_path / "out" / "list.parquet"), image="key", text="texts")
    written = WebDataset(path=str(tmp_path / "out" / "tars" / "*.tar"))
    assert list(written.shards) == [2, 2, 1]
    for dataset in (listed, written):
        found = [(dataset[n].image, dataset[n].texts) for n in range(len(dataset))]
        assert found == [(image, (texts[0],)) for image, texts in samples.values()]


def test_tars_that_break_off_are_told_once(
    tmp_path: Path, small: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    write_tar(tmp_path / "0.tar", {str(n): (png(200, 210, n), [f"picture number {n} here"]) for n in range(4)})
    (tmp_path / "0.tar").write_bytes((tmp_path / "0.tar").read_bytes()[:4608])
    with caplog.at_level(logging.WARNING, "vlc"):
        report = small.run_clean([tmp_path / "0.tar"], tmp_path / "out", Filter(), shard=2)
    assert 0 < report.found.pairs < 4
    assert caplog.text.count("1 of 1 shards break off") == 1
    cut = f"{tmp_path / '0.tar'} breaks off at byte 4,096; the {report.found.pairs} samples before it are used"
    assert report.sources[0].cut_shards == (cut,)
    assert cut in (tmp_path / "out" / "report.html").read_text()
    assert json.loads((tmp_path / "out" / "report.json").read_text())["sources"][0]["cut_shards"] == [cut]


def test_the_list_is_in_the_order_of_the_sources_on_several_threads(tmp_path: Path, small: SimpleNamespace) -> None:
    """Joins leave rows as threads come by them, which shows once a table is read in several pieces."""
    rows = 60_000
    table = pa.table({"url": [f"http://x/{n}.jpg" for n in range(rows)], "caption": ["one two", "three"] * (rows // 2)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2048)
    chosen = replace(small.OFF, min_words=2)
    report = small.run_clean([tmp_path / "a.parquet"] * 2, tmp_path / "out", chosen, threads=2)
    assert report.kept.pairs == rows
    for name, first in (("list", 0), ("dropped", 1)):
        found = pq.read_table(tmp_path / "out" / f"{name}.parquet")["row"].to_pylist()
        assert found == [*range(first, rows, 2)] * 2


def test_a_broken_table_is_told_by_its_line(tmp_path: Path, small: SimpleNamespace) -> None:
    (tmp_path / "bad.csv").write_text("url,caption\nhttp://x/1.jpg,a\nhttp://x/2.jpg,b,c,d\n")
    with pytest.raises(DataError, match=r"bad\.csv, line 3: 4 fields where the header has 2"):
        small.run_clean([tmp_path / "bad.csv"], tmp_path / "out")


def test_nothing_to_judge_is_refused(tmp_path: Path, small: SimpleNamespace) -> None:
    (tmp_path / "pairs.csv").write_text("image,caption\nnone.png,there is no picture\n")
    with pytest.raises(DataError, match=r"no pair of an image and a text.*there is no file none\.png"):
        small.run_clean([tmp_path / "pairs.csv"], tmp_path / "out", Filter())
    (tmp_path / "0.tar").write_bytes(b"no tar" * 200)
    with pytest.raises(DataError, match="none of the 1 shards"):
        small.run_clean([tmp_path / "0.tar"], tmp_path / "out", Filter())


def test_near_duplicates_of_evaluation_sets_go(tmp_path: Path, small: SimpleNamespace) -> None:
    import random

    def scene(seed: int, size: int) -> bytes:
        draw = random.Random(seed)
        picture = Image.new("RGB", (8, 8))
        picture.putdata([tuple(draw.randrange(256) for _ in range(3)) for _ in range(64)])
        buffer = io.BytesIO()
        picture.resize((size, size), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=80)
        return buffer.getvalue()

    write_tar(tmp_path / "train.tar", {str(n): (scene(n, 224), [f"picture number {n}"]) for n in range(4)})
    write_tar(tmp_path / "test.tar", {"x": (scene(2, 320), ["the same picture"]), "y": (scene(9, 224), ["another"])})
    report = small.run_clean([tmp_path / "train.tar"], tmp_path / "out", small.OFF, evaluation=[tmp_path / "test.tar"])
    assert [row["texts"] for row in small.kept(tmp_path / "out")] == [[f"picture number {n}"] for n in (0, 1, 3)]
    assert [(rule.name, rule.alone.pairs) for rule in report.rules] == [("near-duplicate", 1)]


def test_examples_are_of_many_images_where_an_image_has_many_texts(tmp_path: Path, small: SimpleNamespace) -> None:
    rows = [{"image": f"http://x/{n}.jpg", "captions": [f"{n} {text}" for text in "abcde"]} for n in range(40)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = small.run_clean([tmp_path / "t.jsonl"], tmp_path / "out", replace(small.OFF, min_words=3))
    (short,) = report.rules
    assert len({example.key for example in short.examples}) > len(short.examples) // 2


def test_columns_of_both_outputs(tmp_path: Path, small: SimpleNamespace) -> None:
    (tmp_path / "a.csv").write_text("url,text\nhttp://x/1.jpg,one two three\nhttp://x/2.jpg,one\n")
    small.run_clean([tmp_path / "a.csv"], tmp_path / "out", Filter(vocabulary=None, max_images=None, max_texts=None))
    described = {name: pq.read_schema(tmp_path / "out" / name).names for name in ("list.parquet", "dropped.parquet")}
    rules = ["small", "elongated", "short", "long"]
    assert described["list.parquet"] == ["key", "source", "row", "texts"]
    assert described["dropped.parquet"] == ["source", "row", "part", "key", "text", *rules, "rule"]
