"""No method of the client is without a test, so that one that a release adds fails here."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest
from both_kinds import methods
from prefect.client.orchestration import PrefectClient, SyncPrefectClient


def tests_of_methods() -> Counter[str]:
    """How many tests each method has: those that take a client, so that they run with both kinds."""
    found: Counter[str] = Counter()
    for file in Path(__file__).parent.glob("test_methods_of_*.py"):
        functions = [each for each in ast.parse(file.read_text()).body if isinstance(each, ast.FunctionDef)]
        given = {each.name: {argument.arg for argument in each.args.args} for each in functions}
        named = [name.removeprefix("test_") for name in given if name.startswith("test_") and "client" in given[name]]
        found += Counter(named)
    return found


@pytest.mark.parametrize("kind", [PrefectClient, SyncPrefectClient])
def test_every_method_has_its_test(kind: type) -> None:
    assert tests_of_methods() == Counter(methods(kind))
