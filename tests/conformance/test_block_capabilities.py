"""What blocks can do, by their schemas."""

from __future__ import annotations

from .blocks import bare_servers, make_schema, make_type

PATH = "/block_capabilities/"


def test_capabilities_are_those_of_the_schemas_there_are() -> None:
    with bare_servers() as pair:
        pair.check("GET", PATH)
        a, b = make_type(pair, "a"), make_type(pair, "b")
        make_schema(pair, a)
        pair.check("GET", PATH)
        make_schema(pair, a, capabilities=["write", "read", "read"])
        gone = make_schema(pair, b, capabilities=["read", "notify", "ü"])
        pair.check("GET", PATH, view=sorted)
        pair.prepare("DELETE", f"/block_schemas/{gone}")
        pair.check("GET", PATH, view=sorted)
        pair.prepare("DELETE", f"/block_types/{a}")
        pair.check("GET", PATH)
        pair.check("GET", "/block_capabilities")
        pair.check("POST", PATH, {})
