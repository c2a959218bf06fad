"""Runs with faults, one after another in a process of their own: ``scenarios.py FOLDER`` prints how each ended.

With RANK and WORLD_SIZE set it is one of several ranks. Faults come from an objective that is registered here.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from vlc_core import distributed
from vlc_core.engine import checkpoint as checkpoints
from vlc_core.engine.train import train
from vlc_core.errors import VlcError
from vlc_core.interfaces.objective import ModelInfo, Objective, Term
from vlc_core.plugins import plugins
from vlc_core.recipe import load_recipe
from vlc_core.registry import Registrar
from vlc_core.step import Step

RECIPE = """\
seed: 3
model:
  image: {use: vit, size: 8, patch: 4, width: 16, depth: 1, heads: 2}
  text: {use: text-transformer, width: 16, depth: 1, heads: 2, context: 12}
  tokenizer: {use: word}
  embed_dim: 8
objectives: [{use: clip}, {use: faulty}]
data: {train: [{use: digits, split: train, prompts: digits}]}
train: {steps: 5, batch_size: 8, optimizer: {lr: 1e-2}}
checkpoint: {every: 2, keep: 2}
"""

IMPATIENT = "train.max_skipped_steps=0"

strike: Callable[[Step, int], torch.Tensor | None]
at = 0


class Faulty(Objective):
    """Does what ``strike`` says, and is zero otherwise."""

    def __init__(self, model: ModelInfo) -> None:
        super().__init__(model)

    def forward(self, step: Step) -> Mapping[str, Term]:
        global at
        number, at = at, at + 1
        struck = strike(step, number)
        nothing = step.image.embed.sum() * 0
        return {"faulty": Term(nothing if struck is None else struck, len(step))}


def loss_is_nan(step: Step, number: int) -> torch.Tensor | None:
    return step.image.embed.sum() * float("nan") if number == 2 else None


def gradient_is_nan(step: Step, number: int) -> torch.Tensor | None:
    """sqrt has no finite slope at zero: the loss is finite, its gradient is not."""
    return (step.image.embed.sum() * 0).sqrt() if number == 2 else None


def loss_is_nan_on_rank_1(step: Step, number: int) -> torch.Tensor | None:
    return loss_is_nan(step, number) if distributed.rank() == 1 else None


def memory_is_short(step: Step, number: int) -> torch.Tensor | None:
    if number == 2:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB.\nMore of it.")
    return None


def nothing(step: Step, number: int) -> torch.Tensor | None:
    return None


def rank_1_dies(step: Step, number: int) -> torch.Tensor | None:
    if number == 2 and distributed.rank() == 1:
        os._exit(9)
    return None


def rank_1_sleeps(step: Step, number: int) -> torch.Tensor | None:
    if number == 2 and distributed.rank() == 1:
        time.sleep(300)
    return None


def run(
    folder: Path, name: str, fault: Any, *sets: str, resume: bool = False, first: int = 0, force: bool = False
) -> dict[str, Any]:
    """How a run ended: its exit code and sentence."""
    global strike, at
    strike, at = fault, first
    os.environ["MASTER_PORT"] = str(int(os.environ.get("MASTER_PORT", "0")) + 1)
    loaded = load_recipe(str(folder / "r.yaml"), sets=[f"output={folder / name}", *sets], registry=plugins().registry)
    begun = time.monotonic()
    try:
        outcome = train(loaded, plugins(), resume=resume, allow_changes=force)
        code, said = outcome.exit_code, outcome.reason
    except VlcError as error:
        code, said = error.exit_code, str(error)
    except Exception:
        code, said = 1, traceback.format_exc()
    return {"code": code, "said": said, "seconds": time.monotonic() - begun}


@contextmanager
def full_disk(first: int, count: int = 1000) -> Iterator[None]:
    """From checkpoint ``first`` on, no file of weights can be written to ``count`` of them."""
    save, opened, number = checkpoints.save_checkpoint, Path.open, [-1]

    def no_room(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.name == "weights.safetensors" and args == ("wb",):
            raise OSError(28, "No space left on device")
        return opened(path, *args, **kwargs)

    def counted(*args: Any, **kwargs: Any) -> Path:
        number[0] += 1
        if first <= number[0] < first + count:
            Path.open = no_room  # type: ignore[method-assign,assignment]
        try:
            return save(*args, **kwargs)
        finally:
            Path.open = opened  # type: ignore[method-assign]

    checkpoints.save_checkpoint = counted
    try:
        yield
    finally:
        checkpoints.save_checkpoint = save


def say(ended: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(ended) + "\n")
    sys.stdout.flush()


def on_one_rank(folder: Path) -> dict[str, Any]:
    ended = {"whole": run(folder, "whole", nothing)}
    ended["nan"] = run(folder, "nan", loss_is_nan, IMPATIENT)
    for stage in (0, 2):
        stages = f"deepspeed.zero_optimization.stage={stage}"
        said = ("checkpoint.every=1", stages, IMPATIENT)
        ended[f"gradient {stage}"] = run(folder, f"gradient-{stage}", gradient_is_nan, *said)
    ended["resumed"] = run(folder, "nan", nothing, resume=True, first=2)
    ended["borne"] = run(folder, "borne", loss_is_nan)
    shutil.copytree(folder / "borne", folder / "borne-again")
    shutil.rmtree(folder / "borne-again" / "checkpoints" / "step-00000005")
    ended["borne again"] = run(folder, "borne-again", nothing, resume=True, first=4)
    ended["short"] = run(folder, "short", memory_is_short)
    with full_disk(1):
        ended["full"] = run(folder, "full", nothing)
    ended["after full"] = run(folder, "full", nothing, resume=True)
    with full_disk(0, 3):
        ended["full for a while"] = run(folder, "for-a-while", nothing, "checkpoint.every=1")
    with full_disk(1):
        ended["full for long"] = run(folder, "for-long", nothing, "checkpoint.every=1", "train.steps=9")
    (folder / "full" / "model").rename(folder / "full" / ".model.old")
    ended["bridged"] = run(folder, "full", nothing, "train.steps=6", resume=True)
    ended["again"] = run(folder, "whole", nothing)
    ended["finished"] = run(folder, "whole", nothing, resume=True)
    began = folder / "whole" / "environment.json"
    had = json.loads(began.read_text())
    had["data"]["digits"]["samples"] += 1
    had["packages"]["torch"] = "2.0.0"
    began.write_text(json.dumps(had))
    ended["other data"] = run(folder, "whole", nothing, resume=True)
    ended["other data all the same"] = run(folder, "whole", nothing, resume=True, force=True)
    ended["misfit"] = run(folder, "whole", nothing, "model.embed_dim=6", resume=True, force=True)
    os.environ["NAME_OF_NOBODY"] = "x"
    ended["bad data"] = run(folder, "bad", nothing, "data.train=[{use: folder, path: nowhere}]")
    (folder / "mine").mkdir()
    (folder / "mine" / "thesis.tex").write_text("years of work")
    ended["not a run"] = run(folder, "mine", nothing, "data.train=[{use: folder, path: nowhere}]", resume=True)
    return ended


def on_two_ranks(folder: Path) -> dict[str, Any]:
    rank = int(os.environ["RANK"])
    ended = {"nan": run(folder, "nan-2", loss_is_nan_on_rank_1, IMPATIENT)}
    ended["borne"] = run(folder, "borne-2", loss_is_nan_on_rank_1)
    ended["again"] = run(folder, "nan-2", nothing)
    ended["disagree"] = run(folder, "other", nothing, f"seed={rank}")
    with full_disk(0):
        ended["full"] = run(folder, "full-2", nothing)
    if rank == 1:
        say(ended)  # before it dies
    ended["dies"] = run(folder, "dies", rank_1_dies)
    return ended


def on_two_ranks_of_which_one_hangs(folder: Path) -> dict[str, Any]:
    return run(folder, "hangs", rank_1_sleeps, "train.timeout=6")


if __name__ == "__main__":
    torch.set_num_threads(1)
    Registrar(plugins().registry, "faults").objective("faulty", "__main__:Faulty")
    place = Path(sys.argv[1])
    (place / "r.yaml").write_text(RECIPE)
    if "HANG" in os.environ:
        say(on_two_ranks_of_which_one_hangs(place))
    else:
        say(on_two_ranks(place) if "RANK" in os.environ else on_one_rank(place))
