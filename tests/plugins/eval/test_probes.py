"""Linear probe, few-shot and nearest neighbours against naive references."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from vlc_core.errors import Diverged
from vlc_plugin_eval.few_shot import FewShot, shuffled
from vlc_plugin_eval.knn import NearestNeighbours
from vlc_plugin_eval.linear_probe import LinearProbe
from vlc_plugin_eval.logistic import best_exponent, fit, held_out, sweep
from vlc_plugin_eval.neighbours import vote
from vlc_plugin_eval.warned import warn_once
from vlc_plugin_eval.zero_shot import ZeroShot

CLASSES = ["cat", "dog", "bird"]


class Split:
    """Gives each dataset its own rows of one table of features."""

    def __init__(self, known: SimpleNamespace, x_of: dict[int, torch.Tensor]) -> None:
        self.known, self.x_of, self.digest, self.cache = known, x_of, None, None

    def encode_images(self, dataset: object) -> object:
        return self.known.Model(self.x_of[id(dataset)], self.known.hashed).encode_images(dataset)

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        return torch.stack([self.known.hashed(text) for text in texts])


@pytest.fixture
def world(known: SimpleNamespace) -> SimpleNamespace:
    """Three overlapping clouds; the training data has one unlabelled sample."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.stack([known.hashed(name) for name in CLASSES])

    def draw(number: int, offset: int) -> tuple[object, torch.Tensor]:
        labels = torch.arange(number) % 3
        x = centres[labels] + 1.2 * torch.randn(number, 8, generator=generator)
        rows = [known.sample(label=int(y), key=f"{offset + i}") for i, y in enumerate(labels)]
        return rows, x

    train, train_x = draw(90, 0)
    test, test_x = draw(60, 1000)
    train.append(known.sample(label=-1, key="none"))
    train_x = torch.cat([train_x, torch.full((1, 8), 100.0)])
    train, test = known.Rows(train, CLASSES), known.Rows(test, CLASSES)
    return SimpleNamespace(
        train=train, test=test, train_x=train_x, test_x=test_x, y=np.arange(90) % 3, test_y=np.arange(60) % 3,
        model=Split(known, {id(train): train_x, id(test): test_x}),
    )  # fmt: skip


def test_the_fit_is_the_minimum_of_the_stated_loss() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 3, (40,), generator=generator)
    strength = 0.7
    weights = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights, bias], max_iter=300, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(x @ weights.T + bias, y, reduction="sum")
        loss = loss + strength / 2 * weights.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    many = torch.randn(500, 3, generator=generator, dtype=torch.float64)
    expected = (many @ weights.T + bias).argmax(dim=1)
    fitted = fit(x.numpy(), y.numpy(), strength=strength, iterations=1000)
    assert fitted.converged
    assert (fitted.predict(many.numpy()) == expected.numpy()).mean() > 0.99
    other = fit(x.numpy(), y.numpy(), strength=1000.0, iterations=1000)
    assert (other.predict(many.numpy()) == expected.numpy()).mean() < 0.9


def test_too_few_iterations_are_told() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(200, 30, generator=generator).numpy() * 100
    y = torch.randint(0, 5, (200,), generator=generator).numpy()
    assert not fit(x, y, strength=1e-6, iterations=2).converged


def test_the_sweep_looks_around_the_peak_and_prefers_the_simplest() -> None:
    asked: list[float] = []

    def score(exponent: float) -> float:
        asked.append(exponent)
        return -abs(exponent - 1.3)

    found = sweep(score, low=-6, high=6, step=2.0, finest=0.125)
    assert best_exponent(found) == 1.25
    assert len(asked) == len(set(asked)) == 7 + 2 * 4
    assert list(found) == sorted(found)
    assert best_exponent(sweep(lambda e: float(e < 3), low=-6, high=6, step=2.0, finest=0.125)) == 2.875
    assert best_exponent(sweep(lambda _: 0.5, low=-6, high=6, step=2.0, finest=0.125)) == 6


def test_validation_takes_its_share_of_each_class_and_leaves_one() -> None:
    y = np.array([0] * 10 + [1] * 2 + [2] + [3] * 3)
    held = held_out(y, 0.2, seed=0)
    assert [int(held[y == label].sum()) for label in range(4)] == [2, 1, 0, 1]
    assert (held_out(y, 0.2, seed=0) == held).all()
    assert any((held_out(y, 0.2, seed=s) != held).any() for s in range(1, 5))


