"""The world of shapes against a checker that reads its English back and looks at rectangles and attributes alone."""

from __future__ import annotations

import itertools
import os
import pickle
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageStat

from vlc_core.options import build
from vlc_core.options.use import Use
from vlc_core.plugins import plugins
from vlc_plugin_data.shapes import (
    COLOURS,
    HELD_OUT_KINDS,
    KINDS,
    SHAPES,
    Scene,
    captions,
    draw_scene,
    entailments,
    paint,
    questions,
    statement_pairs,
    statements,
    truth,
)
from vlc_plugin_data.shapes.dataset import Shapes
from vlc_plugin_data.shapes.draw import PAINT
from vlc_plugin_data.shapes.facts import Boxed
from vlc_plugin_data.shapes.scene import Kind, Split, Thing
from vlc_plugin_data.shapes.sheet import contact_sheet
from vlc_plugin_data.shapes.words import phrasings

SPLITS: tuple[Split, ...] = ("train", "test", "all")
NAMED = r"(?:a|an|the) (?:(?:small|large) )?(\w+ \w+)"
WHERE = r"(to the left of|to the right of|above|below)"


def world(count: int, *, boxes: float = 0.7, most: int = 4) -> Iterator[Scene]:
    for split in SPLITS:
        for index in range(count):
            yield draw_scene(7, index, split=split, boxes=boxes, most=most)


# --- The checker: it knows the scene as rectangles with a name and a size, and English as regular expressions.


def seen(scene: Scene) -> dict[str, Thing]:
    things = list(scene.things)
    if scene.box is not None and not scene.box.closed:
        things.append(scene.box.content)
    return {f"{thing.kind.colour} {thing.kind.shape}": thing for thing in things}


def stands(scene: Scene, name: str, where: str, other: str) -> bool | None:
    things = seen(scene)
    if name not in things or other not in things:
        return None if scene.box is not None and scene.box.closed else False
    a, b = things[name].rectangle, things[other].rectangle
    across, down = (a[0] + a[2]) - (b[0] + b[2]), (a[1] + a[3]) - (b[1] + b[3])
    return {
        "to the left of": across < 0,
        "to the right of": across > 0,
        "above": down < 0,
        "below": down > 0,
    }[where]


def holds(scene: Scene, name: str) -> bool | None:
    if scene.box is None:
        return False
    if scene.box.closed:
        return None
    return bool(f"{scene.box.content.kind.colour} {scene.box.content.kind.shape}" == name)


def judge(scene: Scene, text: str) -> bool | None:
    """Whether a sentence is true, false or open (None)."""
    hidden = None if scene.box is not None and scene.box.closed else False
    if m := re.fullmatch(rf"the box holds {NAMED}|there is {NAMED} in the box|{NAMED} is inside the box", text):
        return holds(scene, next(g for g in m.groups() if g))
    if m := re.fullmatch(rf"(?:there is|the scene has|somewhere there is) {NAMED}", text):
        return True if m[1] in seen(scene) else hidden
    if m := re.fullmatch(r"the (\w+ \w+) is (?:a )?(small|large)(?: one)?", text):
        thing = seen(scene).get(m[1])
        if thing is None:
            return hidden
        x0, _, x1, _ = thing.rectangle
        return (m[2] == "large") == (x1 - x0 > 0.3)
    if m := re.fullmatch(rf"{WHERE} {NAMED} is {NAMED}", text):
        return stands(scene, m[3], m[1], m[2])
    if m := re.fullmatch(rf"(?:there is )?{NAMED} (?:is |lies )?{WHERE} {NAMED}", text):
        return stands(scene, m[1], m[2], m[3])
    raise AssertionError(f"not understood: {text}")


# --- Language against geometry


def test_every_statement_is_what_the_checker_finds() -> None:
    seen_about = Counter[str]()
    for scene in world(300):
        for pair in statement_pairs(scene):
            assert judge(scene, pair.true.text) is True, (scene, pair)
            assert judge(scene, pair.false.text) is False, (scene, pair)
            assert (pair.true.true, pair.false.true) == (True, False)
            seen_about[type(pair.true.fact).__name__] += 1
    assert set(seen_about) == {"Related", "Sized", "Exists", "Boxed"}


