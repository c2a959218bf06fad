"""Runs that start from another: its weights go on, what is frozen stays, whatever the ZeRO stage."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vlc_core import assemble
from vlc_core.engine.train import train as train_recipe
from vlc_core.inference import DualEncoder
from vlc_core.model.folder import load_towers
from vlc_core.phases import Moment, Phase
from vlc_core.plugins import plugins
from vlc_core.recipe import load_recipe

pytestmark = pytest.mark.xdist_group("trained")

FROM = """\
extends: tiny.yaml
seed: 3
model: {from: run}
evaluate: {with: []}
output: on
"""


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "weights.safetensors")


@pytest.fixture(scope="module")
def folder(vlc, trained, tmp_path_factory):
    """The folder of a run of two blocks a tower, and the recipe that goes on from it."""
    made = tmp_path_factory.mktemp("from")
    shutil.copy(trained[0] / "tiny.yaml", made)
    sets = [f"--set=model.{side}.depth=2" for side in ("image", "text")]
    vlc("train", "tiny.yaml", *sets, "--set=evaluate.with=[]", cwd=made).well()
    text = FROM.replace("{from: run}", "{from: run, image: {depth: 2}, text: {depth: 2}}")
    (made / "on.yaml").write_text(text)
    return made


@pytest.fixture(scope="module")
def train(vlc, folder, metrics):
    """Trains the recipe that goes on, with ``--set`` arguments; gives its folder and metrics. Here, if on one rank."""

    def run(name: str, *sets: str, devices: int = 1):
        sets = (f"output={folder / name}", *sets)
        if devices == 1:
            loaded = load_recipe(folder / "on.yaml", sets=sets, registry=plugins().registry)
            assert train_recipe(loaded, plugins()).exit_code == 0
        else:
            argv = [f"--set={argument}" for argument in sets]
            vlc("train", "on.yaml", *argv, "--devices", str(devices), cwd=folder).well()
        return folder / name, metrics(folder / name)

    return run


def test_the_first_loss_is_that_of_the_runs_last_state(train, folder):
    found = plugins()
    loaded = load_recipe(folder / "on.yaml", registry=found.registry)
    recipe, registry = loaded.recipe, found.registry
    towers, tokenizer = load_towers(folder / "run")
    data = assemble.build_data(recipe, registry)
    model = assemble.build_pretrainer(recipe, registry, towers, tokenizer, data)
    batch = next(iter(assemble.build_loader(recipe, data, model, tokenizer, batch_size=16, steps=6)))
    losses = model(Phase.TRAIN, batch, Moment(0.0, 0))
    _, rows = train("on")
    assert rows[0]["loss"] == pytest.approx(losses.loss.item(), rel=1e-6)
    assert rows[0]["logit_scale"] == pytest.approx(losses.scale.item(), rel=1e-6)
    assert rows[0]["logit_scale"] != pytest.approx(1 / 0.07, rel=1e-3)


LIT = ("model.image.freeze=all",)
PART = ("model.image.freeze=1", "model.image.layer_decay=0.5", "model.text.layer_decay=0.7")


@pytest.fixture(scope="module")
def lit(train):
    return train("lit", *LIT)


@pytest.fixture(scope="module")
def part(train):
    return train("part", *PART)


def test_a_locked_tower_is_the_same_after_training_to_the_bit(lit, folder):
    before, after = weights(folder / "run"), weights(lit[0])
    for name, tensor in before.items():
        assert torch.equal(tensor, after[name]) == name.startswith("image."), name


def test_the_model_of_a_locked_tower_is_used_like_any_other(lit, folder):
    one, other = (DualEncoder.load(run) for run in (folder / "run", lit[0]))
    pixels = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8)
    assert torch.equal(one.encode_image(pixels), other.encode_image(pixels))
    assert not torch.equal(one.encode_text(["a photo of a seven"]), other.encode_text(["a photo of a seven"]))


def test_the_first_blocks_are_the_same_and_the_others_are_not(part, folder):
    before, after = weights(folder / "run"), weights(part[0])
    frozen = (
        "image.encoder.blocks.0.",
        "image.encoder.patch_embed.",
        "image.encoder.positions",
        "image.encoder.summary",
    )
    for name, tensor in before.items():
        assert torch.equal(tensor, after[name]) == name.startswith(frozen), name


def test_moments_are_kept_of_what_is_trained_alone(part):
    (checkpoint,) = (part[0] / "checkpoints").glob("step-*6")
    moments = {name.rpartition("/")[0] for name in load_file(checkpoint / "moments.safetensors")}
    names = set(load_file(checkpoint / "weights.safetensors"))
    assert not any(".blocks.0." in name for name in moments if name.startswith("towers.image."))
    assert len(names) - len(moments) == sum(name.startswith("towers.image.encoder.blocks.0.") for name in names) + 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "stage", "micro", "devices"),
    [
        ("lit", 0, 4, 1),
        ("lit", 2, None, 2),
        ("lit", 3, None, 1),
        ("part", 3, None, 1),
        ("part", 3, 4, 2),
    ],
)
def test_losses_are_the_same_under_every_stage(train, request, kind, stage, micro, devices):
    sets = [f"deepspeed.zero_optimization.stage={stage}", *({"lit": LIT, "part": PART}[kind])]
    sets += [] if micro is None else [f"train.micro_batch_size={micro}"]
    _, rows = train(f"{kind}-{stage}-{micro}-{devices}", *sets, devices=devices)
    for key in ("loss", "logit_scale", "grad_norm", "lr"):
        expected = [row[key] for row in request.getfixturevalue(kind)[1]]
        assert [row[key] for row in rows] == pytest.approx(expected, rel=1e-4), key


@pytest.mark.parametrize("stage", [0, 3])
def test_a_resumed_run_needs_the_other_no_more_and_goes_on_as_if_uninterrupted(
    train, metrics, folder, part, caplog, stage
):
    run, _ = train(f"halved-{stage}", *PART)
    shutil.rmtree(run / "checkpoints" / "step-00000006")
    recipe = (run / "recipe.yaml").read_text().replace(str(folder / "run"), str(folder / "gone"))
    assert "gone" in recipe
    (folder / f"gone-{stage}.yaml").write_text(recipe)
    sets = [f"deepspeed.zero_optimization.stage={stage}"]
    loaded = load_recipe(folder / f"gone-{stage}.yaml", sets=sets, registry=plugins().registry)
    caplog.clear()
    assert train_recipe(loaded, plugins(), resume=True).exit_code == 0
    assert any("model.from" in message for message in caplog.messages)
    expected = [row["loss"] for row in part[1]]
    assert [row["loss"] for row in metrics(run)] == (expected if stage == 0 else pytest.approx(expected, rel=1e-5))


@pytest.mark.parametrize(
    ("command", "sets", "sentence"),
    [
        ("train", ["model.from=nowhere"], "nowhere holds no model: give a run folder"),
        ("train", ["model.image.width=32"], "image.encoder.summary_token is 16 there and 32 here"),
        ("check", ["model.image.depth=3"], "missing there: image.encoder.blocks.2.attention_norm.weight 16"),
        ("check", ["model.image.freeze=all", "model.text.freeze=all"], "both towers are frozen as a whole"),
        (
            "train",
            ["model.image.compile=true", "deepspeed.zero_optimization.stage=3"],
            "does not work under ZeRO stage 3",
        ),
    ],
)
def test_what_cannot_begin_is_said_at_once(vlc, folder, command, sets, sentence):
    ended = vlc(command, "on.yaml", *[f"--set={x}" for x in ("output=never", *sets)], cwd=folder)
    assert ended.code in (2, 5)
    assert sentence in ended.err
    assert "Traceback" not in ended.err
    assert not (folder / "never").exists()


def test_check_counts_what_is_frozen(vlc, folder):
    told = vlc("check", "on.yaml", "--set=model.image.freeze=encoder", cwd=folder).well().out
    encoder = sum(x.numel() for name, x in weights(folder / "run").items() if name.startswith("image.encoder."))
    assert f"image {encoder:,}" in next(line for line in told.splitlines() if line.startswith("frozen"))


def test_heads_and_widths_are_trained_and_used(train):
    sets = ["model.from=null", "model.image.head=none", "model.text.head={use: mlp, hidden: 8}", "model.embed_dim=null"]
    run, rows = train("heads", *sets)
    assert rows[-1]["loss"] < rows[0]["loss"]
    model = DualEncoder.load(run)
    assert model.encode_text(["one", "two"]).shape == (2, 16)
    assert {name for name in weights(run) if "head" in name} == {
        "text.head.0.weight",
        "text.head.0.bias",
        "text.head.2.weight",
    }
