"""The report as one page: no script, nothing fetched, every text escaped."""

from __future__ import annotations

from vlc_plugin_curate.cleaning.report import Report
from vlc_plugin_data.pages import template


def as_page(report: Report) -> str:
    """The page as HTML; it stands for itself, without any other file."""
    most = max([rule.alone.pairs for rule in report.rules] + [1])
    return template(__file__).render(
        report=report, most=most, share=share, option=option, buckets=buckets(report.pairs_per_image)
    )


def option(value: object) -> str:
    """A threshold, a switch or names as people read them."""
    if isinstance(value, bool) or value is None:
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:,g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def share(part: int, whole: int) -> str:
    """``3.1 %`` of something."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


def buckets(histogram: tuple[tuple[int, int], ...]) -> list[tuple[str, int]]:
    """A histogram in few lines: 1, 2, 3 – 4, 5 – 8 and so on."""
    found: dict[int, int] = {}
    for n, images in histogram:
        found[(n - 1).bit_length()] = found.get((n - 1).bit_length(), 0) + images
    return [(_range(bits), images) for bits, images in sorted(found.items())]


def _range(bits: int) -> str:
    low, high = (2 ** (bits - 1) + 1, 2**bits) if bits else (1, 1)
    return f"{low:,}" if low == high else f"{low:,} – {high:,}"
