"""Derives the block types that Prefect declares as classes from the text of their modules, and runs none of it.

Reads from standard input {"version": …, "modules": {NAME: TEXT, …}}, and writes the block types by their slugs, each with
its schema, in the form in which Prefect's own registry has those of other packages.

It knows as much of Python and pydantic as these modules need, and fails on anything else: whoever calls it compares the
result with a digest, so a guess would not get far.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import re
import sys

STRING = {"type": "string"}
SECRET = {"type": "string", "format": "password", "writeOnly": True}
NULL = {"type": "null"}
TYPES = {
    "str": STRING,
    "StrictStr": STRING,
    "bool": {"type": "boolean"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "SecretStr": SECRET,
    "SecretDict": {"type": "object"},
    "AnyHttpUrl": {"type": "string", "format": "uri", "minLength": 1},
    "JsonValue": {"$ref": "#/definitions/JsonValue"},
    "None": NULL,
}
ABSTRACT = ("ABC", "abc.ABC")
MISSING = object()


class Module:
    """A module's classes, and the expressions that its names stand for."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.classes: dict[str, ast.ClassDef] = {}
        self.names: dict[str, ast.expr] = {}
        for statement in ast.parse(text).body:
            if isinstance(statement, ast.ClassDef):
                self.classes[statement.name] = statement
            elif isinstance(statement, ast.Assign):
                for target in statement.targets:
                    if isinstance(target, ast.Name):
                        self.names[target.id] = statement.value

    def value(self, expression: ast.expr) -> object:
        """Returns what an expression is worth: a literal, a name of one, or an address in its type."""
        if isinstance(expression, ast.Name) and expression.id in self.names:
            return self.value(self.names[expression.id])
        if isinstance(expression, ast.Call) and name_of(expression.func) == "HttpUrl":
            return self.value(expression.args[0])
        return ast.literal_eval(expression)


def name_of(expression: ast.expr) -> str:
    return ast.unparse(expression)


