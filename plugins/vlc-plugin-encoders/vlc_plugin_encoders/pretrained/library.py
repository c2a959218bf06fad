"""Configurations and models of the transformers library, from a recipe, a folder or the hub."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import nn

from vlc_core import network
from vlc_core.errors import DataError, RecipeError
from vlc_core.nearest import did_you_mean

WRITTEN_BY_THE_LIBRARY = "transformers_version"
"""A key that stands in configurations of saved models, and in no recipe that somebody wrote."""
T = TypeVar("T")


class Origin(NamedTuple):
    """Where a model comes from: exactly one of the three.

    Attributes:
        config: Its configuration, ``model_type`` among it; weights start at random.
        folder: A folder with ``config.json`` and ``model.safetensors``.
        hub: A name on the hub.
        remote_code: Whether code that comes with the model may run.
    """

    config: Mapping[str, Any] | None
    folder: str | None
    hub: str | None
    remote_code: bool = False

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.folder or self.hub or f"the configuration of model_type {(self.config or {}).get('model_type')}"

    def check(self) -> None:
        """Raises RecipeError unless exactly one place is named, DataError where there is no such folder."""
        self.check_place()
        if self.config is not None and "model_type" not in self.config:
            raise RecipeError("The configuration of a transformers model needs a model_type, such as vit or bert.")
        if self.folder is not None and not Path(self.folder, "config.json").is_file():
            raise DataError(f"{self.folder} is not the folder of a model: it has no config.json; name one that has.")

    def check_place(self) -> None:
        """Raises RecipeError unless exactly one place is named."""
        if sum(place is not None for place in (self.config, self.folder, self.hub)) != 1:
            raise RecipeError("A model of the transformers library needs one of config, folder and hub, and only one.")

    def settled(self, options: Mapping[str, Any], config: Any) -> dict[str, Any]:
        """``options`` with the configuration that was read in place of where it was read from."""
        if self.config is not None:
            return dict(options)
        kept = {name: value for name, value in options.items() if name not in {"folder", "hub"}}
        said = json.loads(config.to_json_string(use_diff=False))
        said.pop("_name_or_path", None)
        return {**kept, "config": said}


def transformers() -> Any:
    """The library.

    Raises:
        RecipeError: It is not installed.
    """
    try:
        import transformers as library
    except ImportError as error:
        raise RecipeError(
            f"The transformers library cannot be imported ({error}); "
            'install it with: pip install "vlc-plugin-encoders[transformers]".'
        ) from error
    return library


def read_config(origin: Origin) -> Any:
    """The library's configuration object.

    Raises:
        DataError: There is none at ``origin``, or the hub cannot be reached.
        RecipeError: ``origin`` is not one place, its type or a key is unknown, or it would run code that was not
            allowed.
    """
    origin.check()
    auto = transformers().AutoConfig
    if origin.config is not None:
        options = dict(origin.config)
        kind = options.pop("model_type")
        config = _said(origin, lambda: auto.for_model(kind, **options))
        if WRITTEN_BY_THE_LIBRARY not in options:  # a model that was loaded may say more than its class knows
            _check_keys(type(config), options, kind)
        return config
    return fetch(origin, auto.from_pretrained)


def _check_keys(kind: type, options: Iterable[str], model_type: str) -> None:
    """Refuses keys that the library would keep and never read."""
    known = {*inspect.signature(kind).parameters, *getattr(kind, "attribute_map", {}), "attn_implementation"}
    for key in options:
        if key not in known and not hasattr(kind, key):
            raise RecipeError(
                f"The configuration of model_type {model_type} has no key {key!r}{did_you_mean(key, known)}"
            )


def read_model(origin: Origin, config: Any) -> nn.Module:
    """The model of ``config``, in float32, with weights unless ``origin`` is a configuration alone.

    Nor are weights read on torch's ``meta`` device, where a plan asks for shapes alone.

    Raises:
        DataError: The weights do not fit, or are not there as safetensors.
    """
    with quietly():
        return _read_model(origin, config)


def _read_model(origin: Origin, config: Any) -> nn.Module:
    auto = transformers().AutoModel
    if origin.config is not None or torch.get_default_device().type == "meta":
        return without_head(_said(origin, lambda: auto.from_config(config, trust_remote_code=origin.remote_code)))
    options = {"config": config, "dtype": torch.float32, "use_safetensors": True, "output_loading_info": True}
    model, found = fetch(origin, auto.from_pretrained, ignore_mismatched_sizes=True, **options)  # they are listed below
    model = without_head(model)
    known = {name for name, _ in model.named_parameters()}
    lacking = sorted(name for name in found["missing_keys"] if name in known)
    lacking += sorted(f"{name} {_shape(there)} for {_shape(here)}" for name, there, here in found["mismatched_keys"])
    if lacking:
        said = ", ".join(lacking[:3]) + (f" and {len(lacking) - 3} more" if len(lacking) > 3 else "")
        raise DataError(f"The weights of {origin.name} lack or misfit {said}; name a model whose weights are whole.")
    return model


def _shape(size: torch.Size) -> str:
    return "×".join(map(str, size))


@contextmanager
def quietly() -> Iterator[None]:
    """Keeps the library's progress bars and its report of heads that are not wanted off the screen."""
    logging = transformers().utils.logging
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def without_head(model: Any) -> nn.Module:
    """``model`` without the parts that no embedding depends on, so that training does not carry them along."""
    pooler = getattr(model, "pooler", None)
    if isinstance(pooler, nn.Module) and hasattr(pooler, "dense"):
        model.pooler = None
    for name, parameter in model.named_parameters():
        if name.endswith("mask_token"):
            parameter.requires_grad_(False)
    return model  # type: ignore[no-any-return]


def fetch(origin: Origin, load: Callable[..., T], **options: Any) -> T:
    """Calls ``load`` for a folder, for what the hub's cache holds, or for the hub itself if it answers at once."""
    options["trust_remote_code"] = origin.remote_code
    if origin.folder is not None:
        return _said(origin, lambda: load(origin.folder, local_files_only=True, **options))
    try:
        return _said(origin, lambda: load(origin.hub, local_files_only=True, **options))
    except DataError:
        if not network.hub_answers():
            raise DataError(
                f"The hub cannot be reached and {origin.hub} is not in its cache on this machine; "
                "connect it, or download the model elsewhere and name its folder."
            ) from None
    return _said(origin, lambda: load(origin.hub, **options))


def _said(origin: Origin, load: Callable[[], T]) -> T:
    try:
        return load()
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, AttributeError) as error:
        first = str(error).strip().split("\n")[0]
        if "trust_remote_code" in str(error):
            raise RecipeError(
                f"{origin.name} needs code that comes with the model; set remote_code: true if you trust its author."
            ) from error
        if origin.config is not None:
            raise RecipeError(f"{origin.name} is not usable: {first}; see its documentation for the keys.") from error
        raise DataError(f"Cannot load {origin.name} with the transformers library: {first}.") from error
