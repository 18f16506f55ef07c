"""What Prefect's registry of collections knows, and the commands that ask for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from . import servers
from .side_by_side import Pair
from .test_command_line import Commands, commands  # noqa: F401 (a fixture)

VIEWS = "/collections/views"
WORKERS = f"{VIEWS}/aggregate-worker-metadata"
KINDS = ["process", "docker", "kubernetes", "ecs", "azure-container-instance", "cloud-run", "cloud-run-v2", "vertex-ai"]


def test_what_is_known_of_workers(pair: Pair) -> None:
    answer = pair.check("GET", WORKERS)
    assert answer.subject.content == answer.oracle.content, "also byte by byte"
    assert "prefect-agent" not in answer.json["prefect"]


def test_an_answer_is_compressed_for_who_takes_that(pair: Pair) -> None:
    pair.check("GET", WORKERS, headers={"accept-encoding": "gzip"})


@pytest.mark.parametrize("view", ["aggregate-block-metadata", "aggregate-flow-metadata", "demo-flows"])
def test_a_view_that_the_package_has_no_copy_of(pair: Pair, view: str) -> None:
    answer = pair.check("GET", f"{VIEWS}/{view}")
    assert answer.subject.json() == {"detail": f"Requested content missing for view {view}"}


UNKNOWN = ["nothing", "Demo-Flows", "aggregate-worker-metadata.json", "%20", "a%20b", "%C3%BC", "a%2Fb", "..", "..%2Fmanifest", "{view}", ""]


@pytest.mark.parametrize("view", UNKNOWN)
def test_a_view_that_is_not_known(pair: Pair, view: str) -> None:
    pair.check("GET", f"{VIEWS}/{view}")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
def test_nothing_else_is_done_with_a_view(pair: Pair, method: str) -> None:
    pair.check(method, WORKERS)


def test_a_slash_behind_a_view_leads_to_it(pair: Pair) -> None:
    pair.check("GET", f"{WORKERS}/")


@pytest.mark.parametrize("kind", KINDS)
def test_pools_are_made_with_the_template_of_their_kind(commands: Commands, kind: str) -> None:
    commands.check("work-pool", "create", kind, "--type", kind)
    template = commands.check("work-pool", "get-default-base-job-template", "--type", kind)
    pool = commands.pair.check("GET", f"/work_pools/{kind}")
    assert pool.json["base_job_template"] == template and template["variables"]["properties"]


def test_a_kind_that_nobody_knows(commands: Commands) -> None:
    commands.check("work-pool", "create", "unknown", "--type", "unknown", code=1)
    commands.check("work-pool", "get-default-base-job-template", "--type", "unknown", code=1)


def test_without_assets_the_api_works_and_names_the_command(tmp_path: Path) -> None:
    with servers.ours({"PROCTOR_ASSETS": str(tmp_path / "nothing")}) as url:
        assert httpx.get(f"{url}/health").json() is True
        answer = httpx.get(f"{url}{WORKERS}")
        assert (answer.status_code, "`proctor assets`" in answer.json()["detail"]) == (404, True), answer.text


def test_the_block_types_are_those_that_the_real_server_installs(proctor_assets: Path) -> None:
    registry = json.loads((proctor_assets / "block_types.json").read_text())["collections"]
    ours = {slug: one for package in registry.values() for slug, one in package["block_types"].items()}
    with servers.oracle() as url:
        theirs = {one["slug"]: one for one in everything(url, "/block_types/filter")}
        schemas: dict[str, list[dict[str, Any]]] = {}
        for schema in everything(url, "/block_schemas/filter"):
            schemas.setdefault(schema["block_type"]["slug"], []).append(schema)
    assert list(registry)[0] == "prefect" and set(ours) == set(theirs)
    for slug, block_type in ours.items():
        schema = block_type.pop("block_schema")
        named = {"is_protected": False} | block_type
        assert named == {name: theirs[slug][name] for name in named}, slug
        [installed] = [one for one in schemas[slug] if one["version"] == schema["version"]]
        assert installed["checksum"] == schema["checksum"], slug
        assert set(installed["capabilities"]) == set(schema["capabilities"]), slug
        if slug in registry["prefect"]["block_types"]:
            # The server leaves out definitions that say nothing.
            assert installed["fields"] == {name: value for name, value in schema["fields"].items() if name != "definitions"}


def everything(url: str, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while page := httpx.post(f"{url}{path}", json={"offset": len(found), "limit": 200}).raise_for_status().json():
        found += page
    return found
