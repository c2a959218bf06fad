"""The two transformers: against naive references, and what they leave out to be fast."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from vlc_core.errors import RecipeError
from vlc_core.interfaces.encoder import Vocabulary
from vlc_core.testing.encoders import texts
from vlc_plugin_encoders.rows import pack
from vlc_plugin_encoders.text_transformer import TextTransformer
from vlc_plugin_encoders.transformer import heads_for
from vlc_plugin_encoders.vit import VisionTransformer, patches

VOCABULARY = Vocabulary(40, pad=0, start=1, end=2, mask=3, unknown=4)


def naive_block(block: Any, x_LW: Tensor, *, causal: bool) -> Tensor:
    """One item without padding through a block, head by head and query by query."""
    attention = block.attention
    length, width = x_LW.shape
    size = width // attention.heads
    qkv = block.attention_norm(x_LW) @ attention.qkv_weight.T + attention.qkv_bias
    q, k, v = qkv.split(width, dim=1)
    mixed = torch.zeros_like(x_LW)
    for head in range(attention.heads):
        part = slice(head * size, (head + 1) * size)
        for query in range(length):
            seen = slice(0, query + 1 if causal else length)
            logits = (k[seen, part] @ q[query, part]) / size**0.5
            weights = torch.exp(logits - logits.max())
            mixed[query, part] = (weights / weights.sum()) @ v[seen, part]
    x_LW = x_LW + attention.out(mixed)
    hidden = block.mlp.up(block.mlp_norm(x_LW))
    hidden = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
    out: Tensor = x_LW + block.mlp.down(hidden)
    return out


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("pool", ["end", "mean"])
@pytest.mark.parametrize("returns_tokens", [True, False])
@torch.no_grad()
def test_text_against_the_naive_loop(causal: bool, pool: Any, returns_tokens: bool) -> None:
    torch.manual_seed(0)
    tower = TextTransformer(VOCABULARY, width=12, depth=2, heads=3, context=9, causal=causal, pool=pool)
    tower = tower.double().eval()
    tower.returns_tokens = returns_tokens
    lengths = [9, 3, 6, 1]
    tokens, mask = texts(VOCABULARY, lengths)
    out = tower(tokens, mask)
    for row, length in enumerate(lengths):
        x_LW = tower.token_embed.weight[tokens[row, :length]] + tower.positions[:length]
        for block in tower.blocks:
            x_LW = naive_block(block, x_LW, causal=causal)
        x_LW = tower.norm(x_LW)
        expected = x_LW[-1] if pool == "end" else x_LW.mean(dim=0)
        torch.testing.assert_close(out.summary[row], expected)
        if out.tokens is not None:
            torch.testing.assert_close(out.tokens[row, :length], x_LW)
            assert not out.tokens[row, length:].any()


@pytest.mark.parametrize("pool", ["token", "mean"])
@torch.no_grad()
def test_image_against_the_naive_loop(pool: Any) -> None:
    torch.manual_seed(0)
    tower = VisionTransformer(size=9, patch=3, width=8, depth=2, heads=2, pool=pool).double().eval()
    pixels = torch.randn(2, 3, 9, 9, dtype=torch.float64)
    out = tower(pixels)
    kernel = tower.patch_embed.weight.view(8, 3, 3, 3)
    for item in range(2):
        grid = torch.nn.functional.conv2d(pixels[item], kernel, tower.patch_embed.bias, stride=3)
        x_LW = grid.flatten(1).T
        if tower.summary_token is not None:
            x_LW = torch.cat([tower.summary_token[None], x_LW])
        x_LW = x_LW + tower.positions
        for block in tower.blocks:
            x_LW = naive_block(block, x_LW, causal=False)
        x_LW = tower.norm(x_LW)
        torch.testing.assert_close(out.tokens[item], x_LW)
        torch.testing.assert_close(out.summary[item], x_LW[0] if pool == "token" else x_LW.mean(dim=0))


def gradients(tower: torch.nn.Module, encode: Callable[[], Tensor]) -> list[Tensor]:
    tower.zero_grad()
    torch.manual_seed(3)
    encode().pow(3).sum().backward()
    return [p.grad for p in tower.parameters() if p.grad is not None]


def test_packed_rows_give_the_gradients_of_padded_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    tower = TextTransformer(VOCABULARY, width=12, depth=3, context=20, causal=False).double()
    tower.returns_tokens = False
    tokens, mask = texts(VOCABULARY, [20, 3, 5, 4])
    assert pack(mask).places is not None
    packed = gradients(tower, lambda: tower(tokens, mask).summary)
    monkeypatch.setattr("vlc_plugin_encoders.text_transformer.pack", lambda mask: pack(mask, worth=0.0))
    padded = gradients(tower, lambda: tower(tokens, mask).summary)
    for a, b in zip(packed, padded, strict=True):
        torch.testing.assert_close(a, b)


def test_a_batch_without_padding_is_not_packed_and_not_masked() -> None:
    rows = pack(torch.ones(3, 4, dtype=torch.bool))
    assert rows.places is None
    assert rows.mask is None


def test_recompute_keeps_less_and_gives_the_same_gradients() -> None:
    pixels = torch.randn(4, 3, 32, 32)
    kept: dict[bool, int] = {}
    found: dict[bool, list[Tensor]] = {}
    for recompute in (False, True):
        torch.manual_seed(0)
        tower = VisionTransformer(size=32, patch=4, width=16, depth=4, dropout=0.2, recompute=recompute)
        found[recompute] = gradients(tower, lambda tower=tower: tower(pixels).summary)  # type: ignore[misc]
        sizes: list[int] = []

        def keep(x: Tensor, sizes: list[int] = sizes) -> Tensor:
            sizes.append(x.numel())
            return x

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
            tower(pixels)
        kept[recompute] = sum(sizes)
    assert kept[True] < kept[False] / 3
    for a, b in zip(found[True], found[False], strict=True):
        torch.testing.assert_close(a, b)


def test_patch_dropout_leaves_out_patches_in_training_only() -> None:
    tower = VisionTransformer(size=16, patch=4, width=8, depth=1, patch_dropout=0.75)
    pixels = torch.randn(2, 3, 16, 16)
    assert tower(pixels).tokens.shape[1] == 1 + 4
    assert tower.eval()(pixels).tokens.shape[1] == 1 + 16


def test_without_dropout_training_and_evaluation_agree() -> None:
    tower = VisionTransformer(size=8, patch=4, width=8, depth=2)
    pixels = torch.randn(2, 3, 8, 8)
    assert torch.equal(tower.train()(pixels).summary, tower.eval()(pixels).summary)


def test_patches_are_a_convolutions() -> None:
    pixels = torch.randn(2, 3, 6, 6)
    unfolded = torch.nn.functional.unfold(pixels, kernel_size=2, stride=2).transpose(1, 2)
    assert torch.equal(patches(pixels, 2), unfolded)


@pytest.mark.parametrize(("width", "heads"), [(768, 12), (192, 3), (128, 4), (64, 2), (8, 1), (100, 2)])
def test_default_heads(width: int, heads: int) -> None:
    assert heads_for(width, None) == heads


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: VisionTransformer(size=30, patch=8), "not a multiple of the patch size 8; choose a size of 32"),
        (lambda: VisionTransformer(width=10, heads=3), "not divisible by 3 heads"),
        (lambda: TextTransformer(VOCABULARY, width=10, heads=4), "not divisible by 4 heads"),
        (lambda: TextTransformer(VOCABULARY, pool="first"), "set pool: end or causal: false"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        make()


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(RecipeError, match="built for 8 pixels a side"):
        VisionTransformer(size=8, patch=4, width=8, depth=1)(torch.randn(1, 3, 12, 12))


ZERO = """
import json, sys, warnings
warnings.simplefilter("ignore")
import deepspeed, torch
deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
from vlc_core.interfaces.encoder import Vocabulary
from vlc_core.testing.encoders import texts
from vlc_plugin_encoders.text_transformer import TextTransformer
from vlc_plugin_encoders.vit import VisionTransformer

