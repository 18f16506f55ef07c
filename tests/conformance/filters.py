"""One case for every field and operator of every filter, alone and combined.

Each table maps a case's name to the filter object of one entity; the references in them are those
of `library`.
"""

from __future__ import annotations

from typing import Any

from .library import AUTOMATION, NOBODY

Filters = dict[str, dict[str, Any]]

FLOWS: Filters = {
    "empty": {},
    "id any": {"id": {"any_": ["@flow.alpha@", "@flow.lonely@"]}},
    "id any of nothing": {"id": {"any_": []}},
    "id any unknown": {"id": {"any_": [NOBODY]}},
    "id any upper case": {"id": {"any_": [NOBODY.upper()]}},
    "id not any": {"id": {"not_any_": ["@flow.alpha@", NOBODY]}},
    "id not any of nothing": {"id": {"not_any_": []}},
    "id any and not any": {"id": {"any_": ["@flow.alpha@", "@flow.beta@"], "not_any_": ["@flow.beta@"]}},
    "id empty": {"id": {}},
    "id null": {"id": None},
    "deployment is null": {"deployment": {"is_null_": True}},
    "deployment is not null": {"deployment": {"is_null_": False}},
    "deployment or": {"deployment": {"operator": "or_", "is_null_": True}},
    "name any": {"name": {"any_": ["alpha", "Beta-flow", "nobody"]}},
    "name any is case sensitive": {"name": {"any_": ["ALPHA", "beta-flow"]}},
    "name any of nothing": {"name": {"any_": []}},
    "name like": {"name": {"like_": "flow"}},
    "name like upper case": {"name": {"like_": "ALPHA"}},
    "name like nothing": {"name": {"like_": ""}},
    "name like backslash": {"name": {"like_": "\\"}},
    "name like same case unicode": {"name": {"like_": "Ünï"}},
    "name like quote": {"name": {"like_": "'"}},
    "name any and like": {"name": {"any_": ["alpha", "Beta-flow"], "like_": "beta"}},
    "tags all": {"tags": {"all_": ["a"]}},
    "tags all of two": {"tags": {"all_": ["a", "b"]}},
    "tags all twice the same": {"tags": {"all_": ["b", "b"]}},
    "tags all of nothing": {"tags": {"all_": []}},
    "tags all unicode": {"tags": {"all_": ["ünï"]}},
    "tags all quote": {"tags": {"all_": ['quo"te', "back\\slash"]}},
    "tags are null": {"tags": {"is_null_": True}},
    "tags are not null": {"tags": {"is_null_": False}},
    "tags all and null": {"tags": {"all_": ["a"], "is_null_": True}},
    "tags all or null": {"tags": {"operator": "or_", "all_": ["a"], "is_null_": True}},
    "name or tags": {"operator": "or_", "name": {"any_": ["Beta-flow"]}, "tags": {"all_": ["a"]}},
    "name and tags": {"operator": "and_", "name": {"like_": "a"}, "tags": {"all_": ["a"]}},
    "or of one empty part": {"operator": "or_", "name": {"any_": ["alpha"]}, "id": {}},
    "or of nothing": {"operator": "or_"},
}


def texts(field: str, some: list[str], like: str) -> Filters:
    """The cases of a name: any_ and like_."""
    return {
        f"{field} any": {field: {"any_": [*some, "nobody"]}},
        f"{field} any of nothing": {field: {"any_": []}},
        f"{field} any other case": {field: {"any_": [text.upper() for text in some]}},
        f"{field} like": {field: {"like_": like}},
        f"{field} like upper case": {field: {"like_": like.upper()}},
        f"{field} like no match": {field: {"like_": "zzzz"}},
        f"{field} like nothing": {field: {"like_": ""}},
        f"{field} any and like": {field: {"any_": some, "like_": like}},
    }


