"""An evaluation in training sees the model as it stands, and leaves it as it was."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from PIL import Image

from vlc_core.batch import Sample
from vlc_core.engine.evaluate import evaluate_engine
from vlc_core.interfaces.dataset import Dataset
from vlc_core.interfaces.evaluator import Evaluation, Evaluator


class Greys(Dataset):
    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> Sample:
        return Sample(Image.new("RGB", (4, 4), (index * 40, 0, 255 - index * 40)))


class Looks(Evaluator):
    """Keeps what it is given."""

    def evaluate(self, model: Any) -> Evaluation:
        self.scale, self.embed = model.scale, model.encode_images(Greys()).embed
        return Evaluation({"scale": self.scale})


@pytest.mark.parametrize("stage", [0, 1, 3])
def test_the_model_is_seen_as_it_stands_and_trains_on_as_if_nothing_had_been(engines: ModuleType, stage: int):
    watched, alone = (engines.Trainer(["clip"], stage=stage, model={"dropout": 0.3}) for _ in range(2))
    first = watched.run(2)
    looks = Looks()
    (found,) = evaluate_engine(watched.engine, watched.model, None, {"looks": looks}).values()  # type: ignore[arg-type]
    weights = watched.saved()[0]
    assert found.metrics["scale"] == pytest.approx(weights["towers.temperature.value"].exp().item(), rel=1e-6)
    assert found.metrics["scale"] != first[-1]["scale"], "the scale of the step before"
    whole = engines.small().model(["clip"], dropout=0.3, dtype=torch.float32).eval()
    whole.load_state_dict(weights)
    pixels = torch.stack([torch.tensor([i * 40, 0, 255 - i * 40]) for i in range(5)]).to(torch.uint8)
    expected = whole.towers.image(pixels[:, :, None, None].expand(5, 3, 4, 4)).embed
    torch.testing.assert_close(looks.embed, expected.detach(), rtol=0, atol=1e-6)
    assert watched.engine.module.training
    assert first + watched.run(2, first=2) == alone.run(4)


def test_a_failing_evaluator_leaves_the_model_in_training(engines: ModuleType):
    class Fails(Evaluator):
        def evaluate(self, model: Any) -> Evaluation:
            raise ValueError("no")

    trainer = engines.Trainer(["clip"])
    with pytest.raises(ValueError, match="no"):
        evaluate_engine(trainer.engine, trainer.model, None, {"fails": Fails()})  # type: ignore[arg-type]
    assert trainer.engine.module.training
