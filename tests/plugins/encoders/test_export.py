"""Encoders in the transformers library: the same numbers, read by the library's own classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from vlc_core.errors import RecipeError
from vlc_core.loading.picture import Picture, fit
from vlc_core.options import build
from vlc_core.options.use import Use
from vlc_core.plugins import plugins
from vlc_core.tokenizer import Tokenizer
from vlc_plugin_encoders.linear_text import LinearText
from vlc_plugin_encoders.pretrained.image import TransformersImage
from vlc_plugin_encoders.pretrained.text import TransformersText
from vlc_plugin_encoders.resnet import ResNet
from vlc_plugin_encoders.text_transformer import TextTransformer
from vlc_plugin_encoders.vit import VisionTransformer
from vlc_plugin_encoders.weights import export

transformers = pytest.importorskip("transformers")

SMALL = {"size": 8, "patch": 4, "width": 16, "depth": 2, "heads": 2}
SWIN = {"model_type": "swin", "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 2, "patch_size": 2}
BERT = {"model_type": "bert", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
BERT |= {"intermediate_size": 32}
IMAGE = {
    "vit": (lambda: VisionTransformer(**SMALL), "ViTModel"),
    "vit-mean": (lambda: VisionTransformer(**SMALL, pool="mean"), "SiglipVisionModel"),
    "clip": (lambda: VisionTransformer(**SMALL, pre_norm=True, activation="quick_gelu"), "CLIPVisionModel"),
    "vit-quick": (lambda: VisionTransformer(**SMALL, activation="quick_gelu"), "ViTModel"),
    "resnet-18": (lambda: ResNet(size=32, depth=18, width=8), "ResNetModel"),
    "resnet-34": (lambda: ResNet(size=32, depth=34, width=4), "ResNetModel"),
    "resnet-50": (lambda: ResNet(size=32, depth=50, width=4), "ResNetModel"),
    "swin": (lambda: TransformersImage(config=SWIN, size=16), "SwinModel"),
}


def stirred(encoder: Any) -> Any:
    """Every number another, batch statistics among them, so that none can be left behind unseen."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in (*encoder.parameters(), *encoder.buffers()):
            if tensor.is_floating_point():
                tensor.add_(0.1 * torch.rand(tensor.shape, generator=generator))
    return encoder.eval()


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Tokenizer]:
    captions = ["a photo of a dog", "two red squares are here", "a small circle"] * 4
    return {
        name: build(plugins().registry, "tokenizer", Use(use=name)).make(lambda: captions)
        for name in ("word", "byte-level", "unigram")
    }


@pytest.mark.parametrize("name", IMAGE)
def test_the_library_reads_the_same_image_encoder(name: str, tmp_path: Path, tokenizers: dict[str, Tokenizer]) -> None:
    make, kind = IMAGE[name]
    encoder = stirred(make())
    done = encoder.export(tmp_path / "out", to="transformers", tokenizer=tokenizers["word"])
    backbones = {"ResNetModel": "ResNetBackbone", "SwinModel": "SwinBackbone"}
    assert (done.model, done.backbone) == (kind, backbones.get(kind))
    assert done.cosine >= 0.9999
    options = {"add_pooling_layer": False} if kind in ("ViTModel",) else {}
    model = transformers.AutoModel.from_pretrained(tmp_path / "out", **options).eval()
    assert type(model).__name__ == kind
    pixels = torch.randn(3, 3, encoder.size, encoder.size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ours, out = encoder(pixels).summary, model(pixel_values=pixels)
    theirs = out.last_hidden_state.mean(dim=1) if "mean" in name else out.last_hidden_state[:, 0]
    if getattr(out, "pooler_output", None) is not None:
        theirs = out.pooler_output.flatten(1)
    assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet-18", "swin"])
def test_detectors_take_the_folder_by_the_class_that_is_told(
    name: str, tmp_path: Path, tokenizers: dict[str, Tokenizer]
) -> None:
    encoder = stirred(IMAGE[name][0]())
    done = encoder.export(tmp_path / "out", to="transformers", tokenizer=tokenizers["word"])
    backbone, told = getattr(transformers, done.backbone).from_pretrained(
        tmp_path / "out", out_indices=[1, 2], output_loading_info=True
    )
    config = transformers.AutoConfig.from_pretrained(tmp_path / "out")
    assert type(transformers.AutoBackbone.from_config(config)) is type(backbone)
    # A Swin's maps are normalised once more, by layers that the detector learns.
    assert all(key.startswith("hidden_states_norms.") for key in told["missing_keys"])
    model = transformers.AutoModel.from_pretrained(tmp_path / "out").state_dict()
    own = {key: value for key, value in backbone.state_dict().items() if key not in told["missing_keys"]}
    assert all(torch.equal(value, model[key.removeprefix("swin.")]) for key, value in own.items())
    with torch.no_grad():
        maps = backbone(torch.randn(2, 3, encoder.size, encoder.size)).feature_maps
    assert len(maps) == 2


def test_a_changed_weight_is_noticed_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenizers: dict[str, Tokenizer]
) -> None:
    from vlc_plugin_encoders.weights import to_library

    vision = to_library.vision

    def wrong(encoder: VisionTransformer) -> torch.nn.Module:
        model = vision(encoder)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(-1)
        return model

    monkeypatch.setattr(to_library, "vision", wrong)
    with pytest.raises(RecipeError, match="the export is not the encoder"):
        stirred(VisionTransformer(**SMALL)).export(tmp_path / "out", to="transformers", tokenizer=tokenizers["word"])
    assert not (tmp_path / "out").exists()


