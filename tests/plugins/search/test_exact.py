"""Exact search against every product in float64, one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vlc_plugin_search.indexing.exact import best, rows_at_once


def one_by_one(queries, rows, k):
    """Scores and numbers of the best rows: by score, and the earlier one first where scores are equal."""
    found = []
    for query in queries.double().tolist():
        scores = [sum(a * b for a, b in zip(query, row, strict=True)) for row in rows.double().tolist()]
        order = sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:k]
        found.append([(scores[row], row) for row in order])
    return found


def few_values(count, width, seed):
    """Vectors of halves, whose products float32 and float16 hold exactly: many scores are equal."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-1, 2, (count, width), generator=generator) / 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("block", [1, 7, 64, 500])
@pytest.mark.parametrize(("queries", "k"), [(1, 1), (1, 10), (5, 10), (3, 300)])
def test_equal_scores_come_in_the_order_of_their_rows_whatever_the_blocks(dtype, block, queries, k):
    rows, asked = few_values(230, 6, seed=k), few_values(queries, 6, seed=100 + queries)
    scores, numbers = best(asked, rows.to(dtype).split(block), k)
    expected = one_by_one(asked, rows, k)
    assert numbers.tolist() == [[row for _, row in of_query] for of_query in expected]
    assert scores.tolist() == [[score for score, _ in of_query] for of_query in expected]
    assert any(len(set(row)) < len(row) for row in scores.tolist()) or k == 1  # there are equal ones


def test_real_numbers_agree_with_float64(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    rows = torch.nn.functional.normalize(torch.randn(3000, 32, generator=generator), dim=1)
    asked = torch.nn.functional.normalize(torch.randn(9, 32, generator=generator), dim=1)
    scores, numbers = best(asked, rows.split(128), 20)
    whole = asked.double() @ rows.double().T
    np.testing.assert_allclose(scores, np.take_along_axis(whole.numpy(), numbers, 1), atol=1e-6)
    np.testing.assert_allclose(scores, whole.topk(20).values.numpy(), atol=1e-6)


@pytest.mark.parametrize("turn", [1, -1])
def test_rows_that_get_better_and_better_or_worse_and_worse(turn):
    rows = (torch.arange(1000.0) * turn)[:, None] / 1024
    _, numbers = best(torch.ones(2, 1), rows.split(64), 5)
    expected = [999, 998, 997, 996, 995] if turn == 1 else [0, 1, 2, 3, 4]
    assert numbers.tolist() == [expected, expected]


def test_a_query_without_news_keeps_what_it_has_while_another_gets_better():
    rows = torch.cat([torch.tensor([[1.0, 0.0]]).repeat(50, 1), torch.tensor([[0.0, 1.0]]).repeat(50, 1)])
    scores, numbers = best(torch.eye(2), rows.split(10), 3)
    assert numbers.tolist() == [[0, 1, 2], [50, 51, 52]]
    assert scores.tolist() == [[1.0] * 3] * 2


def test_halves_that_are_converted_in_pieces_are_compared_as_one_block():
    rows, asked = few_values(2100, 512, seed=1), few_values(2, 512, seed=2)
    scores, numbers = best(asked, [rows[:2000].half(), rows[2000:].half()], 7)
    whole = asked.double() @ rows.double().T
    order = np.lexsort((np.broadcast_to(np.arange(2100), whole.shape), -whole.numpy()))[:, :7]
    assert numbers.tolist() == order.tolist()
    assert scores.tolist() == np.take_along_axis(whole.numpy(), order, 1).tolist()


def test_few_queries_look_at_more_rows_at_once():
    assert [rows_at_once(queries) for queries in (1, 16, 64, 256, 5000)] == [65536, 65536, 16384, 4096, 4096]
