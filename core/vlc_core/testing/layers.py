"""Whether what an encoder says of its layers is so: the first blocks can be frozen, and nothing else is."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from vlc_core.interfaces.encoder import Encoder
from vlc_core.model.depth import freeze, scales_of
from vlc_core.model.towers import Tower


@torch.enable_grad()
def check_layers(encoder: Encoder, inputs: tuple[Tensor, ...]) -> None:
    """Freezes one, half and all of the blocks that ``layer_names`` gives, and looks what still learns.

    Raises:
        AssertionError: The order is another, or something is frozen that should not be, or the other way round.
        ValueError: The names are wrong.
    """
    blocks = len(encoder.layer_names()) - 1
    for number in sorted({1, blocks // 2, blocks} & set(range(1, blocks + 1))):
        tower = Tower(copy.deepcopy(encoder), encoder.width, nn.Identity())
        freeze(tower, number)
        _check_frozen(tower.train(), encoder, inputs, number)


def _check_frozen(tower: Tower, encoder: Encoder, inputs: tuple[Tensor, ...], number: int) -> None:
    before = {name: buffer.clone() for name, buffer in tower.encoder.named_buffers()}
    for module in tower.resting:
        module.register_forward_hook(_leaves_no_graph)
    summary = tower.encoder(*inputs).summary
    if summary.requires_grad:
        (summary * torch.randn(summary.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    blocks = len(encoder.layer_names()) - 1
    depth, fed = scales_of(encoder, 0.5), dict(tower.encoder.named_parameters())
    for name, parameter in encoder.named_parameters():
        # The scale halves with each step towards the input, so that it tells the block.
        expected = parameter.requires_grad and depth[name] > 0.5 ** (blocks + 1 - number)
        assert (fed[name].grad is not None) == expected, (
            f"with {number} blocks frozen {name} {'is not' if expected else 'is'} reached by a gradient"
        )
    assert not any(part.training for module in tower.resting for part in module.modules()), "a frozen layer trains"
    resting = {id(buffer) for module in tower.resting for buffer in module.buffers()}
    for name, buffer in tower.encoder.named_buffers():
        assert id(buffer) not in resting or torch.equal(buffer, before[name]), f"the frozen buffer {name} moves"


def _leaves_no_graph(module: nn.Module, inputs: object, out: object) -> None:
    found = [x for x in (out if isinstance(out, tuple) else (out,)) if isinstance(x, Tensor)]
    name = type(module).__name__
    assert not any(x.requires_grad for x in found), f"layer_names puts {name} before a layer that it comes after"
