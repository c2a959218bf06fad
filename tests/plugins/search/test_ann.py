"""The graph of neighbours: what it finds, in which order, and what it says when it is broken."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from usearch.index import Index

from vlc_core.errors import StorageError
from vlc_plugin_search.indexing.ann import best_by_graph
from vlc_plugin_search.indexing.exact import best


@pytest.fixture
def graph(tmp_path):
    def write(rows):
        index = Index(ndim=rows.shape[1], metric="ip", dtype="f32", connectivity=16, expansion_add=128)
        index.add(np.arange(len(rows), dtype=np.uint64), rows.numpy())
        index.save(str(tmp_path / "rows.usearch"))
        return tmp_path / "rows.usearch"

    return write


def test_it_finds_nearly_what_comparing_all_finds_with_the_same_scores(graph):
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(40, 16, generator=generator)
    drawn = centres.repeat(50, 1) + 0.4 * torch.randn(2000, 16, generator=generator)
    rows = torch.nn.functional.normalize(drawn, dim=1)
    asked = rows[:100]
    exact, graphs = best(asked, [rows], 10), best_by_graph(asked, graph(rows), 10, expansion=128)
    shared = [len(set(a) & set(b)) for a, b in zip(exact[1].tolist(), graphs[1].tolist(), strict=True)]
    assert sum(shared) >= 0.99 * 1000
    same = exact[1] == graphs[1]
    np.testing.assert_allclose(graphs[0][same], exact[0][same], atol=1e-6)
    assert (np.diff(graphs[0]) <= 0).all()


def test_equal_scores_come_in_the_order_of_their_rows_and_no_more_than_there_are(graph):
    rows = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    scores, numbers = best_by_graph(torch.tensor([[1.0, 0.0]]), graph(rows), 10, expansion=1)
    assert numbers.tolist() == [[1, 2, 3, 0]]
    assert scores.tolist() == [[1.0, 1.0, 1.0, 0.0]]


@pytest.mark.parametrize("content", [None, b"", b"usearch?" * 40])
def test_a_broken_graph_is_named(tmp_path, content):
    file = tmp_path / "rows.usearch"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StorageError, match=r"the index .*rows.usearch cannot be used .* run vlc embed --index ann"):
        best_by_graph(torch.ones(1, 2), file, 3, expansion=8)


def test_a_graph_of_another_width_is_refused(graph):
    with pytest.raises(StorageError, match="no vectors of the model's width"):
        best_by_graph(torch.ones(1, 5), graph(torch.eye(3)), 3, expansion=8)
