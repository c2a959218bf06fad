"""The JSON schema of recipes, with the options of every installed component, for editors.

It describes what may stand in a file. A recipe that extends another may leave out anything, so keys are required only
where nothing is extended; and wherever a number or a truth value is wanted, a variable such as ``${WORKERS}`` may
stand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from vlc_core.errors import AmbiguousComponent, UnknownComponent, VlcError
from vlc_core.nearest import did_you_mean
from vlc_core.options import options_model
from vlc_core.options.signatures import component_of, read_options
from vlc_core.recipe.components import PLACES
from vlc_core.recipe.schema import Recipe
from vlc_core.registry import Registry
from vlc_core.registry.entry import Entry

DIALECT = "http://json-schema.org/draft-07/schema#"
Schema = dict[str, Any]
_VARIABLE: Schema = {"type": "string", "pattern": r"\$\{"}
_NEEDED = ("model", "objectives", "data", "train")


def recipe_schema(registry: Registry) -> Schema:
    """The schema of a whole recipe."""
    schema = Recipe.model_json_schema(by_alias=True)
    definitions: Schema = schema.pop("$defs")
    for kind in dict.fromkeys(PLACES.values()):
        definitions[kind] = {"anyOf": [_named(registry, kind), *_components(registry, kind, definitions)]}
    _place_components(schema, definitions)
    schema |= {"$schema": DIALECT, "title": "vlc recipe", "$defs": definitions}
    schema.pop("required", None)
    relaxed: Schema = _relaxed(schema)
    return relaxed | {"if": {"required": ["extends"]}, "then": {}, "else": {"required": list(_NEEDED)}}


def named(name: str, registry: Registry) -> Entry:
    """The component called ``name``, of whatever kind has options.

    Raises:
        UnknownComponent: There is none.
        AmbiguousComponent: There are several of one plugin or of several.
    """
    kinds = set(PLACES.values())
    having = [entry for entry in registry.entries() if entry.kind in kinds]
    found = [entry for entry in having if name in (entry.name, entry.long_name, f"{entry.kind}/{entry.long_name}")]
    if len(found) == 1:
        return found[0]
    if found:
        long = " or ".join(f"{entry.kind}/{entry.long_name}" for entry in found)
        raise AmbiguousComponent(f"{name!r} is the name of several components: write {long}")
    hint = did_you_mean(name, {entry.name for entry in having})
    raise UnknownComponent(f"no component is called {name!r}{hint or '; vlc list-plugins lists them all'}")


def component_schema(entry: Entry) -> Schema:
    """The schema of what a recipe writes for one component.

    Raises:
        RecipeError: It cannot be imported.
    """
    definitions: Schema = {}
    schema = _component(entry, {}, definitions)
    nested = {kind: {"title": f"a component of the kind {kind}"} for kind in PLACES.values()}
    return {"$schema": DIALECT, **_relaxed(schema), "$defs": definitions | nested}


def _named(registry: Registry, kind: str) -> Schema:
    """A component by its bare name."""
    return {"type": "string", "enum": sorted({n for e in registry.entries(kind) for n in (e.name, e.long_name)})}


def _components(registry: Registry, kind: str, definitions: Schema) -> list[Schema]:
    """A schema for each component of a kind that can be imported, and one for a patch that names none."""
    own = _own_keys(kind, definitions)
    schemas = []
    for entry in registry.entries(kind):
        try:
            schemas.append(_component(entry, own, definitions))
        except VlcError:
            continue  # vlc doctor and vlc list-plugins tell why
    return [*schemas, {"type": "object", "not": {"required": ["use"]}}]


def _component(entry: Entry, own: Mapping[str, Schema], definitions: Schema) -> Schema:
    component = entry.load()
    schema = options_model(component).model_json_schema(by_alias=True)
    definitions |= schema.pop("$defs", {})
    properties = schema.get("properties", {})
    for option in read_options(component):
        kind = _nested_kind(option.annotation)
        if kind is not None and option.name in properties:
            properties[option.name] = _pointed(properties[option.name], kind)
    use = {"enum": [entry.name, entry.long_name], "description": entry.summary}
    return {
        "title": entry.long_name,
        "description": entry.summary,
        "type": "object",
        "properties": {"use": use, **own, **properties},
        "required": ["use"],
        "additionalProperties": False,
    }


def _own_keys(kind: str, definitions: Schema) -> dict[str, Schema]:
    """The keys that a recipe reads beside a component's options."""
    section = {"image_encoder": "Tower", "text_encoder": "Tower", "objective": "Objective", "dataset": "Source",
               "evaluator": "Evaluator"}.get(kind)  # fmt: skip
    if section is None:
        return {}
    mapping = _mapping_of(definitions[section])
    return {name: value for name, value in mapping.get("properties", {}).items() if name != "use"}


def _mapping_of(definition: Schema) -> Schema:
    return next((branch for branch in definition.get("anyOf", ()) if branch.get("type") == "object"), definition)


def _place_components(schema: Schema, definitions: Schema) -> None:
    """Points the places where a recipe names components to the components of their kind."""
    for path, kind in PLACES.items():
        here, *keys = schema, *path
        holder: Schema = here
        for key in keys[:-1] if keys[-1] != "*" else keys[:-2]:
            holder = _followed(holder["properties"][key], definitions)
        name = keys[-1] if keys[-1] != "*" else keys[-2]
        described = {k: v for k, v in holder["properties"][name].items() if k in ("description", "default")}
        pointer: Schema = {"$ref": f"#/$defs/{kind}"}
        if keys[-1] == "*":
            patches = {"type": "object", "additionalProperties": {"type": ["object", "null"]}}
            holder["properties"][name] = {"anyOf": [{"type": "array", "items": pointer}, patches], **described}
        else:
            holder["properties"][name] = {"anyOf": [pointer, {"type": "null"}], **described}


def _followed(schema: Schema, definitions: Schema) -> Schema:
    reference = schema.get("$ref")
    followed: Schema = definitions[reference.rpartition("/")[2]] if reference else schema
    return followed


def _nested_kind(annotation: Any) -> str | None:
    found = component_of(annotation)
    if found is not None:
        return None if found.kind == "prompts" else found.kind
    return next((kind for argument in get_args(annotation) if (kind := _nested_kind(argument)) is not None), None)


def _pointed(schema: Any, kind: str) -> Any:
    """``schema`` with every reference to a component of no certain kind made one to ``kind``."""
    if isinstance(schema, dict):
        if schema.get("$ref") == "#/$defs/Use":
            return {**schema, "$ref": f"#/$defs/{kind}"}
        return {key: _pointed(value, kind) for key, value in schema.items()}
    return [_pointed(value, kind) for value in schema] if isinstance(schema, list) else schema


def _relaxed(schema: Any) -> Any:
    """``schema`` without required keys but ``use``, and with variables wherever a plain value is wanted."""
    if isinstance(schema, list):
        return [_relaxed(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") in ("integer", "number", "boolean"):
        kept = {key: schema[key] for key in ("title", "description", "default") if key in schema}
        return {"anyOf": [{k: v for k, v in schema.items() if k not in kept}, _VARIABLE], **kept}
    relaxed = {key: _relaxed(value) for key, value in schema.items() if key not in ("required", "discriminator")}
    if "use" in schema.get("required", ()):
        relaxed["required"] = ["use"]
    return relaxed
