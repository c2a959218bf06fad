"""Retrieval by language: against plain retrieval on one language, images without captions, and runs side by side."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn.functional import normalize

from vlc_core.errors import RecipeError, StorageError
from vlc_plugin_eval import multilingual, retrieval
from vlc_plugin_eval.against import names_of
from vlc_plugin_eval.multilingual import MultilingualRetrieval
from vlc_plugin_eval.retrieval import Retrieval

COUNT = 14
CAPTIONS: dict[str, list[tuple[str, ...]]] = {
    "en": [(f"image {i}", f"picture {i}") for i in range(COUNT)],
    "th": [(f"ภาพที่ {i} ",) for i in range(COUNT)],
    "de": [(f"Bild {i}", " ") if i % 2 else () for i in range(COUNT)],
}


@pytest.fixture
def world(known: SimpleNamespace) -> SimpleNamespace:
    """A model that knows English well and Thai hardly; even images have no German."""

    rows = [known.sample([t for c in CAPTIONS.values() for t in c[i]], key=str(i)) for i in range(COUNT)]
    image_ND = normalize(torch.randn(COUNT, 8, generator=torch.Generator().manual_seed(0)), dim=1)

    def text(noise: float) -> Any:
        def embed(caption: str) -> torch.Tensor:
            weight = {"i": 0.2, "p": 0.2, "B": 0.5}.get(caption[0], 2.0) * noise
            direction: torch.Tensor = known.hashed(caption)
            return image_ND[int(caption.split()[-1])] + weight * direction

        return embed

    data = known.Rows(rows)
    data.languages, data.texts_in = tuple(CAPTIONS), lambda language, index: CAPTIONS[language][index]
    return SimpleNamespace(data=data, image=image_ND, text=text, model=known.Model(image_ND, text(1.0)))


def test_each_language_is_what_retrieval_finds_in_it_alone(world: SimpleNamespace, known: SimpleNamespace) -> None:
    got = MultilingualRetrieval(data=world.data).evaluate(world.model)
    assert world.model.encodings == 1, "images are encoded once for all languages"
    columns = got.tables["languages"].columns
    rows = {row[0]: dict(zip(columns, row, strict=True)) for row in got.tables["languages"].rows}
    assert list(rows) == ["en", "th", "de", "mean"]
    for language, captions in CAPTIONS.items():
        alone = known.Rows([known.sample(texts, key=str(i)) for i, texts in enumerate(captions)])
        expected = Retrieval(data=alone).evaluate(known.Model(world.image, world.text(1.0)))
        for name in ("i2t_recall@1", "i2t_recall@5", "i2t_recall@10", "t2i_recall@1", "t2i_recall@5", "t2i_recall@10"):
            assert rows[language][name.replace("_recall", "")] == expected.metrics[name]
        assert got.metrics[f"{language}_mean_recall"] == expected.metrics["mean_recall"]
        assert (rows[language]["images"], rows[language]["texts"]) == (
            expected.metrics["images"], expected.metrics["texts"],
        )  # fmt: skip
        chance = [float(row[i]) for row in expected.tables["directions"].rows for i in (4, 6, 8)]
        assert rows[language]["chance"] == pytest.approx(sum(chance) / 6)
    assert (rows["de"]["images"], rows["en"]["images"], rows["en"]["texts"]) == (7, COUNT, 2 * COUNT)
    assert got.metrics["mean_recall"] == pytest.approx(sum(got.metrics[f"{c}_mean_recall"] for c in CAPTIONS) / 3)
    assert got.metrics["en_mean_recall"] > got.metrics["th_mean_recall"]


def test_unreadable_images_take_their_captions_with_them(world: SimpleNamespace, known: SimpleNamespace) -> None:
    model = known.Model(world.image, world.text(1.0), unreadable=[0, 5])
    got = MultilingualRetrieval(data=world.data, languages=["de", "en"]).evaluate(model)
    found = {row[0]: row[1:3] for row in got.tables["languages"].rows}
    assert found == {"de": (6, 6), "en": (COUNT - 2, 2 * (COUNT - 2)), "mean": ("", "")}
    assert got.details["skipped"] == 2
    assert (got.metrics["images"], got.metrics["languages"]) == (COUNT - 2, 2)
    asked = [text for call in model.calls for text in call]
    assert "Bild 5" not in asked
    assert not any("ภาพ" in text for text in asked)


def test_runs_stand_side_by_side(
    world: SimpleNamespace, known: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = {
        "runs/zero-shot": known.Model(world.image, world.text(3.0)),
        "b": known.Model(world.image, world.text(0.1)),
    }
    for module in (multilingual, retrieval):
        monkeypatch.setattr(module, "load_against", lambda run, *, what: models[run])
    got = MultilingualRetrieval(data=world.data, against=["runs/zero-shot", "b"]).evaluate(world.model)
    table = got.tables["runs"]
    assert table.columns == ("language", "mean recall", "mean recall (zero-shot)", "mean recall (b)")
    assert [row[0] for row in table.rows] == ["en", "th", "de", "mean"]
    assert table.rows[-1][1] == got.metrics["mean_recall"]
    for column, model in ((2, models["runs/zero-shot"]), (3, models["b"])):
        alone = MultilingualRetrieval(data=world.data).evaluate(model).metrics
        assert [row[column] for row in table.rows[:3]] == [alone[f"{c}_mean_recall"] for c in CAPTIONS]
    own, poor, good = (float(cell) for cell in table.rows[-1][1:])
    assert good > own > poor
    assert got.tables["languages (zero-shot)"].rows != got.tables["languages"].rows
    plain = Retrieval(data=world.data, against="b").evaluate(world.model)
    table = plain.tables["runs"]
    assert table.columns == ("metric", "value", "value (b)")
    alone = Retrieval(data=world.data).evaluate(models["b"]).metrics
    assert {row[0]: row[1] for row in table.rows} == plain.metrics
    assert {row[0]: row[2] for row in table.rows} == alone


def test_runs_of_one_name_keep_their_paths() -> None:
    assert names_of(["a/run", "b/run", "c/other/model"]) == ["a/run", "b/run", "other"]


@pytest.mark.parametrize(
    ("languages", "message"),
    [(["ed"], "no captions in 'ed'; its languages are en, th, de"), ([], "empty list; the data has en, th, de")],
)
def test_languages_that_are_not_there_are_refused(world: SimpleNamespace, languages: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        MultilingualRetrieval(data=world.data, languages=languages).evaluate(world.model)
    assert world.model.encodings == 0


def test_data_without_languages_and_runs_that_are_none_say_so(
    world: SimpleNamespace, known: SimpleNamespace, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=r"Rows does not say it: read the data by captions-by-language"):
        MultilingualRetrieval(data=known.Rows([known.sample(["a"])])).evaluate(world.model)
    with pytest.raises(StorageError, match="multilingual-retrieval: against: "):
        MultilingualRetrieval(data=world.data, against=str(tmp_path)).evaluate(world.model)
    world.data.samples, world.data.texts_in = world.data.samples[:1], lambda language, index: ()
    with pytest.raises(known.DataError, match=r"nothing to find in 'en': of 1 images 1 could be read"):
        MultilingualRetrieval(data=world.data).evaluate(world.model)
