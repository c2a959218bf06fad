"""A contact sheet of scenes: ``python -m vlc_plugin_data.shapes.sheet -o shapes.png``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from vlc_plugin_data.shapes.captions import captions
from vlc_plugin_data.shapes.claims import entailments, statement_pairs
from vlc_plugin_data.shapes.draw import paint
from vlc_plugin_data.shapes.questions import questions
from vlc_plugin_data.shapes.scene import Scene, Split, draw_scene

PICTURE = 232
MARGIN = 20
TEXT_HEIGHT = 238
TITLE = 40
LINE = 17
INDENT = 12
INK = {
    "": (40, 40, 44),
    "class": (112, 112, 116),
    "true": (24, 120, 54),
    "false": (190, 36, 36),
    "open": (120, 96, 20),
    "ask": (40, 76, 160),
}
LABEL_INK = {"entailed": "true", "contradicted": "false", "neutral": "open"}

TITLES: tuple[tuple[str, Split], ...] = (
    ("split: train", "train"),
    ("split: test, where the large thing is of a colour and shape that train never combines", "test"),
)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Line = tuple[str, str]
"""A text and the name of its ink."""


def contact_sheet(rows: Sequence[tuple[str, Sequence[Scene]]]) -> Image.Image:
    """Titled rows of pictures, with class, captions, statements, a hypothesis and a question under each."""
    columns = max(len(scenes) for _, scenes in rows)
    width, height = PICTURE + MARGIN, TITLE + PICTURE + TEXT_HEIGHT
    sheet = Image.new("RGB", (columns * width + MARGIN, len(rows) * height + MARGIN // 2), (248, 248, 246))
    title = ImageDraw.Draw(sheet)
    for row, (text, scenes) in enumerate(rows):
        title.text((MARGIN, row * height + 12), text, fill=INK[""], font=ImageFont.load_default(16))
        for column, scene in enumerate(scenes):
            _paste(sheet, scene, (MARGIN + column * width, row * height + TITLE))
    return sheet


def _paste(sheet: Image.Image, scene: Scene, corner: tuple[int, int]) -> None:
    draw = ImageDraw.Draw(sheet)
    x, y = corner
    sheet.paste(_outlined(scene), corner)
    draw.rectangle((x - 1, y - 1, x + PICTURE, y + PICTURE), outline=(176, 176, 176))
    y += PICTURE + 8
    font = ImageFont.load_default(13)
    for text, ink in _lines(scene):
        for number, part in enumerate(_wrapped(draw, text, font)):
            draw.text((x + INDENT * (number > 0), y), part, fill=INK[ink], font=font)
            y += LINE


def _wrapped(draw: ImageDraw.ImageDraw, text: str, font: Font) -> list[str]:
    """``text`` in lines as wide as the picture; all but the first are indented."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and draw.textlength(longer, font) <= PICTURE - INDENT * (len(lines) > 1):
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _outlined(scene: Scene) -> Image.Image:
    """The picture with a fine rectangle around each thing that the second caption names."""
    picture = paint(scene, PICTURE)
    draw = ImageDraw.Draw(picture)
    for phrase in captions(scene)[1].phrases:
        x0, y0, x1, y1 = (round(edge * PICTURE) for edge in phrase.rectangle)
        draw.rectangle((x0 - 4, y0 - 4, x1 + 3, y1 + 3), outline=(60, 60, 60))
    return picture


def _lines(scene: Scene) -> list[Line]:
    chance = scene.chance("sheet")
    pair = chance.pick(statement_pairs(scene))
    hypothesis = entailments(scene)[-1]
    question = chance.pick(questions(scene))
    return [
        (f"class: {scene.main.kind}", "class"),
        (captions(scene)[1].text, ""),
        (captions(scene)[-1].text, ""),
        (f"true: {pair.true.text}", "true"),
        (f"false: {pair.false.text}", "false"),
        (f"{hypothesis.label}: {hypothesis.hypothesis}", LABEL_INK[hypothesis.label]),
        (f"{question.text} {question.answer}", "ask"),
    ]


def main() -> None:
    """Reads the command line and writes the sheet."""
    parser = argparse.ArgumentParser(prog="python -m vlc_plugin_data.shapes.sheet", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("shapes.png"))
    parser.add_argument("--seed", type=int, default=25)
    parser.add_argument("--columns", type=int, default=4)
    asked = parser.parse_args()
    rows = [
        (title, [draw_scene(asked.seed, index, split=split, boxes=0.75) for index in range(asked.columns)])
        for title, split in TITLES
    ]
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(rows).quantize(128).save(asked.output, optimize=True)


if __name__ == "__main__":
    main()
