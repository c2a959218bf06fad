"""What captions of drawn scenes name, with its rectangle, for grounding."""

from __future__ import annotations

from typing import Annotated, final

from pydantic import Field

from vlc_core import Dataset, Sample
from vlc_core.interfaces.dataset import Grounded
from vlc_plugin_data.shapes.captions import captions
from vlc_plugin_data.shapes.dataset import Shapes
from vlc_plugin_data.shapes.scene import Split


@final
class ShapesPhrases(Dataset):
    """Drawn scenes with the phrases of their captions and where what they name is."""

    def __init__(
        self,
        *,
        split: Split = "train",
        length: Annotated[int, Field(ge=1)] = 200,
        size: Annotated[int, Field(ge=8, le=4096)] = 64,
        seed: int = 1,
        boxes: Annotated[float, Field(ge=0, le=1)] = 0.5,
    ) -> None:
        """Stores the options.

        Args:
            split: Of the world, as of ``shapes``.
            length: The number of scenes.
            size: The picture's side in pixels.
            seed: Another seed is another world.
            boxes: The share of scenes with a box.
        """
        self._scenes = Shapes(split=split, length=length, size=size, seed=seed, boxes=boxes, labelled=False)

    def __len__(self) -> int:
        return len(self._scenes)

    def __getitem__(self, index: int) -> Sample:
        return self._scenes[index]

    def texts(self, index: int) -> tuple[str, ...]:
        return self._scenes.texts(index)

    def phrases(self, index: int) -> tuple[Grounded, ...]:
        found = (phrase for caption in captions(self._scenes.scene(index)) for phrase in caption.phrases)
        return tuple({phrase.text: Grounded(phrase.text, (phrase.rectangle,)) for phrase in found}.values())
