"""Models of the transformers library: from folders, with their own preprocessing and tokenizer, and what goes wrong."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from vlc_core.errors import DataError, RecipeError
from vlc_core.interfaces.encoder import Vocabulary
from vlc_core.testing.encoders import check_image_encoder, check_text_encoder, texts
from vlc_plugin_encoders.pretrained.image import TransformersImage
from vlc_plugin_encoders.pretrained.text import TransformersText
from vlc_plugin_encoders.pretrained.timm import TimmImage
from vlc_plugin_encoders.tokenizers.library import TransformersTokenizer

transformers = pytest.importorskip("transformers")

VOCABULARY = Vocabulary(40, pad=0, start=1, end=2, mask=3, unknown=4)
SMALL: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
VIT: dict[str, Any] = SMALL | {"image_size": 16, "patch_size": 4}
BERT: dict[str, Any] = SMALL | {"vocab_size": 40, "max_position_embeddings": 32}


@pytest.fixture
def vit(tmp_path: Path) -> tuple[Any, Path]:
    torch.manual_seed(0)
    model = transformers.ViTForImageClassification(transformers.ViTConfig(**VIT)).eval()
    model.save_pretrained(tmp_path)
    return model, tmp_path


@pytest.fixture
def bert(tmp_path: Path) -> tuple[Any, Path]:
    torch.manual_seed(0)
    model = transformers.BertForMaskedLM(transformers.BertConfig(**BERT)).eval()
    model.save_pretrained(tmp_path)
    return model, tmp_path


@torch.no_grad()
def test_an_image_model_from_a_folder_has_its_weights(vit: tuple[Any, Path]) -> None:
    model, folder = vit
    encoder = TransformersImage(folder=str(folder)).eval()
    pixels = torch.randn(2, 3, 16, 16)
    expected = model.vit(pixel_values=pixels).last_hidden_state
    out = encoder(pixels)
    torch.testing.assert_close(out.tokens, expected)
    torch.testing.assert_close(out.summary, expected[:, 0])
    assert encoder.size == 16


def test_its_own_preprocessing_is_used(vit: tuple[Any, Path]) -> None:
    _, folder = vit
    assert TransformersImage(folder=str(folder)).mean == TransformersImage.mean
    said = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.1, 0.2, 0.3]}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    encoder = TransformersImage(folder=str(folder))
    assert (encoder.mean, encoder.std) == ((0.5, 0.4, 0.3), (0.1, 0.2, 0.3))


def test_another_size_stretches_the_positions(vit: tuple[Any, Path]) -> None:
    _, folder = vit
    encoder = TransformersImage(folder=str(folder), size=24)
    assert encoder(torch.randn(1, 3, 24, 24)).tokens.shape == (1, 1 + 36, 16)
    check_image_encoder(encoder)


@torch.no_grad()
def test_both_towers_of_a_clip_folder(tmp_path: Path) -> None:
    torch.manual_seed(0)
    text = BERT | {"bos_token_id": 1, "eos_token_id": 2}
    model = transformers.CLIPModel(transformers.CLIPConfig(vision_config=VIT, text_config=text)).eval()
    model.save_pretrained(tmp_path)
    pixels = torch.randn(2, 3, 16, 16)
    image = TransformersImage(folder=str(tmp_path)).eval()(pixels).summary
    torch.testing.assert_close(image, model.vision_model(pixel_values=pixels).pooler_output)
    tokens, mask = texts(VOCABULARY, [7, 4])
    words = TransformersText(VOCABULARY, folder=str(tmp_path), context=12).eval()(tokens, mask).summary
    expected = model.text_model(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
    torch.testing.assert_close(words, expected[torch.arange(2), mask.sum(dim=1) - 1])


@torch.no_grad()
def test_a_text_model_from_a_folder_has_its_weights(bert: tuple[Any, Path]) -> None:
    model, folder = bert
    encoder = TransformersText(VOCABULARY, folder=str(folder), context=12).eval()
    tokens, mask = texts(VOCABULARY, [9, 5, 2])
    expected = model.bert(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
    out = encoder(tokens, mask)
    torch.testing.assert_close(out.tokens[mask], expected[mask])
    torch.testing.assert_close(out.summary, expected[:, 0])
    check_text_encoder(encoder, VOCABULARY)


def test_weights_that_lack_something_are_refused(bert: tuple[Any, Path]) -> None:
    _, folder = bert
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "layer.1." not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"lack or misfit .*layer\.1\..* and 13 more"):
        TransformersText(VOCABULARY, folder=str(folder), context=12)


def test_weights_of_another_size_are_refused_by_name(bert: tuple[Any, Path]) -> None:
    _, folder = bert
    weights = load_file(folder / "model.safetensors")
    cut = {name: value[:8].contiguous() if "layer.1." in name else value for name, value in weights.items()}
    save_file(cut, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"lack or misfit .*layer\.1\.\S* 8 for 16, .* and 13 more") as caught:
        TransformersText(VOCABULARY, folder=str(folder), context=12)
    assert len(str(caught.value)) < 500


def test_a_plan_reads_no_weights(bert: tuple[Any, Path]) -> None:
    _, folder = bert
    (folder / "model.safetensors").unlink()
    with torch.device("meta"):
        encoder = TransformersText(VOCABULARY, folder=str(folder), context=12)
    assert all(parameter.is_meta for parameter in encoder.parameters())


def test_recomputing_changes_no_gradient_and_is_refused_where_it_cannot_be() -> None:
    tokens, mask = texts(VOCABULARY, [7, 4])
    gradients, passes = [], []
    for recompute in (False, True):
        torch.manual_seed(0)
        dropout = {"hidden_dropout_prob": 0.5, "model_type": "bert"}
        encoder = TransformersText(VOCABULARY, config=BERT | dropout, context=12, recompute=recompute)
        count: list[int] = []
        encoder.model.encoder.layer[0].attention.register_forward_hook(lambda *_, count=count: count.append(1))
        torch.manual_seed(1)
        encoder.train()(tokens, mask).summary.square().sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in encoder.parameters() if p.grad is not None]))
        passes.append(len(count))
    assert passes == [1, 2]
    torch.testing.assert_close(*gradients)
    resnet = {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8], "depths": [1], "layer_type": "basic"}
    with pytest.raises(RecipeError, match="leave recompute out"):
        TransformersImage(config=resnet, size=32, recompute=True)


def test_pickled_weights_are_not_read(bert: tuple[Any, Path]) -> None:
    model, folder = bert
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(DataError, match="safetensors"):
        TransformersText(VOCABULARY, folder=str(folder), context=12)


def test_loading_is_quiet(bert: tuple[Any, Path], capfd: pytest.CaptureFixture[str]) -> None:
    _, folder = bert
    capfd.readouterr()
    TransformersText(VOCABULARY, folder=str(folder), context=12)
    assert capfd.readouterr() == ("", "")


def test_a_tokenizer_or_context_too_large_is_refused(bert: tuple[Any, Path]) -> None:
    _, folder = bert
    with pytest.raises(RecipeError, match=r"has 41 ids but .* knows 40"):
        TransformersText(VOCABULARY._replace(size=41), folder=str(folder), context=12)
    with pytest.raises(RecipeError, match="at most 32 tokens"):
        TransformersText(VOCABULARY, folder=str(folder), context=33)
    roberta = BERT | {"model_type": "roberta"}
    with pytest.raises(RecipeError, match="at most 31 tokens"):
        TransformersText(VOCABULARY, config=roberta, context=32)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "one of config, folder and hub"),
        ({"hub": "a/b", "config": {"model_type": "vit"}}, "one of config, folder and hub"),
        ({"config": {"hidden_size": 8}}, "needs a model_type"),
        ({"config": {"model_type": "vitt"}}, "model_type vitt is not usable"),
        ({"config": VIT | {"model_type": "vit", "hidden_act": "nope"}}, "is not usable"),
        ({"config": VIT | {"model_type": "vit"}, "size": 2}, "cannot encode an image of 2 pixels"),
    ],
)
def test_options_that_name_no_model(options: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        TransformersImage(**options)


def test_an_encoder_decoder_is_no_text_encoder() -> None:
    with pytest.raises(RecipeError, match="is not a text encoder"):
        TransformersText(VOCABULARY, config={"model_type": "t5"})


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"it has no config\.json"):
        TransformersImage(folder=str(tmp_path))


def test_remote_code_is_refused_without_the_flag(tmp_path: Path) -> None:
    config = {"model_type": "strange", "auto_map": {"AutoConfig": "strange.Strange", "AutoModel": "strange.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "strange.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(RecipeError, match="set remote_code: true"):
        TransformersImage(folder=str(tmp_path))
    assert not (tmp_path / "ran").exists()


def test_without_a_network_a_hub_name_fails_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "https://127.0.0.1:9")
    for make in (
        lambda: TransformersImage(hub="nobody/nothing"),
        lambda: TransformersText(VOCABULARY, hub="nobody/nothing"),
        lambda: TransformersTokenizer(hub="nobody/nothing").make(list),
    ):
        start = time.perf_counter()
        with pytest.raises(DataError, match="The hub cannot be reached and nobody/nothing is not in its cache"):
            make()
        assert time.perf_counter() - start < 10


def test_a_models_own_tokenizer(tmp_path: Path) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dog", "##s"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    peer = transformers.BertTokenizerFast(str(tmp_path / "vocab.txt"))
    peer.save_pretrained(tmp_path)
    tokenizer = TransformersTokenizer(folder=str(tmp_path)).make(list)
    assert tokenizer.vocabulary == (8, 0, 2, 3, 4, 1)
    assert tokenizer.encode(["A dogs cat"], 9).ids[0].tolist() == peer("A dogs cat")["input_ids"]
    assert tokenizer.encode(["[PAD] dog"], 9).ids[0, 1] != 0


def test_a_folder_without_a_tokenizer(bert: tuple[Any, Path], tmp_path: Path) -> None:
    _, folder = bert
    for place in (folder, tmp_path / "nowhere"):
        with pytest.raises(DataError, match=rf"{place} holds no tokenizer .* in model\.tokenizer"):
            TransformersTokenizer(folder=str(place)).make(list)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"folder": "here", "context": 12}, {"use": "encoders/transformers", "folder": "here"}),
        (
            {"hub": "some/one", "remote_code": True},
            {"use": "encoders/transformers", "hub": "some/one", "remote_code": True},
        ),
        ({"config": BERT}, {"use": TransformersText.default_tokenizer}),
    ],
)
def test_a_text_model_brings_its_own_tokenizer(options: dict[str, Any], expected: dict[str, Any]) -> None:
    assert TransformersText.own_tokenizer(options) == expected


@pytest.mark.parametrize(
    ("library", "make"),
    [
        ("timm", lambda: TimmImage(name="test_vit")),
        ("transformers", lambda: TransformersImage(config={"model_type": "vit"})),
    ],
)
def test_a_library_that_is_not_there_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch, library: str, make: Callable[[], object]
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(RecipeError, match=rf"{library} .*pip install \"vlc-plugin-encoders\[{library}\]\""):
        make()


def test_importing_the_encoders_imports_neither_library() -> None:
    program = (
        "import sys, vlc_plugin_encoders.pretrained.image, vlc_plugin_encoders.pretrained.text, "
        "vlc_plugin_encoders.pretrained.timm, vlc_plugin_encoders.tokenizers.library; "
        "sys.exit(len({'transformers', 'timm'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("key", "meant"), [("drop_path_rat", "did you mean 'drop_path_rate'"), ("no_such_thing_at_all", "has no key")]
)
def test_a_key_that_the_library_would_keep_and_never_read_is_refused(key: str, meant: str) -> None:
    with pytest.raises(RecipeError, match=f"model_type swin has no key {key!r}.*|{meant}") as refused:
        TransformersImage(config={"model_type": "swin", key: 0.3})
    assert meant in str(refused.value)


def test_keys_by_their_other_name_and_those_of_all_models_are_known() -> None:
    config = {"model_type": "vit", "hidden_size": 12, "num_attention_heads": 2, "num_hidden_layers": 1}
    said = {"num_labels": 2, "attn_implementation": "eager", "output_hidden_states": False}
    assert TransformersImage(config=config | said, size=32).width == 12


def test_what_a_loaded_model_says_beyond_its_class_stays_when_it_is_built_again() -> None:
    config = {"model_type": "vit", "hidden_size": 12, "num_attention_heads": 2, "num_hidden_layers": 1}
    encoder = TransformersImage(config=config | {"transformers_version": "5.0.0", "somebodys_note": 1}, size=32)
    assert encoder.width == 12
