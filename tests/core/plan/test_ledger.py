"""What the ledger counts, on computations that can be counted by hand."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from vlc_core.plan.ledger import Ledger
from vlc_core.plan.trace import _ranks

KIB = 1024
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute")


@pytest.fixture
def fake():
    return FakeTensorMode(allow_non_fake_inputs=True)


def test_memory_is_alive_as_long_as_its_tensor_and_views_count_once(fake):
    with fake, Ledger() as ledger:
        x = torch.empty(256, 1024)
        y = x * 2
        view = y.view(1024, 256)[::2]
        assert sum(ledger.live.values()) == 2 * KIB * KIB
        del x, y
        assert sum(ledger.live.values()) == KIB * KIB
        del view
    assert sum(ledger.live.values()) == 0
    assert ledger.peak == {"other": 2 * KIB * KIB}


def test_the_peak_tells_what_it_consists_of(fake):
    layer = nn.Linear(4, 4)
    with fake, Ledger() as ledger:
        big = nn.Linear(1024, 1024, bias=False)
        ledger.watch(big, "big")
        with ledger.part("input"):
            x = torch.empty(256, 1024)
        ledger.live.clear()
        ledger.peak.clear()
        y = big(x)
        with ledger.part("last"):
            z = torch.empty(512, 1024)
        del y, z
    assert ledger.peak["big"] == KIB * KIB
    assert ledger.peak["last"] == 2 * KIB * KIB
    assert layer.weight.shape == (4, 4)


def test_a_module_that_fails_leaves_its_part(fake):
    layer = nn.Linear(3, 3)
    with fake, Ledger() as ledger:
        ledger.watch(layer, "layer")
        with pytest.raises(RuntimeError):
            layer(torch.empty(300, 400))
        torch.empty(256, 1024)
    assert set(ledger.peak) <= {"other", "layer"}
    assert ledger.peak["other"] >= KIB * KIB


def test_products_are_counted_forward_and_backward(fake):
    with fake, Ledger() as ledger:
        weight = torch.empty(300, 200, requires_grad=True)
        x = torch.empty(500, 200, requires_grad=True)
        y = x @ weight.T
        assert ledger.flops == 2 * 500 * 200 * 300
        y.sum().backward()
    assert ledger.flops == 3 * 2 * 500 * 200 * 300


def test_onednns_layer_and_the_cpus_attention_are_counted(fake):
    from vlc_core.products import Linear

    with fake, Ledger() as ledger:
        layer = Linear(256, 512)
        layer(torch.empty(1024, 256))
        assert ledger.flops == 2 * 1024 * 256 * 512
        q = torch.empty(8, 4, 128, 64)
        torch.nn.functional.scaled_dot_product_attention(q, q, q)
    assert ledger.flops == 2 * 1024 * 256 * 512 + 2 * (2 * 8 * 4 * 128 * 128 * 64)


def test_what_steers_stays_real_beside_what_has_no_content(fake):
    with fake, Ledger():
        x = torch.empty(8, 1000, 32)
        mask = torch.arange(1000) < torch.tensor([[3], [1000]])
        assert int(mask.sum()) == 1003
        chosen = x[:2][mask]
        assert isinstance(chosen, FakeTensor)
        assert chosen.shape == (1003, 32)
        x[:2][mask] = 1.0
        counts = x.new_zeros(4, dtype=torch.int64) + 2
        assert counts.tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize("condition", [True, False])
def test_a_condition_on_missing_values_is_what_it_is_told_to_be(fake, condition):
    with fake, Ledger(condition=condition):
        assert bool((torch.empty(300, 300) > 0).any()) is condition


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_collectives_are_counted_as_rings_send_them(fake):
    with _ranks(4), fake, Ledger(4) as ledger:
        x, whole = torch.empty(256, 1024), torch.empty(1024, 1024)
        dist.all_reduce(x)
        assert sum(ledger.sent.values()) == 2 * KIB * KIB * 3 / 4
        gather = getattr(dist, "all_gather_single", dist.all_gather_into_tensor)
        gather(whole, x)
        assert sum(ledger.sent.values()) == 2 * KIB * KIB * 3 / 4 + 4 * KIB * KIB * 3 / 4
    assert not dist.is_initialized()


@pytest.mark.parametrize(("share", "count"), [(1.0, 12), (0.5, 6)])
def test_a_mask_without_content_is_taken_to_be_true_in_its_share(fake, share, count):
    with fake, Ledger() as ledger:
        ledger.share = share
        scores = torch.empty(300, 400)[:3, :4]
        places = (scores > 0).nonzero()
    assert places.tolist() == [[n // 4, n % 4] for n in range(count)]
    assert torch.equal(torch.tensor([True, False, True]).nonzero(), torch.tensor([[0], [2]]))
