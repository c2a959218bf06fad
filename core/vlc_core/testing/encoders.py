"""What every encoder must hold to, as checks that a plugin author calls from a test.

    from vlc_core.testing.encoders import check_image_encoder

    def test_my_encoder() -> None:
        check_image_encoder(MyEncoder(size=32, width=16))

Make the encoder small: each check runs it about thirty times. A broken rule raises AssertionError saying
which.

Shapes: N items, L tokens, W width.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vlc_core.interfaces.encoder import Encoded, Encoder, ImageEncoder, TextEncoder, Vocabulary
from vlc_core.testing.layers import check_layers

Inputs = tuple[Tensor, ...]
ITEMS = 3


def check_image_encoder(encoder: ImageEncoder) -> None:
    """Checks ``encoder`` against the contract of :class:`ImageEncoder`.

    Raises:
        AssertionError: It breaks a rule; the message says which.
    """
    pixels = torch.randn(ITEMS, *encoder.input_shape, generator=seeded())
    assert len(encoder.mean) == len(encoder.std) == 3, "mean and std hold one number for each of three channels"
    assert all(std > 0 for std in encoder.std), "std must be above zero: pixels are divided by it"
    check_any(encoder, (pixels,))


def check_text_encoder(encoder: TextEncoder, vocabulary: Vocabulary) -> None:
    """Checks ``encoder``, built for ``vocabulary``, against the contract of :class:`TextEncoder`.

    Raises:
        AssertionError: It breaks a rule; the message says which.
    """
    longest = min(encoder.context, 7)
    tokens, mask = texts(vocabulary, [longest, max(1, longest - 2), 1])
    check_any(encoder, (tokens, mask))
    _check_padding(encoder, tokens, mask)
    _check_empty_text(encoder, tokens, mask)
    _check_context(encoder, vocabulary)


def texts(vocabulary: Vocabulary, lengths: list[int], *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random token ids with start, end and padding where they belong; (N, L) int64 and (N, L) bool."""
    special = {number for number in vocabulary[1:] if number is not None}
    plain = torch.tensor([number for number in range(vocabulary.size) if number not in special] or [0])
    generator = seeded(seed)
    tokens = torch.full((len(lengths), max(lengths)), vocabulary.pad)
    for row, length in enumerate(lengths):
        tokens[row, :length] = plain[torch.randint(len(plain), (length,), generator=generator)]
        if vocabulary.start is not None and length > 1:
            tokens[row, 0] = vocabulary.start
        if vocabulary.end is not None:
            tokens[row, length - 1] = vocabulary.end
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return tokens, mask


def check_any(encoder: Encoder, inputs: Inputs) -> None:
    """Checks what encoders of every kind must hold to, with ``inputs`` for ``forward`` of ``ITEMS`` items."""
    encoder = copy.deepcopy(encoder).train()
    for _ in range(10):  # until batch statistics, where there are any, are those of the inputs
        _encode(encoder, inputs)
    encoder.eval()
    _check_shapes(encoder, inputs)
    _check_repeatable(encoder, inputs)
    _check_items_apart(encoder, inputs)
    _check_without_tokens(encoder, inputs)
    _check_gradients(encoder, inputs)
    _check_frozen(encoder, inputs)
    check_layers(_shaken(encoder), inputs)
    _check_saving(encoder, inputs)
    _check_autocast(encoder, inputs)


def _check_shapes(encoder: Encoder, inputs: Inputs) -> None:
    out = _encode(encoder, inputs)
    number = inputs[0].shape[0]
    assert isinstance(out, Encoded), "forward returns vlc_core's Encoded"
    assert out.summary.shape == (number, encoder.width), (
        f"summary is {tuple(out.summary.shape)}, not (N, width) = ({number}, {encoder.width})"
    )
    assert out.summary.isfinite().all(), "summary holds a number that is not finite"
    assert not torch.equal(out.summary[0], out.summary[1]), "two different items have the same summary"
    assert (out.mask is None) or (out.tokens is not None), "a mask without tokens"
    assert encoder.gives_tokens or out.tokens is None, "there are tokens, and gives_tokens says that there are none"
    if out.tokens is not None:
        assert out.tokens.ndim == 3, "tokens have three dimensions, (N, L, W)"
        assert out.tokens.shape[::2] == (number, encoder.width), "tokens are (N, L, width)"
    if out.mask is not None and out.tokens is not None:
        assert out.mask.dtype == torch.bool, "mask is bool, true at real tokens"
        assert out.mask.shape == out.tokens.shape[:2], "mask is (N, L), as the tokens are"


def _check_repeatable(encoder: Encoder, inputs: Inputs) -> None:
    buffers = {name: buffer.clone() for name, buffer in encoder.named_buffers()}
    first, second = _encode(encoder, inputs), _encode(encoder, inputs)
    assert torch.equal(first.summary, second.summary), "two passes in eval mode differ"
    for name, buffer in encoder.named_buffers():
        assert torch.equal(buffer, buffers[name]), f"a pass in eval mode changed the buffer {name}"


def _check_items_apart(encoder: Encoder, inputs: Inputs) -> None:
    together = _encode(encoder, inputs).summary
    for item in range(inputs[0].shape[0]):
        alone = _encode(encoder, tuple(x[item : item + 1] for x in inputs)).summary
        assert_close(alone[0], together[item], "an item's summary depends on the others of its batch")


