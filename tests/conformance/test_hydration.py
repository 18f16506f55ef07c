"""Placeholders that name variables, wherever the server fills them in, and references to blocks in job templates."""

from __future__ import annotations

from typing import Any

import pytest

from .library import NOBODY, scheduled
from .side_by_side import Pair
from .test_deployment_flow_runs import add, create, create_many
from .test_flow_run_resume import KEYS, Paused, placeholder

PATH = "/deployments"

VALUES: dict[str, Any] = {
    "hy-text": "text",
    "hy-number": 5,
    "hy-float": 1.5,
    "hy-null": None,
    "hy-list": [1, None, {"a": "ü"}],
    "hy-object": {"p": {"q": [1]}, "r": None},
    "hy-json": '{"x": [1]}',
    "hy-broken": "{",
    "hy-template": "{{ 1 + 1 }} is two",
    "hy-name": "hy-number",
    "hy-name-of-name": "hy-name",
    "hy-placeholder": {"__prefect_kind": "json", "value": "[]"},
    "5": "five",
    "none": "not null",
}


@pytest.fixture
def variables(pair: Pair) -> None:
    """The variables that the placeholders name, made once on each server."""
    found = pair.send("GET", "/variables/name/hy-text")
    if found.status == 404:
        for name, value in VALUES.items():
            pair.prepare("POST", "/variables/", {"name": name, "value": value})


def variable(name: Any) -> dict[str, Any]:
    return placeholder("workspace_variable", variable_name=name)


INPUTS: list[dict[str, Any]] = [
    *({"v": variable(name)} for name in VALUES),
    {"a": variable("hy-text"), "b": [variable("hy-number"), {"c": variable("hy-list")}], "d": 1},
    {"v": variable("nobody")},
    {"a": variable("nobody"), "b": variable("hy-text"), "c": variable("nobody either")},
    {"a": variable("hy-text"), "b": placeholder("json", value="{"), "c": variable("nobody")},
    {"a": placeholder("json", value="{"), "b": variable("nobody")},
    {"v": variable("Nobody can be called so")},
    {"v": variable("n" * 1000)},
    {"v": variable("")},
    {"v": variable(5)},
    {"v": variable(True)},
    {"v": variable(None)},
    {"v": variable(1.5)},
    {"v": variable(variable("hy-name"))},
    {"v": variable(variable(variable("hy-name-of-name")))},
    {"v": variable(variable("nobody"))},
    {"v": variable(variable("hy-number"))},
    {"v": variable(placeholder("json", value='"hy-text"'))},
    {"v": variable(placeholder("jinja", template="hy-{{ 'text' }}"))},
    {"v": variable(placeholder("json"))},
    {"v": placeholder("json", value=variable("hy-json"))},
    {"v": placeholder("json", value=variable("hy-number"))},
    {"v": placeholder("json", value=variable("hy-broken"))},
    {"v": placeholder("json", value=variable("nobody"))},
    {"v": placeholder("jinja", template=variable("hy-template"))},
    {"v": placeholder("jinja", template=variable("nobody"))},
    {"v": placeholder("none", value=[variable("hy-text")])},
    {"v": placeholder("other", value=variable("nobody"))},
    {"v": placeholder("workspace_variable"), "w": 1},
    {"v": {"variable_name": "hy-text"}},
    variable("hy-object"),
    placeholder("json", value=variable("hy-json")),
]


@pytest.mark.parametrize("input", INPUTS, ids=lambda input: str(input)[:80])
def test_parameters(pair: Pair, variables: None, input: dict[str, Any]) -> None:
    name = f"hydration {INPUTS.index(input)}"
    id = add(pair, name)
    pair.check("PATCH", f"{PATH}/{id}", {"parameters": input})
    pair.check("GET", f"{PATH}/{id}")
    create(pair, add(pair, f"{name} of a run", parameters={"p": 1}), {"parameters": input})
    id = add(pair, f"{name} of the deployment", parameters=input)
    pair.check("GET", f"{PATH}/{id}")
    create(pair, id, {"parameters": {"p": 1}})


def test_each_of_many_runs_by_itself(pair: Pair, variables: None) -> None:
    inputs = [input for input in INPUTS if input != variable("hy-object")]
    id = add(pair, "hydration many")
    create_many(pair, id, [{"parameters": input} for input in inputs])
    pair.check(
        "POST",
        "/flow_runs/filter",
        {"deployments": {"id": {"any_": [id]}}},
        view=lambda runs: sorted((run["parameters"] for run in runs), key=str),
    )


@pytest.mark.parametrize("input", INPUTS, ids=lambda input: str(input)[:80])
def test_run_input(pair: Pair, variables: None, input: dict[str, Any]) -> None:
    Paused(pair, {}, keys=KEYS).resume({"run_input": input})


SCHEMA = {"type": "object", "properties": {"v": {"type": "integer"}}, "required": ["v"]}


@pytest.mark.parametrize("name", ["hy-number", "hy-text", "hy-null", "nobody"])
def test_what_is_filled_in_has_to_fit(pair: Pair, variables: None, name: str) -> None:
    more = {"parameter_openapi_schema": SCHEMA, "enforce_parameter_schema": True}
    id = add(pair, f"hydration fits {name}", **more)
    create(pair, id, {"parameters": {"v": variable(name)}})
    create_many(pair, id, [{"parameters": {"v": variable(name)}}, {"parameters": {"v": 1}}])
    pair.check("PATCH", f"{PATH}/{id}", {"parameters": {"v": variable(name)}})
    pair.check("GET", f"{PATH}/{id}")
    Paused(pair, SCHEMA, keys=KEYS).resume({"run_input": {"v": variable(name)}})


