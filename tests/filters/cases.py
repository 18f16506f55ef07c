"""The filters that are tried: each field with each of its clauses, then random combinations of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from dataset import NAMES, QUEUES, SEED, TAGS, Dataset, identity, moment

Filter = dict[str, Any]

TERMS = ["marvin", "MARVIN", "Marvin-", "é", "É", "ß", "SS", "%", "_", "a_b", "a%b", "\\", "\\%", "日", "😀", "\n", "nothing", " ", ""]
OPERATORS = ["and_", "or_"]


def iso(seconds: float) -> str:
    """Returns an instant of the data set's time as clients write it."""
    return moment(seconds).isoformat().replace("+00:00", "Z")


def ids(kind: str, *numbers: int) -> list[str]:
    """Returns the ids of some records of one kind."""
    return [str(identity(kind, number)) for number in numbers]


def name_filters() -> list[Filter]:
    """Returns the filter objects on a name."""
    lists = [[], ["marvin"], ["MARVIN"], ["marvin", "Marvin", "café"], [""], NAMES, ["nothing"]]
    both = [{"any_": ["marvin", "Marvin"], "like_": "Mar"}, {"any_": None, "like_": None}, {}]
    return [{"any_": names} for names in lists] + [{"like_": term} for term in TERMS] + both


def tag_filters(with_any: bool) -> list[Filter]:
    """Returns the filter objects on tags, with or without `any_`."""
    filters: list[Filter] = [{}, {"is_null_": True}, {"is_null_": False}, {"is_null_": None}]
    filters += [{"all_": tags} for tags in [*TAGS, ["a", "a"], ["b", "a", "nothing"], ["nothing"]]]
    filters += [{"all_": ["a"], "is_null_": null, "operator": op} for null in (True, False) for op in OPERATORS]
    filters += [{"all_": [], "is_null_": True, "operator": "or_"}]
    if with_any:
        filters += [{"any_": tags} for tags in [*TAGS, ["nothing"], ["b", "é"]]]
        filters += [{"any_": ["A"], "all_": ["b"], "operator": op} for op in OPERATORS]
        filters += [{"any_": [], "is_null_": True, "operator": op} for op in OPERATORS]
    return filters


def list_filters(values: list[Any], *, not_any: bool = False, is_null: bool = False, operator: bool = False) -> list[Filter]:
    """Returns the filter objects that compare one column with lists, with the clauses that it knows."""
    filters: list[Filter] = [{}, {"any_": None}, {"any_": []}, {"any_": values[:1]}, {"any_": values}]
    if not_any:
        filters += [{"not_any_": []}, {"not_any_": values[:1]}, {"not_any_": values}]
        filters += [{"any_": values, "not_any_": values[:1]}, {"any_": values[:1], "not_any_": []}]
    if is_null:
        filters += [{"is_null_": True}, {"is_null_": False}, {"is_null_": True, "any_": values}]
        filters += [{"is_null_": False, "any_": values}, {"is_null_": False, "any_": []}]
    if operator:
        filters += [{"any_": values, "is_null_": null, "operator": op} for null in (True, False) for op in OPERATORS]
        filters += [{"operator": "or_"}, {"any_": values, "operator": "or_"}]
    return filters


def time_filters(is_null: bool) -> list[Filter]:
    """Returns the filter objects on an instant, with or without the test for null."""
    hours = [iso(hour * 3600) for hour in (0, 3, 6, 11)]
    filters: list[Filter] = [{}, {"before_": None, "after_": None}]
    filters += [{side: hour} for side in ("before_", "after_") for hour in hours]
    filters += [{"after_": iso(3 * 3600 + 0.000001)}, {"before_": iso(3 * 3600 + 0.000001)}]
    filters += [{"after_": hours[1], "before_": hours[2]}, {"after_": hours[2], "before_": hours[1]}]
    filters += [{"before_": "2026-01-01T05:00:00+02:00"}]
    if is_null:
        filters += [{"is_null_": True}, {"is_null_": False}, {"is_null_": True, "before_": hours[3]}]
        filters += [{"is_null_": False, "after_": hours[1]}]
    return filters


