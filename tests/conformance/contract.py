"""Reads the machine-readable contract: which filters, fields and operators there are."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any

from .servers import REPOSITORY

DOCUMENT = REPOSITORY / "common" / "contract" / "documents" / "openapi-3.9.1.json"


@cache
def schemas() -> dict[str, Any]:
    return json.loads(DOCUMENT.read_text())["components"]["schemas"]


def referenced(schema: dict[str, Any]) -> Iterable[str]:
    """The names of the schemas that a property may hold."""
    if "$ref" in schema:
        yield schema["$ref"].rsplit("/", 1)[-1]
    for choice in (*schema.get("anyOf", ()), *schema.get("allOf", ())):
        yield from referenced(choice)
    if "items" in schema:
        yield from referenced(schema["items"])


def fields_of(name: str) -> set[str]:
    """Every field and operator below a filter, written as paths ("state.type.any_")."""
    found = set()
    for key, schema in schemas()[name].get("properties", {}).items():
        nested = [part for part in referenced(schema) if schemas()[part].get("properties")]
        deeper = {f"{key}.{path}" for part in nested for path in fields_of(part)}
        found |= deeper or {key}
    return found


def fields_in(name: str, body: Any) -> set[str]:
    """The fields and operators of a filter that a request uses, as `fields_of` writes them."""
    found = set()
    for key, schema in schemas()[name].get("properties", {}).items():
        if not isinstance(body, dict) or body.get(key) is None:
            continue
        nested = [part for part in referenced(schema) if schemas()[part].get("properties")]
        values = body[key] if isinstance(body[key], list) else [body[key]]
        deeper = {f"{key}.{path}" for part in nested for value in values for path in fields_in(part, value)}
        found |= deeper or ({key} if not nested else set())
    return found