def test_a_variable_counts_as_it_is_when_the_run_is_made(pair: Pair) -> None:
    pair.prepare("POST", "/variables/", {"name": "hy-changing", "value": 1})
    id = add(pair, "hydration later", parameters={"v": variable("hy-changing")})
    create(pair, id, {})
    pair.prepare("PATCH", "/variables/name/hy-changing", {"value": 2})
    create(pair, id, {})
    pair.prepare("PATCH", "/variables/name/hy-changing", {"name": "hy-changed"})
    create(pair, id, {})
    pair.prepare("POST", "/variables/", {"name": "hy-changing", "value": 3})
    create(pair, id, {})


def template(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    configuration = {name: f"{{{{ {name} }}}}" for name in properties}
    return {"job_configuration": configuration, "variables": {"type": "object", "properties": properties, **more}}


def test_job_variables_are_left_as_they_are(pair: Pair, variables: None) -> None:
    pool = "hydration-jobs"
    job = {"image": {"type": "string"}, "any": {}}
    pair.prepare("POST", "/work_pools/", {"name": pool, "base_job_template": template(job)})
    for number, given in enumerate(({"any": variable("hy-text")}, {"image": variable("hy-text")}, {"image": "{{ prefect.variables.x }}"})):
        body = {"flow_id": "@flow@", "name": f"{pool} {number}", "work_pool_name": pool, "job_variables": given}
        pair.prepare("POST", "/flows/", {"name": pool}, name="flow")
        pair.check("POST", f"{PATH}/", body)
        id = add(pair, f"{pool} {number} of a run", work_pool_name=pool)
        create(pair, id, {"job_variables": given})
    default = template({"image": {"type": "string", "default": variable("hy-text")}})
    pair.check("POST", "/work_pools/", {"name": f"{pool}-default", "base_job_template": default})


REFERENCES: list[Any] = [
    {"block_document_id": NOBODY},
    {"block_document_id": NOBODY.replace("-", "")},
    {"block_document_id": "not-an-id"},
    {"block_document_id": ""},
    {"block_document_id": None},
    {"other": 1},
    {},
]


@pytest.mark.parametrize("reference", REFERENCES, ids=str)
@pytest.mark.parametrize("schema", [{}, {"type": "string"}, {"type": "nothing"}], ids=str)
def test_defaults_that_are_in_blocks(pair: Pair, reference: Any, schema: dict[str, Any]) -> None:
    name = f"block {REFERENCES.index(reference)} {schema.get('type', '')}"
    pair.prepare("POST", "/flows/", {"name": "hydration"}, name="flow")
    job = template({"v": {**schema, "default": {"$ref": reference}}, "w": {"type": "integer"}}, required=["w"])
    pair.check("POST", "/work_pools/", {"name": name, "base_job_template": job})
    pool = f"changed {name}"
    pair.prepare("POST", "/work_pools/", {"name": pool, "base_job_template": template({"v": {}})})
    id = add(pair, f"{pool} before", work_pool_name=pool)
    late = {"state": scheduled("2041-01-01T00:00:00Z")}
    run = pair.prepare("POST", f"{PATH}/{id}/create_flow_run", late)["id"]
    if pair.check("PATCH", f"/work_pools/{pool}", {"base_job_template": job}).status != 204:
        return
    body = {"flow_id": "@flow@", "name": pool, "work_pool_name": pool}
    pair.check("POST", f"{PATH}/", {**body, "job_variables": {"w": 1}})
    pair.check("POST", f"{PATH}/", {**body, "name": f"{pool} without", "job_variables": {}})
    pair.check("PATCH", f"{PATH}/{id}", {"work_pool_name": pool, "job_variables": {"w": 1}})
    create(pair, id, {"job_variables": {"w": 1}})
    create(pair, id, {"job_variables": {"v": "own", "w": 2}})
    create(pair, id, {})
    create_many(pair, id, [{"job_variables": {"w": 1}}, {"job_variables": {"w": "x"}}])
    pair.check("PATCH", f"/flow_runs/{run}", {"job_variables": {"w": 1}})


@pytest.mark.parametrize("reference", [{"block_document_id": 5}, {"block_document_id": [NOBODY]}, "text", None, 5], ids=str)
def test_references_that_are_none(pair: Pair, reference: Any) -> None:
    job = template({"v": {"default": {"$ref": reference}}})
    pair.check("POST", "/work_pools/", {"name": f"no block {reference}", "base_job_template": job})


CHANGES: list[Any] = [{"image": "i"}, {"image": 1}, {"cpus": 2}, {"image": "i", "cpus": None}, {"image": "i", "region": 1}, {}, None]


@pytest.mark.parametrize("given", CHANGES, ids=str)
def test_job_variables_of_a_run_are_changed(pair: Pair, given: Any) -> None:
    job = template({"image": {"type": "string"}, "cpus": {"type": "integer", "default": 1}}, required=["image"])
    pool = f"run-job-variables-{CHANGES.index(given)}"
    pair.prepare("POST", "/work_pools/", {"name": pool, "base_job_template": job})
    late = {"state": scheduled("2041-01-01T00:00:00Z"), "job_variables": {"image": "r"}}
    for number, more in enumerate(({}, {"work_pool_name": pool}, {"work_pool_name": pool, "job_variables": {"image": "d"}})):
        id = add(pair, f"{pool} {number}", **more)
        run = pair.prepare("POST", f"{PATH}/{id}/create_flow_run", late)["id"]
        pair.check("PATCH", f"/flow_runs/{run}", {"job_variables": given})
        pair.check("GET", f"/flow_runs/{run}")
        pair.check("PATCH", f"/flow_runs/{run}", {"job_variables": given, "name": "renamed"})
        pair.prepare("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "RUNNING"}})
        pair.check("PATCH", f"/flow_runs/{run}", {"job_variables": given})
