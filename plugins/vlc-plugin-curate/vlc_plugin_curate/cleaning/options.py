"""What is kept: every threshold of the filter, each of which may be None, which switches its rule off."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

VOCABULARY = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """The thresholds of ALIGN's filter (Jia et al., arXiv 2102.05918, section 3), by its defaults.

    What stands at a threshold is kept: an image of 200 pixels, a text of 20 words.

    Attributes:
        min_side: The least shorter side of an image in pixels.
        max_aspect: The greatest ratio of its longer side to its shorter one.
        max_texts: The most different texts of one image; an image with more of them goes with all its pairs.
        max_images: The most different images of one text; a text on more of them goes with all its pairs.
        min_words: The fewest words of a text.
        max_words: The most words of a text.
        vocabulary: How many words and pairs of neighbouring words are known: the most frequent ones of all texts,
            counted together, and all that are as frequent as the last of them. A text with any other goes.
        min_count: How often, besides, a word or a pair of words must occur in all texts to be known; 1 asks nothing.
        bigrams: Whether pairs of neighbouring words are looked at, or words alone.
    """

    min_side: int | None = 200
    max_aspect: float | None = 3.0
    max_texts: int | None = 1000
    max_images: int | None = 10
    min_words: int | None = 3
    max_words: int | None = 20
    vocabulary: int | None = VOCABULARY
    min_count: int = 1
    bigrams: bool = True

    @property
    def sizes(self) -> bool:
        """Whether a rule asks for the sizes of images."""
        return self.min_side is not None or self.max_aspect is not None

    @property
    def rare(self) -> bool:
        """Whether a rule asks for how frequent words are."""
        return self.vocabulary is not None or self.min_count > 1

    def as_json(self) -> dict[str, int | float | bool | None]:
        """The thresholds by name."""
        return dataclasses.asdict(self)
