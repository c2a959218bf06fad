"""An encoder that was read from a folder can be built again where that folder is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from vlc_core.interfaces.encoder import Encoded, Vocabulary
from vlc_plugin_encoders.pretrained.fusion import TransformersFusion
from vlc_plugin_encoders.pretrained.image import TransformersImage
from vlc_plugin_encoders.pretrained.text import TransformersText
from vlc_plugin_encoders.vit import VisionTransformer

transformers = pytest.importorskip("transformers")
SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}


def again(encoder, options, *given):
    """The same encoder from its settled options, after a trip through JSON, with its weights."""
    settled = json.loads(json.dumps(dict(encoder.settled_options(options))))
    assert not settled.keys() & {"folder", "hub"}
    tuples = {key: tuple(value) for key, value in settled.items() if key in {"mean", "std"}}
    made = type(encoder)(*given, **{**settled, **tuples})
    made.load_state_dict(encoder.state_dict())
    return made.eval()


@pytest.mark.parametrize("size", [32, 48])
def test_an_image_encoder_of_the_library(tmp_path: Path, size: int):
    config = transformers.ViTConfig(image_size=32, patch_size=8, **SMALL)
    transformers.ViTModel(config).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.6, 0.7]})
    )
    options = {"folder": str(tmp_path), "size": size}
    encoder = TransformersImage(**options).eval()
    shutil.rmtree(tmp_path)
    made, pixels = again(encoder, options), torch.rand(2, 3, size, size)
    assert (made.size, made.mean, made.std) == (size, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    with torch.no_grad():
        torch.testing.assert_close(made(pixels).summary, encoder(pixels).summary)


def test_a_text_encoder_of_the_library_whose_table_is_larger_than_its_vocabulary(tmp_path: Path):
    config = transformers.BertConfig(vocab_size=90, max_position_embeddings=16, **SMALL)
    transformers.BertModel(config).save_pretrained(tmp_path)
    vocabulary = Vocabulary(size=70, pad=0, start=1, end=2)
    options = {"folder": str(tmp_path), "context": 12}
    encoder = TransformersText(vocabulary, **options).eval()
    shutil.rmtree(tmp_path)
    made, tokens = again(encoder, options, vocabulary), torch.randint(1, 70, (3, 9))
    with torch.no_grad():
        mask = torch.ones(3, 9, dtype=torch.bool)
        torch.testing.assert_close(made(tokens, mask).summary, encoder(tokens, mask).summary)


def test_the_upper_layers_of_a_model_of_the_library(tmp_path: Path):
    config = transformers.BertConfig(vocab_size=90, max_position_embeddings=16, **{**SMALL, "num_hidden_layers": 4})
    transformers.BertModel(config).save_pretrained(tmp_path)
    options = {"folder": str(tmp_path), "skip": 3}
    encoder = TransformersFusion(32, 8, **options).eval()
    shutil.rmtree(tmp_path)
    made = again(encoder, options, 32, 8)
    text, image = Encoded(torch.rand(2, 32), torch.rand(2, 5, 32)), Encoded(torch.rand(2, 8), torch.rand(2, 3, 8))
    with torch.no_grad():
        torch.testing.assert_close(made(text, image).tokens, encoder(text, image).tokens)


def test_others_are_built_from_the_options_they_were_given():
    options = {"size": 16, "patch": 8, "width": 8, "depth": 1}
    assert VisionTransformer(**options).settled_options(options) == options
