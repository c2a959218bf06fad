"""A run that goes on looks at what it began with; one that runs out of memory says what to set."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from vlc_core.engine.environment import Environment, compare_environments, environment, trained_classes
from vlc_core.engine.shortage import shortage_named
from vlc_core.errors import DataError, VlcError
from vlc_core.plugins import Plugins, PluginStatus


class Things(list[int]):
    classes = ("cat", "dog")


def now(**changes: Any) -> Environment:
    found = Plugins(status=[PluginStatus("mine", "vlc-plugin-mine", "1.0", "ok")])
    data: Any = SimpleNamespace(sources=[SimpleNamespace(name="things", dataset=Things(range(1200)))])
    return {**environment(found, data, world=1, device="cpu"), **changes}


@pytest.fixture
def began(tmp_path: Path) -> Path:
    path = tmp_path / "environment.json"
    path.write_text(json.dumps(now()))
    return path


def test_the_classes_of_all_sources_are_kept_by_name(began: Path):
    assert trained_classes(began) == ["cat", "dog"]


def things(**changes: Any) -> dict[str, Any]:
    return {"things": {**now()["data"]["things"], **changes}}


def test_the_same_is_silent_and_so_is_what_the_recipe_says_itself(began: Path, caplog: pytest.LogCaptureFixture):
    compare_environments(began, now(world=2, device="cuda:0", command=["vlc"]), allow=False)
    compare_environments(began, now(data={"others": things()["things"]}), allow=False)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"samples": 1199}, "data.train.things has 1,199 samples and had 1,200"),
        ({"class_names": ["cat", "dog", "cow"]}, "data.train.things has 3 classes and had 2"),
        ({"class_names": ["dog", "cat"]}, "the classes of data.train.things have other names, or another order"),
    ],
)
def test_other_data_is_refused_unless_allowed(
    began: Path, caplog: pytest.LogCaptureFixture, changes: dict[str, Any], words: str
):
    with pytest.raises(DataError, match=words):
        compare_environments(began, now(data=things(**changes)), allow=False)
    with caplog.at_level(logging.WARNING, "vlc"):
        compare_environments(began, now(data=things(**changes)), allow=True)
    (record,) = caplog.records
    assert words in record.getMessage()


def test_other_versions_are_told_in_one_sentence(began: Path, caplog: pytest.LogCaptureFixture):
    packages = {**now()["packages"], "torch": "9.9"}
    with caplog.at_level(logging.WARNING, "vlc"):
        compare_environments(began, now(packages=packages, plugins={"mine": "2.0", "new": "1.0"}), allow=False)
    (record,) = caplog.records
    assert f"torch is 9.9 and was {now()['packages']['torch']}, plugin mine is 2.0 and was 1.0" in record.getMessage()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"packages": 3}'])
def test_a_file_that_tells_nothing_stops_nobody(began: Path, text: str):
    began.write_text(text)
    compare_environments(began, now(), allow=False)
    assert trained_classes(began) == []
    began.unlink()
    assert trained_classes(began) == []
    compare_environments(began, now(), allow=False)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("full"), MemoryError(), RuntimeError("DefaultCPUAllocator: no")]
)
def test_want_of_memory_becomes_a_sentence(engines: ModuleType, error: Exception):
    recipe = engines.recipe(batch_size=24, micro_batch_size=12)
    words = r"cuda:0 .* set train.micro_batch_size=6 or train.precision=bf16 or train.batch_size=12;"
    with pytest.raises(VlcError, match=words), shortage_named(recipe, torch.device("cuda:0")):
        raise error


def test_other_errors_stay_what_they_are(engines: ModuleType):
    with pytest.raises(RuntimeError, match="shape"), shortage_named(engines.recipe(), torch.device("cpu")):
        raise RuntimeError("shape mismatch")
