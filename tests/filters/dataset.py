"""The records that the filters are tried on: every nullable field both null and set, and values at the edges."""

from __future__ import annotations

import random
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

SEED = 3_8_8
START = datetime(2026, 1, 1, tzinfo=timezone.utc)

NAMES = [
    "marvin", "Marvin", "sad-Marvin", "marvin-robot", "MARVIN%", "a_b", "axb", "café", "CAFÉ", "Straße",
    "100%", "back\\slash", "日本語", "", " ", "%", "_", "😀", "a\nb", "zebra",
]  # fmt: skip
# The oracle refuses to answer with a flow or a queue whose name has one of / % & > < or nothing but blanks.
PLAIN_NAMES = [name for name in NAMES if name.strip() and "%" not in name]
TAGS: list[list[str]] = [
    [], ["a"], ["a", "b"], ["b", "a", "a"], ["A"], ["é"], ["a b"], ["1"], [""], ["c", "b", "a"], ["null"],
]  # fmt: skip
STATES = [
    (None, None), ("SCHEDULED", "Scheduled"), ("SCHEDULED", "Late"), ("PENDING", "Pending"), ("RUNNING", "Running"),
    ("RUNNING", "Retrying"), ("COMPLETED", "Completed"), ("FAILED", "Failed"), ("CRASHED", "café"), ("PAUSED", None),
]  # fmt: skip
QUEUES = [None, "default", "Default", "high", ""]


def identity(kind: str, number: int) -> uuid.UUID:
    """Returns the same id on every recording, in an order unrelated to `number`."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"proctor:{kind}:{number}")


def moment(seconds: float) -> datetime:
    """Returns the instant `seconds` after the start of the data set's time."""
    return START + timedelta(seconds=seconds)


