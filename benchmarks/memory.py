"""Memory that a plan predicts, against what a run on the CPU then takes.

    python benchmarks/memory.py
    python benchmarks/memory.py --steps 20 --case laptop

Taken is VmHWM, the most that a process ever had resident, of a fresh process that trains and saves a checkpoint; from
it is taken off the same of a fresh process that is as ready and trains nothing: it has imported all that the run
imports, opened the same data, made the same tokenizer, joined a process group, wrapped a matrix of 8×8 in DeepSpeed and
taken one step with it. What is left is what the recipe's own model and batch take. (``ru_maxrss`` would not do: a
process inherits it from its parent.)
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

CASES: dict[str, tuple[str, ...]] = {
    "quickstart": (str(Path(__file__).parents[1] / "recipes" / "quickstart.yaml"),),
    "laptop": ("clip/laptop",),
    "laptop, in parts": ("clip/laptop", "train.micro_batch_size=32"),
    "wide text": (
        "clip/laptop",
        "model.image.depth=4",
        "model.text.width=512",
        "model.text.depth=8",
        "train.batch_size=64",
    ),
    "laptop, bf16": ("clip/laptop", "train.precision=bf16"),
}
LIMIT = 0.15


def most_resident() -> int:
    """VmHWM of this process in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def child(what: str, recipe: str, sets: list[str]) -> None:
    """Does ``what`` in this process and prints what it took."""
    from vlc_core.plugins import plugins
    from vlc_core.recipe import load_recipe

    found = plugins()
    loaded = load_recipe(recipe, sets=sets, registry=found.registry)
    if what == "plan":
        from vlc_core.plan.planning import plan_recipe

        (rank,) = plan_recipe(loaded.recipe, found.registry, on="cpu").ranks
        print(rank.memory.total)
        return
    from vlc_core.engine.train import train

    if what == "run":
        train(loaded, found)
    else:
        be_ready(loaded, found)
    print(most_resident())


def be_ready(loaded: object, found: object) -> None:
    """All that a run does before it has a model, and a step of a model that is next to none."""
    import torch

    from vlc_core import assemble
    from vlc_core.engine.settings import deepspeed_config
    from vlc_core.engine.setup import wrap

    recipe, registry = loaded.recipe, found.registry
    os.environ["LOCAL_RANK"] = "0"  # DeepSpeed asks for it
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    data = assemble.build_data(recipe, registry)
    kept = assemble.build_evaluators(recipe, registry), assemble.build_tokenizer(recipe.model, registry, data.captions)
    layer = torch.nn.Linear(8, 8)
    adam = torch.optim.AdamW(layer.parameters(), lr=1e-3, fused=True)
    engine = wrap(layer, adam, deepspeed_config(recipe, 1))
    engine.backward(engine(torch.ones(4, 8)).float().sum())
    engine.step()
    del kept


def measured(what: str, case: tuple[str, ...], steps: int) -> int:
    """Bytes that a fresh process printed."""
    recipe, *sets = case
    with tempfile.TemporaryDirectory() as folder:
        sets += [f"train.steps={steps}", f"output={folder}/run", "data.workers=0", "evaluate.with=[]"]
        command = [sys.executable, "-W", "ignore", __file__, "--child", what, recipe, *sets]
        environment = {**os.environ, "DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return int(done.stdout.split()[-1])


def main() -> None:
    """Prints a row per case, and ends with 1 where one is further off than the limit."""
    parser = argparse.ArgumentParser(description="predicted against measured memory on the CPU")
    parser.add_argument("--child", nargs="+")
    parser.add_argument("--case", choices=CASES, action="append")
    parser.add_argument("--steps", type=int, default=8)
    options = parser.parse_args()
    if options.child:
        child(options.child[0], options.child[1], options.child[2:])
        return
    print(f"{'recipe':<20}{'predicted':>14}{'measured':>14}{'ratio':>8}")
    off = 0
    for name in options.case or CASES:
        case = CASES[name]
        predicted = measured("plan", case, options.steps)
        taken = measured("run", case, options.steps) - measured("ready", case, options.steps)
        ratio = predicted / taken
        off += abs(ratio - 1) > LIMIT
        print(f"{name:<20}{predicted / 2**20:>10.0f} MiB{taken / 2**20:>10.0f} MiB{ratio:>8.2f}")
    sys.exit(off > 0)


if __name__ == "__main__":
    main()
