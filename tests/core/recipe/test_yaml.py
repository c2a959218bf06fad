"""The YAML reader: what it takes, what it refuses and how fast it does so."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlc_core.errors import RecipeError
from vlc_core.recipe.tree import Mark, Node
from vlc_core.recipe.yaml import MAX_BYTES, parse, read_file, read_recipe

MARK = Mark("r.yaml", 1, Path("/"))
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(8)
)


def plain(text: str):
    node = parse(text, MARK)
    return None if node is None else node.plain()


def message(content: str | bytes) -> str:
    with pytest.raises(RecipeError) as caught:
        read_recipe(content.encode() if isinstance(content, str) else content, MARK)
    return str(caught.value)


def test_plain_values():
    assert plain("{a: 1e-3, b: no, c: [1, 'true', ~], d: {e: \"x: y\"}}") == {
        "a": 1e-3,
        "b": "no",
        "c": [1, "true", None],
        "d": {"e": "x: y"},
    }
    assert plain("a: |\n  two\n  lines\nb: >-\n  one\n  line\n") == {"a": "two\nlines\n", "b": "one line"}


def test_keys_are_text_whatever_they_look_like():
    assert plain("{1: a, true: b, on: c, 1e-3: d, 'null': e}") == {
        "1": "a",
        "true": "b",
        "on": "c",
        "1e-3": "d",
        "null": "e",
    }


def test_aliases_stand_for_what_they_name():
    assert plain("a: &x {b: [1]}\nc: *x\nd: [*x, &y 2, *y]\n&k e: 1\nf: *k") == {
        "a": {"b": [1]},
        "c": {"b": [1]},
        "d": [{"b": [1]}, 2, 2],
        "e": 1,
        "f": "e",
    }


def test_marks_are_lines_of_keys_and_of_items():
    node = parse("a:\n  b: 1\n\n  c:\n    - x\n    -\n      d: {e: 2,\n       f: 3}\n", MARK)
    assert node is not None
    lines = {path: found.mark.line for path, found in node.scalars()}
    assert lines == {
        ("a", "b"): 2,
        ("a", "c", 0): 5,
        ("a", "c", 1, "d", "e"): 7,
        ("a", "c", 1, "d", "f"): 8,
    }
    assert node.at(("a", "c")).mark.line == 4  # type: ignore[union-attr]
    assert node.at(("a", "c", 1)).mark.line == 7  # type: ignore[union-attr]


WRONG = {
    "empty": ("", "r.yaml: empty; a recipe is a mapping such as 'model: ...'"),
    "comments": ("# nothing\n", "r.yaml: empty; a recipe is a mapping such as 'model: ...'"),
    "null": ("~", "r.yaml: empty; a recipe is a mapping such as 'model: ...'"),
    "list": ("- a\n- b\n", "r.yaml:1: this is a list; a recipe is a mapping such as 'model: ...'"),
    "scalar": ("just text", "r.yaml:1: this is a single value; a recipe is a mapping such as 'model: ...'"),
    "duplicate": ("a: 1\nb: 2\na: 3\n", "r.yaml:3: the key 'a' stands twice, first at r.yaml:1"),
    "nested duplicate": ("a:\n  b: 1\n  'b': 2\n", "r.yaml:3: the key 'b' stands twice, first at r.yaml:2"),
    "tab": ("a:\n\tb: 1\n", "r.yaml:2: a tab stands where YAML wants spaces; indent by spaces"),
    "tab after spaces": ("a:\n  \tb: 1\n", "r.yaml:2: a tab stands where YAML wants spaces; indent by spaces"),
    "tag": ("a: !!python/object:os.system x\n", "r.yaml:1: the tag 'tag:yaml.org,2002:python/object:os.system'"),
    "standard tag": ("a: !!str 1\n", "r.yaml:1: the tag 'tag:yaml.org,2002:str'"),
    "own tag": ("a:\n  - !x {b: 1}\n", "r.yaml:2: the tag '!x'"),
    "bare tag": ("a: ! 1\n", "r.yaml:1: the tag '!'; recipes hold plain values without tags"),
    "colon": ("a: b: c\n", "r.yaml:1: a ':' too many, or wrong indentation; put text that holds ': ' in quotes"),
    "no colon": ("a: 1\nb\nc: 2\n", "r.yaml:3: a key without ':' after it"),
    "open bracket": ("a: [1, 2\nb: 3\n", "r.yaml:2: "),
    "open quote": ("a: 'x\n", "r.yaml:2: not YAML: found unexpected end of stream"),
    "two documents": ("a: 1\n---\nb: 2\n", "r.yaml:2: a second document begins; a recipe is one"),
    "merge key": ("a: &x {b: 1}\nc:\n  <<: *x\n", "r.yaml:3: '<<' merges are not YAML 1.2"),
    "null key": ("a:\n  ~: 1\n", "r.yaml:2: a key is missing before ':'"),
    "no key": ("?\n: 1\n", "r.yaml:1: a key is missing before ':'"),
    "list as key": ("? [a, b]\n: 1\n", "r.yaml:1: a mapping or list as a key; keys are text"),
    "alias as key": ("a: &x b\n*x : 1\n", "r.yaml:2: an alias as a key; write the key itself"),
    "unknown alias": ("a: *x\n", "r.yaml:1: *x has no &x before it"),
    "alias to itself": ("a: &x [*x]\n", "r.yaml:1: *x contains itself"),
    "nan": ("a: .nan\n", "r.yaml:1: .nan is not a number that a recipe can use"),
    "huge number": ("a: " + "9" * 9999, "r.yaml:1: the number 99999999999999999999… has more than 64 bits"),
    "surrogate": ('a: "\\ud800"\n', "r.yaml:1: half of a surrogate pair; write the character itself"),
    "control character": ("a: 1\nb: \x07\n", "r.yaml:2: holds the character #x07; a recipe is plain text"),
    "at sign": ("a: @x\n", "r.yaml:1: not YAML: found character '@' that cannot start any token"),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG)
def test_what_is_refused_is_told_in_one_line(text: str, said: str):
    told = message(text)
    assert told.startswith(said)
    assert "\n" not in told


@pytest.mark.parametrize(
    "content",
    [b"\x89PNG\r\n\x1a\n\x00\xff", "modèle: 1".encode("latin-1"), "a: 1".encode("utf-16"), bytes(range(256))],
)
def test_binary_files_are_named_as_such(content: bytes):
    assert "not a text file in UTF-8" in message(content)


def test_a_byte_order_mark_is_no_part_of_the_text():
    assert read_recipe(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", MARK).plain() == {"a": 1, "b": 2}


def test_an_alias_bomb_fails_at_once():
    start = time.perf_counter()
    told = message(BOMB)
    assert time.perf_counter() - start < 0.1
    assert "more than 100,000 values once aliases are followed" in told
    assert len(BOMB) < 400


def test_aliases_within_the_budget_cost_what_they_stand_for():
    many = "a: &a [" + ",".join("x" * 1 for _ in range(100)) + "]\nb: [" + ",".join(["*a"] * 900) + "]"
    assert sum(len(item) for item in plain(many)["b"]) == 90_000
    assert "100,000" in message(many.replace("b: [", "b: [" + "*a," * 200))


@pytest.mark.parametrize(
    "text", ["a: " + "[" * 70, "- " * 70, "{a: " * 70, "".join("  " * i + "a:\n" for i in range(70))]
)
def test_depth_is_limited(text: str):
    assert "nested deeper than 64 levels" in message(text)


def test_depth_through_aliases_is_limited():
    text = "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [[[[[[[[*a{i - 1}]]]]]]]]\n" for i in range(1, 12))
    assert "nested deeper than 64 levels" in message(text)


def test_size_is_limited(tmp_path: Path):
    path = tmp_path / "big.yaml"
    path.write_bytes(b"a: " + b"x" * MAX_BYTES)
    with pytest.raises(RecipeError, match=r"big.yaml: larger than 1 MB"):
        read_file(path, "big.yaml")


@pytest.mark.parametrize("text", ["[" * 900_000, "a: &a\n" * 100_000, '"' + "\\x41" * 200_000, "- - " * 200_000])
def test_hostile_files_of_full_size_fail_within_seconds(text: str):
    start = time.perf_counter()
    message(text)
    assert time.perf_counter() - start < 10


def test_files_that_cannot_be_read(tmp_path: Path):
    (tmp_path / "quickstart.yaml").write_text("a: 1")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.yaml").write_text("a: 1")
    for path, said in [
        (tmp_path / "quikstart.yaml", "no such recipe; did you mean 'quickstart.yaml'?"),
        (tmp_path / "nope.yaml", "no such recipe"),
        (tmp_path / "absent" / "x.yaml", f"no such recipe; the folder {tmp_path / 'absent'} does not exist"),
        (tmp_path, "is a folder, not a recipe"),
        (tmp_path / "run", f"is a folder, not a recipe; did you mean {tmp_path / 'run' / 'recipe.yaml'}?"),
        (tmp_path / "quickstart.yaml" / "x.yaml", "cannot be read: Not a directory"),
        (tmp_path / ("x" * 300), "cannot be read: File name too long"),
        (tmp_path / "a\0b", "cannot be read: "),
    ]:
        with pytest.raises(RecipeError) as caught:
            read_file(path, "SHOWN")
        assert said in str(caught.value)
        assert str(caught.value).startswith("SHOWN")


YAML_LIKE = st.text(alphabet=[*"ab:-?,[]{}&*!|>'\"%@`#~<\\ \t\n0.e$", "\ud800", "\x00", "é", "\u2028"], max_size=80)


def read_or_told(content: bytes) -> tuple[str, ...]:
    """The sentences that refuse ``content``; none where it is read."""
    try:
        assert isinstance(read_recipe(content, MARK), Node)
    except RecipeError as error:
        return error.problems
    return ()


@settings(max_examples=300, deadline=None)
@given(YAML_LIKE)
def test_any_text_is_read_or_refused(text: str):
    told = read_or_told(text.encode("utf-8", "surrogatepass"))
    assert all(p.startswith("r.yaml") and "\n" not in p for p in told)
    assert len(told) <= 1


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(content: bytes):
    assert len(read_or_told(content)) <= 1
