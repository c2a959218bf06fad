"""What the plugin offers can be found, loaded and built from recipe options."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vlc_core import RecipeError, options
from vlc_core.options.use import Use
from vlc_core.plugins import plugins

OFFERED = {
    "dataset": {"digits", "folder", "manifest", "webdataset", "huggingface", "coco", "karpathy"},
    "sampler": {"shuffle", "balanced", "weighted", "proportional", "class-balanced", "shard-shuffle"},
    "transform": {"clip", "fit", "tcl"},
    "prompts": {"clip80", "clip7", "simple", "digits"},
}


def build(kind: str, *given: Any, **spec: Any) -> Any:
    return options.build(plugins().registry, kind, Use.model_validate(spec), *given)


@pytest.mark.parametrize("kind", OFFERED)
def test_every_name_is_offered_and_loads(kind: str) -> None:
    entries = [entry for entry in plugins().registry.entries(kind) if entry.plugin == "data"]
    assert {entry.name for entry in entries} >= OFFERED[kind]
    for entry in entries:
        entry.load()
        assert entry.summary


def test_naming_the_components_imports_nothing_heavy() -> None:
    program = """
import sys
import vlc_plugin_data.plugin
print({"torch", "numpy", "PIL", "pyarrow", "sklearn", "fsspec"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_options_of_a_recipe_become_components(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,split\na.jpg,train\nb.jpg,test\n")
    data = build("dataset", use="manifest", path=str(tmp_path / "t.csv"), image="file", where={"split": ["train"]})
    assert len(data) == 1
    assert build("transform", use="clip", scale=[0.5, 1], flip=0.5).scale == (0.5, 1.0)
    assert len(build("dataset", use="digits", split="test")) == 355


@pytest.mark.parametrize(
    ("kind", "spec", "message"),
    [
        ("transform", {"use": "clip", "flips": 1}, "did you mean 'flip'"),
        ("transform", {"use": "clip", "scale": [0.5, 2]}, "scale.1"),
        ("transform", {"use": "clip", "ratio": [0, 2]}, "ratio.0"),
        ("dataset", {"use": "digits", "split": "val"}, "split"),
        ("dataset", {"use": "manifest"}, "path"),
        ("dataset", {"use": "manifest", "path": "x.csv", "delimiter": ";;"}, "delimiter"),
        ("dataset", {"use": "manifest", "path": "x.csv", "format": "xml"}, "format"),
    ],
)
def test_wrong_options_are_named(kind: str, spec: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build(kind, **spec)
