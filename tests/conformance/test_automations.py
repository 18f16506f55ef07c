"""What automations have to do with a resource; none is made here."""

from __future__ import annotations

import pytest

from .library import NOBODY
from .side_by_side import Pair


@pytest.mark.parametrize(
    "resource",
    [f"prefect.deployment.{NOBODY}", "x", "a%20b", "%C3%BC", "prefect.deployment.*", "%25", "a/b", "y" * 3000],
)
def test_nothing_is_related(pair: Pair, resource: str) -> None:
    pair.check("GET", f"/automations/related-to/{resource}")


def test_without_a_resource(pair: Pair) -> None:
    pair.check("GET", "/automations/related-to/")
    pair.check("GET", "/automations/related-to")


def test_another_method(pair: Pair) -> None:
    pair.check("PUT", f"/automations/related-to/prefect.deployment.{NOBODY}", {})


def test_a_deployment_has_none(pair: Pair) -> None:
    flow = pair.prepare("POST", "/flows/", {"name": "unautomated"})["id"]
    pair.prepare("POST", "/deployments/", {"name": "unautomated", "flow_id": flow}, name="unautomated")
    pair.check("GET", "/automations/related-to/prefect.deployment.@unautomated@")
    pair.prepare("DELETE", f"/flows/{flow}")