def _check_without_tokens(encoder: Encoder, inputs: Inputs) -> None:
    with_tokens = _encode(encoder, inputs)
    without = copy.deepcopy(encoder)
    without.returns_tokens = False
    summary = _encode(without, inputs).summary
    assert_close(summary, with_tokens.summary, "the summary changes when returns_tokens is False")


@torch.enable_grad()
def _check_gradients(encoder: Encoder, inputs: Inputs) -> None:
    for returns_tokens in (True, False):
        probe = _shaken(encoder).train()
        probe.returns_tokens = returns_tokens
        summary = probe(*inputs).summary
        if not any(parameter.requires_grad for parameter in probe.parameters()):
            continue  # nothing to train, as in an encoder of precomputed vectors
        weights = torch.randn(summary.shape, generator=seeded())
        (summary * weights).sum().backward()
        for name, parameter in probe.named_parameters():
            if not parameter.requires_grad:
                continue
            assert parameter.grad is not None, f"the summary does not depend on the parameter {name}"
            assert parameter.grad.isfinite().all(), f"the gradient of {name} is not finite"
            assert parameter.grad.count_nonzero() > 0, f"no gradient reaches {name}"


@torch.enable_grad()
def _check_frozen(encoder: Encoder, inputs: Inputs) -> None:
    frozen = copy.deepcopy(encoder).requires_grad_(False).train()
    assert not frozen(*inputs).summary.requires_grad, "with every parameter frozen the summary still has a gradient"


def _check_saving(encoder: Encoder, inputs: Inputs) -> None:
    other = _shaken(encoder)
    expected = _encode(encoder, inputs).summary
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "encoder.safetensors"
        save_file(encoder.state_dict(), path)
        other.load_state_dict(load_file(path))
    assert torch.equal(_encode(other, inputs).summary, expected), "weights saved and loaded give another summary"


def _check_autocast(encoder: Encoder, inputs: Inputs) -> None:
    exact = _encode(encoder, inputs).summary
    with torch.autocast("cpu", torch.bfloat16):
        rough = _encode(encoder, inputs).summary
    assert rough.isfinite().all(), "under bf16 autocast the summary is not finite"
    similarity = torch.cosine_similarity(rough.double().flatten(), exact.double().flatten(), dim=0)
    assert similarity > 0.98, f"under bf16 autocast the summary is another (cosine {similarity:.3f})"


def _check_padding(encoder: TextEncoder, tokens: Tensor, mask: Tensor) -> None:
    encoder = copy.deepcopy(encoder).eval()
    for returns_tokens in (True, False):
        encoder.returns_tokens = returns_tokens
        plain = _encode(encoder, (tokens, mask))
        for change in (_other_padding, _more_padding):
            changed_tokens, changed_mask = change(tokens, mask, encoder.context)
            padded = _encode(encoder, (changed_tokens, changed_mask))
            assert_close(padded.summary, plain.summary, "padding changes the summary")
            _check_padded_tokens(plain, padded, mask)


def _check_padded_tokens(plain: Encoded, padded: Encoded, mask: Tensor) -> None:
    if plain.tokens is None or padded.tokens is None:
        return
    assert padded.tokens.isfinite().all(), "tokens hold a number that is not finite at padding"
    if plain.tokens.shape[1] == mask.shape[1]:
        real = padded.tokens[:, : mask.shape[1]][mask]
        assert_close(real, plain.tokens[mask], "padding changes the tokens")


def _other_padding(tokens: Tensor, mask: Tensor, context: int) -> tuple[Tensor, Tensor]:
    return torch.where(mask, tokens, tokens[0, 0]), mask


def _more_padding(tokens: Tensor, mask: Tensor, context: int) -> tuple[Tensor, Tensor]:
    more = max(0, min(4, context - tokens.shape[1]))
    extra = tokens[:, :1].expand(-1, more)
    return torch.cat([tokens, extra], dim=1), torch.cat([mask, torch.zeros_like(extra, dtype=torch.bool)], dim=1)


def _check_empty_text(encoder: TextEncoder, tokens: Tensor, mask: Tensor) -> None:
    encoder = copy.deepcopy(encoder).eval()
    emptied = mask.clone()
    emptied[-1] = False
    for returns_tokens in (True, False):
        encoder.returns_tokens = returns_tokens
        with torch.enable_grad():
            out = encoder(tokens, emptied)
            out.summary.sum().backward()
        assert out.summary.isfinite().all(), "a text without a token makes the summary not finite"
        gradients = [p.grad for p in encoder.parameters() if p.grad is not None]
        assert all(g.isfinite().all() for g in gradients), "a text without a token makes gradients not finite"


def _check_context(encoder: TextEncoder, vocabulary: Vocabulary) -> None:
    encoder = copy.deepcopy(encoder).eval()
    out = _encode(encoder, texts(vocabulary, [encoder.context]))
    assert out.summary.isfinite().all(), "a text as long as the context gives a summary that is not finite"


@torch.no_grad()
def _encode(encoder: Encoder, inputs: Inputs) -> Encoded:
    run: Callable[..., Encoded] = encoder
    return run(*inputs)


@torch.no_grad()
def _shaken(encoder: Encoder) -> Encoder:
    """A copy with noise on every parameter, so that what starts at zero lets gradients through."""
    other = copy.deepcopy(encoder)
    generator = seeded(1)
    for parameter in other.parameters():
        parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    return other


def assert_close(actual: Tensor, expected: Tensor, problem: str) -> None:
    size = expected.abs().max().clamp(min=1e-3)
    difference = ((actual - expected).abs().max() / size).item()
    assert difference < 1e-4, f"{problem}: {difference:.1e} of its largest value"


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
