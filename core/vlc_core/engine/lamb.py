"""LAMB: Adam whose step for each layer is as long as the layer's weights ask for (You et al. 2020, arXiv 1904.00962).

Shapes: P parameters of a group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor

from vlc_core.distributed import all_sum


@final
class Lamb(torch.optim.Optimizer):
    """Algorithm 2 of the paper, with φ(z) = z, corrected bias and decoupled decay inside the adapted step.

    With Adam's corrected moments m and v, and λ the decay,

        r = m / (√v + ε) + λ·x,    x ← x − rate · ‖x‖/‖r‖ · r,

    for every tensor by itself; the factor is 1 where either norm is 0. A group that says ``adapts: False`` always has
    the factor 1, which makes it Adam's: biases, gains and the temperature start at 0 or 1, and their size says nothing
    about how far they should go.

    Moments are called as torch's Adam calls them, ``exp_avg`` and ``exp_avg_sq``, beside ``step``, (), of each
    parameter. A step needs room for one more copy of the largest group.

    Under ZeRO the tensors are flat ones that hold a rank's pieces of many parameters. :meth:`take_pieces` says which
    are whose; a norm is then one of all ranks' pieces, for which a step exchanges 2·P numbers a group.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
    ) -> None:
        """Takes parameter groups, which may overrule the rest.

        Args:
            groups: As of every torch optimizer; ``adapts`` says whether layers have steps of their own length.
            lr: The rate.
            betas: Decay rates of the two moments.
            eps: ε.
            weight_decay: λ.
        """
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "adapts": True}
        super().__init__(groups, defaults)
        self._pieces: Mapping[Tensor, Sequence[slice]] | None = None

    def take_pieces(self, pieces: Mapping[Tensor, Sequence[slice]]) -> None:
        """Learns where in each flat tensor this rank's pieces of parameters are.

        Args:
            pieces: For each flat tensor the piece of each parameter, in the same order on every rank, of length 0 where
                the rank has none.
        """
        self._pieces = pieces

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Takes one step with the gradients that there are."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        found_inf = getattr(self, "found_inf", None)  # as torch's fused optimizers are told of it
        if found_inf is not None and bool(found_inf):
            return loss
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                self._step(group, parameters)
        return loss

    def _step(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        updates = self._adams(group, parameters)
        if group["weight_decay"] != 0.0:
            torch._foreach_add_(updates, parameters, alpha=group["weight_decay"])
        if group["adapts"]:
            self._adapt(parameters, updates)
        torch._foreach_add_(parameters, updates, alpha=-group["lr"])

    def _adapt(self, parameters: list[Tensor], updates: list[Tensor]) -> None:
        """Multiplies updates by their trust ratios."""
        if self._pieces is None:
            torch._foreach_mul_(updates, list(trust_ratios(*map(norms, (parameters, updates))).unbind()))
            return
        places = [self._pieces[flat] for flat in parameters]
        cut = [
            [flat[place] for flat, own in zip(flats, places, strict=True) for place in own]
            for flats in (parameters, updates)
        ]
        whole_2P = all_sum(torch.stack([norms(parts).square() for parts in cut])).sqrt()
        torch._foreach_mul_(cut[1], list(trust_ratios(*whole_2P).unbind()))

    def _adams(self, group: dict[str, Any], parameters: list[Tensor]) -> list[Tensor]:
        """m / (√v + ε) after the moments have taken in the gradients."""
        states = [self._state(p) for p in parameters]
        means, squares, steps = ([s[key] for s in states] for key in ("exp_avg", "exp_avg_sq", "step"))
        gradients: list[Tensor] = [p.grad for p in parameters if p.grad is not None]
        beta1, beta2 = group["betas"]
        torch._foreach_add_(steps, 1.0)
        torch._foreach_lerp_(means, gradients, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, gradients, gradients, value=1 - beta2)
        roots = list(torch._foreach_sqrt(torch._foreach_div(squares, corrections(beta2, steps))))
        torch._foreach_add_(roots, group["eps"])
        updates = list(torch._foreach_div(means, corrections(beta1, steps)))
        torch._foreach_div_(updates, roots)
        return updates

    def _state(self, parameter: Tensor) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        return state


def corrections(beta: float, steps: list[Tensor]) -> list[Tensor]:
    """1 − βᵗ for each count of steps t: how much of a mean that began at 0 is there."""
    # In float64: of 1 − 0.999 float32 keeps four digits.
    decayed = list(torch._foreach_pow(beta, [step.double() for step in steps]))
    torch._foreach_neg_(decayed)
    torch._foreach_add_(decayed, 1.0)
    return decayed


def norms(tensors: list[Tensor]) -> Tensor:
    """The Euclidean norm of each, (P,)."""
    return torch.stack(torch._foreach_norm(tensors))


def trust_ratios(weights_P: Tensor, steps_P: Tensor) -> Tensor:
    """‖x‖/‖r‖ of each parameter, (P,); 1 where either is 0."""
    return torch.where((weights_P > 0) & (steps_P > 0), weights_P / steps_P, torch.ones_like(weights_P))
