"""`prefect transfer` moves definitions from the real server to ours, and back to another real one, field by field."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from . import servers
from .side_by_side import Request, Server

Json = dict[str, Any]

# What a server makes up, or what follows from where the record is.
OWN = {"id", "created", "updated", "flow_id", "work_pool_id", "work_queue_id", "default_queue_id", "deployment_id"}
OWN |= {"block_type_id", "block_schema_id", "block_document_id", "default_result_storage_block_id", "trigger_id"}
OWN |= {"concurrency_limit_id", "global_concurrency_limit", "last_polled", "status", "labels", "created_by", "updated_by"}

TEMPLATE = {
    "job_configuration": {"command": "{{ command }}", "env": "{{ env }}"},
    "variables": {"type": "object", "properties": {"command": {"type": "string"}, "env": {"type": "object"}}},
}
SCHEMA = {
    "type": "object",
    "title": "Parameters",
    "properties": {"whom": {"type": "string", "title": "whom", "position": 0}, "times": {"type": "integer"}},
    "required": ["whom"],
}
INTERVAL = {"interval": 600.0, "anchor_date": "2030-01-02T03:04:05Z", "timezone": "Europe/Berlin"}
WEEKLY = {"cron": "0 9 * * MON", "timezone": "America/New_York", "day_or": True}
SCHEDULES: list[Json] = [
    {"schedule": INTERVAL, "active": False, "slug": "often"},
    {"schedule": WEEKLY, "active": True, "parameters": {"times": 3}},
    {"schedule": {"rrule": "FREQ=DAILY;INTERVAL=2", "timezone": "UTC"}, "active": True, "max_scheduled_runs": 4},
]


def define_block(post: Callable[[str, Json], Json]) -> None:
    """Saves a document of a kind of its own, with a secret.

    The command leaves behind the documents of each kind that the target has already, such as the built-in ones.
    """
    block_type = post("/block_types/", {"name": "Door", "slug": "door"})
    fields = {
        "title": "Door",
        "type": "object",
        "properties": {"colour": {"type": "string", "title": "Colour"}, "key": {"type": "string", "format": "password"}},
        "secret_fields": ["key"],
        "block_type_slug": "door",
        "block_schema_references": {},
    }
    schema = post("/block_schemas/", {"fields": fields, "block_type_id": block_type["id"], "capabilities": ["opens"]})
    data = {"colour": "red", "key": "under the mat"}
    kind = {"block_schema_id": schema["id"], "block_type_id": block_type["id"]}
    post("/block_documents/", {"name": "front", "data": data, **kind})


def triggered(deployment_id: str) -> Json:
    """What an automation does that runs the deployment after its third failure."""
    trigger = {
        "type": "event",
        "match": {"prefect.resource.id": "prefect.flow-run.*"},
        "expect": ["prefect.flow-run.Failed"],
        "posture": "Reactive",
        "threshold": 3,
        "within": 60,
    }
    action = {"type": "run-deployment", "source": "selected", "deployment_id": deployment_id, "parameters": {"whom": "them"}}
    return {"trigger": trigger, "actions": [action]}


def define(url: str) -> None:
    """Writes one of each kind of definition, with the fields that the command carries over.

    It loses a limit's slot decay, a pool's and a block type's description, and that a queue is paused, whichever servers it
    is between.
    """
    server = Server(url)

    def post(path: str, body: Json) -> Json:
        response = server.send(Request("POST", path, body))
        assert response.is_success, response.text
        answer: Json = response.json()
        return answer

    post("/variables/", {"name": "text", "value": "ä☃", "tags": ["b", "a"]})
    post("/variables/", {"name": "nested", "value": {"a": [1, 2.5, None, {"b": True}]}})
    post("/v2/concurrency_limits/", {"name": "database", "limit": 3})
    post("/v2/concurrency_limits/", {"name": "off", "limit": 0, "active": False})
    define_block(post)
    pool = {"name": "pool", "type": "process", "concurrency_limit": 7, "base_job_template": TEMPLATE}
    post("/work_pools/", pool)
    post("/work_pools/", {"name": "still", "type": "docker", "is_paused": True})
    queue = {"name": "urgent", "description": "first", "concurrency_limit": 2, "priority": 1}
    post("/work_pools/pool/queues", queue)
    flow = post("/flows/", {"name": "greet", "tags": ["kept"]})
    deployed = {
        "flow_id": flow["id"],
        "parameters": {"whom": "you", "times": 2},
        "parameter_openapi_schema": SCHEMA,
        "enforce_parameter_schema": True,
        "tags": ["one", "two"],
        "description": "deployed",
        "entrypoint": "flows.py:greet",
        "path": "/code",
        "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": "/code"}}],
        "version": "1.2",
    }
    places = {"work_pool_name": "pool", "work_queue_name": "urgent", "job_variables": {"env": {"KEY": "1"}}}
    placed = post("/deployments/", {**deployed, **places, "name": "placed", "schedules": SCHEDULES})
    options = {"concurrency_limit": 2, "concurrency_options": {"collision_strategy": "CANCEL_NEW"}}
    post("/deployments/", {**deployed, **options, "name": "alone", "paused": True})
    post("/automations/", {"name": "again", "description": "said", "tags": ["kept"], **triggered(placed["id"])})


def definitions(url: str) -> Json:
    """All definitions of a server by kind and name, without what is a server's own."""
    server = Server(url)

    def named(path: str, **asked: bool) -> Json:
        response = server.send(Request("POST", path, asked))
        assert response.is_success, response.text
        return {record["name"]: plain(record) for record in response.json()}

    pools = named("/work_pools/filter")
    return {
        "variables": named("/variables/filter"),
        "limits": named("/v2/concurrency_limits/filter"),
        "pools": pools,
        "queues": {pool: named(f"/work_pools/{pool}/queues/filter") for pool in pools},
        "flows": named("/flows/filter"),
        "deployments": named("/deployments/filter"),
        "automations": named("/automations/filter"),
        "blocks": named("/block_documents/filter", include_secrets=True),
    }


