"""Every field and operator of every filter in the contract occurs in at least one case."""

from __future__ import annotations

from typing import Any

import pytest

from . import filters, test_events
from .contract import fields_in, fields_of

TABLES: dict[str, filters.Filters] = {
    "FlowFilter": filters.FLOWS,
    "FlowRunFilter": filters.FLOW_RUNS,
    "TaskRunFilter": filters.TASK_RUNS,
    "DeploymentFilter": filters.DEPLOYMENTS,
    "WorkPoolFilter": filters.WORK_POOLS,
    "WorkQueueFilter": filters.WORK_QUEUES,
    "LogFilter": filters.LOGS,
    "EventFilter": {
        **test_events.QUERIES,
        **{query: {"text": {"query": query}} for query in test_events.TEXT_QUERIES},
    },
}


@pytest.mark.parametrize("schema", TABLES)
def test_every_filter_field_has_a_case(schema: str) -> None:
    covered = set[str]()
    for case in TABLES[schema].values():
        covered |= fields_in(schema, case)
    assert fields_of(schema) - covered == set()


def test_a_field_without_a_case_is_noticed() -> None:
    cases: list[Any] = [case for case in filters.FLOWS.values() if "tags" not in case]
    covered = set[str]().union(*(fields_in("FlowFilter", case) for case in cases))
    assert fields_of("FlowFilter") - covered == {"tags.operator", "tags.all_", "tags.is_null_"}