def times(field: str, before: str, after: str, *, nullable: bool) -> Filters:
    """The cases of an instant: before_ and after_, both inclusive, and is_null_ where it exists."""
    cases: Filters = {
        f"{field} before": {field: {"before_": before}},
        f"{field} after": {field: {"after_": after}},
        f"{field} between": {field: {"after_": after, "before_": before}},
        f"{field} before long ago": {field: {"before_": "1999-01-01T00:00:00Z"}},
        f"{field} after the far future": {field: {"after_": "2999-01-01T00:00:00Z"}},
        f"{field} before with offset": {field: {"before_": "2031-01-01T02:00:00+02:00"}},
        f"{field} after without offset": {field: {"after_": "2031-01-01T00:00:00"}},
        f"{field} after a date": {field: {"after_": "2031-01-01"}},
        f"{field} after epoch seconds": {field: {"after_": 1700000000}},
        f"{field} empty": {field: {}},
    }
    if nullable:
        cases |= {
            f"{field} is null": {field: {"is_null_": True}},
            f"{field} is not null": {field: {"is_null_": False}},
            f"{field} null and before": {field: {"is_null_": True, "before_": before}},
            f"{field} not null and after": {field: {"is_null_": False, "after_": after}},
        }
    return cases


FLOW_RUNS: Filters = {
    "empty": {},
    "id any": {"id": {"any_": ["@run.pending@", "@run.failed@", NOBODY]}},
    "id any of nothing": {"id": {"any_": []}},
    "id not any": {"id": {"not_any_": ["@run.pending@", "@run.failed@", NOBODY]}},
    "id any and not any": {"id": {"any_": ["@run.pending@", "@run.failed@"], "not_any_": ["@run.failed@"]}},
    **texts("name", ["r01 pending", "r03 Early_bird"], "early"),
    "tags all": {"tags": {"all_": ["a", "b"]}},
    "tags any": {"tags": {"any_": ["c", "ünï"]}},
    "tags any of nothing": {"tags": {"any_": []}},
    "tags all of nothing": {"tags": {"all_": []}},
    "tags all and any": {"tags": {"all_": ["a"], "any_": ["b"]}},
    "tags all or any": {"tags": {"operator": "or_", "all_": ["a", "b"], "any_": ["ünï"]}},
    "tags are null": {"tags": {"is_null_": True}},
    "tags are not null": {"tags": {"is_null_": False}},
    "tags any or null": {"tags": {"operator": "or_", "any_": ["c"], "is_null_": True}},
    "deployment id any": {"deployment_id": {"any_": [NOBODY]}},
    "deployment id is null": {"deployment_id": {"is_null_": True}},
    "deployment id is not null": {"deployment_id": {"is_null_": False}},
    "deployment id any or null": {"deployment_id": {"operator": "or_", "any_": [NOBODY], "is_null_": True}},
    "deployment id any and null": {"deployment_id": {"any_": [NOBODY], "is_null_": True}},
    "work queue name any": {"work_queue_name": {"any_": ["default"]}},
    "work queue name is null": {"work_queue_name": {"is_null_": True}},
    "work queue name is not null": {"work_queue_name": {"is_null_": False}},
    "work queue name any or null": {"work_queue_name": {"operator": "or_", "any_": ["default"], "is_null_": True}},
    **{
        f"state type {state}": {"state": {"type": {"any_": [state]}}}
        for state in (
            "SCHEDULED",
            "PENDING",
            "RUNNING",
            "COMPLETED",
            "FAILED",
            "CANCELLED",
            "CRASHED",
            "PAUSED",
            "CANCELLING",
        )
    },
    "state type any of two": {"state": {"type": {"any_": ["FAILED", "CRASHED"]}}},
    "state type any of nothing": {"state": {"type": {"any_": []}}},
    "state type not any": {"state": {"type": {"not_any_": ["SCHEDULED", "PENDING"]}}},
    "state type not any of nothing": {"state": {"type": {"not_any_": []}}},
    "state type any and not any": {"state": {"type": {"any_": ["FAILED", "CRASHED"], "not_any_": ["FAILED"]}}},
    "state name any": {"state": {"name": {"any_": ["Late", "AwaitingRetry", "Cached"]}}},
    "state name any other case": {"state": {"name": {"any_": ["late"]}}},
    "state name not any": {"state": {"name": {"not_any_": ["Late", "Completed", "Pending"]}}},
    "state name not any of nothing": {"state": {"name": {"not_any_": []}}},
    "state name any and not any": {"state": {"name": {"any_": ["Late", "Failed"], "not_any_": ["Late"]}}},
    "state type and name": {"state": {"type": {"any_": ["SCHEDULED"]}, "name": {"any_": ["Late"]}}},
    "state type or name": {"state": {"operator": "or_", "type": {"any_": ["FAILED"]}, "name": {"any_": ["Late"]}}},
    "state empty": {"state": {}},
    "flow version any": {"flow_version": {"any_": ["1.0", "9.9"]}},
    "flow version any of nothing": {"flow_version": {"any_": []}},
    "flow version empty": {"flow_version": {}},
    **times("start_time", "@run.failed.start_time@", "@run.completed.start_time@", nullable=True),
    **times("end_time", "@run.failed.end_time@", "@run.completed.end_time@", nullable=True),
    **times("expected_start_time", "2031-01-01T00:00:00Z", "2021-03-04T05:06:07.089Z", nullable=False),
    **times("next_scheduled_start_time", "2022-01-01T00:00:00Z", "2022-01-01T00:00:00Z", nullable=False),
    "parent flow run any": {"parent_flow_run_id": {"any_": ["@run.parent@"]}},
    "parent flow run without children": {"parent_flow_run_id": {"any_": ["@run.running@", NOBODY]}},
    "parent flow run of nothing": {"parent_flow_run_id": {"any_": []}},
    "parent flow run or": {"parent_flow_run_id": {"operator": "or_", "any_": ["@run.parent@"]}},
    "parent task run any": {"parent_task_run_id": {"any_": ["@task.sub@", NOBODY]}},
    "parent task run is null": {"parent_task_run_id": {"is_null_": True}},
    "parent task run is not null": {"parent_task_run_id": {"is_null_": False}},
    "parent task run any or null": {
        "parent_task_run_id": {"operator": "or_", "any_": ["@task.sub@"], "is_null_": True}
    },
    "idempotency key any": {"idempotency_key": {"any_": ["key-1", "key-9"]}},
    "idempotency key not any": {"idempotency_key": {"not_any_": ["key-1"]}},
    "idempotency key not any of nothing": {"idempotency_key": {"not_any_": []}},
    "idempotency key any and not any": {"idempotency_key": {"any_": ["key-1", "key-2"], "not_any_": ["key-1"]}},
    "created by id": {"created_by": {"id_": [AUTOMATION, NOBODY]}},
    "created by type": {"created_by": {"type_": ["AUTOMATION"]}},
    "created by other type": {"created_by": {"type_": ["DEPLOYMENT"]}},
    "created by is null": {"created_by": {"is_null_": True}},
    "created by is not null": {"created_by": {"is_null_": False}},
    "created by id and type": {"created_by": {"id_": [AUTOMATION], "type_": ["AUTOMATION"]}},
    "created by id or null": {"created_by": {"operator": "or_", "id_": [AUTOMATION], "is_null_": True}},
    "state and tags": {"state": {"type": {"any_": ["RUNNING"]}}, "tags": {"all_": ["a"]}},
    "state or tags": {"operator": "or_", "state": {"type": {"any_": ["FAILED"]}}, "tags": {"all_": ["a"]}},
    "or of three": {
        "operator": "or_",
        "name": {"like_": "pending"},
        "id": {"any_": ["@run.failed@"]},
        "expected_start_time": {"after_": "2030-01-01T00:00:00Z"},
    },
    "or of nothing": {"operator": "or_"},
}