def plain(value: Any) -> Any:
    """The value without what is a server's own; tags and schedules in an order of their own."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    left = {name: plain(each) for name, each in value.items() if name not in OWN}
    return {name: sorted(each, key=repr) if name in ("tags", "schedules") else each for name, each in left.items()}


def transfer(home: Path, source: str, target: str) -> str:
    """Runs `prefect transfer` between two servers, and returns what it printed."""
    profiles = "".join(f'[profiles.{name}]\nPREFECT_API_URL = "{url}"\n' for name, url in (("from", source), ("to", target)))
    home.mkdir()
    (home / "profiles.toml").write_text(profiles)
    environment = {**servers.inherited_environment(), "PREFECT_HOME": str(home), "NO_COLOR": "1", "COLUMNS": "400"}
    command = [servers.oracle_executable(), "--no-prompt", "transfer", "--from", "from", "--to", "to"]
    ended = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, timeout=300)
    printed = ended.stdout + ended.stderr
    assert ended.returncode == 0, printed
    return printed


@pytest.fixture(scope="module")
def source() -> Iterator[str]:
    """A real server with definitions of all kinds."""
    with servers.oracle() as url:
        define(url)
        yield url


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(scope="module")
def there(source: str, home: Path) -> Iterator[str]:
    """Our server, after the definitions of the real one were transferred to it."""
    with servers.subject() as url:
        transfer(home / "there", source, url)
        yield url


def test_definitions_of_the_real_server_arrive(source: str, there: str) -> None:
    assert definitions(there) == definitions(source)


def test_a_second_transfer_changes_nothing(source: str, there: str, home: Path) -> None:
    before = definitions(there)
    assert "Skipped" in transfer(home / "again", source, there)
    assert definitions(there) == before


def test_definitions_of_ours_arrive(there: str, home: Path) -> None:
    with servers.oracle() as back:
        transfer(home / "back", there, back)
        assert definitions(back) == definitions(there)
