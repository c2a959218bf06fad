"""The world of shapes, spoken of in several languages."""

from __future__ import annotations

from typing import Annotated, Literal, final

from pydantic import Field

from vlc_core import Dataset, Sample
from vlc_plugin_data.shapes.draw import paint
from vlc_plugin_data.shapes.scene import Scene, Split, draw_scene
from vlc_plugin_data.shapes.translations import LANGUAGES

Code = Literal["en", "de", "ru", "zh", "th", "ko"]


@final
class ShapesByLanguage(Dataset):
    """Drawn scenes of coloured shapes with captions in languages of five scripts, for trying what is multilingual.

    Chinese and Thai are written without spaces between words. All languages say the same: one caption of everything in
    the scene and one of the main thing, the large one. The scenes are those of ``shapes`` without boxes.
    """

    def __init__(
        self,
        *,
        languages: Annotated[list[Code], Field(min_length=1)] = ["en", "de", "ru", "zh", "th", "ko"],  # noqa: B006
        split: Split = "train",
        length: Annotated[int, Field(ge=1)] = 10_000,
        size: Annotated[int, Field(ge=8, le=4096)] = 64,
        seed: int = 0,
        most: Annotated[int, Field(ge=1, le=4)] = 4,
    ) -> None:
        """Stores the options; scenes are drawn when they are asked for.

        Args:
            languages: Which, of English, German, Russian, Chinese, Thai and Korean.
            split: Of the world, as of ``shapes``.
            length: The number of scenes.
            size: The picture's side in pixels.
            seed: Another seed is another world.
            most: Things in a scene: from 2 to this many; 1 for a single thing in each.
        """
        self.languages = self._order = list(dict.fromkeys(languages))
        self.split, self.length, self.size, self.seed, self.most = split, length, size, seed, most

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        key = f"shapes-by-language-{self.split}-{self.seed}-{index}"
        return Sample(paint(self._scene(index), self.size), self.texts(index), key=key)

    def texts(self, index: int) -> tuple[str, ...]:
        return tuple(text for language in self._order for text in self.texts_in(language, index))

    def texts_in(self, language: str, index: int) -> tuple[str, ...]:
        scene, words = self._scene(index), LANGUAGES[language]
        both = (words.of(scene.things, scene.background), words.of(scene.things[:1], scene.background))
        return tuple(dict.fromkeys(both))

    def _scene(self, index: int) -> Scene:
        if not 0 <= index < self.length:
            raise IndexError(f"there are {self.length} scenes, numbered from 0, and no scene {index}")
        return draw_scene(self.seed, index, split=self.split, most=self.most, boxes=0.0)
