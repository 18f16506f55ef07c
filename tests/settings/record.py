"""Records upstream's settings: their places, variables, kinds and defaults.

    .venv/bin/python tests/settings/record.py > common/settings/settings-3.9.1.json

Run it with the Python of the pinned real server. A default that derives from another setting names it in braces.
"""

from __future__ import annotations

import json
import os
import sys
import types
import typing
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

HOME = "/home-of-prefect"

# What would say something about the machine that recorded, or is taken from other settings.
DERIVED = {
    "home": "~/.prefect",
    "api.ssl_cert_file": None,
    "server.ui.api_url": "http://{server.api.host}:{server.api.port}/api",
}


def main() -> None:
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    os.environ["PREFECT_HOME"] = HOME
    from prefect.settings import Settings

    defaults = Settings().model_dump(mode="json")
    settings = [
        {"setting": ".".join(path), "variables": variables, "kind": kind, "default": default(path, defaults)}
        for path, variables, kind in leaves(Settings, ())
    ]
    json.dump(settings, sys.stdout, indent=1)
    print()


def leaves(model: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[str], str]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and hasattr(field.annotation, "model_fields"):
            yield from leaves(field.annotation, (*path, name))
            continue
        if field.validation_alias is None:
            variables = [model.model_config["env_prefix"] + name]
        else:
            variables = [choice for choice in field.validation_alias.choices if isinstance(choice, str)]
        yield (*path, name), [variable.upper() for variable in variables], kind(field)


def kind(field: Any) -> str:
    alternatives = {alternative for alternative in members(field.annotation) if alternative is not types.NoneType}
    if alternatives == {timedelta}:
        takes_seconds = any("seconds" in getattr(getattr(rule, "func", None), "__name__", "") for rule in field.metadata)
        return "seconds" if takes_seconds else "duration"
    if any("delim_string" in str(rule) for rule in field.metadata):
        return "set"
    if len(alternatives) != 1:
        return "json"
    (only,) = alternatives
    if typing.get_origin(only) is not None:
        return "text" if typing.get_origin(only) is typing.Literal else "json"
    known = {bool: "boolean", int: "integer", float: "number", str: "text", Path: "text"}
    return "secret" if only.__name__ == "SecretStr" else known.get(only, "json")


def members(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def default(path: tuple[str, ...], defaults: Any) -> Any:
    if (derived := ".".join(path)) in DERIVED:
        return DERIVED[derived]
    for name in path:
        defaults = defaults[name]
    return defaults.replace(HOME, "{home}") if isinstance(defaults, str) else defaults


if __name__ == "__main__":
    main()
