"""What the tests of blocks share: types, schemas and documents on both servers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .conftest import asked_side_by_side
from .side_by_side import Answer, Pair

# Without what Prefect ships, which is installed when a server starts.
BARE = {"PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false"}

numbers = itertools.count()


def make_type(pair: Pair, slug: str = "", **more: Any) -> str:
    slug = slug or f"type-{next(numbers)}"
    return pair.prepare("POST", "/block_types/", {"name": f"Type {slug}", "slug": slug} | more)["id"]


def make_schema(pair: Pair, block_type: str, fields: dict[str, Any] | None = None, **more: Any) -> str:
    """A schema of `block_type`, whose fields are unlike any other's."""
    fields = {"title": f"Block{next(numbers)}", "type": "object", "properties": {}, "secret_fields": [], **(fields or {})}
    return pair.prepare("POST", "/block_schemas/", {"fields": fields, "block_type_id": block_type, **more})["id"]


class Kind:
    """A type with a schema, and the documents that have it."""

    def __init__(self, pair: Pair, secret_fields: list[str] | None = None, slug: str = "", **more: Any) -> None:
        self.pair = pair
        self.slug = slug or f"type-{next(numbers)}"
        self.type = make_type(pair, self.slug)
        self.schema = make_schema(pair, self.type, {"secret_fields": secret_fields or []}, **more)

    def body(self, data: Any = None, name: str | None = None, **more: Any) -> dict[str, Any]:
        data = {} if data is None else data
        return {"name": name, "data": data, "block_schema_id": self.schema, "block_type_id": self.type, **more}

    def make(self, data: Any = None, name: str = "", **more: Any) -> str:
        name = name or f"document-{next(numbers)}"
        return self.pair.prepare("POST", "/block_documents/", self.body(data, name, **more))["id"]

    def check(self, id: str) -> Answer:
        """Reads a document with and without its secrets."""
        self.pair.check("GET", f"/block_documents/{id}")
        return self.pair.check("GET", f"/block_documents/{id}", params={"include_secrets": "true"})


def ref(id: Any) -> dict[str, Any]:
    return {"$ref": {"block_document_id": id}}


@contextmanager
def bare_servers() -> Iterator[Pair]:
    """Both servers without the block types that Prefect ships."""
    with asked_side_by_side(BARE) as pair:
        yield pair