def test_the_probe_is_that_of_scikit_learn_alone(world: SimpleNamespace) -> None:
    got = LinearProbe(data=world.test, train=world.train).evaluate(world.model)
    x, test_x = 3 * world.train_x[:90].numpy(), 3 * world.test_x.numpy()  # the summary is three times the embedding
    held = held_out(world.y, 0.2, 0)

    def validation(strength: float) -> float:
        model = LogisticRegression(C=1 / strength, max_iter=1000).fit(x[~held], world.y[~held])
        return float((model.predict(x[held]) == world.y[held]).mean())

    for strength, accuracy in got.tables["sweep"].rows:
        assert accuracy == pytest.approx(validation(float(strength)))
    best = max(got.tables["sweep"].rows, key=lambda row: (row[1], row[0]))
    assert got.metrics["strength"] == best[0]
    assert got.metrics["validation_top1"] == best[1]
    final = LogisticRegression(C=1 / got.metrics["strength"], max_iter=1000).fit(x, world.y)
    right = final.predict(test_x) == world.test_y
    assert got.metrics["top1"] == pytest.approx(right.mean())
    per_class = [right[world.test_y == label].mean() for label in range(3)]
    assert [row[2] for row in got.tables["per_class"].rows] == pytest.approx(per_class)
    assert got.metrics["mean_per_class"] == pytest.approx(np.mean(per_class))
    assert 0.4 < got.metrics["top1"] < 1
    assert (got.metrics["train_samples"], got.details["unlabelled"]) == (90, {"train": 1, "data": 0})
    assert got.details["validation_samples"] == 18


def test_embeddings_may_be_probed_instead(world: SimpleNamespace) -> None:
    summary = LinearProbe(data=world.test, train=world.train).evaluate(world.model)
    embed = LinearProbe(data=world.test, train=world.train, features="embed").evaluate(world.model)
    assert summary.metrics["strength"] != embed.metrics["strength"]


def test_few_shot_is_a_loop_over_draws(world: SimpleNamespace) -> None:
    got = FewShot(data=world.test, train=world.train, shots=[4, 1], draws=3, prompts=["{}"], strength=0.5).evaluate(
        world.model
    )
    x = torch.nn.functional.normalize(world.train_x[:90], dim=1).numpy()
    test_x = torch.nn.functional.normalize(world.test_x, dim=1).numpy()
    for shots in (1, 4):
        found = []
        for draw in range(3):
            rows = np.concatenate([own[:shots] for own in shuffled(world.y, seed=0, draw=draw)])
            assert np.bincount(world.y[rows]).tolist() == [shots] * 3
            model = LogisticRegression(C=2.0, max_iter=1000).fit(x[rows], world.y[rows])
            found.append(float((model.predict(test_x) == world.test_y).mean()))
        assert got.metrics[f"top1@{shots}"] == pytest.approx(np.mean(found))
        assert got.metrics[f"deviation@{shots}"] == pytest.approx(np.std(found, ddof=1))
        assert [row for row in got.tables["draws"].rows if row[0] == shots] == [(shots, *found)]
    zero_shot = ZeroShot(data=world.test, prompts=["{}"]).evaluate(world.model).metrics["top1"]
    assert got.metrics["zero_shot"] == zero_shot
    svg = got.figures["curve.svg"]
    assert f"zero-shot: {zero_shot:.4f}" in svg
    assert svg.count("±") == 2


def test_without_class_names_there_is_no_zero_shot(known: SimpleNamespace, world: SimpleNamespace) -> None:
    world.train.classes = world.test.classes = None
    got = FewShot(data=world.test, train=world.train, shots=[2]).evaluate(world.model)
    assert "zero_shot" not in got.metrics
    assert "zero-shot" not in got.figures["curve.svg"]


