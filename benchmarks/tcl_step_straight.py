"""TCL's step taken straightforwardly, written from the method's description; the weights are those of our model.

What is wasteful here is what such code commonly does: attention is written out, texts are padded to the longest, each
variant of a text takes a pass of its own, queues are concatenated with the batch and targets are matrices, local
negatives are repeated for every positive, matching takes three passes, and words are told at every place.

Shapes: B samples, L tokens or local features, W width, D embedding width, K queued features, V vocabulary.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vlc_core.batch import Batch
from vlc_core.masking import Masked
from vlc_core.model.twins import Twins
from vlc_core.pretrainer import Pretrainer

FAR = -10_000.0


class Drawn(NamedTuple):
    """Hard negatives that were drawn already: of each image a text, of each text an image, (B,) each."""

    text: Tensor
    image: Tensor


class Read(NamedTuple):
    """Tokens (B, L, W) of one side and its embedding (B, D)."""

    tokens: Tensor
    embed: Tensor


def layer(module: nn.Module, x: Tensor) -> Tensor:
    return F.linear(x, module.weight, module.bias)  # type: ignore[arg-type]


def attention(q_BLW: Tensor, k_BMW: Tensor, v_BMW: Tensor, heads: int, mask_BM: Tensor | None) -> Tensor:
    q, k, v = (x.unflatten(2, (heads, -1)).transpose(1, 2) for x in (q_BLW, k_BMW, v_BMW))
    scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
    if mask_BM is not None:
        scores = scores + (1.0 - mask_BM[:, None, None].float()) * FAR
    return (scores.softmax(dim=-1) @ v).transpose(1, 2).flatten(2)


def self_attention(block: Any, x_BLW: Tensor, mask_BL: Tensor | None) -> Tensor:
    own = block.attention
    q, k, v = F.linear(block.attention_norm(x_BLW), own.qkv_weight, own.qkv_bias).chunk(3, dim=2)
    return x_BLW + layer(own.out, attention(q, k, v, own.heads, mask_BL))


def mlp(block: Any, x_BLW: Tensor) -> Tensor:
    return x_BLW + layer(block.mlp.down, F.gelu(layer(block.mlp.up, block.mlp_norm(x_BLW))))


def see(tower: Any, pixels: Tensor) -> Read:
    """The image tower."""
    encoder = tower.encoder
    kernel = encoder.patch_embed.weight.view(encoder.width, 3, encoder.patch, encoder.patch)
    x = F.conv2d(pixels, kernel, encoder.patch_embed.bias, stride=encoder.patch).flatten(2).transpose(1, 2)
    x = torch.cat([encoder.summary_token.expand(len(x), 1, -1), x], dim=1) + encoder.positions
    for block in encoder.blocks:
        x = mlp(block, self_attention(block, x, None))
    x = encoder.norm(x)
    return Read(x, F.normalize(tower.head(x[:, 0]), dim=-1))


def read(tower: Any, tokens_BL: Tensor, mask_BL: Tensor) -> Read:
    """The text tower."""
    encoder = tower.encoder
    x = F.embedding(tokens_BL, encoder.token_embed.weight) + encoder.positions[: tokens_BL.shape[1]]
    for block in encoder.blocks:
        x = mlp(block, self_attention(block, x, mask_BL))
    x = encoder.norm(x)
    return Read(x, F.normalize(tower.head(x[:, 0]), dim=-1))


def fuse(fusion: Any, text_BLW: Tensor, mask_BL: Tensor, image_BPW: Tensor) -> Tensor:
    """The fusion encoder's tokens."""
    x = text_BLW
    for block in fusion.blocks:
        x = self_attention(block, x, mask_BL)
        key, value = layer(block.key_value, image_BPW).chunk(2, dim=2)
        seen = attention(layer(block.query, block.cross_norm(x)), key, value, block.heads, None)
        x = mlp(block, x + layer(block.cross_out, seen))
    out: Tensor = fusion.norm(x)
    return out


