"""Evaluators and export by the real command, on the tiny run."""

from __future__ import annotations

import json
import logging
import shutil

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from vlc_core.engine.evaluate import evaluate_run
from vlc_core.errors import RecipeError, VlcError
from vlc_core.plugins import plugins

pytestmark = pytest.mark.xdist_group("trained")

TEST, TRAIN = "{use: digits, split: test}", "{use: digits, split: train}"
EVALUATORS = f"""[
  {{use: linear-probe, data: {TEST}, train: {TRAIN}}},
  {{use: few-shot, data: {TEST}, train: {TRAIN}, shots: [1, 4], draws: 2, prompts: digits}},
  {{use: knn, data: {TEST}, train: {TRAIN}, k: 5}},
  {{use: concept-retrieval, queries: [one], data: {TEST}, space: image, top: 3, against: other}},
  {{use: embedding-map, data: {TEST}, most: 60, thumbnail: 8, against: other}}
]"""


@pytest.fixture(scope="module")
def folder(trained, tmp_path_factory):
    """A folder with the tiny run twice, ``other`` with other weights."""
    made = tmp_path_factory.mktemp("evaluators")
    for name in ("run", "other"):
        # Other files of tests share the trained run, and some have evaluated it.
        shutil.copytree(trained[0] / "run", made / name, ignore=shutil.ignore_patterns("evaluations"))
    weights = load_file(made / "other" / "model" / "weights.safetensors")
    changed = {name: tensor * 1.5 if "patch_embed" in name else tensor for name, tensor in weights.items()}
    save_file(changed, made / "other" / "model" / "weights.safetensors")
    (made / "other" / "model" / "manifest.json").unlink()
    return made


@pytest.fixture(scope="module")
def results(vlc, folder):
    """What one command printed as JSON."""
    ended = vlc("eval", "run", "--json", f"--set=evaluate.with={EVALUATORS}", cwd=folder).well()
    return json.loads(ended.out)


def test_all_of_them_run_by_the_command(results, folder):
    assert list(results) == ["linear-probe", "few-shot", "knn", "concept-retrieval", "embedding-map"]
    assert results["linear-probe"]["metrics"]["top1"] > 0.15
    assert len(results["concept-retrieval"]["tables"]["nearest"]["rows"]) == 3
    assert results["concept-retrieval"]["metrics"]["against_mean_cosine"] != pytest.approx(
        results["concept-retrieval"]["metrics"]["mean_cosine"], abs=1e-9
    )
    written = folder / "run" / "evaluations"
    record = json.loads((written / "embedding-map.json").read_text())
    assert (written / record["figures"]["map.html"]).read_text().count("<circle") == 120
    assert (written / "few-shot" / "curve.svg").read_text().startswith("<svg")


def test_features_of_a_dataset_are_kept_once_and_found_again(results, folder):
    kept = folder / "run" / "evaluations" / "features"
    names = {path.name: path.stat().st_mtime_ns for path in kept.iterdir()}
    assert len(names) == 2
    assert len(list((folder / "other" / "evaluations" / "features").iterdir())) == 1
    knn = f"evaluate.with=[{{use: knn, data: {TEST}, train: {TRAIN}, k: 5}}]"
    again = evaluate_run(folder / "run", plugins(), sets=[knn], names=["knn"])
    assert again["knn"].metrics == results["knn"]["metrics"]
    assert {path.name: path.stat().st_mtime_ns for path in kept.iterdir()} == names


def test_other_weights_in_the_same_run_are_encoded_anew(results, folder):
    shutil.copytree(folder / "run", folder / "swapped")
    shutil.rmtree(folder / "swapped" / "model")
    shutil.copytree(folder / "other" / "model", folder / "swapped" / "model")
    evaluate_run(folder / "swapped", plugins(), sets=[f"evaluate.with=[{{use: knn, data: {TEST}, k: 5}}]"])
    assert len(list((folder / "swapped" / "evaluations" / "features").iterdir())) == 3