class Dataset:
    """The rows of each entity, as keyword arguments of the oracle's ORM classes."""

    def __init__(self) -> None:
        self.random = random.Random(SEED)
        self.flows = [self._flow(number) for number in range(10)]
        self.work_pools = [self._work_pool(number) for number in range(4)]
        self.work_queues = [self._work_queue(number) for number in range(10)]
        self.deployments = [self._deployment(number) for number in range(14)]
        self.flow_runs = [self._flow_run(number) for number in range(42)]
        self.task_runs = [self._task_run(number) for number in range(60)]
        self.parents = self._parents()
        self.logs = [self._log(number) for number in range(45)]
        self.inputs = [self._input(number, key) for number, key in enumerate(self.INPUT_KEYS)]
        self.events = [self._event(number) for number in range(45)]

    INPUT_KEYS = ["approval", "approval-1", "a", "axb", "a-b", "", "1", "keyset-approval-schema"]

    def _or_null(self, value: Any, share: float = 0.35) -> Any:
        return None if self.random.random() < share else value

    def _time(self) -> datetime | None:
        # Few distinct instants, so that limits fall on records, and microseconds, so that they count.
        return self._or_null(moment(self.random.randrange(12) * 3600 + self.random.choice([0, 0, 0.000001, 0.5])))

    def _flow(self, number: int) -> dict[str, Any]:
        return {
            "id": identity("flow", number),
            "name": PLAIN_NAMES[number],
            "tags": TAGS[number],
            "labels": {},
            "created": moment(-1000 + (number * 7) % 10),
            "updated": moment(-500 + (number * 3) % 10),
        }

    def _work_pool(self, number: int) -> dict[str, Any]:
        return {
            "id": identity("work-pool", number),
            "name": ["local", "Local", "k8s", "café"][number],
            "type": ["process", "process", "kubernetes", "Process"][number],
        }

    def _work_queue(self, number: int) -> dict[str, Any]:
        return {
            "id": identity("work-queue", number),
            "name": ["default", "default", "default", "default", "Default", "high", "hi_gh", "é", "É", "back\\slash"][number],
            "work_pool_id": identity("work-pool", number % 4),
            "priority": 1 + number,
        }

    def _deployment(self, number: int) -> dict[str, Any]:
        return {
            "id": identity("deployment", number),
            "name": NAMES[(number * 3) % len(NAMES)],
            "flow_id": identity("flow", [0, 1, 2, 5, 9][number % 5]),
            "paused": number % 3 == 0,
            "tags": TAGS[number % len(TAGS)],
            "labels": {},
            "work_queue_name": QUEUES[number % len(QUEUES)],
            "created": moment(-1000 + (number * 5) % 14),
            "updated": moment(-500 + (number * 3) % 14),
        }

    def _flow_run(self, number: int) -> dict[str, Any]:
        state_type, state_name = STATES[number % len(STATES)]
        creators = [
            None,
            None,
            {"id": identity("automation", 1), "type": "AUTOMATION", "display_value": "nightly"},
            {"id": identity("deployment", 1), "type": "DEPLOYMENT", "display_value": "etl/nightly"},
            {"id": None, "type": "SCHEDULE", "display_value": None},
            {"id": identity("automation", 2), "type": None, "display_value": None},
        ]
        return {
            "id": identity("flow-run", number),
            "name": NAMES[(number * 7) % len(NAMES)],
            "flow_id": identity("flow", number % 10),
            "tags": self.random.choice(TAGS),
            "labels": {},
            "deployment_id": self._or_null(identity("deployment", self.random.randrange(4))),
            "work_queue_name": self.random.choice(QUEUES),
            "flow_version": self._or_null(self.random.choice(["1", "v1", "V1", ""])),
            "idempotency_key": self._or_null(f"key-{number}"),
            "state_type": state_type,
            "state_name": state_name,
            "state_timestamp": state_type and moment(0),
            "expected_start_time": self._time(),
            "next_scheduled_start_time": self._time(),
            "start_time": self._time(),
            "end_time": self._time(),
            "created_by": self.random.choice(creators),
            "created": moment(number),
            "updated": moment(number),
        }

    def _task_run(self, number: int) -> dict[str, Any]:
        state_type, state_name = STATES[(number * 3) % len(STATES)]
        return {
            "id": identity("task-run", number),
            # The oracle answers an empty name of a task run with a random one.
            "name": NAMES[(number * 3) % len(NAMES)] or "nameless",
            "task_key": "double",
            "dynamic_key": str(number),
            "flow_run_id": self._or_null(identity("flow-run", self.random.randrange(8)), share=0.2),
            "tags": self.random.choice(TAGS),
            "labels": {},
            "state_type": state_type,
            "state_name": state_name,
            "state_timestamp": state_type and moment(0),
            "expected_start_time": self._time(),
            "next_scheduled_start_time": self._time(),
            "start_time": self._time(),
            "end_time": self._time(),
            # Of equal times there are several, so that what breaks ties is seen.
            "total_run_time": timedelta(seconds=number % 9 / 2),
            "created": moment(number),
            "updated": moment(number),
        }

    def _parents(self) -> dict[uuid.UUID, uuid.UUID]:
        """Returns the task run that stands for each subflow run."""
        subflow_runs = [run["id"] for run in self.flow_runs[8:24]]
        return dict(zip(subflow_runs, (run["id"] for run in self.task_runs[::3]), strict=False))

    def _log(self, number: int) -> dict[str, Any]:
        messages = [
            "Connection refused", "connection TIMEOUT", "Starting", "ÉTÉ passed", "été passed", 'say "hi"', "100% done",
            "a_b", "back\\slash", "error: debug", "", "日本語 text",
        ]  # fmt: skip
        return {
            "id": identity("log", number),
            "name": ["prefect.flow_runs", "prefect.task_runs", "café"][number % 3],
            "level": [10, 20, 30, 40, 50, 0][number % 6],
            "message": messages[number % len(messages)],
            "timestamp": moment((number * 17) % 45 + (0.000001 if number % 2 else 0)),
            "flow_run_id": self._or_null(identity("flow-run", number % 5)),
            "task_run_id": self._or_null(identity("task-run", number % 4)),
        }

    def _input(self, number: int, key: str) -> dict[str, Any]:
        return {
            "id": identity("input", number),
            "flow_run_id": identity("flow-run", 0),
            "key": key,
            "value": str(number),
            "created": moment((number * 5) % 8),
            "updated": moment(0),
        }

    def _event(self, number: int) -> dict[str, Any]:
        names = [
            "prefect.flow-run.Completed", "prefect.flow-run.Running", "prefect.task-run.Completed", "Prefect.x", "kettle_boiled",
            "kettle.boiled", "kettleXboiled", "été",
        ]  # fmt: skip
        colours = [None, "blue", "Blue", "bl_ue", "100%", "!blue", "[ab]", "", "bleu é"]
        payloads: list[dict[str, Any]] = [
            {}, {"reason": "café"}, {"count": 1.0, "tiny": 1.5e-07, "huge": 1e16}, {"nested": {"list": [1, None, True]}},
            {"quote": 'say "hi"', "path": "a\\b", "line": "a\nb"}, {"ERROR": "Timeout"}, {"emoji": "😀"},
        ]  # fmt: skip
        related = [
            {"prefect.resource.id": "prefect.flow.1", "prefect.resource.role": "flow", "prefect.resource.name": "etl"},
            {"prefect.resource.id": "prefect.flow.2", "prefect.resource.role": "flow", "size": "10%"},
            {"prefect.resource.id": "prefect.tag.x", "prefect.resource.role": "tag"},
            {"prefect.resource.id": "prefect.flow.1", "prefect.resource.role": "Flow"},
            {"prefect.resource.id": "kettle.1", "prefect.resource.role": "tag", "colour": "blue"},
        ]
        resource = {"prefect.resource.id": ["kettle.1", "Kettle.1", "kettle.2", "prefect.flow-run.1", "kettle_1"][number % 5]}
        if colour := colours[number % len(colours)]:
            resource["colour"] = colour
        if number % 4 == 0:
            resource["prefect.resource.role"] = "flow"
        if number % 6 == 0:
            resource["dotted.label.name"] = "x"
        return {
            "id": identity("event", number),
            "occurred": moment((number * 11) % 45 + (0.000001 if number % 2 else 0)),
            "received": moment(100 + number),
            "event": names[number % len(names)],
            "resource": resource,
            "related": self.random.sample(related, number % 4),
            "payload": payloads[number % len(payloads)],
            "follows": identity("event", number - 1) if number % 5 == 1 else None,
        }


