"""Checkpoints: the newest whole one is found, whatever became of the others; nothing hostile is run."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vlc_core import folders
from vlc_core.engine.checkpoint import Checkpoint, Progress, load_checkpoint, newest, save_checkpoint
from vlc_core.errors import StorageError

FILES = ("weights.safetensors", "moments.safetensors", "progress.json", "manifest.json")


def made(step: int) -> Checkpoint:
    tensors = {"a": torch.full((3, 4), float(step)), "count": torch.tensor(step), "empty": torch.zeros(0, 2)}
    return Checkpoint(tensors, {"a/exp_avg": torch.ones(3, 4) * step}, Progress(step, skipped=step // 2, truncated=1))


def same(one: Checkpoint, other: Checkpoint) -> bool:
    tensors = all(
        mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
        for mine, theirs in ((one.weights, other.weights), (one.moments, other.moments))
    )
    return tensors and one.progress == other.progress


def steps(folder: Path) -> list[int]:
    return sorted(int(path.name.removeprefix("step-")) for path in folder.iterdir())


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    for step in (3, 6):
        save_checkpoint(folder, made(step), keep=2)
    return folder


@pytest.fixture
def copy(two: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(two, tmp_path / "checkpoints"))


def test_what_is_saved_is_loaded(tmp_path: Path):
    path = save_checkpoint(tmp_path, made(7), keep=1)
    assert path == newest(tmp_path) == tmp_path / "step-00000007"
    assert same(load_checkpoint(path), made(7))
    assert newest(tmp_path / "none") is None


def test_steps_are_ordered_as_numbers(tmp_path: Path):
    for step in (99_999_999, 100_000_000):
        save_checkpoint(tmp_path, made(step), keep=5)
    assert newest(tmp_path) == tmp_path / "step-100000000"
    (tmp_path / "step-x").mkdir()
    (tmp_path / "step-200000000.bak").mkdir()
    assert newest(tmp_path) == tmp_path / "step-100000000"


def test_only_the_newest_are_kept(tmp_path: Path):
    for step in range(1, 6):
        save_checkpoint(tmp_path, made(step), keep=2)
    assert steps(tmp_path) == [4, 5]


def test_the_old_are_removed_only_after_the_new_one_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save_checkpoint(tmp_path, made(1), keep=1)
    real, removed = shutil.rmtree, []

    def watched(path, **kwargs):
        if Path(path).name.startswith("step-"):
            removed.append(path)
            assert newest(tmp_path) == tmp_path / "step-00000002"
        real(path, **kwargs)

    monkeypatch.setattr(shutil, "rmtree", watched)
    save_checkpoint(tmp_path, made(2), keep=1)
    assert removed == [tmp_path / "step-00000001"]


def test_a_damaged_one_of_a_later_step_does_not_count(copy: Path):
    """A run that went on from step 3 saves step 4: what is damaged at 6 must not push it out."""
    (copy / "step-00000006" / "weights.safetensors").write_bytes(b"")
    save_checkpoint(copy, made(4), keep=1)
    assert newest(copy) == copy / "step-00000004"
    assert steps(copy) == [4, 6]
    save_checkpoint(copy, made(6), keep=1)
    assert steps(copy) == [6]
    assert same(load_checkpoint(copy / "step-00000006"), made(6))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file=st.sampled_from(FILES), where=st.floats(0, 1, exclude_max=True), bit=st.integers(-1, 7))
def test_one_flipped_bit_or_a_cut_is_seen(two: Path, tmp_path: Path, file: str, where: float, bit: int):
    folder = tmp_path / "damaged"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(two, folder)
    path = folder / "step-00000006" / file
    content = bytearray(path.read_bytes())
    at = int(where * len(content))
    if bit < 0:
        content = content[:at]
    else:
        content[at] ^= 1 << bit
    path.write_bytes(content)
    if folders.schema(folder / "step-00000006") > folders.SCHEMA:
        assert file == "manifest.json", "only a manifest can claim to be of a newer schema"
        with pytest.raises(StorageError, match="upgrade"):
            newest(folder)
        return
    found = newest(folder)
    if found == folder / "step-00000006":  # a changed blank or name in the manifest changes nothing of the content
        assert file == "manifest.json"
        assert same(load_checkpoint(found), made(6))
    else:
        assert found == folder / "step-00000003"


def test_the_fall_back_is_told(copy: Path, caplog: pytest.LogCaptureFixture):
    (copy / "step-00000006" / "weights.safetensors").unlink()
    assert newest(copy) == copy / "step-00000003"
    assert "step-00000006 is damaged or incomplete (weights.safetensors)" in caplog.text


@pytest.mark.parametrize("file", FILES)
def test_a_newer_schema_is_refused(copy: Path, file: str):
    path = copy / "step-00000006"
    if file.endswith("json"):
        (path / file).write_text(json.dumps(json.loads((path / file).read_text()) | {"schema": 2}))
    with pytest.raises(StorageError, match="schema 2, this vlc reads 1: upgrade") if file.endswith("json") else _fine():
        newest(copy) if file == "manifest.json" else load_checkpoint(path)


class _fine:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


BOMB = {"schema": 1, "step": 1, "skipped": 0, "truncated": 0}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "3",
        "null",
        "[" * 100_000,
        "{}",
        json.dumps({**BOMB, "step": -1}),
        json.dumps({**BOMB, "step": "1"}),
        json.dumps({**BOMB, "step": 1.5}),
        json.dumps({**BOMB, "step": True}),
        json.dumps({**BOMB, "step": 2**80}),
        json.dumps({**BOMB, "more": 1}),
        json.dumps({"schema": "new", "step": 1, "skipped": 0, "truncated": 0}),
        '{"schema": 1, "step": NaN, "skipped": 0, "truncated": 0}',
    ],
)
def test_a_hostile_progress_is_a_storage_error(copy: Path, text: str):
    (copy / "step-00000006" / "progress.json").write_text(text)
    with pytest.raises(StorageError, match="step-00000006"):
        load_checkpoint(copy / "step-00000006")


def hostile_tensors(content: bytes) -> dict[str, bytes]:
    header = len(content[8:]).to_bytes(8, "little")
    return {
        "nothing": b"",
        "a huge header": (2**62).to_bytes(8, "little") + content[8:],
        "a header that is all": header + content[8:],
        "no JSON": (4).to_bytes(8, "little") + b"abcd" + content,
        "offsets beyond the end": content.replace(b'"data_offsets":[0,', b'"data_offsets":[9,', 1),
        "another type": content.replace(b'"F32"', b'"X32"', 1),
        "another shape": content.replace(b"[3,4]", b"[9,9]", 1),
    }


@pytest.mark.parametrize("name", list(hostile_tensors(b"")))
@pytest.mark.parametrize("file", FILES[:2])
def test_hostile_safetensors_are_a_storage_error(copy: Path, file: str, name: str):
    path = copy / "step-00000006" / file
    before = path.read_bytes()
    path.write_bytes(hostile_tensors(before)[name])
    assert path.read_bytes() != before
    with pytest.raises(StorageError, match=r"cannot be read .* remove it"):
        load_checkpoint(path.parent)


def test_a_header_cut_anywhere_is_a_storage_error(copy: Path):
    path = copy / "step-00000006" / "weights.safetensors"
    content = path.read_bytes()
    for end in range(len(content)):
        path.write_bytes(content[:end])
        with pytest.raises(StorageError):
            load_checkpoint(path.parent)


class Runs:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("file", FILES)
def test_a_pickle_is_never_run(copy: Path, tmp_path: Path, file: str):
    trap = tmp_path / "ran"
    path = copy / "step-00000006"
    for content in (pickle.dumps(Runs(str(trap))),):
        (path / file).write_bytes(content)
        digests = {name: folders._digest(path / name) for name in FILES[:3]}
        if file != "manifest.json":
            (path / "manifest.json").write_text(json.dumps({"schema": 1, "sha256": digests}))
            assert newest(copy) == path, "the digests fit: only reading can tell"
            with pytest.raises(StorageError):
                load_checkpoint(path)
        else:
            assert newest(copy) == copy / "step-00000003"
    torch.save(Runs(str(trap)), path / file)
    if file != "manifest.json":
        with pytest.raises(StorageError):
            load_checkpoint(path)
    assert not trap.exists()
