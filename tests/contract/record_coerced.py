"""Records what the oracle makes of valid bodies, into coerced.json beside this file.

Usage: .venv/bin/python record_coerced.py. Answers over HTTP don't show every coerced value, so this asks the
pydantic fields of upstream's own routes. Of each body, the coerced value without defaults (`sent`) is kept, and with
them (`body`) for the operations' plainest bodies.
"""

import datetime
import enum
import json
import os
import tempfile
import uuid
from pathlib import Path
from typing import Any

os.environ |= {"PREFECT_HOME": tempfile.mkdtemp(), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}

from prefect.server.api.server import create_api_app  # noqa: E402
from pydantic import BaseModel, RootModel  # noqa: E402

HERE = Path(__file__).parent
UUID = "01a2034c-a60e-77df-8caf-82a280613781"
TODAY = datetime.datetime.now(datetime.timezone.utc).date().isoformat()

BODIES: list[tuple[str, str, Any]] = [
    ("POST", "/flows/", {"name": "f"}),
    ("PATCH", "/flows/{id}", {}),
    ("POST", "/flows/filter", {}),
    ("POST", "/flows/paginate", {"flows": {"name": {"like_": "x"}}}),
    ("POST", "/flow_runs/", {"flow_id": UUID, "name": "r"}),
    ("POST", "/flow_runs/", {"flow_id": UUID, "name": "r", "state": {"type": "CRASHED"}, "labels": None}),
    ("POST", "/flow_runs/", {"flow_id": UUID, "name": "r", "empirical_policy": {"max_retries": 2, "retry_delay_seconds": 3.0}}),
    ("PATCH", "/flow_runs/{id}", {}),
    ("POST", "/flow_runs/filter", {"flow_runs": {"tags": {}, "state": {}}}),
    ("POST", "/flow_runs/{id}/set_state", {"state": {"type": "CANCELLING", "data": {"a": 1}}}),
    ("POST", "/flow_runs/{id}/input", {"key": "k", "value": "é"}),
    ("POST", "/flow_runs/{id}/input/filter", {"prefix": ""}),
    ("POST", "/task_runs/", {"task_key": "t", "dynamic_key": "d", "name": "n"}),
    ("POST", "/logs/", [{"name": "n", "level": "20", "message": "", "timestamp": 0}]),
    ("POST", "/logs/filter", {"logs": {"level": {"ge_": 1.0}}}),
    ("POST", "/events", [{"occurred": 0, "event": "e", "resource": {"prefect.resource.id": "r"}, "id": UUID}]),
    ("POST", "/events/filter", {"filter": {"occurred": {"since": 0, "until": 0}, "related": {"id": ["a"]}, "any_resource": [{"id": ["a"]}]}}),
    ("POST", "/work_pools/", {"name": "p"}),
    ("POST", "/variables/", {"name": "v", "value": [1]}),
    ("POST", "/block_documents/filter", {}),
    ("POST", "/deployments/", {"name": "d", "flow_id": UUID, "version_info": {"type": "a", "version": "b", "extra": 1}}),
]  # fmt: skip

for source in (
    {"id": UUID}, {"id": UUID, "name": "x"}, {"id": UUID, "name": "x", "type": "t"}, {"type": "c", "name": "n"},
    {"input_type": "constant", "id": UUID, "type": "t"}, {"input_type": "parameter", "name": "x", "id": UUID},
    {"input_type": "flow_run", "id": UUID},
):  # fmt: skip
    inputs = {"a": [source]}
    BODIES.append(("POST", "/task_runs/", {"task_key": "t", "dynamic_key": "d", "name": "n", "task_inputs": inputs}))
for delay in ("5", 5.0, 5.5, True, [1], [1.5], ["1"], [1, 2.5], [True], ["1", "2.5"], "5.5", [], 1, "1.0", [1.0], None):
    policy = {"retry_delay": delay}
    BODIES.append(("POST", "/task_runs/", {"task_key": "t", "dynamic_key": "d", "name": "n", "empirical_policy": policy}))
for label in (True, 1, 1.5, "x", 1.0, 0, "true", "1"):
    BODIES.append(("POST", "/flows/", {"name": "n", "labels": {"a": label}}))


def dump(value: Any, sent: bool) -> Any:
    """Writes a validated value as the contract's validator does; with `sent`, without the defaults."""
    if isinstance(value, RootModel):
        return dump(value.root, sent)
    if isinstance(value, BaseModel):
        names = [name for name in type(value).model_fields if not sent or name in value.model_fields_set]
        return {name: dump(getattr(value, name), sent) for name in names} | (value.model_extra or {})
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime.datetime):
        # Through text, because arithmetic with pendulum's class rounds.
        instant = datetime.datetime.fromisoformat(value.isoformat())
        instant = instant if instant.tzinfo else instant.replace(tzinfo=datetime.timezone.utc)
        return instant.astimezone(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, set):
        return sorted(value)
    if isinstance(value, dict):
        return {key: dump(item, sent) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [dump(item, sent) for item in value]
    return value


def body_fields(dependant: Any) -> list[Any]:
    """Returns the fields of the body that a route and its dependencies take."""
    return [*dependant.body_params, *(field for inner in dependant.dependencies for field in body_fields(inner))]


def coerce(route: Any, raw: Any) -> tuple[Any, Any]:
    fields = body_fields(route.dependant)
    if not route._embed_body_fields:
        value, errors = fields[0].validate(raw, {}, loc=("body",))
        assert not errors, errors
        return dump(value, False), dump(value, True)
    body, sent = {}, {}
    for field in fields:
        value = field.default
        if raw.get(field.alias) is not None:
            value, errors = field.validate(raw[field.alias], {}, loc=("body", field.alias))
            assert not errors, errors
        if field.alias in raw:
            sent[field.alias] = dump(value, True)
        body[field.alias] = dump(value, False)
    return body, sent


def is_made_up(raw: Any, sent: Any) -> bool:
    """Tells whether upstream's value depends on chance, on the day, or on integers that only Python holds."""
    text = json.dumps([raw, sent])
    nameless = [value for value in (raw, raw.get("state")) if isinstance(value, dict) and not value.get("name")]
    unnamed = any("type" in value or "name" in value for value in nameless)
    return unnamed or TODAY in text or "1" + "0" * 30 in text or "9" * 30 in text


def main() -> None:
    app = create_api_app()
    routes = {}
    for route in app.routes:
        contexts = route.effective_route_contexts() if hasattr(route, "effective_route_contexts") else [route]
        for context in contexts:
            if getattr(context, "dependant", None) is not None:
                path = context.path.replace(":uuid}", "}").replace(":str}", "}")
                routes |= {(method, path): context for method in context.methods}
    coerced = []
    for method, template, raw in BODIES:
        text = json.dumps(raw)
        body, _ = coerce(routes[method, template], raw)
        coerced.append({"method": method, "template": template, "sends": text, "body": body})
    for vector in json.loads((HERE / "vectors.json").read_text()):
        body = vector.get("body", "")
        if vector["status"] in (400, 422) or vector["status"] >= 500 or body[:1] not in ("{", "["):
            continue
        raw = json.loads(body)
        route = routes[vector["method"], vector["template"]]
        if "headers" in vector or not body_fields(route.dependant):
            continue
        _, sent = coerce(route, raw)
        if not is_made_up(raw if isinstance(raw, dict) else {}, sent) and not is_made_up({}, raw):
            coerced.append({"method": vector["method"], "template": vector["template"], "sends": body, "sent": sent})
    lines = [json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in coerced]
    (HERE / "coerced.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
    print(f"{len(coerced)} bodies")


if __name__ == "__main__":
    main()