TASK_RUNS: Filters = {
    "empty": {},
    "id any": {"id": {"any_": ["@task.sub@", "@task.free@", NOBODY]}},
    "id any of nothing": {"id": {"any_": []}},
    **texts("name", ["t02 pending", "t03 Running_task"], "running"),
    "tags all": {"tags": {"all_": ["a", "b"]}},
    "tags all of nothing": {"tags": {"all_": []}},
    "tags are null": {"tags": {"is_null_": True}},
    "tags are not null": {"tags": {"is_null_": False}},
    "tags all or null": {"tags": {"operator": "or_", "all_": ["b"], "is_null_": True}},
    "state type any": {"state": {"type": {"any_": ["COMPLETED", "FAILED"]}}},
    "state type any of nothing": {"state": {"type": {"any_": []}}},
    "state name any": {"state": {"name": {"any_": ["Fresh", "Pending"]}}},
    "state type and name": {"state": {"type": {"any_": ["COMPLETED"]}, "name": {"any_": ["Fresh"]}}},
    "state type or name": {"state": {"operator": "or_", "type": {"any_": ["FAILED"]}, "name": {"any_": ["Fresh"]}}},
    "state empty": {"state": {}},
    **times("start_time", "@task.failed.start_time@", "@task.done.start_time@", nullable=True),
    **times("end_time", "@task.failed.end_time@", "@task.done.end_time@", nullable=True),
    **times("expected_start_time", "2032-02-02T02:02:02Z", "2020-02-02T02:02:02.5Z", nullable=False),
    "subflow runs exist": {"subflow_runs": {"exists_": True}},
    "subflow runs do not exist": {"subflow_runs": {"exists_": False}},
    "subflow runs empty": {"subflow_runs": {}},
    "flow run id any": {"flow_run_id": {"any_": ["@run.running@", NOBODY]}},
    "flow run id any of nothing": {"flow_run_id": {"any_": []}},
    "flow run id is null": {"flow_run_id": {"is_null_": True}},
    "flow run id is not null": {"flow_run_id": {"is_null_": False}},
    "flow run id empty": {"flow_run_id": {}},
    "flow run id null is null": {"flow_run_id": {"is_null_": None}},
    "flow run id any and null": {"flow_run_id": {"any_": ["@run.running@"], "is_null_": True}},
    "flow run id any or null": {"flow_run_id": {"operator": "or_", "any_": ["@run.running@"], "is_null_": True}},
    "state and tags": {"state": {"type": {"any_": ["PENDING"]}}, "tags": {"all_": ["a"]}},
    "state or tags": {"operator": "or_", "state": {"type": {"any_": ["FAILED"]}}, "tags": {"all_": ["b"]}},
    "or of nothing": {"operator": "or_"},
}