def cma_imc(
    image: Tensor, text: Tensor, image_m: Tensor, text_m: Tensor, image_queue: Tensor, text_queue: Tensor,
    temperature: Tensor, alpha: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Both losses, each the mean of its two terms; queues (K, D)."""
    image_all = torch.cat([image_m.t(), image_queue.t().clone()], dim=1)
    text_all = torch.cat([text_m.t(), text_queue.t().clone()], dim=1)
    with torch.no_grad():
        hard = torch.zeros(len(image), image_all.shape[1])
        hard.fill_diagonal_(1)
        soft_i2t = alpha * (image_m @ text_all / temperature).softmax(dim=1) + (1 - alpha) * hard
        soft_t2i = alpha * (text_m @ image_all / temperature).softmax(dim=1) + (1 - alpha) * hard
    pairs = ((image, text_all, soft_i2t), (text, image_all, soft_t2i), (image, image_all, hard), (text, text_all, hard))
    each = [-((a @ keys / temperature).log_softmax(dim=1) * target).sum(dim=1).mean() for a, keys, target in pairs]
    return (each[0] + each[1]) / 2, (each[2] + each[3]) / 2


def lmi(summary: Tensor, local: Tensor, mask: Tensor, temperature: Tensor) -> Tensor:
    """Every local feature as a positive of its own beside the B·L candidates: B·L × (1 + B·L) logits."""
    number, length, width = local.shape
    positive = (local @ summary.unsqueeze(2)).unsqueeze(2) / temperature
    every = summary @ local.reshape(-1, width).t() / temperature
    negative = every.reshape(number, 1, number, length)
    kept = mask[None, None] & ~torch.eye(number, dtype=torch.bool)[:, None, :, None]
    negative = torch.where(kept, negative, FAR).reshape(number, 1, -1, 1).expand(-1, length, -1, -1)
    logits = torch.cat([positive, negative], dim=2)
    losses = -logits.log_softmax(dim=2)[:, :, 0, 0]
    return ((losses * mask).sum(dim=1) / mask.sum(dim=1)).mean()


def places(tower: Any, tokens: Tensor, pool: int | None) -> Tensor:
    """Local features: of the tokens but the first, of images averaged to a grid."""
    local = F.normalize(tower.head(tokens[:, 1:]), dim=-1)
    if pool is None:
        return local
    side = round(local.shape[1] ** 0.5)
    grid = local.transpose(1, 2).unflatten(2, (side, side))
    return F.adaptive_avg_pool2d(grid, pool).flatten(2).transpose(1, 2)


def words(head: Any, tokens: Tensor) -> Tensor:
    """Logits over the vocabulary at every place."""
    return layer(head.words, head.norm(F.gelu(layer(head.layer, tokens))))


def draw(sim_BB: Tensor) -> Tensor:
    """A hard negative for each row, one after the other."""
    weights = sim_BB.softmax(dim=1).fill_diagonal_(0)
    return torch.stack([torch.multinomial(row, 1)[0] for row in weights])


def loss(made: Pretrainer, twins: Twins, batch: Batch, masked: Masked, alpha: float, drawn: Drawn | None) -> Tensor:
    """The whole loss of a batch, without the optimizer's step."""
    towers, objectives, mask = made.towers, made.objectives, batch.mask
    slow: Any = [twin.copied for twin in (twins.image, twins.text, twins.fusion) if twin is not None]
    temperature = 1 / towers.temperature()
    image, text = see(towers.image, batch.pixels[0]), read(towers.text, batch.tokens, mask)
    with torch.no_grad():
        image_m, text_m = see(slow[0], batch.pixels[1]), read(slow[1], batch.tokens, mask)
        local_i, local_t = places(slow[0], image_m.tokens, 4), places(slow[1], text_m.tokens, None)
    queues = twins.image_queue.features, twins.text_queue.features
    cma, imc = cma_imc(image.embed, text.embed, image_m.embed, text_m.embed, *queues, temperature, alpha)
    local = lmi(image.embed, local_i, torch.ones(local_i.shape[:2], dtype=torch.bool), temperature)
    local = (local + lmi(text.embed, local_t, mask[:, 1:], temperature)) / 2
    sim = (image.embed @ text.embed.t() / temperature).detach()
    chosen = Drawn(draw(sim), draw(sim.t())) if drawn is None else drawn
    calls = [
        fuse(towers.fusion, text.tokens, mask, image.tokens),
        fuse(towers.fusion, text.tokens[chosen.text], mask[chosen.text], image.tokens),
        fuse(towers.fusion, text.tokens, mask, image.tokens[chosen.image]),
    ]
    itm_head: Any = objectives["itm"]
    logits = torch.cat([layer(itm_head.head, tokens[:, 0]) for tokens in calls])
    match = F.cross_entropy(logits, torch.arange(3).eq(0).long().repeat_interleave(len(batch)))
    hidden = read(towers.text, masked.ids, mask)
    told: Any = objectives["mlm"]
    said = words(told.head, fuse(towers.fusion, hidden.tokens, mask, image.tokens))
    with torch.no_grad():
        hidden_m = read(slow[1], masked.ids, mask)
        soft = words(told.twin.copied, fuse(slow[2], hidden_m.tokens, mask, image_m.tokens)).softmax(dim=-1)
    hard = F.cross_entropy(said.flatten(0, 1), masked.labels.flatten())
    other = -(said.log_softmax(dim=-1) * soft).sum(dim=-1)[masked.labels != -100].mean()
    aligned = (cma + imc + local) / 3
    return aligned + match + (1 - alpha) * hard + alpha * other


@torch.no_grad()
def follow(made: Pretrainer, momentum: float) -> None:
    """The twins' step, parameter by parameter, with storage of its own for each."""
    for twin in made._followers:
        for slow, fast in zip(twin.copied.parameters(), twin._followed[0].parameters(), strict=True):
            slow.data = slow.data * momentum + fast.data * (1.0 - momentum)
