"""What of a sample is embedded: its image, its texts."""

from __future__ import annotations

from enum import StrEnum


class Side(StrEnum):
    """One of the two towers' inputs."""

    IMAGE = "image"
    TEXT = "text"


class Part(StrEnum):
    """What ``vlc embed --part`` offers."""

    IMAGE = "image"
    TEXT = "text"
    BOTH = "both"

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides that it stands for, images first."""
        return tuple(Side) if self is Part.BOTH else (Side(self.value),)
