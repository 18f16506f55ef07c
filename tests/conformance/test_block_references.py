"""What refers to blocks: deployments, flow runs, and the defaults of work pools' job variables."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from .blocks import Kind, ref
from .library import NOBODY
from .side_by_side import Pair

numbers = itertools.count()
FIELDS = ["infrastructure_document_id", "storage_document_id"]


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return {}


@pytest.fixture
def block(pair: Pair, made: dict[str, Any]) -> str:
    if "block" not in made:
        kind = Kind(pair, ["token"])
        made["block"] = kind.make({"image": "i", "token": "secret", "cpus": 2})
        made["kind"] = kind
        made["flow"] = pair.prepare("POST", "/flows/", {"name": "refers to blocks"})["id"]
    return made["block"]


def deployment(pair: Pair, made: dict[str, Any], **more: Any) -> str:
    body = {"name": f"refers {next(numbers)}", "flow_id": made["flow"], **more}
    return pair.prepare("POST", "/deployments/", body)["id"]


@pytest.mark.parametrize("field", FIELDS)
def test_a_deployment_names_a_block_that_is_there(pair: Pair, made: dict[str, Any], block: str, field: str) -> None:
    body = {"name": f"names a {field}", "flow_id": made["flow"]}
    for id in (NOBODY, "x", block, None, block):
        answer = pair.check("POST", "/deployments/", {**body, field: id})
        if answer.status in (200, 201):
            pair.check("GET", f"/deployments/{answer['id']}")


@pytest.mark.parametrize("field", FIELDS)
def test_a_deployment_is_changed_to_name_a_block(pair: Pair, made: dict[str, Any], block: str, field: str) -> None:
    id = deployment(pair, made)
    for value in (NOBODY, block, None, "x"):
        pair.check("PATCH", f"/deployments/{id}", {field: value})
        pair.check("GET", f"/deployments/{id}")


def test_flow_runs_name_a_block_that_is_there(pair: Pair, made: dict[str, Any], block: str) -> None:
    id = deployment(pair, made, infrastructure_document_id=block)
    for body in ({}, {"infrastructure_document_id": block}, {"infrastructure_document_id": NOBODY}):
        pair.check("POST", f"/deployments/{id}/create_flow_run", body)
        pair.check("POST", "/flow_runs/", {"flow_id": made["flow"], **body})
    run = pair.prepare("POST", f"/deployments/{id}/create_flow_run", {})
    pair.check("GET", f"/flow_runs/{run['id']}")


def template(default: Any, kind: str = "object", **more: Any) -> dict[str, Any]:
    variables = {"type": "object", "properties": {"v": {"type": kind, "default": default}, **more}}
    return {"job_configuration": {"v": "{{ v }}"}, "variables": variables}


@pytest.mark.parametrize("kind", ["object", "string", "nothing"])
def test_a_default_in_a_block(pair: Pair, made: dict[str, Any], block: str, kind: str) -> None:
    for default in (ref(block), ref(NOBODY), ref("x"), ref(None), {"$ref": {}}):
        body = {"name": f"default {next(numbers)}", "type": "test", "base_job_template": template(default, kind)}
        pair.check("POST", "/work_pools/", body)


def test_a_secret_default_is_held_against_the_schema_as_it_is_shown(pair: Pair, made: dict[str, Any], block: str) -> None:
    shape = {"type": "object", "properties": {"token": {"enum": ["********"]}}, "default": ref(block)}
    variables = {"type": "object", "properties": {"v": shape}}
    body = {"name": "secret default", "type": "test", "base_job_template": {"job_configuration": {"v": "{{ v }}"}, "variables": variables}}
    pair.check("POST", "/work_pools/", body)


def test_job_variables_over_a_default_in_a_block(pair: Pair, made: dict[str, Any], block: str) -> None:
    kind = made["kind"]
    doomed = kind.make({"image": "doomed"})
    pool = {"name": "defaults in blocks", "type": "test", "base_job_template": template(ref(doomed), "object", image={"type": "string"})}
    pool["base_job_template"]["variables"]["required"] = ["v"]
    pair.prepare("POST", "/work_pools/", pool)
    named = {"flow_id": made["flow"], "work_pool_name": pool["name"]}
    for variables in ({"image": "i"}, {"image": 1}, {"v": 1}, {"v": ref(block)}):
        pair.check("POST", "/deployments/", {"name": f"over {next(numbers)}", **named, "job_variables": variables})
    id = pair.prepare("POST", "/deployments/", {"name": "over the default", **named})["id"]
    for variables in ({}, {"image": "i"}, {"image": 1}):
        pair.check("POST", f"/deployments/{id}/create_flow_run", {"job_variables": variables})
    run = pair.prepare("POST", f"/deployments/{id}/create_flow_run", {})["id"]
    pair.check("PATCH", f"/flow_runs/{run}", {"job_variables": {"image": "other"}})
    pair.prepare("DELETE", f"/block_documents/{doomed}")
    pair.check("POST", f"/deployments/{id}/create_flow_run", {"job_variables": {"image": "i"}})
    pair.check("PATCH", f"/flow_runs/{run}", {"job_variables": {"image": "last"}})
    pair.check("POST", "/deployments/", {"name": "after it", **named, "job_variables": {"image": "i"}})


@pytest.mark.parametrize("field", FIELDS)
def test_a_block_that_a_deployment_names_is_deleted(pair: Pair, made: dict[str, Any], block: str, field: str) -> None:
    """Prefect deletes the deployment with it, and its runs."""
    doomed = made["kind"].make({})
    id = deployment(pair, made, **{field: doomed})
    run = pair.prepare("POST", f"/deployments/{id}/create_flow_run", {})["id"]
    pair.check("DELETE", f"/block_documents/{doomed}")
    pair.check("GET", f"/deployments/{id}")
    pair.check("GET", f"/flow_runs/{run}")