def test_a_false_statement_differs_by_one_attribute_or_relation() -> None:
    for scene in world(200):
        for true, false in statement_pairs(scene):
            a = re.sub(WHERE, lambda m: m[0].replace(" ", "-"), re.sub(r"\ban\b", "a", true.text)).split()
            b = re.sub(WHERE, lambda m: m[0].replace(" ", "-"), re.sub(r"\ban\b", "a", false.text)).split()
            assert len(a) == len(b)
            assert sum(x != y for x, y in zip(a, b, strict=True)) == 1, (true.text, false.text)


def test_entailments_are_what_the_checker_finds() -> None:
    label_of = {True: "entailed", False: "contradicted", None: "neutral"}
    found = Counter[str]()
    for scene in world(300, boxes=1.0):
        for row in entailments(scene):
            assert label_of[judge(scene, row.hypothesis)] == row.label, (scene, row)
            found[row.label] += 1
    assert max(found.values()) < 1.1 * min(found.values())
    for scene in world(100, boxes=0.0):
        assert [row.label for row in entailments(scene)] == ["entailed", "contradicted"]


def test_facts_are_judged_as_their_sentences() -> None:
    """Any fact about any scene, and all its wordings, not only those that a scene offers of itself."""
    answers = Counter[bool | None]()
    scenes = list(world(60))
    for scene, other in itertools.pairwise(scenes):
        foreign = [statement.fact for statement in statements(other)] + [Boxed(other.main.kind)]
        for fact in foreign:
            for text in phrasings(fact):
                assert judge(scene, text) is truth(scene, fact), (scene, text)
            answers[truth(scene, fact)] += 1
    assert min(answers[True], answers[False], answers[None]) > 20


def test_questions_have_one_right_answer() -> None:
    about = Counter[str]()
    yes = Counter[str]()
    for scene in world(300):
        things = seen(scene)
        for question in questions(scene):
            text, answer = question.text, question.answer
            about[question.about] += 1
            if m := re.fullmatch(r"what colour is the (\w+)\?", text):
                assert [n.split()[0] for n in things if n.endswith(f" {m[1]}")] == [answer]
            elif m := re.fullmatch(r"what shape is the (\w+) thing\?", text):
                assert [n.split()[1] for n in things if n.startswith(f"{m[1]} ")] == [answer]
            elif m := re.fullmatch(r"how big is the (.+)\?", text):
                assert judge(scene, f"the {m[1]} is {answer}") is True
            elif m := re.fullmatch(r"how many (\w+?)(?:s|(?<=cross)es) can be seen\?", text):
                number = ("none", "one", "two", "three", "four", "five").index(answer)
                assert sum(n.endswith(f" {m[1]}") for n in things) == number
                assert m[1] in SHAPES
            elif m := re.fullmatch(rf"can {NAMED} be seen\?", text):
                assert (m[1] in things) == (answer == "yes")
                yes[answer] += 1
            elif m := re.fullmatch(rf"is {NAMED} {WHERE} {NAMED}\?", text):
                assert stands(scene, *m.groups()) == (answer == "yes")
                yes[answer] += 1
            else:
                assert text == "what is in the box?"
                assert scene.box is not None
                assert answer == "unknown" if scene.box.closed else holds(scene, answer)
    assert len(about) == 7
    assert abs(yes["yes"] - yes["no"]) < 0.1 * yes.total()


def test_captions_are_true_and_name_what_they_should() -> None:
    for scene in world(300):
        texts = [caption.text for caption in captions(scene)]
        assert len(set(texts)) == len(texts)
        assert 3 <= len(texts) <= 5
        everything = texts[0].removesuffix(f" on a {scene.background} background")
        assert everything != texts[0]
        for text in (everything, texts[-1]):
            assert {str(kind) for kind in KINDS if re.search(rf"\b{kind}\b", text)} == set(seen(scene))
            assert ("a closed box" in text) == scene.hides_something
            assert ("in an open box" in text) == (len(scene.visible) > len(scene.things))
        for caption in captions(scene):
            if re.search(WHERE, caption.text):
                assert judge(scene, caption.text) is True


def test_phrases_point_at_what_they_name() -> None:
    for scene in world(200):
        things = seen(scene)
        for caption in captions(scene):
            for phrase in caption.phrases:
                assert caption.text[phrase.start :].startswith(phrase.text)
                if phrase.text.endswith("box"):
                    assert scene.box is not None
                    assert phrase.rectangle == scene.box.rectangle
                    assert ("closed" in phrase.text) == scene.box.closed
                else:
                    thing = things[" ".join(phrase.text.split()[-2:])]
                    assert phrase.rectangle == thing.rectangle
                    size = re.search("small|large", phrase.text)
                    assert size is None or size[0] == thing.size