class Both(torch.nn.Module):
    def __init__(self, recompute):
        super().__init__()
        self.image = VisionTransformer(size=16, patch=4, width=32, depth=3, recompute=recompute)
        self.text = TextTransformer(Vocabulary(40, 0, 1, 2), width=32, depth=3, context=12, recompute=recompute)
        self.image.returns_tokens = self.text.returns_tokens = False
    def forward(self, pixels, tokens, mask):
        return (self.image(pixels).summary ** 3 * 0.01 + self.text(tokens, mask).summary ** 3 * 0.01).sum()

losses = []
for stage, recompute in ((0, False), (3, False), (3, True)):
    torch.manual_seed(0)
    engine, *_ = deepspeed.initialize(model=(model := Both(recompute)), model_parameters=model.parameters(), config={
        "train_micro_batch_size_per_gpu": 4, "zero_optimization": {"stage": stage},
        "optimizer": {"type": "AdamW", "params": {"lr": 1e-2, "torch_adam": True}}})
    torch.manual_seed(1)
    batch = (torch.randn(4, 3, 16, 16), *texts(Vocabulary(40, 0, 1, 2), [7, 5, 3, 9]))
    run = []
    for step in range(3):
        loss = engine(*batch); engine.backward(loss); engine.step(); run.append(loss.item())
    losses.append(run)
print("RESULT " + json.dumps(losses))
"""


def test_both_towers_train_the_same_under_zero_3() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, "-c", ZERO]
    child = subprocess.run(command, env=os.environ | alone, capture_output=True, text=True, timeout=240)
    assert child.returncode == 0, child.stderr[-2000:]
    line = next(line for line in child.stdout.splitlines() if line.startswith("RESULT "))
    plain, partitioned, recomputed = json.loads(line.removeprefix("RESULT "))
    assert plain[0] != plain[2]
    assert partitioned == pytest.approx(plain, rel=1e-4)
    assert recomputed == pytest.approx(plain, rel=1e-4)
