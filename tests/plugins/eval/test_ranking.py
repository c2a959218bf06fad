from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from vlc_plugin_eval.ranking import best_ranks, chance_recall


def reference(image_ND: Tensor, text_MD: Tensor, pairs_P2: Tensor) -> tuple[list[int], list[int]]:
    """Each query by itself in float64; as near as the best relevant item counts as before it."""
    similarity = image_ND.double() @ text_MD.double().T
    relevant = torch.zeros_like(similarity, dtype=torch.bool)
    relevant[pairs_P2[:, 0], pairs_P2[:, 1]] = True

    def rank(row: Tensor, mine: Tensor) -> int:
        best = max(float(s) for s, m in zip(row, mine, strict=True) if m)
        return 1 + sum(float(s) >= best - 1e-9 for s, m in zip(row, mine, strict=True) if not m)

    of_text = [rank(row, mine) for row, mine in zip(similarity, relevant, strict=True)]
    of_image = [rank(row, mine) for row, mine in zip(similarity.T, relevant.T, strict=True)]
    return of_text, of_image


@pytest.fixture
def tied() -> tuple[Tensor, Tensor, Tensor]:
    """23 images and 61 texts on few directions (so that exact ties abound), one to five texts an image."""
    generator = torch.Generator().manual_seed(3)
    directions = F.normalize(torch.randn(9, 6, generator=generator), dim=1)
    image_ND = directions[torch.randint(0, 9, (23,), generator=generator)]
    text_MD = directions[torch.randint(0, 9, (61,), generator=generator)]
    pairs = {(i % 23, i) for i in range(61)}
    pairs |= {(int(i), int(t)) for i, t in torch.randint(0, 23, (30, 2), generator=generator)}
    shuffled = torch.tensor(sorted(pairs))[torch.randperm(len(pairs), generator=generator)]
    return image_ND, text_MD, shuffled


@pytest.mark.parametrize(("rows", "columns"), [(1024, 4096), (1, 1), (5, 7), (23, 60), (22, 61)])
def test_ranks_with_ties_are_those_of_a_loop(tied: tuple[Tensor, Tensor, Tensor], rows: int, columns: int) -> None:
    got = best_ranks(*tied, rows=rows, columns=columns)
    assert (got.of_text.tolist(), got.of_image.tolist()) == reference(*tied)


def test_ranks_without_ties_are_those_of_a_loop() -> None:
    generator = torch.Generator().manual_seed(4)
    image_ND = F.normalize(torch.randn(40, 16, generator=generator), dim=1)
    text_MD = F.normalize(torch.randn(40, 16, generator=generator), dim=1)
    pairs = torch.stack([torch.arange(40)] * 2, dim=1)
    got = best_ranks(image_ND, text_MD, pairs, rows=16, columns=9)
    assert (got.of_text.tolist(), got.of_image.tolist()) == reference(image_ND, text_MD, pairs)
    assert len(set(got.of_text.tolist())) > 10


@pytest.mark.parametrize("width", [3, 64, 515])
def test_a_collapsed_model_ranks_everything_last(width: int) -> None:
    direction = F.normalize(torch.randn(1, width, generator=torch.Generator().manual_seed(1)), dim=1)
    pairs = torch.stack([torch.arange(50)] * 2, dim=1)
    got = best_ranks(direction.expand(50, -1), direction.expand(50, -1), pairs, rows=7, columns=13)
    assert got.of_text.tolist() == got.of_image.tolist() == [50] * 50


def test_no_block_exceeds_its_size(tied: tuple[Tensor, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    matmul = torch.Tensor.__matmul__

    def watched(a: Tensor, b: Tensor) -> Tensor:
        seen.append(a.shape[0] * b.shape[1])
        return matmul(a, b)

    monkeypatch.setattr(torch.Tensor, "__matmul__", watched)
    best_ranks(*tied, rows=5, columns=10)
    assert max(seen) == 50
    assert sum(seen) == 23 * 61


def test_chance_is_the_share_over_all_orders() -> None:
    for relevant, k in itertools.product((1, 2, 4), (1, 2, 5, 9)):
        orders = list(itertools.permutations(range(5)))
        share = sum(min(order.index(r) for r in range(relevant)) < k for order in orders) / len(orders)
        assert chance_recall(torch.tensor([relevant]), 5, k) == pytest.approx(share, abs=1e-12)
    assert chance_recall(torch.tensor([1, 3]), 10, 1) == pytest.approx(0.2)
