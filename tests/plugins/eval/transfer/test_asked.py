"""What a user calls tasks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from vlc_core.errors import RecipeError, VlcError
from vlc_core.plugins import plugins
from vlc_plugin_eval.transfer.asked import Asked, asked

Write = Callable[[str, str], Path]


def of(*tasks: str) -> list[Asked]:
    return asked(tasks, plugins().registry)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Class folders in ``colours/train`` and ``colours/val``."""
    for split in ("train", "val"):
        for name in ("red", "blue"):
            (tmp_path / "colours" / split / name).mkdir(parents=True)
            Image.new("RGB", (4, 4), name).save(tmp_path / "colours" / split / name / "0.png")
    return tmp_path / "colours"


def test_a_source_alone_is_a_task_named_after_it(pictures: Path) -> None:
    (task,) = of(str(pictures / "train"))
    assert (task.name, task.train.use.use, task.test, task.score) == ("colours", "folder", None, None)


def test_a_task_may_have_a_source_for_testing_and_a_score(pictures: Path) -> None:
    (task,) = of(
        f"{{name: mine, train: {pictures / 'train'}, test: {{use: digits, split: test}}, score: mean_per_class}}"
    )
    assert (task.name, task.score) == ("mine", "mean_per_class")
    assert task.test is not None
    assert task.test.use.options == {"split": "test"}


def test_paths_in_a_file_belong_to_its_folder(
    pictures: Path, write: Write, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(
        "tasks.yaml",
        "- {train: colours/train, test: colours/val}\n"
        "- {name: block, train: {use: folder, path: colours/train}}\n"
        "- {use: digits, split: train}\n",
    )
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    first, second, third = of(str(file))
    assert [task.name for task in (first, second, third)] == ["colours", "block", "digits"]
    assert first.test is not None
    for spec, split in ((first.train, "train"), (first.test, "val"), (second.train, "train")):
        assert spec.use.options["path"] == str(pictures / split)
        assert len(spec.open(plugins().registry)) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{train: digits, tset: digits}", "has no 'tset'; did you mean 'test'?"),
        ("{test: digits}", "say what to learn from"),
        ("{train: digits, score: top5}", "score is 'top5', and may be top1 or mean_per_class"),
        ("{train: [1, 2]}", "is no source"),
        ("nowhere/at/all", "there is no nowhere/at/all"),
        ("missing.yaml", "cannot be read"),
    ],
)
def test_what_is_no_task_is_told_in_a_sentence(text: str, message: str) -> None:
    with pytest.raises(VlcError, match=message.replace("?", r"\?")) as caught:
        of(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "train: digits", "[]", "- [unclosed"])
def test_a_file_must_be_a_list_of_tasks(write: Write, content: str) -> None:
    with pytest.raises(RecipeError):
        of(str(write("tasks.yaml", content)))


def test_two_tasks_of_one_name_are_refused() -> None:
    with pytest.raises(RecipeError, match="two tasks are called 'digits'"):
        of("digits", "{use: digits, split: test}")