def test_rectangles_fit_the_painted_things() -> None:
    side = 400
    checked = Counter[str]()
    for scene in world(40):
        pixels = np.asarray(paint(scene, side))
        colours = Counter(thing.kind.colour for thing in scene.visible)
        for thing in scene.visible:
            if colours[thing.kind.colour] > 1:
                continue
            rows, columns = np.nonzero((pixels == PAINT[thing.kind.colour]).all(axis=2))
            drawn = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
            sharp = 8 if thing.kind.shape in ("star", "triangle", "diamond", "heart") else 2  # tips are blended
            assert np.abs(drawn - np.array(thing.rectangle) * side).max() <= sharp, (scene, thing)
            checked[thing.kind.shape] += 1
    assert set(checked) == set(SHAPES)


def test_things_keep_apart_and_inside() -> None:
    for scene in world(300, boxes=1.0):
        assert scene.box is not None
        rectangles = [thing.rectangle for thing in scene.things] + [scene.box.rectangle]
        for number, (x0, y0, x1, y1) in enumerate(rectangles):
            assert min(x0, y0) > 0
            assert max(x1, y1) < 1
            for u0, v0, u1, v1 in rectangles[:number]:
                assert x0 > u1 or u0 > x1 or y0 > v1 or v0 > y1
        assert len({thing.kind for thing in (*scene.things, scene.box.content)}) == len(scene.things) + 1


def test_a_closed_box_hides_what_it_holds() -> None:
    for scene in world(100, boxes=1.0):
        assert scene.box is not None
        content = Kind("pink", "ring") if scene.box.content.kind.colour != "pink" else Kind("red", "star")
        held = Thing(content, "small", scene.box.x, scene.box.y)
        box = type(scene.box)(scene.box.x, scene.box.y, scene.box.closed, held)
        other = Scene(scene.seed, scene.index, scene.split, scene.background, scene.things, box)
        same = ImageChops.difference(paint(scene, 48), paint(other, 48)).getbbox() is None
        assert same == scene.box.closed


# --- Splits


def test_each_colour_and_each_shape_has_one_held_out_partner() -> None:
    assert len(KINDS) == len(set(KINDS)) == 64
    assert sorted(kind.colour for kind in HELD_OUT_KINDS) == sorted(COLOURS)
    assert sorted(kind.shape for kind in HELD_OUT_KINDS) == sorted(SHAPES)


def test_train_never_shows_or_mentions_what_is_held_out() -> None:
    held_out = re.compile("|".join(str(kind) for kind in HELD_OUT_KINDS))
    shown = set[Kind]()
    for index in range(1500):
        scene = draw_scene(3, index, split="train")
        kinds = [thing.kind for thing in scene.things] + ([scene.box.content.kind] if scene.box else [])
        shown.update(kinds)
        texts = [c.text for c in captions(scene)] + [s.text for s in statements(scene)]
        texts += [e.hypothesis for e in entailments(scene)]
        texts += [part for q in questions(scene) for part in (q.text, q.answer)]
        assert not any(held_out.search(text) for text in texts), texts
    assert shown == set(KINDS) - set(HELD_OUT_KINDS)


def test_test_is_about_what_is_held_out_and_all_about_everything() -> None:
    assert {draw_scene(3, i, split="test").main.kind for i in range(300)} == set(HELD_OUT_KINDS)
    assert {draw_scene(3, i, split="all").main.kind for i in range(1000)} == set(KINDS)


