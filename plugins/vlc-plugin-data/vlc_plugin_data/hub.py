"""Opening datasets of the Hugging Face library, from its hub or from a folder."""

from __future__ import annotations

from typing import Any

from vlc_core import DataError, network
from vlc_core.nearest import did_you_mean
from vlc_plugin_data.stores import open_store

_SAVED = ("dataset_dict.json", "state.json")


def library() -> Any:
    """The ``datasets`` library.

    Raises:
        DataError: It is not installed.
    """
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            "the dataset `huggingface` needs the datasets library: pip install 'vlc-plugin-data[huggingface]'"
        ) from error
    return datasets


def load_local(path: str, *, config: str | None, split: str) -> Any:
    """The rows of a split in a folder: a saved dataset, or files.

    Raises:
        DataError: There is no such folder, or no such split in it.
    """
    datasets = library()
    file_system, inside = open_store(path)
    if not file_system.isdir(inside):
        raise DataError(f"there is no folder {path}: check the option `path`, or use `hub` for a name on the hub")
    if any(file_system.exists(f"{inside.rstrip('/')}/{name}") for name in _SAVED):
        found = datasets.load_from_disk(path)
        return _split_of(found, split, path) if isinstance(found, datasets.DatasetDict) else found
    return _load(path, path, config=config, split=split)


def load_hub(name: str, *, config: str | None, revision: str | None, split: str) -> Any:
    """The rows of a split of a dataset on the hub, downloaded where they are not in the library's cache.

    Raises:
        DataError: The hub cannot be reached and the cache does not have it, or there is no such dataset or split.
    """
    library()
    offline = not network.hub_answers()
    try:
        return _load(name, name, config=config, revision=revision, split=split, offline=offline)
    except (DataError, OSError) as error:
        if not offline:
            raise
        raise DataError(
            f"{name} is not in the cache of the datasets library, and the hub at {network.hub()} does not answer: "
            "download it where there is a network, or name a folder with `path`"
        ) from error


def _load(source: str, place: str, *, offline: bool = False, **given: Any) -> Any:
    datasets = library()
    before = datasets.config.HF_HUB_OFFLINE
    try:
        datasets.config.HF_HUB_OFFLINE = before or offline
        chosen = {name: value for name, value in given.items() if value is not None and name != "config"}
        return datasets.load_dataset(source, given.get("config"), **chosen)
    except (ValueError, OSError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise DataError(f"{place} cannot be opened: {_first_line(error)}") from error
    finally:
        datasets.config.HF_HUB_OFFLINE = before


def _split_of(found: Any, split: str, path: str) -> Any:
    if split not in found:
        listed = ", ".join(found)
        raise DataError(f"{path}: there is no split {split!r}; its splits are {listed}{did_you_mean(split, found)}")
    return found[split]


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