def combined(fields: dict[str, list[Filter]], count: int, seed: int = SEED) -> Iterator[Filter]:
    """Yields each filter object alone, then `count` combinations of them."""
    yield {}
    yield {"operator": "or_"}
    for field, filters in fields.items():
        for filter in filters:
            yield {field: filter}
    chance = random.Random(seed)
    for _ in range(count):
        chosen = chance.sample(sorted(fields), min(len(fields), chance.choice([2, 2, 3])))
        combination: Filter = {field: chance.choice(fields[field]) for field in chosen}
        if operator := chance.choice([None, "and_", "or_", "or_"]):
            combination["operator"] = operator
        yield combination


def flows() -> list[Filter]:
    """Returns filters of flows."""
    fields = {
        "id": list_filters(ids("flow", 0, 3, 4, 99), not_any=True),
        "deployment": [{}, {"is_null_": True}, {"is_null_": False}, {"is_null_": True, "operator": "or_"}],
        "name": name_filters(),
        "tags": tag_filters(with_any=False),
    }
    return list(combined(fields, 40))


def _states(not_any: bool) -> list[Filter]:
    types, names = ["RUNNING", "SCHEDULED", "CANCELLED"], ["Running", "Late", "café", "late"]
    filters: list[Filter] = [{}]
    filters += [{"type": filter} for filter in list_filters(types, not_any=not_any)]
    filters += [{"name": filter} for filter in list_filters(names, not_any=not_any)]
    both = {"type": {"any_": ["RUNNING"]}, "name": {"any_": ["Late", "Running"]}}
    filters += [{**both, "operator": op} for op in OPERATORS]
    filters += [{"type": {"any_": ["RUNNING"]}, "name": {}, "operator": "or_"}]
    if not_any:
        silent = {"any_": ["RUNNING"], "not_any_": ["FAILED"]}
        filters += [{"type": silent, "name": {"any_": ["Late"]}, "operator": op} for op in OPERATORS]
    return filters


def flow_runs() -> list[Filter]:
    """Returns filters of flow runs."""
    creator_ids, kinds = ids("automation", 1, 2), ["AUTOMATION", "schedule"]
    creators: list[Filter] = [{}, {"id_": []}, {"id_": creator_ids}, {"id_": ids("deployment", 1)}, {"type_": []}]
    creators += [{"type_": kinds}, {"type_": ["SCHEDULE"]}, {"is_null_": True}, {"is_null_": False}]
    creators += [{"id_": creator_ids, "type_": kinds, "operator": op} for op in OPERATORS]
    creators += [{"type_": kinds, "is_null_": True, "operator": op} for op in OPERATORS]
    parents = [{}, {"any_": None}, {"any_": []}, {"any_": ids("flow-run", 0, 1)}, {"any_": ids("flow-run", 99)}]
    fields = {
        "id": list_filters(ids("flow-run", 0, 7, 30, 99), not_any=True),
        "name": name_filters(),
        "tags": tag_filters(with_any=True),
        "deployment_id": list_filters(ids("deployment", 0, 1), is_null=True, operator=True),
        "work_queue_name": list_filters(["default", "", "HIGH"], is_null=True, operator=True),
        "state": _states(not_any=True),
        "flow_version": list_filters(["v1", ""]),
        "start_time": time_filters(is_null=True),
        "end_time": time_filters(is_null=True),
        "expected_start_time": time_filters(is_null=False),
        "next_scheduled_start_time": time_filters(is_null=False),
        "parent_flow_run_id": parents + [{"any_": ids("flow-run", 0, 2), "operator": "or_"}],
        "parent_task_run_id": list_filters(ids("task-run", 0, 3, 4), is_null=True, operator=True),
        "idempotency_key": list_filters(["key-0", "key-1", "key-2", "KEY-3"], not_any=True),
        "created_by": creators,
    }
    return list(combined(fields, 120))


def task_runs() -> list[Filter]:
    """Returns filters of task runs."""
    run_ids = ids("flow-run", 0, 1)
    flow_run_ids: list[Filter] = [{}, {"any_": []}, {"any_": run_ids}, {"is_null_": True}, {"is_null_": False}]
    flow_run_ids += [{"is_null_": None}, {"is_null_": None, "any_": run_ids}, {"is_null_": True, "any_": run_ids}]
    flow_run_ids += [{"is_null_": False, "any_": run_ids}, {"is_null_": True, "any_": run_ids, "operator": "or_"}]
    fields = {
        "id": list_filters(ids("task-run", 0, 7, 30, 99)),
        "name": name_filters(),
        "tags": tag_filters(with_any=False),
        "state": _states(not_any=False),
        "start_time": time_filters(is_null=True),
        "end_time": time_filters(is_null=True),
        "expected_start_time": time_filters(is_null=False),
        "subflow_runs": [{}, {"exists_": None}, {"exists_": True}, {"exists_": False}],
        "flow_run_id": flow_run_ids,
    }
    return list(combined(fields, 80))