DEPLOYMENTS: Filters = {
    "empty": {},
    "id any": {"id": {"any_": [NOBODY]}},
    "id not any": {"id": {"not_any_": [NOBODY]}},
    "name any": {"name": {"any_": ["nightly"]}},
    "name like": {"name": {"like_": "night"}},
    "flow or deployment name like": {"flow_or_deployment_name": {"like_": "alpha"}},
    "paused": {"paused": {"eq_": True}},
    "not paused": {"paused": {"eq_": False}},
    "tags all": {"tags": {"all_": ["a"]}},
    "tags any": {"tags": {"any_": ["a"]}},
    "tags are null": {"tags": {"is_null_": True}},
    "tags or": {"tags": {"operator": "or_", "any_": ["a"], "is_null_": True}},
    "work queue name any": {"work_queue_name": {"any_": ["default"]}},
    "concurrency limit at least": {"concurrency_limit": {"ge_": 1}},
    "concurrency limit at most": {"concurrency_limit": {"le_": 5}},
    "concurrency limit is null": {"concurrency_limit": {"is_null_": True}},
    "or of two": {"operator": "or_", "name": {"like_": "x"}, "paused": {"eq_": False}},
}

WORK_POOLS: Filters = {
    "empty": {},
    "id any": {"id": {"any_": [NOBODY]}},
    "name any": {"name": {"any_": ["nobody"]}},
    "type any": {"type": {"any_": ["process"]}},
    "or of two": {"operator": "or_", "name": {"any_": ["nobody"]}, "type": {"any_": ["process"]}},
}

WORK_QUEUES: Filters = {
    "empty": {},
    "id any": {"id": {"any_": [NOBODY]}},
    "name any": {"name": {"any_": ["default"]}},
    "name starts with": {"name": {"startswith_": ["def", "oth"]}},
    "or of two": {"operator": "or_", "name": {"any_": ["default"]}, "id": {"any_": [NOBODY]}},
}

