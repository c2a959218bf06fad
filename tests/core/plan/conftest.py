"""Tiny recipes to plan."""

from __future__ import annotations

import pytest

from vlc_core import assemble
from vlc_core.plan.trace import Subject
from vlc_core.plugins import plugins
from vlc_core.recipe import load_recipe

TINY = """\
model:
  image: {use: vit, size: 16, patch: 4, width: 32, depth: 2, heads: 2}
  text: {use: text-transformer, width: 32, depth: 2, heads: 2, context: 12}
  tokenizer: {use: word}
  embed_dim: 32
objectives: [{use: clip}]
data:
  train: [{use: digits, split: train, prompts: digits}]
train: {steps: 4, batch_size: 32}
output: run
"""


@pytest.fixture
def loaded(tmp_path):
    """Loads the tiny recipe with keys changed."""

    def load(*sets):
        path = tmp_path / "tiny.yaml"
        path.write_text(TINY)
        return load_recipe(path, sets=sets, registry=plugins().registry)

    return load


@pytest.fixture
def subject(loaded):
    """The tiny recipe with its data opened, keys changed."""

    def of(*sets, packs=True):
        recipe, registry = loaded(*sets).recipe, plugins().registry
        data = assemble.build_data(recipe, registry)
        tokenizer = assemble.build_tokenizer(recipe.model, registry, data.captions)
        return Subject(recipe, registry, data, tokenizer, packs)

    return of
