"""``vlc export``: the encoders of a run in the files of another library."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlc_cli import options

if TYPE_CHECKING:
    from vlc_core.interfaces.encoder import Exported


class Library(StrEnum):
    """What can be written."""

    TRANSFORMERS = "transformers"


class Part(StrEnum):
    """Of a model."""

    IMAGE = "image"
    TEXT = "text"
    BOTH = "both"


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, or of its model.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where to write; a new folder.")],
    to: Annotated[Library, typer.Option("--to", help="The library to write for.")] = Library.TRANSFORMERS,
    part: Annotated[
        Part, typer.Option("--part", help="Which encoder; with both, DIR/image and DIR/text are written.")
    ] = Part.IMAGE,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Write a run's encoders for another library.

    What was written is read back by that library and compared with the encoder; one that differs is not left behind.
    """
    from vlc_cli import console
    from vlc_core.model.folder import load_towers

    with console.waiting(f"exporting {run} …"):
        towers, tokenizer = load_towers(run)
        chosen = [Part.IMAGE, Part.TEXT] if part is Part.BOTH else [part]
        encoders = {Part.IMAGE: towers.image.encoder, Part.TEXT: towers.text.encoder}
        done = {
            one.value: encoders[one].export(
                output / one.value if part is Part.BOTH else output, to=to.value, tokenizer=tokenizer
            )
            for one in chosen
        }
    if json:
        console.say_json({name: _as_json(exported) for name, exported in done.items()})
        return
    for name, exported in done.items():
        console.say(f"{name} encoder written to {exported.folder} as {exported.model}, for AutoModel")
        if exported.backbone is not None:
            # By its class: AutoBackbone.from_pretrained asks the hub and takes no folder.
            console.say(f"for a detector: transformers.{exported.backbone}.from_pretrained({str(exported.folder)!r})")
        console.say(console.dim(f"read back and compared: least cosine {exported.cosine:.6f}"))


def _as_json(exported: Exported) -> dict[str, object]:
    return {**exported._asdict(), "folder": str(exported.folder)}
