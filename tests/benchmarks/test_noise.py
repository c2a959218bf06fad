"""The noise that ALIGN's results add to captions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAIRS = [{"image": f"{number}.png", "text": f"caption {number}"} for number in range(500)]


def test_each_kind_of_noise_has_its_share_and_no_image_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.results.align_data import SHARED, with_noise

    own = {row["image"]: row["text"] for row in PAIRS}
    kinds: Counter[str] = Counter()
    rows = with_noise(PAIRS)
    for row in rows:
        if row["text"] in SHARED:
            kinds["shared"] += 1
        elif row["text"].startswith("caption"):
            kinds["right" if row["text"] == own[row["image"]] else "wrong"] += 1
        else:
            kinds["rare"] += 1
    assert kinds == {"right": 200, "wrong": 100, "shared": 100, "rare": 100}
    assert sorted(row["image"] for row in rows) == sorted(own)
    assert with_noise(PAIRS) == rows
    words = Counter(word for row in rows for word in row["text"].split())
    made_up = [row["text"] for row in rows if row["text"] not in SHARED and not row["text"].startswith("caption")]
    assert all(words[word] == 1 for text in made_up for word in text.split())
