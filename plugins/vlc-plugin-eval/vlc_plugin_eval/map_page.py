"""The page of an embedding map: self-contained HTML with one picture of points for each model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vlc_plugin_data.pages import template

GOLDEN = 137.508
"""Degrees between the hues of two classes: any number of them keeps them apart."""

SPOKEN = {"knn": "kNN accuracy"}
"""Metrics as a reader calls them."""


class Panel(NamedTuple):
    """One model's map.

    Attributes:
        name: Of the model.
        places: (N, 2) in 0…1000.
        metrics: What to print below.
    """

    name: str
    places: NDArray[np.float64]
    metrics: Mapping[str, float]


def page(
    title: str,
    panels: Sequence[Panel],
    *,
    labels: Sequence[int],
    classes: Mapping[int, str],
    keys: Sequence[str],
    pictures: Sequence[str],
) -> str:
    """The HTML. Names come from data and are escaped, and its policy lets a browser load nothing from elsewhere.

    Args:
        title: Of the page.
        panels: A map for each model, all of the same N samples in the same order.
        labels: N classes.
        classes: Labels to names.
        keys: N names of samples.
        pictures: N ``data:`` addresses, or empty ones.
    """
    order = sorted(classes)
    shown = [{"name": classes[label], "colour": colour(place)} for place, label in enumerate(order)]
    points = {"label": [order.index(label) for label in labels], "key": list(keys), "picture": list(pictures)}
    drawn = [
        {
            "name": panel.name,
            "places": panel.places.tolist(),
            "metrics": {SPOKEN.get(k, k): f"{v:.3f}" for k, v in panel.metrics.items()},
        }
        for panel in panels
    ]
    made = template(__file__, "map.html.jinja")
    return made.render(title=title, panels=drawn, classes=shown, data=_json(points))


def colour(place: int) -> str:
    """The colour of the class of that number; neighbours in the list differ much, and three lightnesses alternate."""
    return f"hsl({place * GOLDEN % 360:.1f} 70% {(45, 60, 32)[place % 3]}%)"


def _json(value: Any) -> str:
    """JSON for a ``<script>`` element, which no text in it can end."""
    told = json.dumps(value, separators=(",", ":"))
    return told.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