LOGS: Filters = {
    "empty": {},
    "level at least": {"level": {"ge_": 30}},
    "level at most": {"level": {"le_": 20}},
    "level between": {"level": {"ge_": 20, "le_": 30}},
    "level of nothing": {"level": {"ge_": 99}},
    "level empty": {"level": {}},
    "timestamp before": {"timestamp": {"before_": "2024-05-03T10:00:00.300Z"}},
    "timestamp after": {"timestamp": {"after_": "2024-05-03T10:00:00.300Z"}},
    "timestamp between": {"timestamp": {"after_": "2024-05-02T00:00:00Z", "before_": "2024-05-05T00:00:00+02:00"}},
    "timestamp empty": {"timestamp": {}},
    "flow run id any": {"flow_run_id": {"any_": ["@run.running@", "@run.failed@"]}},
    "flow run id any unknown": {"flow_run_id": {"any_": [NOBODY]}},
    "flow run id any of nothing": {"flow_run_id": {"any_": []}},
    "task run id any": {"task_run_id": {"any_": ["@task.done@"]}},
    "task run id is null": {"task_run_id": {"is_null_": True}},
    "task run id is not null": {"task_run_id": {"is_null_": False}},
    "task run id any and null": {"task_run_id": {"any_": ["@task.done@"], "is_null_": True}},
    "text": {"text": {"query": "flow"}},
    "text upper case": {"text": {"query": "FLOW"}},
    "text unicode": {"text": {"query": "ünïcode"}},
    "text of two words": {"text": {"query": "flow error"}},
    "text phrase": {"text": {"query": '"flow run"'}},
    "text excluded": {"text": {"query": "flow -error"}},
    "text excluded with exclamation mark": {"text": {"query": "finished !error"}},
    "text required": {"text": {"query": "flow +finished"}},
    "text excluded phrase": {"text": {"query": '-"flow run"'}},
    "text with percent": {"text": {"query": "100%"}},
    "text with underscore": {"text": {"query": "a_task"}},
    "text of logger name": {"text": {"query": "my.logger"}},
    "text of nothing": {"text": {"query": ""}},
    "text of spaces": {"text": {"query": "   "}},
    "text unclosed quote": {"text": {"query": '"flow run'}},
    "text escaped quote": {"text": {"query": '\\"quotes\\"'}},
    "text of 200 characters": {"text": {"query": "x" * 200}},
    "level and run": {"level": {"ge_": 25}, "flow_run_id": {"any_": ["@run.failed@"]}},
    "level or run": {"operator": "or_", "level": {"ge_": 50}, "flow_run_id": {"any_": ["@run.failed@"]}},
    "or of nothing": {"operator": "or_"},
}


def queries(own: str, own_filters: Filters, **others: Filters) -> dict[str, dict[str, Any]]:
    """Bodies of a query: each case of its own filter, and of the filters of related entities."""
    bodies = {name: {own: filter} for name, filter in own_filters.items()}
    for entity, filters in others.items():
        bodies |= {f"{entity}: {name}": {entity: filter} for name, filter in filters.items()}
    return bodies


