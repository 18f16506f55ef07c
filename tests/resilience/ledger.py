"""The ledger of a load: what the server has acknowledged, and what it has never answered."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class FlowRun:
    """A flow run whose creation was acknowledged."""

    name: str
    # The ids and types of the states that the server said it is in or has accepted.
    states: list[tuple[str, str]]
    # What became of each transition that was sent with an id of its own, until it was answered.
    transitions: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    # Whether each write of it was answered, so that nothing may be there but what was acknowledged.
    is_certain: bool = True
    is_deleted: bool = False


@dataclass
class Value:
    """Something that one client changes time and again: the last value that was acknowledged, and those after."""

    acknowledged: Any
    unanswered: list[Any] = field(default_factory=list)

    def may_be(self, value: Any) -> bool:
        """Whether it may have this value by now."""
        return value == self.acknowledged or value in self.unanswered

    def acknowledge(self, value: Any) -> None:
        """Notes that the server has taken this value, the last one."""
        self.acknowledged = value
        self.unanswered = []


@dataclass
class Operation:
    """An operation on many flow runs that was acknowledged."""

    kind: str
    state: str
    runs: list[str]
    acknowledged_at: float = field(default_factory=time.monotonic)
    # The server's last word on it.
    progress: dict[str, Any] = field(default_factory=dict)
    # How long it went on after it was begun, or after the last start of the server.
    seconds: float | None = None


@dataclass
class Slots:
    """Slots of one limit, taken and given back without leases."""

    taken: int = 0
    given_back: int = 0
    perhaps_taken: int = 0
    perhaps_given_back: int = 0

    def may_be(self, active: int) -> bool:
        """Whether so many may be taken by now."""
        sure = self.taken - self.given_back
        return sure - self.perhaps_given_back <= active <= sure + self.perhaps_taken


@dataclass
class Ledger:
    """What many clients were told; each entry is written by one of them."""

    # How many writes of each kind were acknowledged.
    acknowledged: Counter[str] = field(default_factory=Counter)
    flow_runs: dict[str, FlowRun] = field(default_factory=dict)
    # The names of flow runs whose creation was not answered.
    unanswered_flow_runs: list[str] = field(default_factory=list)
    # The names of those whose creation was answered 503.
    refused_flow_runs: list[str] = field(default_factory=list)
    # By idempotency key, the id of the one run.
    keys: dict[str, str] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    # By task run, the ids and types of the states that its events told of.
    task_runs: dict[str, list[str]] = field(default_factory=dict)
    variables: dict[str, Value] = field(default_factory=dict)
    deployments: dict[str, Value] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    held_leases: set[str] = field(default_factory=set)
    returned_leases: set[str] = field(default_factory=set)
    slots: dict[str, Slots] = field(default_factory=dict)
    # Batches of log lines that were answered 503.
    refused_logs: list[tuple[str, list[str]]] = field(default_factory=list)
    # How often the server said that it is unavailable, by what was asked.
    unavailable: Counter[str] = field(default_factory=Counter)
    # Answers that no client may ever see.
    unexpected: list[str] = field(default_factory=list)
