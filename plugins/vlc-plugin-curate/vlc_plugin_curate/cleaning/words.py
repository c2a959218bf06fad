"""What a word is, as an expression that both engines read alike.

A text is cut at white space and at marks of punctuation; apostrophes, hyphens and ``& + # $ % @ _`` stay inside words,
and alone they are no words. Scripts that are written without spaces between words (Chinese characters, kana, Thai, Lao,
Burmese, Khmer) are cut into characters, as is done by BERT's tokenizers for Chinese. Case does not count.

The classes are spelt out as ranges and not as names such as ``\\p{P}``: engines know different versions of Unicode.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

_SPACE = r"\x{01}-\x{1F}\x{7F}-\x{A0}\x{1680}\x{2000}-\x{200B}\x{2028}-\x{202F}\x{205F}\x{2060}\x{3000}\x{FEFF}"
_ASCII_MARKS = r"!\"()*,./:;<=>?\[\\\]^`{|}~"
_OTHER_MARKS = (
    r"\x{A1}\x{A6}\x{AB}\x{B6}\x{B7}\x{BB}\x{BF}\x{2010}\x{2012}-\x{2018}\x{201A}-\x{2027}\x{2030}-\x{205E}"
    r"\x{3001}-\x{3003}\x{3008}-\x{301F}\x{30FB}\x{FF01}\x{FF08}-\x{FF0F}\x{FF1A}-\x{FF20}\x{FF3B}-\x{FF40}\x{FF5B}-\x{FF65}"
    r"\x{60C}\x{61B}\x{61F}\x{66A}-\x{66D}\x{6D4}\x{964}\x{965}\x{589}\x{5BE}\x{5C3}\x{1362}-\x{1368}"
)
_BETWEEN = f"[ {_SPACE}{_ASCII_MARKS}{_OTHER_MARKS}]"
_INSIDE = r"[-'&+#$%@_\x{2019}\x{2011}]"
_UNSPACED = (
    r"\x{E01}-\x{E3A}\x{E40}-\x{E4E}\x{E81}-\x{EBD}\x{EC0}-\x{ECE}\x{1000}-\x{1049}\x{1780}-\x{17D3}\x{3005}-\x{3007}"
    r"\x{3041}-\x{3096}\x{30A1}-\x{30FA}\x{30FC}-\x{30FF}\x{31F0}-\x{31FF}\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}"
    r"\x{F900}-\x{FAFF}\x{20000}-\x{3FFFF}"
)
# Vowel signs and tones that belong to the character before them.
_SIGNS = r"\x{E31}\x{E33}-\x{E3A}\x{E47}-\x{E4E}\x{EB1}\x{EB4}-\x{EBC}\x{EC8}-\x{ECE}\x{102B}-\x{103E}\x{17B4}-\x{17D3}"

# Java lowers these three by what stands around them or to two characters, DuckDB does not.
_LOWERED = {"İ": "i", "Σ": "σ", "ς": "σ"}

_IRREGULAR = rf"[{_SPACE}{_ASCII_MARKS}{_OTHER_MARKS}{_UNSPACED}{''.join(_LOWERED)}]|  |^ | $|(?:^| ){_INSIDE}+(?: |$)"


def spaced(text: ir.StringValue, group: str) -> ir.StringValue:
    """``text`` as its words in lower case with one space between them; empty where it has none.

    Most texts are already so, or only have capitals: one look tells, and the others alone are rewritten.

    Args:
        text: Any.
        group: How the engine writes the first group of a regular expression in what replaces it.
    """
    even = text
    for capital, small in _LOWERED.items():
        even = even.replace(capital, small)
    apart = even.re_replace(rf"([{_UNSPACED}][{_SIGNS}]*)", f" {group} ")
    joined = (ibis.literal(" ") + apart + " ").re_replace(rf"{_BETWEEN}+(?:{_INSIDE}+{_BETWEEN}+)*", " ")
    return ibis.cases((text.re_search(_IRREGULAR), joined.strip()), else_=text).lower()