def test_pictures_are_prepared_alike(tmp_path: Path, tokenizers: dict[str, Tokenizer]) -> None:
    encoder = stirred(VisionTransformer(**SMALL | {"size": 32}))
    encoder.export(tmp_path / "out", to="transformers", tokenizer=tokenizers["word"])
    settings = json.loads((tmp_path / "out" / "preprocessor_config.json").read_text())
    processor = transformers.CLIPImageProcessorPil(**settings)
    noise = torch.randint(0, 256, (6, 8, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    picture = Image.fromarray(noise.numpy()).resize((80, 60), Image.Resampling.BICUBIC)
    theirs = processor(picture, return_tensors="pt")["pixel_values"][0]
    mean, std = (torch.tensor(x).view(3, 1, 1) for x in (encoder.mean, encoder.std))
    ours = (torch.from_numpy(fit(Picture(picture), 32)).permute(2, 0, 1) / 255 - mean) / std
    assert theirs.shape == ours.shape
    assert (theirs - ours).abs().mean() < 0.05


@pytest.mark.parametrize("name", ["word", "byte-level", "unigram"])
@pytest.mark.parametrize("kind", ["own", "bert-first", "bert-mean"])
def test_the_library_reads_the_same_text_encoder_and_tokenizer(
    name: str, kind: str, tmp_path: Path, tokenizers: dict[str, Tokenizer]
) -> None:
    tokenizer = tokenizers[name]
    if kind == "own":
        encoder: Any = TextTransformer(tokenizer.vocabulary, width=16, depth=2, heads=2, context=12)
    else:
        pool: Any = kind.removeprefix("bert-")
        encoder = TransformersText(tokenizer.vocabulary, config=BERT, context=12, pool=pool)
    done = stirred(encoder).export(tmp_path / "out", to="transformers", tokenizer=tokenizer)
    assert done.cosine >= 0.9999
    words = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    texts = ["a photo of two dogs", "circle", "unheard of: a very long text of red squares that is cut somewhere"]
    given = words(texts, padding=True, truncation=True, max_length=12, return_tensors="pt")
    own = tokenizer.encode(texts, 12)
    end = {tokenizer.vocabulary.size: tokenizer.vocabulary.end}
    assert [[end.get(i, i) for i in row] for row in given["input_ids"].tolist()] == own.ids.tolist()
    assert given["attention_mask"].bool().tolist() == own.mask.tolist()
    if kind == "own":
        model = transformers.AutoModel.from_pretrained(tmp_path / "out").eval()
        with torch.no_grad():
            theirs = model(input_ids=given["input_ids"], attention_mask=given["attention_mask"]).pooler_output
            assert torch.allclose(encoder(own.ids, own.mask).summary, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda v: VisionTransformer(**SMALL, pre_norm=True, pool="mean"), "pre_norm: true. and averages"),
        (lambda v: ResNet(size=32, depth=18, width=8, stem="small"), "stem: small"),
        (lambda v: TextTransformer(v, width=16, depth=1, heads=2, context=8, pool="mean"), "causal: true, pool: end"),
        (lambda v: TextTransformer(v, width=16, depth=1, heads=2, context=8, causal=False), "causal: true"),
        (lambda v: LinearText(v), "LinearText cannot be exported"),
    ],
)
def test_what_the_library_cannot_say_is_refused(
    make: Any, message: str, tmp_path: Path, tokenizers: dict[str, Tokenizer]
) -> None:
    encoder = make(tokenizers["word"].vocabulary)
    with pytest.raises(RecipeError, match=message):
        encoder.export(tmp_path / "out", to="transformers", tokenizer=tokenizers["word"])
    assert not (tmp_path / "out").exists()


def test_other_libraries_and_folders_in_use_are_refused(tmp_path: Path, tokenizers: dict[str, Tokenizer]) -> None:
    encoder = VisionTransformer(**SMALL)
    with pytest.raises(RecipeError, match="to transformers only"):
        encoder.export(tmp_path / "out", to="onnx", tokenizer=tokenizers["word"])
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine").write_text("kept")
    with pytest.raises(RecipeError, match="is not empty"):
        encoder.export(tmp_path / "used", to="transformers", tokenizer=tokenizers["word"])
    assert (tmp_path / "used" / "mine").read_text() == "kept"
    export.check_free(tmp_path / "none")
