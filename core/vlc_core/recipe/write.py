"""Writing a recipe such that it reads back as the same one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from vlc_core.recipe.scalars import resolve


class _Dumper(yaml.SafeDumper):
    """Quotes every text that this reader, or one of YAML 1.1, would take for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if _is_plain(value) else '"')


def _is_plain(value: str) -> bool:
    """Whether PyYAML may choose the style: it loses line breaks such as U+0085 in all but double quotes."""
    try:
        return value.isprintable() and isinstance(resolve(value), str)
    except ValueError:
        return False


_Dumper.add_representer(str, _text)


def dump(data: Any) -> str:
    """Plain data as YAML, keys in their order."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text


def write_recipe(resolved: dict[str, Any], path: Path) -> None:
    """Writes a resolved recipe to ``path``."""
    path.write_text(f"# Train it again: vlc train {path.name}\n{dump(resolved)}", encoding="utf-8")