def test_words_alone_tell_little_of_the_truth() -> None:
    """A bag-of-words classifier of the statements' text stays near a coin's accuracy on other scenes."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    rows = [s for i in range(2500) for s in statements(draw_scene(5, i, split="all"))]
    x = CountVectorizer(ngram_range=(1, 2)).fit_transform([s.text for s in rows])
    y = np.array([s.true for s in rows])
    half = len(rows) // 2
    accuracy = LogisticRegression(C=0.05, max_iter=300).fit(x[:half], y[:half]).score(x[half:], y[half:])
    assert accuracy < 0.55


# --- Purity


def test_a_scene_is_a_function_of_seed_split_and_index() -> None:
    a = [draw_scene(1, i, split="train") for i in range(50)]
    assert a == [draw_scene(1, i, split="train") for i in reversed(range(50))][::-1]
    different = [draw_scene(2, i, split="train") for i in range(50)], [draw_scene(1, i, split="all") for i in range(50)]
    places = [[scene.main.x for scene in scenes] for scenes in (a, *different)]
    assert len({x for xs in places for x in xs}) == 150


def test_language_does_not_depend_on_what_was_asked_before() -> None:
    scene = draw_scene(1, 4, split="all", boxes=1.0)
    first = captions(scene), statements(scene), entailments(scene), questions(scene)
    assert (questions(scene), entailments(scene), statements(scene), captions(scene)) == first[::-1]


def test_other_processes_draw_the_same() -> None:
    """Another hash seed, another process: Python's own hashing plays no part."""
    code = (
        "import hashlib; from vlc_plugin_data.shapes.dataset import Shapes; d = Shapes(split='all', size=24); "
        "print(hashlib.md5(b''.join(d[i].image.tobytes() + repr(d[i].texts).encode() for i in range(9))).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_the_first_scene_stays_what_it_is() -> None:
    scene = draw_scene(0, 0, split="train")
    assert captions(scene)[0].text == (
        "a large black triangle, a small red cross, a small yellow diamond and a blue star in an open box "
        "on a white background"
    )
    assert scene.main.x == 0.27103421974630504


@pytest.mark.parametrize("index", range(0, 40, 7))
def test_the_picture_is_the_same_at_any_resolution(index: int) -> None:
    scene = draw_scene(0, index, boxes=0.7)
    small, large = paint(scene, 32), paint(scene, 128)
    assert (small.size, large.size, small.mode) == ((32, 32), (128, 128), "RGB")
    apart = ImageStat.Stat(ImageChops.difference(small, large.reduce(4)))
    assert max(apart.mean) < 2.5
    assert max(ImageStat.Stat(ImageChops.difference(small, paint(draw_scene(0, index + 1), 32))).mean) > 10


# --- The dataset


def test_a_recipe_reaches_it() -> None:
    spec = Use.model_validate({"use": "shapes", "split": "test", "length": 12, "size": 32, "boxes": 1.0})
    data = build(plugins().registry, "dataset", spec)
    assert len(data) == 12
    sample = data[3]
    assert isinstance(sample.image, Image.Image)
    assert sample.image.size == (32, 32)
    assert sample.texts == data.texts(3) == tuple(c.text for c in captions(data.scene(3)))
    assert data.classes[sample.label] == str(data.scene(3).main.kind)
    assert Kind(*data.classes[sample.label].split()).held_out
    assert len({data[i].key for i in range(12)}) == 12
    copy = pickle.loads(pickle.dumps(data))
    assert copy.scene(3) == data.scene(3)


def test_scenes_have_as_many_things_as_asked() -> None:
    assert {len(Shapes(most=4).scene(i).things) for i in range(100)} == {2, 3, 4}
    assert {len(Shapes(most=1, boxes=0).scene(i).things) for i in range(100)} == {1}
    assert {s.box is None for s in map(Shapes(boxes=0).scene, range(50))} == {True}
    for i in range(100):  # a single thing still has captions, statements and questions
        scene = Shapes(most=1, boxes=0).scene(i)
        assert len(captions(scene)) >= 2
        assert all(judge(scene, s.text) is s.true for s in statements(scene))
        assert len(questions(scene)) >= 4


@pytest.mark.parametrize("index", [-1, 5])
def test_there_are_no_scenes_beyond_the_length(index: int) -> None:
    with pytest.raises(IndexError, match="5 scenes"):
        Shapes(length=5)[index]


def test_speed(capsys: pytest.CaptureFixture[str]) -> None:
    data = Shapes(size=32)
    start = time.perf_counter()
    for index in range(300):
        data[index]
    with capsys.disabled():
        print(f"\nshapes: {300 / (time.perf_counter() - start):.0f} scenes/s at 32 pixels")  # noqa: T201


def test_the_contact_sheet_is_a_picture(tmp_path: Path) -> None:
    scenes = [draw_scene(0, i, boxes=1.0) for i in range(2)]
    sheet = contact_sheet([("title", scenes)])
    sheet.save(tmp_path / "sheet.png")
    assert sheet.width > 450
    assert len(sheet.getcolors(100_000) or ()) > 30