@pytest.mark.slow
def test_two_ranks_in_training_score_as_one_does_after_it(vlc, folder, trained):
    shutil.copy(trained[0] / "tiny.yaml", folder)
    with_ = f"--set=evaluate.with=[{{use: knn, data: {TEST}, train: {TRAIN}, k: 5}}, {{use: linear-probe, data: {TEST}, train: {TRAIN}}}]"  # noqa: E501
    vlc("train", "tiny.yaml", with_, "--set=output=two", "--devices=2", cwd=folder).well()
    paths = [folder / "two" / "evaluations" / f"{name}.json" for name in ("knn", "linear-probe")]
    during = [json.loads(path.read_text())["metrics"] for path in paths]
    assert not (folder / "two" / "evaluations" / "features").exists()
    after = json.loads(vlc("eval", "two", "--json", cwd=folder).well().out)
    for name, metrics in zip(("knn", "linear-probe"), during, strict=True):
        assert after[name]["metrics"]["top1"] == pytest.approx(metrics["top1"], abs=0.02)


@pytest.mark.parametrize(
    ("evaluator", "code", "message"),
    [
        (f"{{use: knn, data: {TEST}, k: 900}}", 3, "there are 354: set k to at most 354"),
        (f"{{use: embedding-map, data: {TEST}, against: nowhere}}", 5, "against: "),
        (f"{{use: concept-retrieval, queries: [sevn], data: {TEST}, space: image}}", 2, "did you mean 'seven'"),
        (f"{{use: few-shot, data: {TEST}, train: {TEST}, shots: [500]}}", 3, "fewer than 500 shots"),
        (f"{{use: linear-probe, data: {TEST}}}", 2, "train"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(folder, evaluator, code, message):
    with pytest.raises(VlcError, match=message) as caught:
        evaluate_run(folder / "run", plugins(), sets=[f"evaluate.with=[{evaluator}]"])
    assert caught.value.exit_code == code


def test_classes_that_training_does_not_have_are_measured_on_and_told(folder, tmp_path, caplog):
    for name in ("one", "heron"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "a.png")
    data = f"{{use: folder, path: {tmp_path}}}"
    with caplog.at_level(logging.WARNING, "vlc"):
        found = evaluate_run(folder / "run", plugins(), sets=[f"evaluate.with=[{{use: zero-shot, data: {data}}}]"])
    assert found["zero-shot"].metrics["samples"] == 2
    words = "evaluate.with.zero-shot: 1 of its 2 classes are no label of the training data: heron;"
    assert [record.getMessage()[: len(words)] for record in caplog.records] == [words]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("few-shot", r"--set 'evaluate.with.few-shot={use: few-shot, data: …}'): data: this option is required"),
        ("few-shots", "no evaluator is called that; did you mean 'few-shot'? known are concept-retrieval, "),
    ],
)
def test_an_evaluation_that_the_recipe_does_not_name_says_where_its_options_go(folder, name, words):
    with pytest.raises(RecipeError) as caught:
        evaluate_run(folder / "run", plugins(), names=[name], sets=["evaluate.with=[]"])
    assert words in caught.value.problems[0]


def test_the_encoders_are_exported_and_used_by_the_library_alone(vlc, folder):
    transformers = pytest.importorskip("transformers")
    import torch

    from vlc_core.inference import DualEncoder

    told = json.loads(vlc("export", "run", "--part=both", "-o", "out", "--json", cwd=folder).well().out)
    assert all(part["cosine"] > 0.9999 for part in told.values())
    model = DualEncoder.load(folder / "run")
    image = transformers.AutoModel.from_pretrained(folder / "out" / "image", add_pooling_layer=False).eval()
    pixels = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        summary = image(pixel_values=pixels).last_hidden_state[:, 0]
        embed = torch.nn.functional.normalize(model.towers.image.head(summary), dim=1)
    assert torch.allclose(embed, model.encode_image(pixels), atol=1e-5)
    words = transformers.AutoTokenizer.from_pretrained(folder / "out" / "text")
    text = transformers.AutoModel.from_pretrained(folder / "out" / "text").eval()
    texts = ["a photo of the digit seven", "two"]
    with torch.no_grad():
        summary = text(**words(texts, padding=True, return_tensors="pt")).pooler_output
        embed = torch.nn.functional.normalize(model.towers.text.head(summary), dim=1)
    assert torch.allclose(embed, model.encode_text(texts), atol=1e-5)
    again = vlc("export", "run", "--part=image", "-o", "out", cwd=folder)
    assert again.code == 2
    assert "is not empty" in again.err
