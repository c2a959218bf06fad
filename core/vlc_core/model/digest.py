"""What a model hashes to: the same if and only if it gives the same numbers on the same machine."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

from vlc_core.errors import StorageError
from vlc_core.folders import MANIFEST
from vlc_core.recipe.origin import model_home


def model_digest(path: Path) -> str:
    """A SHA-256 over the files of a run's model, their names and the version of vlc-core, in hexadecimal.

    The manifest is left out: it may be missing, and says nothing that the files do not.

    Raises:
        StorageError: There is no model at ``path``, or a file of it cannot be read.
    """
    home = model_home(path)
    if home is None:
        raise StorageError(f"{path} holds no model: give a run folder (with model/ in it), or its model folder")
    digest = hashlib.sha256(version("vlc-core").encode())
    try:
        for file in sorted(home.iterdir()):
            if file.is_file() and file.name != MANIFEST:
                with file.open("rb") as content:
                    digest.update(f"\0{file.name}\0{hashlib.file_digest(content, 'sha256').hexdigest()}".encode())
    except OSError as error:
        raise StorageError(f"the model in {home} cannot be read ({error.strerror or error})") from error
    return digest.hexdigest()
