"""The world of shapes as a dataset."""

from __future__ import annotations

from typing import Annotated, final

from pydantic import Field

from vlc_core import Dataset, Sample
from vlc_core.batch import UNLABELLED
from vlc_plugin_data.shapes.captions import captions
from vlc_plugin_data.shapes.draw import paint
from vlc_plugin_data.shapes.scene import KINDS, Scene, Split, draw_scene


@final
class Shapes(Dataset):
    """Drawn scenes of coloured shapes with captions that are true by construction.

    A scene is a pure function of the seed, the split and its index; nothing is stored, and the resolution
    changes the picture's sharpness alone. The class of a scene is the colour and shape of its main thing, the
    large one, out of 64. ``scene(index)`` gives the scene itself, from which statements, entailments,
    questions and rectangles are made (``vlc_plugin_data.shapes``).
    """

    def __init__(
        self,
        *,
        split: Split = "train",
        length: Annotated[int, Field(ge=1)] = 10_000,
        size: Annotated[int, Field(ge=8, le=4096)] = 64,
        seed: int = 0,
        most: Annotated[int, Field(ge=1, le=4)] = 4,
        boxes: Annotated[float, Field(ge=0, le=1)] = 0.5,
        labelled: bool = True,
    ) -> None:
        """Stores the options; scenes are drawn when they are asked for.

        Args:
            split: ``train`` shows no held-out combination of colour and shape; in ``test`` the main thing
                always is one; ``all`` draws from all 64. Held out is one shape of each colour and one colour
                of each shape.
            length: The number of scenes.
            size: The picture's side in pixels.
            seed: Another seed is another world.
            most: Things in a scene, besides a box: from 2 to this many; 1 for a single thing in each.
            boxes: The share of scenes with a box. Half of the boxes are closed and hide what they hold.
            labelled: Whether scenes come with their class; otherwise they are pictures with captions alone.
        """
        self.classes = [str(kind) for kind in KINDS] if labelled else None
        self.split, self.length, self.size = split, length, size
        self.seed, self.most, self.boxes = seed, most, boxes

    def __len__(self) -> int:
        return self.length

    def scene(self, index: int) -> Scene:
        """What is in picture ``index``.

        Raises:
            IndexError: ``index`` is outside 0…len-1.
        """
        if not 0 <= index < self.length:
            raise IndexError(f"there are {self.length} scenes, numbered from 0, and no scene {index}")
        return draw_scene(self.seed, index, split=self.split, most=self.most, boxes=self.boxes)

    def texts(self, index: int) -> tuple[str, ...]:
        return tuple(caption.text for caption in captions(self.scene(index)))

    def __getitem__(self, index: int) -> Sample:
        scene = self.scene(index)
        return Sample(
            image=paint(scene, self.size),
            texts=tuple(caption.text for caption in captions(scene)),
            label=KINDS.index(scene.main.kind) if self.classes is not None else UNLABELLED,
            key=f"shapes-{self.split}-{self.seed}-{index}",
        )