@pytest.mark.parametrize("temperature", [None, 0.07, 0.001])
@pytest.mark.parametrize("alone", [False, True])
def test_neighbours_vote_as_in_a_loop(
    world: SimpleNamespace, temperature: float | None, alone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vlc_plugin_eval.neighbours.ROWS", 7)
    train = None if alone else world.train
    got = NearestNeighbours(data=world.test, train=train, k=5, temperature=temperature).evaluate(world.model)
    bank, bank_y = (world.test_x, world.test_y) if alone else (world.train_x[:90], world.y)
    right = 0
    for i, query in enumerate(world.test_x.double().numpy()):
        found = []
        for j, row in enumerate(bank.double().numpy()):
            if not (alone and i == j):
                found.append((float(query @ row / np.linalg.norm(query) / np.linalg.norm(row)), bank_y[j]))
        found.sort(reverse=True)
        votes = np.zeros(3)
        for cosine, label in found[:5]:
            votes[label] += 1 if temperature is None else np.exp((cosine - found[0][0]) / temperature)
        right += int(votes.argmax() == world.test_y[i])
    assert got.metrics["top1"] == pytest.approx(right / 60)
    assert got.metrics["train_samples"] == (59 if alone else 90)
    assert ("plain" in str(got.details["votes"])) == (temperature is None)


def test_equal_votes_go_to_the_first_class() -> None:
    bank, labels = torch.eye(2), torch.tensor([1, 0])
    query = torch.tensor([[0.8, 0.6]])
    assert vote(query, bank, labels, k=2, temperature=None, classes=3).tolist() == [0]
    assert vote(query, bank, labels, k=2, temperature=0.1, classes=3).tolist() == [1]


MAKE = {
    "linear-probe": lambda train, test: LinearProbe(train=train, data=test),
    "few-shot": lambda train, test: FewShot(train=train, data=test, shots=[2], prompts="{}"),
    "knn": lambda train, test: NearestNeighbours(train=train, data=test, k=2),
}


def test_classes_that_were_never_learnt_are_told(
    known: SimpleNamespace, world: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    warn_once.cache_clear()
    few = known.Rows([s for s in world.train.samples if s.label in (0, 2)], CLASSES)
    world.model.x_of[id(few)] = world.train_x[:90][world.y != 1]
    for made in (
        LinearProbe(data=world.test, train=few),
        FewShot(data=world.test, train=few, shots=[1], prompts="{}"),
        NearestNeighbours(data=world.test, train=few),
    ):
        assert made.evaluate(world.model).details["absent_from_train"] == ["dog"]
    told = [record.getMessage() for record in caplog.records]
    assert [sentence.partition(":")[0] for sentence in told] == ["linear-probe", "few-shot", "knn"]
    assert all("1 of the 3 classes of `data` have no sample in `train`: dog;" in sentence for sentence in told)


@pytest.mark.parametrize("name", MAKE)
def test_training_data_may_list_fewer_classes(known: SimpleNamespace, world: SimpleNamespace, name: str) -> None:
    """As folders do of which one is missing; what is learnt is the same by whichever numbers classes go."""
    kept = [s for s in world.train.samples if s.label in (0, 2)]
    renumbered = [known.sample(label=int(s.label == 0), key=s.key) for s in kept]
    few, other = known.Rows(kept, CLASSES), known.Rows(renumbered, ["bird", "cat"])
    for data in (few, other):
        world.model.x_of[id(data)] = world.train_x[:90][world.y != 1]
    one, two = (MAKE[name](data, world.test).evaluate(world.model) for data in (few, other))
    assert one.metrics == two.metrics
    assert one.details["absent_from_train"] == two.details["absent_from_train"] == ["dog"]


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize(
    ("train", "test", "names", "message"),
    [
        ([-1, -1, -1], [0, 1], CLASSES, "of the 3 that were read"),
        ([0, 0, 0], [0, 1], CLASSES, "at least two classes"),
        ([0, 1, 3, 0], [0, 1], CLASSES, "a label 3"),
        ([0, 1, 0, 1], [0, 1], ["cat", "cow", "bird"], "label 1 is 'cat|label 1 is 'dog' in `train` and 'cow'"),
        ([0, 1, 0, 1], [0, 1], ["cat", "dog"], "3 classes and `data` 2"),
    ],
)
def test_data_that_cannot_be_probed_is_one_sentence(
    known: SimpleNamespace, name: str, train: list[int], test: list[int], names: list[str], message: str
) -> None:
    one = known.Rows([known.sample(label=y, key=str(i)) for i, y in enumerate(train)], CLASSES)
    other = known.Rows([known.sample(label=y, key=f"t{i}") for i, y in enumerate(test)], names)
    model = Split(known, {id(one): torch.randn(len(train), 8), id(other): torch.randn(len(test), 8)})
    with pytest.raises(known.DataError, match=message) as caught:
        MAKE[name](one, other).evaluate(model)
    assert "\n" not in str(caught.value)


def test_too_few_samples_are_told_by_name(known: SimpleNamespace, world: SimpleNamespace) -> None:
    with pytest.raises(known.DataError, match="30 samples of the class 'cat', fewer than 31 shots"):
        FewShot(data=world.test, train=world.train, shots=[1, 31], prompts="{}").evaluate(world.model)
    with pytest.raises(known.DataError, match="there are 59: set k to at most 59"):
        NearestNeighbours(data=world.test, k=60).evaluate(world.model)
    single = known.Rows([known.sample(label=y) for y in range(3)], CLASSES)
    world.model.x_of[id(single)] = torch.randn(3, 8)
    with pytest.raises(known.DataError, match="one sample a class"):
        LinearProbe(data=world.test, train=single).evaluate(world.model)


@pytest.mark.parametrize("name", MAKE)
def test_diverged_features_are_refused(world: SimpleNamespace, name: str) -> None:
    world.model.x_of[id(world.test)][3, 2] = torch.nan
    with pytest.raises(Diverged, match="1 of 60 image"):
        MAKE[name](world.train, world.test).evaluate(world.model)
