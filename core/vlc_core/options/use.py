"""How a recipe names a component: ``{use: NAME, option: value, …}``, or the bare name."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema


class Use(BaseModel):
    """A component by its name, with the options that it is made with. The bare name stands for no options."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    use: str = Field(min_length=1, description="The component's name: `name`, or `plugin/name` where several offer it.")

    @property
    def options(self) -> dict[str, Any]:
        """The component's own options: every key that is not vlc's."""
        return dict(self.model_extra or {})

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: Any) -> Any:
        return {"use": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        mapping = handler.resolve_ref_schema(handler(core))
        title = mapping.pop("title", cls.__name__)
        return {"title": title, "anyOf": [{"type": "string"}, mapping]}
