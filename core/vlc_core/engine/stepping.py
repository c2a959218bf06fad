"""Taking one optimizer step, in one piece or in micro-batches.

A step whose loss or gradient is not finite changes neither weights nor moments, on any rank: what a bad sample or a
number too large for its type does to one step does not cost the run. The host need not wait to know which it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor

from vlc_core.batch import Batch
from vlc_core.engine import zero
from vlc_core.phases import Embedded, Losses, Moment, Phase, Pull
from vlc_core.pretrainer import Pretrainer


@dataclass(frozen=True, slots=True)
class Stepper:
    """Takes steps with a DeepSpeed engine.

    Attributes:
        engine: Wraps the pretrainer.
        model: The pretrainer itself.
        seed: Of the run.
        rank: Of this process; ranks draw different dropout.
        steps: Of the whole run.
        micro_batch_size: Samples whose activations are held at once.
        clip: The greatest norm of the gradient; None for no bound.
        stage: ZeRO's stage. From 1 on DeepSpeed clips and tells the norm; at 0 it tells none, so that is done here.
        steps_per_epoch: In how many steps all the data is seen.
    """

    engine: Any
    model: Pretrainer
    seed: int
    rank: int
    steps: int
    micro_batch_size: int
    clip: float | None
    stage: int
    steps_per_epoch: float

    def __call__(self, batch: Batch, step: int) -> Tensor:
        """Takes step ``step``, counted from zero.

        Args:
            batch: Of this rank, still on the host.
            step: Its number.

        Returns:
            A float64 vector on the device: the terms' sums and counts (2·T), the scale, the gradient's norm. The norm
            is not finite where the step was skipped.
        """
        self.model.statistics.note()
        if len(batch) == self.micro_batch_size:
            totals, scale, norm = self._whole(batch, step)
        else:
            totals, scale, norm = self._in_parts(batch, step)
        self.model.statistics.restore(~torch.isfinite(norm))
        temperature = self.model.towers.temperature
        zero.clamp(temperature.value, temperature.low, temperature.high)
        self.model.advance()
        return torch.cat([totals.flatten(), scale.double().view(1), norm.double().view(1)])

    def _whole(self, batch: Batch, step: int) -> tuple[Tensor, Tensor, Tensor]:
        on_device = batch.to(self.engine.device, non_blocking=True)
        losses: Losses = self.engine(Phase.TRAIN, on_device, self._moment(step, 0))
        self.engine.backward(losses.loss * _sound(losses.totals))
        return losses.totals, losses.scale, self._update()

    def _in_parts(self, batch: Batch, step: int) -> tuple[Tensor, Tensor, Tensor]:
        # Cut on the host, where the lengths of texts can be read without waiting for the device.
        parts = [part.to(self.engine.device, non_blocking=True) for part in batch.split(self.micro_batch_size)]
        batch = replace(batch, pixels=batch.pixels[:, :0]).to(self.engine.device, non_blocking=True)
        moments = [self._moment(step, 1 + number) for number in range(len(parts))]
        embedded: list[Embedded] = [
            self.engine(Phase.EMBED, part, moment) for part, moment in zip(parts, moments, strict=True)
        ]
        whole = (batch, embedded, self._moment(step, 0))
        pull: Pull = self.engine(Phase.CONTRAST, *whole)
        # DeepSpeed divides by the number of parts; here they add up to the gradient of the whole batch.
        weight = len(parts) * _sound(pull.totals)
        for number, (part, moment) in enumerate(zip(parts, moments, strict=True)):
            rows = slice(number * self.micro_batch_size, (number + 1) * self.micro_batch_size)
            # With the first: ZeRO-3 starts its sums there, and would add to last step's where a gradient comes later.
            loss: Tensor = self.engine(Phase.REPLAY, part, rows, pull, moment, None if number else whole)
            self.engine.backward(loss * weight)
            norm = self._update()
        return pull.totals, pull.scale, norm

    def _update(self) -> Tensor:
        """The optimizer's step after the last micro-batch, which DeepSpeed counts; gives the gradient's norm."""
        if self.stage > 0 or not self.engine.is_gradient_accumulation_boundary():
            self.engine.step()
            known = self.engine.get_global_grad_norm()  # None or 0.0 before the first update
            return torch.as_tensor(0.0 if known is None else known, device=self.engine.device)
        trained = [p for p in self.model.parameters() if p.requires_grad]
        for parameter in trained:
            if parameter.grad is None:  # as ZeRO has it: what had no part in a loss decays like the rest
                parameter.grad = torch.zeros_like(parameter)
        norm = torch.nn.utils.get_total_norm([p.grad for p in trained if p.grad is not None])
        zero.skip(self.engine, ~torch.isfinite(norm))
        if self.clip is not None:
            torch.nn.utils.clip_grads_with_norm_(trained, self.clip, norm)
        self.engine.step()
        return norm

    def _moment(self, step: int, part: int) -> Moment:
        key = f"{self.seed} {step} {self.rank} {part}".encode()
        draw = int.from_bytes(blake2b(key, digest_size=8).digest(), "little") >> 1
        return Moment(step / self.steps, draw, step / self.steps_per_epoch)


def _sound(totals: Tensor) -> Tensor:
    """1, or NaN where a term is not finite: times it, a loss that is not finite has a gradient that is not either."""
    return 1 + 0 * totals.sum(dtype=torch.float32)
