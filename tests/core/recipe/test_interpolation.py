"""Variables in values, and paths that begin with one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlc_core.recipe.interpolation import escape, expand
from vlc_core.recipe.paths import resolve_path

ENVIRONMENT = {
    "A": "text",
    "N": "8",
    "EMPTY": "",
    "F": "1e-3",
    "T": "true",
    "LIST": "[1]",
    "NULL": "null",
    "D": "$${A}",
}

CASES = {
    "${A}": "text",
    "x${A}y${N}": "xtexty8",
    "${N}": 8,
    "${F}": 1e-3,
    "${T}": True,
    "${NULL}": None,
    "${LIST}": "[1]",
    "${EMPTY}": None,
    "x${EMPTY}": "x",
    "${A:-b}": "text",
    "${GONE:-b}": "b",
    "${GONE:-}": None,
    "${GONE:-4}": 4,
    "${EMPTY:-4}": 4,
    "${GONE:-a:-b/c d}": "a:-b/c d",
    " ${N}": " 8",
    "$$": "$",
    "$${A}": "${A}",
    "$$$${A}": "$${A}",
    "$$${A}": "$text",
    "$A": "$A",
    "a$": "a$",
    "${D}": "$${A}",
    "": "",
    "8": "8",
}


@pytest.mark.parametrize(("text", "value"), CASES.items())
def test_expand(text: str, value: object):
    expanded = expand(text, environment=ENVIRONMENT)
    assert expanded == value
    assert type(expanded) is type(value)


def test_expand_without_reading_the_result_again():
    assert expand("${N}", reread=False, environment=ENVIRONMENT) == "8"


@pytest.mark.parametrize("text", ["${GONE}", "x ${GONE} y"])
def test_a_variable_that_is_not_set(text: str):
    with pytest.raises(ValueError, match=r"environment variable GONE is not set; .* \$\{GONE:-default\}"):
        expand(text, environment=ENVIRONMENT)


@pytest.mark.parametrize("text", ["${", "${}", "${1A}", "${A", "${A-b}", "${A B}", "${env:A}"])
def test_what_begins_like_a_variable_and_is_none(text: str):
    with pytest.raises(ValueError, match=r"written \$\$"):
        expand(text, environment=ENVIRONMENT)


@given(st.text(alphabet="${}A:-x"))
def test_escaped_text_expands_to_itself(text: str):
    assert expand(escape(text), reread=False, environment={}) == text


HOME = str(Path.home())
PATHS = {
    ("x", "x"): ("/r/x", "/r/x"),
    ("./x/../y", "./x/../y"): ("/r/y", "/r/y"),
    ("../x", "../x"): ("/x", "/x"),
    ("/a/b", "/a/b"): ("/a/b", "/a/b"),
    ("s3://b/k", "s3://b/k"): ("s3://b/k", "s3://b/k"),
    ("zip://a::s3://b/k.zip", "zip://a::s3://b/k.zip"): ("zip://a::s3://b/k.zip", "zip://a::s3://b/k.zip"),
    ("x-{000..9}.tar", "x-{000..9}.tar"): ("/r/x-{000..9}.tar", "/r/x-{000..9}.tar"),
    ("sub/${N}", "sub/8"): ("/r/sub/${N}", "/r/sub/8"),
    ("a$$b", "a$b"): ("/r/a$$b", "/r/a$b"),
    ("${A}/x", "text/x"): ("${A}/x", "CWD/text/x"),
    ("${A}/x", "/abs/x"): ("${A}/x", "/abs/x"),
    ("${A}/x", "gs://b/x"): ("${A}/x", "gs://b/x"),
    ("~/x", "~/x"): (f"{HOME}/x", f"{HOME}/x"),
}


@pytest.mark.parametrize(("given_", "result"), PATHS.items())
def test_resolve_path(given_: tuple[str, str], result: tuple[str, str]):
    expected = tuple(p.replace("CWD", str(Path.cwd())) for p in result)
    assert resolve_path(*given_, Path("/r")) == expected


def test_dollars_in_the_folder_are_escaped():
    assert resolve_path("x", "x", Path("/a$$b")) == ("/a$$$$b/x", "/a$$b/x")
