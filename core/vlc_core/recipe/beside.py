"""The keys that a recipe itself reads beside the options of a component, described as those are."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from vlc_core.options.describing import OptionInfo, spell
from vlc_core.options.signatures import REQUIRED
from vlc_core.options.use import Use
from vlc_core.recipe.schema import Evaluator, Objective, Source, Tower

_PLACES: dict[str, type[Use]] = {
    "image_encoder": Tower,
    "text_encoder": Tower,
    "objective": Objective,
    "dataset": Source,
    "evaluator": Evaluator,
}


def keys_beside_options(kind: str) -> tuple[OptionInfo, ...]:
    """Those of components of ``kind``, ``use`` first; empty for kinds that have ``use`` alone."""
    place = _PLACES.get(kind)
    fields = {} if place is None else place.model_fields
    return tuple(
        OptionInfo(name, _type(field), _default(field), field.description or "") for name, field in fields.items()
    )


def _type(field: FieldInfo) -> str:
    kind: Any = field.annotation
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return f"{spell(kind.model_fields['use'].annotation)}, or a mapping with `use`"
    return spell(Annotated[kind, *field.metadata] if field.metadata else kind)


def _default(field: FieldInfo) -> Any:
    if field.is_required():
        return REQUIRED
    if field.default_factory is not None:
        return "its `use`"
    return field.default.use if isinstance(field.default, Use) else field.default
