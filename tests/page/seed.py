"""Puts one of everything into a server, so that each page has something to show."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

MARKDOWN = "# Harvest of the day\n\n| fruit | weight |\n|---|---|\n| quince | 7 |\n"


@dataclass
class Seeded:
    """The ids of what there is, by what it is."""

    ids: dict[str, str] = field(default_factory=dict)

    def fill(self, path: str) -> str:
        """Puts the ids into a path with names in braces."""
        return path.format(**self.ids)


def seed(api_url: str, headers: dict[str, str] | None = None) -> Seeded:
    """Makes flows, runs with tasks and logs, a deployment, and one of each other resource."""
    seeded = Seeded()
    ids = seeded.ids
    with httpx.Client(base_url=api_url, headers=headers, timeout=30) as client:

        def post(path: str, body: Any) -> Any:
            answer = client.post(path, json=body)
            assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
            return answer.json() if answer.content else None

        ids["flow"] = post("/flows/", {"name": "orchard-flow", "tags": ["fruit"]})["id"]
        post("/work_pools/", {"name": "orchard-pool", "type": "process", "description": "pool of the orchard"})
        ids["queue"] = post("/work_pools/orchard-pool/queues", {"name": "orchard-queue", "priority": 7})["id"]
        ids["deployment"] = post(
            "/deployments/",
            {
                "name": "orchard-deployment",
                "flow_id": ids["flow"],
                "work_pool_name": "orchard-pool",
                "entrypoint": "orchard.py:pick",
                "tags": ["fruit"],
                "parameters": {"baskets": 3},
                "parameter_openapi_schema": {
                    "title": "Parameters",
                    "type": "object",
                    "properties": {"baskets": {"title": "baskets", "type": "integer", "position": 0, "default": 3}},
                },
                "schedules": [{"schedule": {"interval": 86400.0}, "active": False}],
            },
        )["id"]
        now = datetime.now(UTC)
        for name, state in (
            ("quince-completed", {"type": "COMPLETED", "name": "Completed"}),
            ("medlar-failed", {"type": "FAILED", "name": "Failed", "message": "the ladder broke"}),
            ("damson-running", {"type": "RUNNING", "name": "Running"}),
            ("bullace-cancelled", {"type": "CANCELLED", "name": "Cancelled"}),
        ):
            run = post(
                "/flow_runs/",
                {
                    "name": name,
                    "flow_id": ids["flow"],
                    "deployment_id": ids["deployment"],
                    "parameters": {"baskets": 5},
                    "tags": ["fruit"],
                    "state": {"type": "PENDING"},
                },
            )["id"]
            for step in ({"type": "RUNNING", "name": "Running"}, state):
                post(f"/flow_runs/{run}/set_state", {"state": step, "force": True})
            ids.setdefault("flow_run", run)
        scheduled = {"type": "SCHEDULED", "state_details": {"scheduled_time": (now + timedelta(hours=2)).isoformat()}}
        post(f"/deployments/{ids['deployment']}/create_flow_run", {"name": "sloe-scheduled", "state": scheduled})
        for index, task in enumerate(("climb", "pick")):
            upstream = [{"input_type": "task_run", "id": ids["task_run"]}] if index else []
            ids["task_run"] = post(
                "/task_runs/",
                {
                    "name": f"{task}-ladder",
                    "flow_run_id": ids["flow_run"],
                    "task_key": task,
                    "dynamic_key": "0",
                    "task_inputs": {"tree": upstream},
                    "state": {"type": "RUNNING"},
                },
            )["id"]
            post(f"/task_runs/{ids['task_run']}/set_state", {"state": {"type": "COMPLETED"}, "force": True})
        post(
            "/logs/",
            [
                {
                    "name": "prefect.flow_runs",
                    "level": 20,
                    "message": "picked seven quinces",
                    "timestamp": now.isoformat(),
                    "flow_run_id": ids["flow_run"],
                    "task_run_id": run,
                }
                for run in (None, ids["task_run"])
            ],
        )
        ids["artifact"] = post(
            "/artifacts/",
            {
                "key": "orchard-report",
                "type": "markdown",
                "description": "what was picked",
                "data": MARKDOWN,
                "flow_run_id": ids["flow_run"],
                "task_run_id": ids["task_run"],
            },
        )["id"]
        post("/variables/", {"name": "orchard_variable", "value": "quince", "tags": ["fruit"]})
        ids["tag_limit"] = post("/concurrency_limits/", {"tag": "orchard-tag", "concurrency_limit": 4})["id"]
        ids["limit"] = post("/v2/concurrency_limits/", {"name": "orchard-limit", "limit": 6})["id"]
        secret = client.get("/block_types/slug/secret").json()["id"]
        schemas = post("/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [secret]}}})
        ids["block"] = post(
            "/block_documents/",
            {
                "name": "orchard-secret",
                "block_type_id": secret,
                "block_schema_id": schemas[0]["id"],
                "data": {"value": "under the third stone"},
            },
        )["id"]
        ids["automation"] = post(
            "/automations/",
            {
                "name": "orchard-automation",
                "description": "when the ladder breaks",
                "trigger": {
                    "type": "event",
                    "expect": ["prefect.flow-run.Failed"],
                    "match": {"prefect.resource.id": "prefect.flow-run.*"},
                    "posture": "Reactive",
                    "threshold": 1,
                    "within": 0,
                },
                "actions": [{"type": "pause-work-pool", "source": "selected", "work_pool_id": pool_id(client)}],
            },
        )["id"]
    return seeded


def pool_id(client: httpx.Client) -> str:
    return client.get("/work_pools/orchard-pool").json()["id"]
