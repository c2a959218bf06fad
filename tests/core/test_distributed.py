"""What ranks exchange, its gradients, and how much of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from vlc_core import distributed
from vlc_core.contrast import pair_losses
from vlc_core.errors import RankLost
from vlc_core.testing.ranks import run_on_ranks


def rows_of(rank: int) -> Tensor:
    """rank + 1 rows that tell where they come from."""
    return torch.arange(2.0 * (rank + 1)).reshape(-1, 2) + 10 * rank


def exchange(rank: int, world: int) -> dict[str, Any]:
    x = rows_of(rank).requires_grad_()
    gathered = distributed.gather(x)
    weights = torch.arange(float(gathered.shape[0]))[:, None] * (rank + 1)
    (gathered * weights).sum().backward()
    y = torch.tensor([1.0 + rank], requires_grad=True)
    total = distributed.all_sum(y)
    (total * (rank + 1)).sum().backward()
    return {
        "gathered": gathered.detach(),
        "gradient": x.grad,
        "labels": distributed.gather(torch.full((2,), rank)),
        "half": distributed.gather(rows_of(rank).bfloat16()),
        "counts": distributed.row_counts(x),
        "first": distributed.first_row(distributed.row_counts(x)),
        "sum": total.detach(),
        "sum gradient": y.grad,
        "max": distributed.all_max(torch.tensor([float(rank), -float(rank)])),
        "objects": distributed.gather_objects({"rank": rank}),
        "broadcast": distributed.broadcast_object(f"from {rank}", source=world - 1),
        "place": [distributed.rank(), distributed.world()],
    }


@pytest.fixture(scope="module")
def three() -> list[dict[str, Any]]:
    return run_on_ranks(exchange, 3)


def test_rows_are_gathered_in_the_order_of_ranks(three: list[dict[str, Any]]) -> None:
    expected = torch.cat([rows_of(rank) for rank in range(3)])
    for rank, found in enumerate(three):
        assert torch.equal(found["gathered"], expected)
        assert torch.equal(found["half"], expected.bfloat16())
        assert found["labels"].tolist() == [0, 0, 1, 1, 2, 2]
        assert found["counts"] == [1, 2, 3]
        assert found["first"] == [0, 1, 3][rank]
        assert found["place"] == [rank, 3]


def test_the_gradient_of_gathered_rows_comes_home_summed(three: list[dict[str, Any]]) -> None:
    gradients = torch.cat([found["gradient"] for found in three])
    assert torch.equal(gradients, torch.arange(6.0)[:, None].expand(6, 2) * (1 + 2 + 3))


def test_sums_maxima_and_objects(three: list[dict[str, Any]]) -> None:
    for found in three:
        assert found["sum"].item() == 1 + 2 + 3
        assert found["sum gradient"].item() == 1 + 2 + 3
        assert found["max"].tolist() == [2.0, 0.0]
        assert found["objects"] == [{"rank": 0}, {"rank": 1}, {"rank": 2}]
        assert found["broadcast"] == "from 2"


def test_alone_everything_is_the_identity() -> None:
    x = torch.arange(6.0).reshape(3, 2).requires_grad_()
    assert distributed.gather(x) is x
    assert distributed.all_sum(x) is x
    assert distributed.all_max(x) is x
    assert distributed.gather_objects("a") == ["a"]
    assert distributed.broadcast_object("a") == "a"
    assert distributed.row_counts(x) == [3]
    assert distributed.first_row([3]) == 0
    assert (distributed.rank(), distributed.world()) == (0, 1)


def fail_on_one(rank: int, world: int) -> None:
    if rank == 1:
        raise ValueError("on purpose")
    dist.barrier()


def test_a_rank_that_raises_ends_the_others() -> None:
    with pytest.raises(RankLost, match=r"rank 1 raised[\s\S]*on purpose"):
        run_on_ranks(fail_on_one, 2, timeout=60.0)


class Counter:
    """Counts what this rank hands to each collective, in bytes."""

    def __init__(self) -> None:
        self.sent: dict[str, int] = {}
        for name in ("all_gather_single", "all_gather_into_tensor", "reduce_scatter_single", "reduce_scatter_tensor"):
            self._wrap(name, position=1)
        self._wrap("all_reduce", position=0)

    def _wrap(self, name: str, position: int) -> None:
        original = getattr(dist, name, None)
        if original is None:
            return

        def counted(*arguments: Any, **options: Any) -> Any:
            tensor = arguments[position]
            short = name.split("_")[1] if name != "all_reduce" else "reduce"
            short = "scatter" if name.startswith("reduce_scatter") else short
            self.sent[short] = self.sent.get(short, 0) + tensor.numel() * tensor.element_size()
            return original(*arguments, **options)

        setattr(dist, name, counted)


def count_bytes(rank: int, world: int, rows: int, width: int) -> dict[str, int]:
    counter = Counter()
    left, right = (torch.randn(rows, width).requires_grad_() for _ in range(2))
    first, second = pair_losses(left, right, torch.tensor([10.0]), gather=True)
    (first.sum() + second.sum()).backward()
    return counter.sent


def test_a_step_of_pairs_sends_one_side_there_and_its_gradient_back() -> None:
    rows, width, ranks, number = 6, 64, 2, 4
    (first, second) = run_on_ranks(count_bytes, ranks, rows, width)
    assert first == second
    # The rows, and in the backward pass a coefficient for each; before both, an int64 count.
    assert first["gather"] == rows * width * number + rows * number + 8
    # Two numbers per key: the greatest part of its sum, and the sum.
    assert first["reduce"] == 2 * ranks * rows * number
    assert first["scatter"] == ranks * rows * width * number