class Block:
    """A class that is a block type, with what it has of its bases."""

    def __init__(self, module: Module, name: str, blocks: dict[str, Block]) -> None:
        self.module, self.name = module, name
        declared = module.classes[name]
        self.bases = [name_of(base) for base in declared.bases]
        self.document = ast.get_docstring(declared, clean=False)
        self.attributes: dict[str, object] = {}
        self.fields: dict[str, tuple[Module, ast.expr, ast.expr | None]] = {}
        capabilities: list[str] = []
        for base in (blocks[base] for base in self.bases if base in blocks):
            self.attributes = base.attributes | self.attributes
            self.fields |= base.fields
            capabilities += base.capabilities
        for statement in declared.body:
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                attribute = statement.targets[0].id
                if attribute in ("_block_type_name", "_block_type_slug", "_logo_url", "_documentation_url", "_description"):
                    self.attributes[attribute] = module.value(statement.value)
                elif attribute == "_block_schema_capabilities":
                    capabilities = module.value(statement.value) + capabilities
            elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                if not statement.target.id.startswith("_"):
                    self.fields[statement.target.id] = (module, statement.annotation, statement.value)
        self.capabilities = list(dict.fromkeys(capabilities))

    @property
    def title(self) -> str:
        return self.attributes.get("_block_type_name") or self.name

    @property
    def slug(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", (self.attributes.get("_block_type_slug") or self.title).lower()).strip("-")

    def description(self) -> str | None:
        return self.attributes.get("_description") or sections(self.document).get("")

    def code_example(self) -> str:
        parts = sections(self.document)
        example = parts.get("Examples") or parts.get("Example")
        if example is None:
            load = f'{self.slug.replace("-", "_")}_block = {self.name}.load("BLOCK_NAME")'
            example = f"```python\nfrom {self.module.name} import {self.name}\n\n{load}\n```"
        return example

    def schema(self) -> dict[str, object]:
        properties, required, secrets, definitions = {}, [], [], {}
        for position, (name, (module, annotation, value)) in enumerate(self.fields.items()):
            given = keywords(module, value)
            field = without_further_properties(schema_of(module, annotation, definitions))
            field["title"] = given.pop("title", name.replace("_", " ").title())
            if "default_factory" in given:
                del given["default_factory"]
            elif given.get("default", MISSING) in (MISSING, ...):
                given.pop("default", None)
                required.append(name)
            field |= given.pop("json_schema_extra", {})
            field |= given
            properties[name] = in_order(field) | {"position": position}
            secrets += secret_fields(name, annotation)
        schema = {"block_schema_references": {}, "block_type_slug": self.slug}
        if self.description():
            schema["description"] = self.description()
        schema["properties"] = properties
        if required:
            schema["required"] = required
        schema |= {"secret_fields": secrets, "title": self.name, "type": "object"}
        return schema | ({"definitions": definitions} if definitions else {})

    def block_type(self, version: str) -> dict[str, object]:
        fields = self.schema()
        return {
            "name": self.title,
            "slug": self.slug,
            "logo_url": self.attributes.get("_logo_url"),
            "documentation_url": self.attributes.get("_documentation_url"),
            "description": self.description(),
            "code_example": self.code_example(),
            "block_schema": {
                "checksum": checksum(fields),
                "fields": fields,
                "capabilities": self.capabilities,
                "version": version,
            },
        }


def sections(document: str | None) -> dict[str, str]:
    """Returns the parts of a docstring by their headings: what is before any of them, and what is indented below one."""
    parts, heading = {"": []}, ""
    for line in inspect.cleandoc(document or "").splitlines():
        found = re.fullmatch(r"([A-Z][A-Za-z ]*):", line)
        if found:
            heading = found[1]
            parts[heading] = []
        else:
            parts[heading].append(line)
    texts = {heading: inspect.cleandoc("\n" + "\n".join(lines)).strip() for heading, lines in parts.items()}
    return {heading: text for heading, text in texts.items() if text}


def keywords(module: Module, value: ast.expr | None) -> dict[str, object]:
    """Returns what `Field(…)` says, or the default that stands in its place."""
    if value is None:
        return {}
    if not (isinstance(value, ast.Call) and name_of(value.func) == "Field"):
        return {"default": module.value(value)}
    given = {"default": module.value(value.args[0])} if value.args else {}
    for keyword in value.keywords:
        if keyword.arg == "default_factory":
            given[keyword.arg] = ast.unparse(keyword.value)
        elif keyword.arg in ("default", "title", "description", "examples", "json_schema_extra"):
            given[keyword.arg] = module.value(keyword.value)
        else:
            raise ValueError(f"Field(…, {keyword.arg}=…) is not known")
    return given


def schema_of(module: Module, annotation: ast.expr, definitions: dict[str, object]) -> dict[str, object]:
    """Returns the JSON Schema that pydantic makes of an annotation."""
    if isinstance(annotation, ast.Constant) and annotation.value is None:
        return dict(NULL)
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return any_of(module, [annotation.left, annotation.right], definitions)
    name = name_of(annotation)
    if name == "JsonValue":
        definitions["JsonValue"] = {}
    if name in TYPES:
        return dict(TYPES[name])
    if name == "Any":
        return {}
    if isinstance(annotation, ast.Name):
        return schema_of(module, bound(module.names[annotation.id]), definitions)
    if not isinstance(annotation, ast.Subscript):
        raise ValueError(f"the type {name} is not known")
    outer, inner = name_of(annotation.value), annotation.slice
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if outer == "Optional":
        return any_of(module, [*parts, ast.Constant(None)], definitions)
    if outer == "Union":
        return any_of(module, parts, definitions)
    if outer in ("list", "List"):
        return {"type": "array", "items": schema_of(module, parts[0], definitions)}
    if outer in ("dict", "Dict"):
        return {"type": "object", "additionalProperties": schema_of(module, parts[1], definitions) or True}
    if outer == "Literal":
        return {"type": "string", "enum": [module.value(part) for part in parts]}
    if outer == "PydanticSecret":
        return schema_of(module, parts[0], definitions)
    if outer == "Annotated":
        return schema_of(module, parts[0], definitions) | keywords(module, parts[1])
    raise ValueError(f"the type {name} is not known")


def bound(expression: ast.expr) -> ast.expr:
    """Returns what a type variable is bound by, or the expression itself."""
    if isinstance(expression, ast.Call) and name_of(expression.func) == "TypeVar":
        return next(keyword.value for keyword in expression.keywords if keyword.arg == "bound")
    return expression


def any_of(module: Module, parts: list[ast.expr], definitions: dict[str, object]) -> dict[str, object]:
    """Returns a union, in which unions are no level of their own."""
    schemas: list[dict[str, object]] = []
    for schema in (schema_of(module, part, definitions) for part in parts):
        nested = schema["anyOf"] if set(schema) == {"anyOf"} else [schema]
        schemas += [in_order(one) for one in nested if one not in schemas]
    return {"anyOf": schemas} if len(schemas) > 1 else schemas[0]


def secret_fields(name: str, annotation: ast.expr) -> list[str]:
    """Returns the places that hold secrets in a field, one for each part of its type that is one."""
    if isinstance(annotation, ast.Name) and annotation.id == "SecretStr":
        return [name]
    if isinstance(annotation, ast.Name) and annotation.id == "SecretDict":
        return [f"{name}.*"]
    if isinstance(annotation, ast.Subscript):
        if name_of(annotation.value) == "PydanticSecret":
            return [name]
        parts = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        return [secret for part in parts for secret in secret_fields(name, part)]
    if isinstance(annotation, ast.BinOp):
        return secret_fields(name, annotation.left) + secret_fields(name, annotation.right)
    return []


def without_further_properties(schema: dict[str, object]) -> dict[str, object]:
    """Leaves out `additionalProperties`, which Prefect does wherever no list is around it."""
    return {
        name: without_further_properties(value) if isinstance(value, dict) else value
        for name, value in schema.items()
        if name != "additionalProperties"
    }


def in_order(schema: object) -> object:
    """Returns a schema with its keys in order, also within `examples`."""
    if isinstance(schema, dict):
        return {name: in_order(schema[name]) for name in sorted(schema)}
    return [in_order(one) for one in schema] if isinstance(schema, list) else schema


def checksum(fields: dict[str, object]) -> str:
    # Prefect leaves out definitions that say nothing, and the only one here is of any JSON value.
    hashed = {name: value for name, value in fields.items() if name not in ("secret_fields", "definitions")}
    return "sha256:" + hashlib.sha256(json.dumps([[hashed], {}], sort_keys=True).encode()).hexdigest()


def main() -> None:
    given = json.load(sys.stdin)
    blocks: dict[str, Block] = {}
    found: dict[str, object] = {}
    for module in (Module(name, text) for name, text in given["modules"].items()):
        for name, declared in module.classes.items():
            bases = {name_of(base) for base in declared.bases}
            if "Block" in bases or bases & set(blocks):
                blocks[name] = Block(module, name, blocks)
                if not bases.intersection(ABSTRACT):
                    found[blocks[name].slug] = blocks[name].block_type(given["version"])
    json.dump(found, sys.stdout)


main()
