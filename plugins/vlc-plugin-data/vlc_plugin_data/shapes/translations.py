"""What things and backgrounds are called in other languages than English, and how a sentence is put together.

Every language says the same of a scene: the sizes, colours and shapes of its things, and the background.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vlc_plugin_data.shapes.scene import BACKGROUNDS, COLOURS, SHAPES, Thing
from vlc_plugin_data.shapes.words import a

SIZES = ("small", "large")


@dataclass(frozen=True, slots=True)
class Language:
    """A language.

    Attributes:
        thing: Says a thing.
        listed: Joins several.
        backdrop: Says them before a background, which it is given in English.
    """

    thing: Callable[[Thing], str]
    listed: Callable[[Sequence[str]], str]
    backdrop: Callable[[str, str], str]

    def of(self, things: Sequence[Thing], background: str) -> str:
        """The sentence about a few things."""
        return self.backdrop(self.listed([self.thing(thing) for thing in things]), background)


def _words(names: Sequence[str], translated: str) -> Mapping[str, str]:
    return dict(zip(names, translated.split(), strict=True))


def _joined(comma: str, last: str) -> Callable[[Sequence[str]], str]:
    return lambda parts: last.join(part for part in (comma.join(parts[:-1]), parts[-1]) if part)


def _simple(template: str, sizes: str, colours: str, shapes: str) -> Callable[[Thing], str]:
    """For languages whose words do not change with each other."""
    size, colour, shape = _words(SIZES, sizes), _words(COLOURS, colours), _words(SHAPES, shapes)
    return lambda thing: template.format(
        size=size[thing.size], colour=colour[thing.kind.colour], shape=shape[thing.kind.shape]
    )


def _behind(template: str, backgrounds: str) -> Callable[[str, str], str]:
    background = _words(BACKGROUNDS, backgrounds)
    return lambda things, name: template.format(things=things, background=background[name])


def _agreeing(
    template: str, genders: str, sizes: Sequence[str], colours: Sequence[str], shapes: str, article: Mapping[str, str]
) -> Callable[[Thing], str]:
    """For languages whose adjectives follow the gender of the shape.

    Args:
        template: With ``{article}``, ``{size}``, ``{colour}`` and ``{shape}``.
        genders: A letter for each shape.
        sizes: For each gender in the order m, f, n, the words of both sizes.
        colours: The same for the colours.
        shapes: Their names.
        article: By gender.
    """
    gender = dict(zip(SHAPES, genders, strict=True))
    size = {g: _words(SIZES, words) for g, words in zip("mfn", sizes, strict=True)}
    colour = {g: _words(COLOURS, words) for g, words in zip("mfn", colours, strict=True)}
    shape = _words(SHAPES, shapes)

    def say(thing: Thing) -> str:
        g = gender[thing.kind.shape]
        return template.format(
            article=article[g],
            size=size[g][thing.size],
            colour=colour[g][thing.kind.colour],
            shape=shape[thing.kind.shape],
        )

    return say


def _with_endings(stems: str, endings: str) -> tuple[str, ...]:
    """The stems with each of the endings, where all take the same."""
    return tuple(" ".join(stem + ending for stem in stems.split()) for ending in endings.split())


_GERMAN = _agreeing(
    "{article} {size} {colour} {shape}",
    "mnnmnmnf",
    _with_endings("klein groß", "er e es"),
    _with_endings("rot orangefarben gelb grün blau violett rosafarben schwarz", "er e es"),
    "Kreis Quadrat Dreieck Stern Herz Ring Kreuz Raute",
    {"m": "ein", "f": "eine", "n": "ein"},
)
_RUSSIAN = _agreeing(
    "{size} {colour} {shape}",
    "mmmfnnmm",
    ("маленький большой", "маленькая большая", "маленькое большое"),
    (
        "красный оранжевый жёлтый зелёный синий фиолетовый розовый чёрный",
        "красная оранжевая жёлтая зелёная синяя фиолетовая розовая чёрная",
        "красное оранжевое жёлтое зелёное синее фиолетовое розовое чёрное",
    ),
    "круг квадрат треугольник звезда сердце кольцо крест ромб",
    {"m": "", "f": "", "n": ""},
)
_CHINESE = _simple(
    "{size}{colour}{shape}",
    "小的 大的",
    "红色 橙色 黄色 绿色 蓝色 紫色 粉色 黑色",
    "圆形 正方形 三角形 星形 心形 圆环 十字 菱形",
)
_THAI = _simple(
    "{shape}{colour}{size}",
    "ขนาดเล็ก ขนาดใหญ่",
    "สีแดง สีส้ม สีเหลือง สีเขียว สีน้ำเงิน สีม่วง สีชมพู สีดำ",
    "วงกลม สี่เหลี่ยมจัตุรัส สามเหลี่ยม ดาว หัวใจ วงแหวน กากบาท สี่เหลี่ยมขนมเปียกปูน",
)
_KOREAN = _simple(
    "{size} {colour} {shape}",
    "작은 큰",
    "빨간색 주황색 노란색 초록색 파란색 보라색 분홍색 검은색",
    "원 정사각형 삼각형 별 하트 고리 십자가 마름모",
)

LANGUAGES: Mapping[str, Language] = {
    "en": Language(
        lambda thing: a(thing.kind, thing.size),
        _joined(", ", " and "),
        lambda things, background: f"{things} on a {background} background",
    ),
    "de": Language(
        _GERMAN, _joined(", ", " und "), _behind("{things} auf {background} Grund", "weißem cremefarbenem grauem")
    ),
    "ru": Language(_RUSSIAN, _joined(", ", " и "), _behind("{things} на {background} фоне", "белом кремовом сером")),
    "zh": Language(_CHINESE, _joined("、", "和"), _behind("{background}背景上有{things}", "白色 米色 灰色")),
    "th": Language(_THAI, _joined(" ", "และ"), _behind("{things}บนพื้นหลัง{background}", "สีขาว สีครีม สีเทา")),
    "ko": Language(_KOREAN, _joined(", ", " 그리고 "), _behind("{background} 배경에 {things}", "흰색 크림색 회색")),
}
"""By their codes; three of the six set no spaces between words, or not at every word."""