def deployments() -> list[Filter]:
    """Returns filters of deployments."""
    limits = [{}, {"ge_": 1}, {"le_": 1, "is_null_": True}]
    fields = {
        "id": list_filters(ids("deployment", 0, 3, 4, 99), not_any=True),
        "name": name_filters(),
        "flow_or_deployment_name": [{}] + [{"like_": term} for term in TERMS],
        "paused": [{}, {"eq_": None}, {"eq_": True}, {"eq_": False}],
        "tags": tag_filters(with_any=True),
        "work_queue_name": list_filters(["default", "", "HIGH"]),
        "concurrency_limit": limits,
    }
    return list(combined(fields, 60))


def work_pools() -> list[Filter]:
    """Returns filters of work pools."""
    fields = {
        "id": list_filters(ids("work-pool", 0, 2, 99)),
        "name": list_filters(["local", "CAFÉ", "k8s"]),
        "type": list_filters(["process", "Kubernetes"]),
    }
    return list(combined(fields, 15))


def work_queues() -> list[Filter]:
    """Returns filters of work queues."""
    prefixes = [[], ["def"], ["DEF", "h"], ["é"], ["%"], ["hi_"], [""], ["nothing"], ["h%gh"]]
    names = list_filters(["default", "high"]) + [{"startswith_": prefix} for prefix in prefixes]
    names += [{"any_": any_, "startswith_": starts} for any_ in ([], ["default"]) for starts in ([], ["d"], ["h"])]
    fields = {"id": list_filters(ids("work-queue", 0, 4, 99)), "name": names}
    empty = {"name": {"startswith_": []}, "id": {"any_": []}, "operator": "or_"}
    return [*combined(fields, 40), empty, {"name": {"startswith_": []}, "operator": "or_"}]


QUERIES = [
    "", "  ", "connection", "CONNECTION -timeout", "+connection +refused", "connection été", "ÉTÉ", "été", "-prefect", "!café",
    '"connection refused"', '"refused prefect"', '"say \\"hi\\""', '"say ', "100%", "a_b", "a%b", "\\", '"back\\\\slash"', "/",
    "- connection", "--debug", "error -debug", "+prefect -timeout starting", "日本語", "boiled", "kettle -blue", "colour", "\\u00e9",
    "caf\\u00e9", "1e+16", "1.5e-07", '"count\\": 1.0"', '"\\"nested\\": {\\"list\\": [1, null, true]}"', "timeout", '-"flow-run"',
    "\\ud83d\\ude00", "payload", '"], "', "\u001fconnection", "nothing", "+nothing connection", '"\\\\n"',
]  # fmt: skip


def logs() -> list[Filter]:
    """Returns filters of logs."""
    task_run_ids = list_filters(ids("task-run", 0, 1), is_null=True)
    fields = {
        "level": [{}, {"ge_": 20}, {"le_": 20}, {"ge_": 20, "le_": 30}, {"ge_": 40, "le_": 10}, {"ge_": None}],
        "timestamp": [{}, {"before_": iso(10)}, {"after_": iso(10)}, {"after_": iso(10), "before_": iso(20.000001)}],
        "flow_run_id": list_filters(ids("flow-run", 0, 1)),
        "task_run_id": task_run_ids,
        "text": [{"query": query} for query in QUERIES],
    }
    return list(combined(fields, 80))


def inputs() -> list[Filter]:
    """Returns the bodies of searches among a flow run's inputs."""
    prefixes = ["", "a", "A", "approval", "approval-", "a_", "%b", "keyset", "nothing", "-"]
    excluded: list[list[str]] = [[], ["approval"], ["APPROVAL", "a"], Dataset.INPUT_KEYS]
    return [{"prefix": prefix, "exclude_keys": keys} for prefix in prefixes for keys in excluded]


