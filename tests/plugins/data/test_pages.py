"""What all pages share: a head that lets a browser fetch nothing, and nobody who writes one anew."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jinja2 import TemplateRuntimeError, UndefinedError

from vlc_plugin_data.pages import template

PLUGINS = Path(__file__).parents[3] / "plugins"
TEMPLATES = sorted(
    file for ending in ("html", "jinja") for file in PLUGINS.rglob(f"*.{ending}") if file.name != "base.html"
)
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write(folder: Path, text: str) -> str:
    """A template beside a module, which is named."""
    (folder / "page.html").write_text(text)
    return str(folder / "module.py")


def test_a_page_has_the_head_of_all_pages_and_its_own_style(tmp_path: Path) -> None:
    module = write(
        tmp_path,
        '{% extends "base.html" %}{% block title %}{{ name }}{% endblock %}'
        "{% block style %}i { color: red; }{% endblock %}{% block body %}<p>{{ name }}</p>{% endblock %}",
    )
    page = template(module).render(name="<b>cat</b>")
    assert page.startswith('<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n')
    assert f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">' in page
    assert "<title>&lt;b&gt;cat&lt;/b&gt;</title>" in page
    assert "prefers-color-scheme: dark" in page
    assert page.index("body {") < page.index("i { color: red; }") < page.index("</style>")
    assert "<body>\n<p>&lt;b&gt;cat&lt;/b&gt;</p>" in page


def test_a_page_without_a_title_or_a_name_that_it_needs_is_a_mistake(tmp_path: Path) -> None:
    module = write(tmp_path, '{% extends "base.html" %}{% block body %}{% endblock %}')
    with pytest.raises(TemplateRuntimeError, match="title"):
        template(module).render()
    (tmp_path / "b").mkdir()
    module = write(
        tmp_path / "b",
        '{% extends "base.html" %}{% block title %}{{ gone }}{% endblock %}{% block body %}{% endblock %}',
    )
    with pytest.raises(UndefinedError, match="gone"):
        template(module).render()


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: str(file.relative_to(PLUGINS)))
def test_every_page_extends_the_one_base(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.startswith('{% extends "base.html" %}\n')
    assert re.findall(r"<(?:!doctype|html|head|meta|link|style)\b", text) == []


def test_there_are_pages() -> None:
    assert len(TEMPLATES) >= 6
