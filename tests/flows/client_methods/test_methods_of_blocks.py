"""Methods of block types, schemas and documents, and of the storage that is the server's default."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from both_kinds import Client, not_found
from prefect.client.schemas.actions import (
    BlockDocumentCreate,
    BlockDocumentUpdate,
    BlockSchemaCreate,
    BlockTypeCreate,
    BlockTypeUpdate,
)
from prefect.client.schemas.objects import BlockDocument, BlockSchema, BlockType
from prefect.exceptions import ObjectAlreadyExists, ProtectedBlockError

FIELDS: dict[str, Any] = {
    "title": "Door",
    "type": "object",
    "properties": {"colour": {"title": "Colour", "type": "string"}, "key": {"type": "string", "format": "password"}},
    "required": ["colour"],
    "secret_fields": ["key"],
    "block_schema_references": {},
}


@pytest.fixture
def block_type(client: Client, name: str) -> BlockType:
    return client.create_block_type(BlockTypeCreate(name=name, slug=name, description="said"))


@pytest.fixture
def schema(client: Client, block_type: BlockType) -> BlockSchema:
    fields = {**FIELDS, "block_type_slug": block_type.slug}
    return client.create_block_schema(
        BlockSchemaCreate(fields=fields, block_type_id=block_type.id, capabilities=["opens"], version="1.0")
    )


def document(schema: BlockSchema, name: str) -> BlockDocumentCreate:
    data = {"colour": "red", "key": "hidden"}
    return BlockDocumentCreate(name=name, data=data, block_schema_id=schema.id, block_type_id=schema.block_type_id)


@pytest.fixture
def saved(client: Client, schema: BlockSchema, name: str) -> BlockDocument:
    return client.create_block_document(document(schema, name))


def test_create_block_type(client: Client, name: str) -> None:
    given = BlockTypeCreate(
        name=name,
        slug=name,
        logo_url="https://example.com/logo.png",
        documentation_url="https://example.com/",
        description="said",
    )
    created = client.create_block_type(given)
    read = client.read_block_type_by_slug(name)
    assert (read.id, read.name, read.description, read.is_protected) == (created.id, name, "said", False)
    assert str(read.logo_url) == "https://example.com/logo.png"
    with pytest.raises(ObjectAlreadyExists):
        client.create_block_type(given)


def test_read_block_type_by_slug(client: Client, block_type: BlockType) -> None:
    assert client.read_block_type_by_slug(block_type.slug).id == block_type.id
    with not_found():
        client.read_block_type_by_slug(f"no-{block_type.slug}")


def test_read_block_types(client: Client, block_type: BlockType) -> None:
    slugs = {each.slug for each in client.read_block_types()}
    assert {block_type.slug, "secret"} <= slugs


def test_update_block_type(client: Client, block_type: BlockType) -> None:
    client.update_block_type(block_type.id, BlockTypeUpdate(description="changed", code_example="open()"))
    read = client.read_block_type_by_slug(block_type.slug)
    assert (read.description, read.code_example) == ("changed", "open()")
    with not_found():
        client.update_block_type(uuid.uuid4(), BlockTypeUpdate(description="changed"))


def test_delete_block_type(client: Client, block_type: BlockType) -> None:
    client.delete_block_type(block_type.id)
    with not_found():
        client.read_block_type_by_slug(block_type.slug)
    with pytest.raises(ProtectedBlockError):
        client.delete_block_type(client.read_block_type_by_slug("secret").id)


def test_create_block_schema(client: Client, block_type: BlockType, schema: BlockSchema) -> None:
    assert (schema.block_type_id, schema.capabilities, schema.version) == (block_type.id, ["opens"], "1.0")
    assert schema.fields["properties"] == FIELDS["properties"]
    again = BlockSchemaCreate(fields=schema.fields, block_type_id=block_type.id, capabilities=["opens"], version="1.0")
    assert client.create_block_schema(again).id == schema.id


def test_read_block_schema_by_checksum(client: Client, schema: BlockSchema) -> None:
    assert client.read_block_schema_by_checksum(schema.checksum).id == schema.id
    assert client.read_block_schema_by_checksum(schema.checksum, version="1.0").id == schema.id
    with not_found():
        client.read_block_schema_by_checksum(schema.checksum, version="2.0")


def test_read_block_schemas(client: Client, schema: BlockSchema) -> None:
    assert schema.id in {each.id for each in client.read_block_schemas()}


def test_get_most_recent_block_schema_for_block_type(client: Client, block_type: BlockType, schema: BlockSchema) -> None:
    fields = {**schema.fields, "title": "Gate"}
    later = client.create_block_schema(BlockSchemaCreate(fields=fields, block_type_id=block_type.id, version="1.1"))
    assert client.get_most_recent_block_schema_for_block_type(block_type.id).id == later.id
    assert client.get_most_recent_block_schema_for_block_type(uuid.uuid4()) is None


def test_create_block_document(client: Client, schema: BlockSchema, name: str) -> None:
    given = document(schema, name)
    created = client.create_block_document(given)
    assert (created.name, created.block_schema_id, created.is_anonymous) == (name, schema.id, False)
    # Only what reads a document shows its secrets.
    assert (created.data["colour"], set(created.data["key"])) == ("red", {"*"})
    assert client.read_block_document(created.id).data == {"colour": "red", "key": "hidden"}
    with pytest.raises(ObjectAlreadyExists):
        client.create_block_document(given)


def test_read_block_document(client: Client, saved: BlockDocument) -> None:
    assert client.read_block_document(saved.id).data == {"colour": "red", "key": "hidden"}
    shown = client.read_block_document(saved.id, include_secrets=False).data
    assert shown["colour"] == "red" and set(shown["key"]) == {"*"}
    with not_found():
        client.read_block_document(uuid.uuid4())


def test_read_block_document_by_name(client: Client, saved: BlockDocument) -> None:
    slug = saved.block_type.slug
    assert client.read_block_document_by_name(saved.name, slug).id == saved.id
    shown = client.read_block_document_by_name(saved.name, slug, include_secrets=False)
    assert set(shown.data["key"]) == {"*"}
    with not_found():
        client.read_block_document_by_name(f"no-{saved.name}", slug)


def test_read_block_documents(client: Client, saved: BlockDocument) -> None:
    [read] = [each for each in client.read_block_documents(limit=200) if each.id == saved.id]
    assert read.data == {"colour": "red", "key": "hidden"}
    assert len(client.read_block_documents(limit=1)) == 1


def test_read_block_documents_by_type(client: Client, schema: BlockSchema, saved: BlockDocument) -> None:
    other = client.create_block_document(document(schema, f"a-{saved.name}"))
    slug = saved.block_type.slug
    assert [each.id for each in client.read_block_documents_by_type(slug)] == [other.id, saved.id]
    shown = client.read_block_documents_by_type(slug, include_secrets=False)
    assert [(each.id, set(each.data["key"])) for each in shown] == [(other.id, {"*"}), (saved.id, {"*"})]


def test_update_block_document(client: Client, saved: BlockDocument) -> None:
    client.update_block_document(saved.id, BlockDocumentUpdate(data={"colour": "blue"}))
    assert client.read_block_document(saved.id).data == {"colour": "blue", "key": "hidden"}
    with not_found():
        client.update_block_document(uuid.uuid4(), BlockDocumentUpdate(data={"colour": "blue"}))


def test_delete_block_document(client: Client, saved: BlockDocument) -> None:
    client.delete_block_document(saved.id)
    with not_found():
        client.read_block_document(saved.id)
    with not_found():
        client.delete_block_document(saved.id)


@pytest.fixture
def storage(client: Client, name: str) -> uuid.UUID:
    """A saved block that results can be kept in."""
    block_type = client.read_block_type_by_slug("local-file-system")
    schema = client.get_most_recent_block_schema_for_block_type(block_type.id)
    given = BlockDocumentCreate(name=name, data={}, block_schema_id=schema.id, block_type_id=block_type.id)
    return client.create_block_document(given).id


def test_update_server_default_result_storage(client: Client, storage: uuid.UUID) -> None:
    answer = client.update_server_default_result_storage(storage)
    assert answer.default_result_storage_block_id == storage
    assert client.read_server_default_result_storage().default_result_storage_block_id == storage
    client.clear_server_default_result_storage()


def test_read_server_default_result_storage(client: Client) -> None:
    client.clear_server_default_result_storage()
    assert client.read_server_default_result_storage().default_result_storage_block_id is None


def test_clear_server_default_result_storage(client: Client, storage: uuid.UUID) -> None:
    client.update_server_default_result_storage(storage)
    client.clear_server_default_result_storage()
    assert client.read_server_default_result_storage().default_result_storage_block_id is None
    client.clear_server_default_result_storage()
