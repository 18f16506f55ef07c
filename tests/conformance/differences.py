"""Everything in which our server answers differently from the real one on purpose.

An entry that no longer matches anything makes the suite fail, so the list stays true.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .compare import MISSING


@dataclass(frozen=True)
class Intended:
    """One intended difference.

    `module` is the test file that meets it. `request` is a shell pattern for "METHOD path",
    `where` a regular expression for the place in the answer ("status", "headers.name",
    "body.key[0].key"), and `allows` decides on the two values found there.
    """

    reason: str
    module: str
    request: str
    where: str
    allows: Callable[[Any, Any], bool]


def instead_of_an_internal_error(oracle: Any, subject: Any) -> bool:
    """The oracle breaks down, where ours accepts the request or says what is wrong with it."""
    return oracle == 500 and subject < 500


def the_same_instant(oracle: Any, subject: Any) -> bool:
    """Ours answers UTC, where the oracle repeats the offset that the client sent."""
    return isinstance(oracle, str) and datetime.fromisoformat(oracle) == datetime.fromisoformat(subject)


def the_same_number(oracle: Any, subject: Any) -> bool:
    """Ours keeps a float a float, and holds integers beyond 64 bits as the nearest float."""
    return float(oracle) == float(subject)


def hidden(oracle: Any, subject: Any) -> bool:
    """Ours shows asterisks in the place of a secret."""
    return subject == "********"


def kept(oracle: Any, subject: Any) -> bool:
    """Ours still has what the oracle has lost."""
    return oracle is MISSING and subject is not MISSING


def shortened_once(oracle: Any, subject: Any) -> bool:
    """Ours says how many characters are missing in all."""
    return all(" additional characters..." in text for text in (oracle, subject)) and oracle[:49_000] == subject[:49_000]


def anything(oracle: Any, subject: Any) -> bool:
    """The reason says enough."""
    return True


STATE = r"(\.state|\[\d+\])\.state_details\.(scheduled_time|cache_expiration)"
TIMES = rf"body(\.(expected_start_time|next_scheduled_start_time)|{STATE})"
UTC = "times are answered in UTC at once, not only from the next request on"


def broken(module: str, request: str, what: str) -> Intended:
    reason = f"the real server fails with an internal error: {what}"
    return Intended(reason, module, request, "status", instead_of_an_internal_error)


INTENDED: tuple[Intended, ...] = (
    Intended(UTC, "produced_runs.py", "*", rf"body(\[\d+\])?{STATE}", the_same_instant),
    broken("test_flow_runs.py", "POST /flow_runs/", "a null policy, or an initial state with data"),
    broken("test_flow_runs.py", "PATCH /flow_runs/@*@", "a null policy"),
    broken("test_flow_runs.py", "GET /flow_runs/@*@", "labels that it accepted before, but cannot read"),
    broken("test_flow_runs.py", "POST /flow_runs/@*@/input", "a key with characters it has no rule for"),
    broken("test_work_pools.py", "PATCH /work_pools/*", "a null base job template"),
    broken("test_automations.py", "POST /automations/", "parameters of a run that a placeholder makes a list of"),
    Intended(
        "ours names no page of a release of pydantic, of which it is none",
        "test_automations.py",
        "PATCH /automations/@*@",
        r"body\.exception_detail\[0\]\.url",
        anything,
    ),
    broken("test_work_pools.py", "DELETE /work_pools/*/queues/default", "a pool's default queue"),
    Intended(
        "the parameters of a schedule stay where a change doesn't name them, and so does what limits its runs",
        "test_deployment_schedules.py",
        "GET /deployments/*",
        r"body(\.schedules)?\[\d+\]\.(parameters\.[a-z]+|max_scheduled_runs)",
        lambda oracle, subject: oracle in (MISSING, None) and subject is not None,
    ),
    Intended(
        "a number of scheduled runs that is sent with a deployment is kept",
        "test_deployment_schedules.py",
        "POST /deployments/",
        r"body\.schedules\[\d+\]\.max_scheduled_runs",
        lambda oracle, subject: oracle is None,
    ),
    *(
        Intended(
            "schedules are not deleted by an update that says nothing of their times",
            module,
            "PATCH /deployments/@*@",
            "status",
            lambda oracle, subject: (oracle, subject) == (204, 422),
        )
        for module in ("test_deployment_schedules.py", "test_deployment_update.py")
    ),
    *(
        Intended(
            "what is not sent of a deployment that is there stays: labels, parameters, schedules",
            module,
            request,
            r"body\.(labels|parameters|schedules).*",
            lambda oracle, subject: subject is not MISSING,
        )
        for module, request in (
            ("test_deployment_schedules.py", "POST /deployments/"),
            ("test_deployment_schedules.py", "GET /deployments/@*@"),
            ("test_deployments_data.py", "POST /deployments/"),
            ("test_deployments_data.py", "GET /deployments/name/*/upsert"),
        )
    ),
    broken("test_deployment_places.py", "PATCH /deployments/@*@", "a pool that isn't there"),
    broken("test_deployment_update.py", "POST /deployments/", "a name with characters that paths don't take"),
    broken("test_deployment_update.py", "PATCH /deployments/@*@", "a schema that is none"),
    Intended(
        "secrets are hidden also where they are objects, and where they are in lists",
        "test_block_documents.py",
        "GET /block_documents/@*@",
        r"body\.data\.(value|models\[0\]\.token)",
        hidden,
    ),
    Intended(
        "a change of a block that merges keeps the blocks within it that were not sent; the real server loses them",
        "test_block_documents.py",
        "GET /block_documents/@*@",
        r"body\.(data|block_document_references)\.k",
        kept,
    ),
    Intended(
        "a deployment outlives a block that it names, with its runs; the real server deletes them",
        "test_block_references.py",
        "GET /deployments/@*@",
        "status",
        lambda oracle, subject: (oracle, subject) == (404, 200),
    ),
    Intended(
        "a flow run outlives a block that it names; the real server deletes it",
        "test_block_references.py",
        "GET /flow_runs/@*@",
        "status",
        lambda oracle, subject: (oracle, subject) == (404, 200),
    ),
    Intended(
        "what is wrong with a block document is said without its data",
        "test_block_documents.py",
        "*",
        r"body\.(exception_detail\[\d+\]\.input(\.data)?|request_body(\.data)?)",
        lambda oracle, subject: subject == "********",
    ),
    Intended(
        "what pydantic says of a reference that is no UUID is said in a sentence",
        "test_block_documents.py",
        "POST /block_documents/",
        r"body\.detail",
        lambda oracle, subject: "valid UUID" in oracle and "is no UUID" in subject,
    ),
    Intended(
        "events tell nothing that any schema of a document called secret, nor texts beyond 32 KB",
        "test_block_documents.py",
        "POST /events/filter",
        r"body\.events\[\d+\]\.payload\.data\.(token|plain|short)",
        lambda oracle, subject: subject is MISSING,
    ),
    broken("test_block_schemas.py", "POST /block_schemas/", "references to schemas that lead nowhere"),
    broken("test_block_documents.py", "POST /block_documents/", "a type that is not there, or a reference that is none"),
    broken("test_block_documents.py", "PATCH /block_documents/@*@", "a schema that is not there, or asterisks that stand for nothing"),
    broken("test_hydration.py", "POST /work_pools/", "a reference to a block that is none"),
    broken("test_ui_schemas.py", "POST /ui/schemas/validate", "the schema of a property that is true or false"),
    broken("test_ui.py", "POST /ui/task_runs/dashboard/counts", "a filter on work pools without one on work queues"),
    broken("test_collections.py", "GET /collections/views/*", "a view that its package has no copy of, without the internet"),
    broken("test_events.py", "POST /events/count-by/*", "an event that is in none of the intervals"),
    broken("test_task_runs.py", "POST /task_runs/", "a null policy, or an initial state with data"),
    broken(
        "test_flow_run_resume.py",
        "POST /flow_runs/*/resume",
        "no such run, a schema that is none, a pause without a key for the schema or a valid one for the response",
    ),
    broken("test_flow_run_graph.py", "GET /flow_runs/*/graph", "inputs that come from no task run"),
    broken("test_flow_run_graph.py", "GET /flow_runs/*/graph-v2", "a limit of time without a time zone"),
    broken("test_routing.py", "POST /flow_runs/", "API versions with signs, spaces or underscores between the digits"),
    broken("test_errors.py", "GET /flow_runs/@*@", "deep labels that it accepted before, but cannot read"),
    broken("test_errors.py", "POST /flows/", "half a surrogate pair, NaN, infinity"),
    broken("test_errors.py", "POST /flows/filter", "an offset over 64 bits"),
    broken("test_errors.py", "POST /flows/paginate", "a page over 64 bits"),
    broken("test_errors.py", "POST /logs/", "a level over 64 bits, half a surrogate pair"),
    broken("test_errors.py", "POST /flow_runs/count", "a thousand tags, a NUL"),
    Intended(
        "a queue that is polled by its id hands out its own runs, and not those of every queue of the same name",
        "test_picking_up.py",
        "POST /work_queues/*/get_runs",
        r"body\[0\]",
        lambda oracle, subject: isinstance(oracle, dict) and oracle["name"] == "elsewhere",
    ),
    Intended(
        "a run tells workers the name of its queue also where it was put there without naming it",
        "test_picking_up.py",
        "POST /work_pools/pick-unnamed/get_scheduled_flow_runs",
        r"body\[0\]\.flow_run\.work_queue_name",
        lambda oracle, subject: (oracle, subject) == (None, "default"),
    ),
    Intended(UTC, "test_flow_runs.py", "*", TIMES, the_same_instant),
    Intended(UTC, "test_flow_run_set_state.py", "*", TIMES, the_same_instant),
    Intended(UTC, "test_errors.py", "*", TIMES, the_same_instant),
    Intended(
        "a limit beyond every integer is refused as one that is too large",
        "test_errors.py",
        "POST /flows/filter",
        r"body\.(detail|exception_message|exception_detail|request_body)",
        anything,
    ),
    Intended(
        "a float stays a float",
        "test_flow_run_set_state.py",
        "*",
        r"body(\.state|\[\d+\])\.data",
        the_same_number,
    ),
    Intended(
        "a number of retries beyond 64 bits is refused",
        "test_errors.py",
        "POST /flow_runs/",
        "status",
        lambda oracle, subject: (oracle, subject) == (201, 422),
    ),
    Intended(
        "the least number of retries is that of 64 bits",
        "test_errors.py",
        "POST /flow_runs/",
        r"body\.empirical_policy\.retr(ies|y_delay)",
        the_same_number,
    ),
    Intended(
        "a term of like_, startswith_ or a prefix is looked for as it is, in any case: the real server takes % and _ for "
        "wildcards, and knows other cases than those of ASCII on Postgres only",
        "test_partial_matches.py",
        "POST *",
        r"body\[\d+\].*",
        anything,
    ),
    Intended(
        "the next run of a flow is looked for among the runs of its own deployments and of none: one under another flow's "
        "deployment would need an index of its own, and nothing makes such a run but a hand-made request",
        "test_ui.py",
        "POST /ui/flows/next-runs",
        r"body\..+",
        lambda oracle, subject: isinstance(oracle, dict) and oracle["state_type"] == "SCHEDULED" and subject is None,
    ),
    Intended(
        "of task runs that started after an instant, those are not counted that ended more than an hour before they started: "
        "no index is sorted by the start, and no clock is that wrong",
        "test_ui.py",
        "POST /ui/task_runs/count",
        r"body\.COMPLETED",
        lambda oracle, subject: (oracle, subject) == (1, 0),
    ),
    Intended(
        "a run does not wait for a deployment that was deleted, to be handed out and aborted without end",
        "test_flow_run_set_state.py",
        "POST /flow_runs/*/set_state",
        "status",
        lambda oracle, subject: (oracle, subject) == (201, 200),
    ),
    Intended(
        "to SQLite's LIKE a pattern ends at a NUL",
        "test_errors.py",
        "POST /flows/filter",
        r"body\[0\]",
        lambda oracle, subject: isinstance(oracle, dict) and oracle["name"] == "alpha",
    ),
    Intended(
        "the time-out of idle connections is 30 seconds unless it is set, more than the clients keep theirs",
        "test_root.py",
        "GET /admin/settings",
        r"body\.server\.api\.keepalive_timeout",
        lambda oracle, subject: (oracle, subject) == (5, 30),
    ),
    Intended(
        "log lines are told as they come unless that is switched off",
        "test_root.py",
        "GET /admin/settings",
        r"body\.server\.logs\.stream_out_enabled",
        lambda oracle, subject: (oracle, subject) == (False, True),
    ),
    Intended("a float stays a float", "test_variables.py", "*", r"body\.value", the_same_number),
    Intended(
        "a variable may be an integer of any size",
        "test_variables.py",
        "POST /variables/",
        "status",
        lambda oracle, subject: (oracle, subject) == (422, 201),
    ),
    Intended(
        "the real server shortens a message twice, and says how much it left out the second time",
        "test_large_records.py",
        "POST /events/filter",
        r"body\.events\[0\]\.(payload\.validated_state\.message|resource\.prefect\.state-message)",
        shortened_once,
    ),
    Intended(
        "a path is decoded after it is routed, so that a name may hold a slash",
        "test_errors.py",
        "GET /flows/name/%2F",
        r"body\.detail",
        anything,
    ),
    Intended(
        "a path is decoded after it is routed, so that a name may hold a slash",
        "test_collections.py",
        "GET /collections/views/*%2F*",
        r"body\.detail",
        lambda oracle, subject: oracle == "Not Found" and subject.endswith("not found in registry"),
    ),
    Intended(
        "the real server remembers a run's tags from before they were changed",
        "test_events.py",
        "POST /events/filter",
        r"body\.events\[1\]\.related.*",
        anything,
    ),
    Intended(
        "the link to the next page is where the page is, also where the API is not under /api",
        "test_settings.py",
        "POST /events/filter",
        r"body\[1\]",
        lambda oracle, subject: subject == oracle.replace("/api/", "/v2/api/"),
    ),
    broken("test_concurrency_limits.py", "POST /concurrency_limits/", "a tag that is no name, or a change below 0"),
    Intended(
        "a task run counts once, however often it asks, and a reset frees the slots",
        "test_concurrency_limits.py",
        "POST /concurrency_limits/increment",
        "status",
        lambda oracle, subject: (oracle, subject) == (423, 200),
    ),
    Intended(
        "a reset frees the slots, which the real server counts as taken for good",
        "test_concurrency_limits.py",
        "GET /v2/concurrency_limits/tag:v1-reset*",
        r"body\.active_slots",
        lambda oracle, subject: oracle > subject,
    ),
    Intended(
        "a reset leaves the slots of other tags to their holders, and others can take those that it frees",
        "test_concurrency_limits.py",
        "GET /concurrency_limits/tag/v1-reset-*",
        r"body\.active_slots\[0\]",
        anything,
    ),
    Intended(
        "every state that is reported is in the history, also two of one instant",
        "test_task_run_events.py",
        "GET /task_run_states/*",
        r"body\[.*",
        anything,
    ),
)