def event_filters(since: str, middle: str, until: str, first_id: str) -> Filters:
    """The cases of the event filter, over events of the shape that `test_events` sends."""
    cases: Filters = {
        "empty": {},
        "ascending": {"order": "ASC"},
        "descending": {"order": "DESC"},
        "name": {"event": {"name": ["shop.order.paid", "nobody"]}},
        "name of nothing": {"event": {"name": []}},
        "name excluded": {"event": {"exclude_name": ["shop.order.paid"]}},
        "prefix": {"event": {"prefix": ["shop.order."]}},
        "prefix other case": {"event": {"prefix": ["SHOP.order."]}},
        "prefix of two": {"event": {"prefix": ["shop.order.p", "other"]}},
        "prefix with percent": {"event": {"prefix": ["%order"]}},
        "prefix with underscore": {"event": {"prefix": ["shop_order"]}},
        "prefix empty text": {"event": {"prefix": [""]}},
        "prefix excluded": {"event": {"exclude_prefix": ["shop.order.", "other"]}},
        "prefix and name": {"event": {"prefix": ["shop."], "exclude_name": ["shop.order.paid"]}},
        "event empty": {"event": {}},
        "resource id": {"resource": {"id": ["shop.order.1", "nobody"]}},
        "resource id of a related one": {"resource": {"id": ["shop.customer.1"]}},
        "resource id prefix": {"resource": {"id_prefix": ["shop.order."]}},
        "resource id prefix with star": {"resource": {"id_prefix": ["shop.*"]}},
        "resource label": {"resource": {"labels": {"color": "red"}}},
        "resource label one of": {"resource": {"labels": {"color": ["red", "blue"]}}},
        "resource label of nothing": {"resource": {"labels": {"color": []}}},
        "resource label glob": {"resource": {"labels": {"color": "r*"}}},
        "resource label single character": {"resource": {"labels": {"color": "re?"}}},
        "resource label negated": {"resource": {"labels": {"color": "!red"}}},
        "resource label with percent": {"resource": {"labels": {"rate": "100%"}}},
        "resource label with underscore": {"resource": {"labels": {"rate": "1__%"}}},
        "resource label other case": {"resource": {"labels": {"color": "RED"}}},
        "resource labels two": {"resource": {"labels": {"color": "red", "size": "big"}}},
        "resource label id": {"resource": {"labels": {"prefect.resource.id": "shop.order.*"}}},
        "resource label id one of": {
            "resource": {"labels": {"prefect.resource.id": ["shop.order.1", "shop.cart.*"], "color": "red"}}
        },
        "resource labels empty": {"resource": {"labels": {}}},
        "resource distinct": {"resource": {"distinct": True}},
        "resource distinct ascending": {"resource": {"distinct": True}, "order": "ASC"},
        "resource distinct of some": {"resource": {"distinct": True, "id_prefix": ["shop.order."]}},
        "resource empty": {"resource": {}},
        "related id": {"related": {"id": ["shop.customer.1"]}},
        "related id of the primary": {"related": {"id": ["shop.order.1"]}},
        "related role": {"related": {"role": ["customer"]}},
        "related resources in roles": {
            "related": {"resources_in_roles": [["shop.customer.1", "customer"], ["shop.customer.2", "payer"]]}
        },
        "related label": {"related": {"labels": {"tier": "gold"}}},
        "related label glob": {"related": {"labels": {"tier": "*l*"}}},
        "related label role": {"related": {"labels": {"prefect.resource.role": "payer"}}},
        "related label id": {"related": {"labels": {"prefect.resource.id": "shop.customer.*"}}},
        "related label of nothing": {"related": {"labels": {"tier": []}}},
        "related id and role": {"related": {"id": ["shop.customer.2"], "role": ["payer"]}},
        "related list": {"related": [{"id": ["shop.customer.1"]}, {"role": ["payer"]}]},
        "related empty list": {"related": []},
        "related empty": {"related": {}},
        "any resource id": {"any_resource": {"id": ["shop.customer.1", "shop.cart.1"]}},
        "any resource id prefix": {"any_resource": {"id_prefix": ["shop.customer."]}},
        "any resource label": {"any_resource": {"labels": {"tier": "gold"}}},
        "any resource label of the primary": {"any_resource": {"labels": {"color": "blue"}}},
        "any resource list": {"any_resource": [{"id": ["shop.customer.1"]}, {"labels": {"color": "red"}}]},
        "any resource empty": {"any_resource": {}},
        "id": {"id": {"id": [first_id, NOBODY]}},
        "id of nothing": {"id": {"id": []}},
        "id empty": {"id": {}},
        "occurred later half": {"occurred": {"since": middle, "until": until}},
        "occurred first half": {"occurred": {"since": since, "until": middle}},
        "occurred never": {"occurred": {"since": until, "until": since}},
        "occurred with offset": {"occurred": {"since": since.replace("+00:00", "Z"), "until": until}},
        "name and resource and related": {
            "event": {"prefix": ["shop."]},
            "resource": {"labels": {"color": "red"}},
            "related": {"role": ["customer"]},
        },
    }
    return {name: {"occurred": {"since": since, "until": until}, **case} for name, case in cases.items()}
