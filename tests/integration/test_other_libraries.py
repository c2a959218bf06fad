"""Towers of the transformers library through the real command: trained from folders, and refused by name."""

from __future__ import annotations

import time

import pytest

from vlc_core.inference import DualEncoder
from vlc_plugin_encoders.pretrained.image import TransformersImage

transformers = pytest.importorskip("transformers")

SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"0123456789", "a", "photo", "of", "the", "number", "digit", ":"]
RECIPE = """\
name: others
seed: 3
model:
  image: {use: transformers, folder: vit, freeze: 1}
  text: {use: transformers, folder: bert, context: 12, layer_decay: 0.5}
  embed_dim: 8
objectives: [{use: clip}]
data:
  train: [{use: digits, split: train, prompts: digits}]
train: {steps: 3, batch_size: 8, micro_batch_size: 4}
output: run
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A ViT and a BERT with its tokenizer, as the library saves them, and a recipe for both."""
    made = tmp_path_factory.mktemp("others")
    transformers.set_seed(0)
    transformers.ViTModel(transformers.ViTConfig(**SMALL, image_size=8, patch_size=4)).save_pretrained(made / "vit")
    sizes = {"vocab_size": len(WORDS), "max_position_embeddings": 16}
    transformers.BertModel(transformers.BertConfig(**SMALL, **sizes)).save_pretrained(made / "bert")
    (made / "vocab.txt").write_text("\n".join(WORDS))
    transformers.BertTokenizerFast(str(made / "vocab.txt")).save_pretrained(made / "bert")
    (made / "recipe.yaml").write_text(RECIPE)
    return made


def test_two_folders_are_trained_together(vlc, folder):
    ended = vlc("train", "recipe.yaml", cwd=folder)
    assert ended.code == 0, ended.err
    model = DualEncoder.load(folder / "run")
    assert model.tokenizer.vocabulary == (len(WORDS), 0, 2, 3, 4, 1)
    assert model.encode_text(["a photo of the number 3", "7"]).shape == (2, 8)
    before, after = TransformersImage(folder=str(folder / "vit")).state_dict(), model.towers.image.encoder.state_dict()
    same = {name.rpartition(".layers.")[2][:2] for name in after if (after[name] == before[name]).all()}
    moved = {name.rpartition(".layers.")[2][:2] for name in after if (after[name] != before[name]).any()}
    assert "0." in same
    assert moved & {"0.", "1."} == {"1."}
    assert (after["model.embeddings.cls_token"] == before["model.embeddings.cls_token"]).all()


def test_a_hub_name_without_a_network(vlc, folder):
    started = time.perf_counter()
    ended = vlc(
        "check",
        "recipe.yaml",
        "--set=model.text.folder=null",
        "--set=model.text.hub=nobody/nothing",
        cwd=folder,
        env={
            "HF_ENDPOINT": "http://127.0.0.1:9",
            "HF_HOME": str(folder / "cache"),
            "https_proxy": "",
            "HTTPS_PROXY": "",
        },
    )
    assert ended.code == 3
    assert time.perf_counter() - started < 60  # of which the hub takes three; imports take the rest on a busy machine
    assert "The hub cannot be reached and nobody/nothing is not in its cache" in " ".join(ended.err.split())


def test_a_text_model_without_a_tokenizer(vlc, folder):
    bare = folder / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors"):
        (bare / name).write_bytes((folder / "bert" / name).read_bytes())
    ended = vlc("check", "recipe.yaml", "--set=model.text.folder=bare", cwd=folder)
    assert ended.code == 3
    assert ended.err.count("\n") == 1
    assert "bare holds no tokenizer that the transformers library reads; name one, in model.tokenizer" in ended.err