def events() -> list[Filter]:
    """Returns filters of events, each with both of its limits in time, since the default ones move."""
    everything = {"since": iso(-10), "until": iso(1000)}
    values: list[Any] = ["blue", "BLUE", "b*", "*e", "bl?ue", "bl_ue", "!blue", "!b*", "!!blue", "100%", "1*%", "[ab]", "", "*", "é", "*É"]
    values += [["blue", "100%"], [], [""], ["!blue", "blue"]]
    labels: list[Any] = [{}] + [{"colour": value} for value in values]
    labels += [{"nothing": "*"}, {"nothing": "!x"}, {"dotted.label.name": "x"}, {"colour": "*", "dotted.label.name": "x"}]
    id_values: list[Any] = ["kettle.1", "KETTLE*", "!kettle*", ["kettle.2", "prefect.*"], [], "", [""], "kettle_1", "kettle?1"]
    labels += [{"prefect.resource.id": value} for value in id_values]
    role_values: list[Any] = ["flow", "Flow", "f*", ["flow", "tag"], [], "", [""], "!flow"]
    labels += [{"prefect.resource.role": value} for value in role_values]
    labels += [{"prefect.resource.id": "prefect.*", "prefect.resource.role": "flow"}, {"colour": "blue", "prefect.resource.role": "tag"}]
    labels += [{"size": "10%"}, {"prefect.resource.name": "E*"}]
    id_lists = [[], ["kettle.1"], ["KETTLE.1"], ["kettle.1", "prefect.flow.1"], ["prefect.flow.1"], ["nothing"]]
    prefixes = [[], ["kettle"], ["KETTLE"], ["kettle_"], ["prefect.flow", "nothing"], ["%1"], [""], ["nothing"]]
    roles = [[], ["flow"], ["FLOW"], ["flow", "tag"], [""], ["nothing"]]
    related: list[Any] = [{}, None, []]
    related += [{"id": some} for some in id_lists] + [{"role": some} for some in roles] + [{"labels": some} for some in labels]
    in_roles = [[], [["prefect.flow.1", "flow"]], [["prefect.flow.1", "tag"], ["kettle.1", "tag"]], [["kettle.1", ""]]]
    related += [{"resources_in_roles": some} for some in in_roles]
    related += [{"id": ["prefect.flow.1"], "role": [role]} for role in ("flow", "tag", "")]
    related += [{"id": ["kettle.1"], "role": [""]}, {"role": ["tag"], "labels": {"colour": "blue"}}]
    related += [[{"id": ["prefect.flow.1"]}, {"role": ["tag"]}], [{"id": ["prefect.flow.1"]}, {"id": ["prefect.flow.2"]}], [{}]]
    any_resource: list[Any] = [{}, None, []]
    any_resource += [{"id": some} for some in id_lists] + [{"id_prefix": some} for some in prefixes]
    any_resource += [{"labels": some} for some in labels]
    any_resource += [{"id": ["kettle.1"], "labels": {"colour": "blue"}}, {"id": ["kettle.1"], "id_prefix": ["prefect"]}]
    any_resource += [[{"id": ["kettle.1"]}, {"id_prefix": ["prefect.flow."]}]]
    resource: list[Any] = [{}, None] + [{"id": some} for some in id_lists] + [{"id_prefix": some} for some in prefixes]
    resource += [{"labels": some} for some in labels] + [{"distinct": True}, {"distinct": True, "id_prefix": ["kettle"]}]
    names = [[], ["prefect.flow-run.Completed"], ["prefect.flow-run.completed"], ["été", "kettle.boiled"], ["nothing"]]
    name_prefixes = [[], ["prefect."], ["PREFECT."], ["kettle_"], ["ÉTÉ"], ["prefect.flow-run", "Kettle"], ["%boiled"], [""]]
    event: list[Any] = [{}, None] + [{key: some} for key in ("name", "exclude_name") for some in names]
    event += [{key: some} for key in ("prefix", "exclude_prefix") for some in name_prefixes]
    event += [{"prefix": ["prefect."], "exclude_name": ["prefect.flow-run.Running"], "exclude_prefix": ["prefect.task"]}]
    windows = [{"since": iso(10), "until": iso(20)}, {"since": iso(10.000001), "until": iso(10.000001)}]
    windows += [{"since": iso(20), "until": iso(10)}]
    fields = {
        "occurred": windows,
        "event": event,
        "resource": resource,
        "related": related,
        "any_resource": any_resource,
        "id": [{}, {"id": None}, {"id": []}, {"id": ids("event", 0, 5, 99)}],
        "text": [None, *({"query": query} for query in QUERIES)],
        "order": ["ASC", "DESC"],
    }
    plain = (filter for filter in combined(fields, 100) if "operator" not in filter)
    return [{"occurred": everything, **filter} for filter in plain]
