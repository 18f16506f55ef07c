"""A fixed set of flows, runs and logs that the filter tests query and never change.

Every name is unique, so that a list sorted by name has one possible order. The id of each object
can be written @flow.KEY@, @run.KEY@ or @task.KEY@ in a request, and a time that a server chose as
@run.KEY.start_time@ and so on.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from .side_by_side import Pair

NOBODY = "00000000-0000-4000-8000-00000000dead"
AUTOMATION = "aaaaaaaa-0000-4000-8000-000000000001"

FLOWS: dict[str, dict[str, Any]] = {
    "alpha": {"name": "alpha", "tags": ["a", "b"], "labels": {"team": "x", "n": 1, "ratio": 1.5, "on": True}},
    "beta": {"name": "Beta-flow", "tags": ["b"]},
    "underscore": {"name": "under_score", "tags": []},
    "lookalike": {"name": "underXscore", "tags": ["A"]},
    "hundred": {"name": "100 done!", "tags": ["ünï", "a"]},
    "unicode": {"name": "Ünïcode-Flöw", "tags": ['quo"te', "back\\slash"]},
    "lonely": {"name": "lonely", "tags": []},
}


def scheduled(time: str, **more: Any) -> dict[str, Any]:
    return {"type": "SCHEDULED", "state_details": {"scheduled_time": time}, **more}


RUNNING = {"type": "RUNNING"}

# key: (flow, body of the creation, states set afterwards)
RUNS: dict[str, tuple[str, dict[str, Any], list[dict[str, Any]]]] = {
    "pending": ("alpha", {"name": "r01 pending"}, []),
    "scheduled": (
        "alpha",
        {"name": "r02 scheduled", "tags": ["a", "b"], "state": scheduled("2031-01-01T00:00:00Z")},
        [],
    ),
    "early": (
        "beta",
        {"name": "r03 Early_bird", "tags": ["b"], "state": scheduled("2021-03-04T05:06:07.089Z")},
        [],
    ),
    "late": (
        "beta",
        {"name": "r04 late", "tags": [], "state": scheduled("2022-01-01T00:00:00Z", name="Late")},
        [],
    ),
    "running": ("alpha", {"name": "r05 running", "tags": ["a"], "flow_version": "1.0"}, [RUNNING]),
    "completed": (
        "alpha",
        {
            "name": "r06 completed",
            "tags": ["a", "b", "c"],
            "flow_version": "1.0",
            "idempotency_key": "key-1",
            "parameters": {"x": 1, "y": [1.5, None, {"z": "ä"}]},
            "labels": {"stage": "prod", "count": 3},
        },
        [RUNNING, {"type": "COMPLETED", "message": "All done"}],
    ),
    "failed": (
        "beta",
        {"name": "r07 failed", "flow_version": "2.0", "idempotency_key": "key-2", "tags": ["c"]},
        [RUNNING, {"type": "FAILED", "message": "It broke"}],
    ),
    "crashed": ("beta", {"name": "r08 crashed", "tags": ["ünï"]}, [RUNNING, {"type": "CRASHED"}]),
    "cancelling": ("hundred", {"name": "r09 cancelling 100%"}, [RUNNING, {"type": "CANCELLING"}]),
    "cancelled": ("hundred", {"name": "r10 cancelled"}, [RUNNING, {"type": "CANCELLED"}]),
    "paused": (
        "unicode",
        {"name": "r11 Päused"},
        [RUNNING, {"type": "PAUSED", "state_details": {"pause_timeout": "2040-01-01T00:00:00Z"}}],
    ),
    "retrying": (
        "unicode",
        {"name": "r12 retrying"},
        [RUNNING, scheduled("2033-05-05T05:05:05Z", name="AwaitingRetry")],
    ),
    "automated": ("underscore", {"name": "r13 automated"}, []),
    "parent": ("alpha", {"name": "r14 parent"}, [RUNNING]),
    "renamed": ("underscore", {"name": "r15 renamed state"}, [RUNNING, {"type": "COMPLETED", "name": "Cached"}]),
}

TASKS: dict[str, tuple[str | None, dict[str, Any], list[dict[str, Any]]]] = {
    "sub": ("parent", {"name": "t01 sub", "task_key": "sub", "tags": ["a"]}, [RUNNING]),
    "pending": ("running", {"name": "t02 pending", "task_key": "one", "tags": ["a", "b"]}, []),
    "running": ("running", {"name": "t03 Running_task", "task_key": "two"}, [RUNNING]),
    "done": (
        "completed",
        {"name": "t04 done 100%", "task_key": "one", "tags": ["b"], "cache_key": "cache-1"},
        [RUNNING, {"type": "COMPLETED"}],
    ),
    "failed": ("failed", {"name": "t05 failed", "task_key": "one"}, [RUNNING, {"type": "FAILED"}]),
    "waiting": (
        "running",
        {"name": "t06 waiting", "task_key": "six", "state": scheduled("2032-02-02T02:02:02Z")},
        [],
    ),
    "early": (
        "failed",
        {"name": "t07 early", "task_key": "seven", "state": scheduled("2020-02-02T02:02:02.5Z")},
        [],
    ),
    "free": (None, {"name": "t08 free Ünï", "task_key": "background", "tags": ["ünï"]}, []),
    "free-done": (
        None,
        {"name": "t09 free done", "task_key": "background", "dynamic_key": "9"},
        [RUNNING, {"type": "COMPLETED", "name": "Fresh"}],
    ),
}


def task_id(index: int) -> str:
    return f"bbbbbbbb-0000-4000-8000-{index:012d}"


LOGS: list[dict[str, Any]] = [
    {
        "name": name,
        "level": level,
        "message": message,
        "timestamp": f"2024-05-0{day}T10:00:00.{day}00Z",
        **({"flow_run_id": f"@run.{run}@"} if run else {}),
        **({"task_run_id": f"@task.{task}@"} if task else {}),
    }
    for day, (name, level, message, run, task) in enumerate(
        [
            ("prefect.flow_runs", 20, "Beginning the flow run", "running", None),
            ("prefect.task_runs", 10, "Debugging a_task at 100%", "running", "running"),
            ("prefect.flow_runs", 40, 'Failed with "quotes", commas\nand lines', "failed", None),
            ("prefect.task_runs", 30, "Warning: Ünïcode ✓", "failed", "failed"),
            ("my.logger", 50, "no run at all", None, None),
            ("prefect.flow_runs", 20, "Finished in state Completed()", "completed", None),
            ("prefect.task_runs", 25, "Finished flow error free", "completed", "done"),
            ("my.logger", 0, "", "completed", None),
        ],
        start=1,
    )
]


def build(pair: Pair) -> None:
    """Creates everything on both servers, in the same order."""
    for key, flow in FLOWS.items():
        pair.prepare("POST", "/flows/", flow, name=f"flow.{key}")
    for key in RUNS:
        create_run(pair, key)
    for index, key in enumerate(TASKS):
        create_task(pair, key, index)
    pair.prepare(
        "POST",
        "/flow_runs/",
        {"flow_id": "@flow.beta@", "name": "r16 child", "parent_task_run_id": "@task.sub@"},
        name="run.child",
    )
    for kind, keys, route in (("run", [*RUNS, "child"], "flow_runs"), ("task", TASKS, "task_runs")):
        for key in keys:
            answer = pair.prepare("GET", f"/{route}/@{kind}.{key}@")
            for field in ("start_time", "end_time", "expected_start_time"):
                if answer.json[field] is not None:
                    times = (response.json()[field] for response in (answer.oracle, answer.subject))
                    pair.refer(*times, f"{kind}.{key}.{field}")
    pair.prepare("POST", "/logs/", LOGS)


def create_run(pair: Pair, key: str) -> None:
    flow, body, states = RUNS[key]
    headers = (
        {"prefect-automation-id": AUTOMATION, "prefect-automation-name": b64encode(b"nightly").decode()}
        if key == "automated"
        else {}
    )
    body = {"flow_id": f"@flow.{flow}@", **body}
    pair.prepare("POST", "/flow_runs/", body, name=f"run.{key}", headers=headers)
    for state in states:
        pair.prepare("POST", f"/flow_runs/@run.{key}@/set_state", {"state": state, "force": True})


def create_task(pair: Pair, key: str, index: int) -> None:
    run, body, states = TASKS[key]
    body = {
        "id": task_id(index),
        "flow_run_id": f"@run.{run}@" if run else None,
        "dynamic_key": "0",
        **body,
    }
    pair.prepare("POST", "/task_runs/", body, name=f"task.{key}")
    for state in states:
        pair.prepare("POST", f"/task_runs/@task.{key}@/set_state", {"state": state, "force": True})
