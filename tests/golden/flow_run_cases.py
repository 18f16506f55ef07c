"""The flow-run transitions that are recorded."""

from __future__ import annotations

import uuid
from typing import Any

from recorder import (
    STATE_TYPES,
    FlowRuns,
    Json,
    TaskRuns,
    path_to,
    seconds_from_now,
    state,
)

INITIAL_TYPES = (None, *STATE_TYPES)
PERSISTED = {"type": "reference", "storage_key": "golden", "expiration": None}
UNPERSISTED = {"type": "unpersisted"}


def record_all(runs: FlowRuns, task_runs: TaskRuns) -> None:
    """Records every flow-run case."""
    grids(runs)
    scheduling(runs)
    pending_names(runs)
    transition_ids(runs)
    retries(runs)
    pausing(runs)
    resuming(runs)
    cancelling(runs)
    results(runs)
    reruns(runs)
    subflows(runs, task_runs)
    deployment_limits(runs)
    client_versions(runs, task_runs)


def grids(runs: FlowRuns) -> None:
    """Every initial with every proposed type: plain, forced, with a deployment and with a process."""
    deployment_id = runs.create_deployment()["id"]
    variants: dict[str, tuple[Json, bool]] = {
        "": ({}, False),
        ", forced": ({}, True),
        ", with a deployment": ({"deployment_id": deployment_id}, False),
        ", with a deployment and infrastructure": (
            {"deployment_id": deployment_id, "infrastructure_pid": "host:1"},
            False,
        ),
    }
    for suffix, (fields, force) in variants.items():
        for initial in INITIAL_TYPES:
            for proposed in STATE_TYPES:
                run_id = runs.create(*path_to(initial), **fields)
                name = f"grid: {initial} to {proposed}{suffix}"
                runs.record(name, run_id, state(proposed), force=force)

    # A run that is created in its first state has other times and counts than one that got there.
    for initial in STATE_TYPES:
        for proposed in ("SCHEDULED", "RUNNING", "COMPLETED"):
            run_id = runs.create(state(initial), deployment_id=deployment_id)
            runs.record(f"first state {initial} to {proposed}", run_id, state(proposed))


def scheduling(runs: FlowRuns) -> None:
    """Scheduled times: too early, late, carried to PENDING, and the names of scheduled states."""
    deployment_id = runs.create_deployment()["id"]
    for label, seconds in {
        "past": -60,
        "soon": 1.4,
        "in a minute": 60,
        "in a day": 86400.6,
    }.items():
        for initial in INITIAL_TYPES:
            run_id = runs.create(*path_to(initial), deployment_id=deployment_id)
            proposed = state("SCHEDULED", scheduled_time=seconds_from_now(seconds))
            runs.record(f"scheduled {label}, from {initial}", run_id, proposed)
        for target in ("PENDING", "RUNNING"):
            run_id = runs.create(state("SCHEDULED", scheduled_time=seconds_from_now(seconds)))
            runs.record(f"scheduled {label}, to {target}", run_id, state(target))
            if target == "PENDING":
                runs.record(f"scheduled {label} and pending, to RUNNING", run_id, state("RUNNING"))
        run_id = runs.create(state("SCHEDULED", scheduled_time=seconds_from_now(seconds)))
        proposed = state("RUNNING")
        runs.record(f"scheduled {label}, to RUNNING, forced", run_id, proposed, force=True)

    run_id = runs.create(state("SCHEDULED", scheduled_time=seconds_from_now(60)))
    proposed = state("PENDING", scheduled_time=seconds_from_now(-5))
    runs.record("pending with a scheduled time of its own", run_id, proposed)
    runs.record("pending with a scheduled time of its own, to RUNNING", run_id, state("RUNNING"))

    run_id = runs.create()
    proposed = state("PENDING", scheduled_time=seconds_from_now(60))
    runs.record("no state to pending with a scheduled time", run_id, proposed)
    runs.record("no state to pending with a scheduled time, to RUNNING", run_id, state("RUNNING"))

    for initial in INITIAL_TYPES:
        for name in ("Late", "AwaitingRetry", "Resuming", "AwaitingConcurrencySlot"):
            run_id = runs.create(*path_to(initial), deployment_id=deployment_id)
            runs.record(f"{initial} to SCHEDULED named {name}", run_id, state("SCHEDULED", name))
    run_id = runs.create(state("SCHEDULED"), state("SCHEDULED", "Late"))
    runs.record("Late to Late", run_id, state("SCHEDULED", "Late"))
    runs.record("Late to Late, forced", run_id, state("SCHEDULED", "Late"), force=True)
    runs.record("Late to PENDING", run_id, state("PENDING"))


def pending_names(runs: FlowRuns) -> None:
    """PENDING to PENDING is open to other names only."""
    names = ("Pending", "Submitting", "InfrastructurePending")
    for initial in names:
        for proposed in names:
            run_id = runs.create(
                state("SCHEDULED", scheduled_time=seconds_from_now(30)), state("PENDING", initial)
            )
            name = f"{initial} to {proposed}"
            runs.record(name, run_id, state("PENDING", proposed))
            runs.record(f"{name}, then RUNNING", run_id, state("RUNNING"))
    run_id = runs.create(state("PENDING"))
    proposed = state("PENDING", "Submitting", scheduled_time=seconds_from_now(90))
    runs.record("Pending to Submitting with a scheduled time of its own", run_id, proposed)
    for initial in ("RUNNING", "CANCELLING", "CANCELLED"):
        run_id = runs.create(*path_to(initial))
        name = f"{initial} to PENDING named Submitting"
        runs.record(name, run_id, state("PENDING", "Submitting"))


def transition_ids(runs: FlowRuns) -> None:
    """A repeated transition id is refused, whatever type it comes with."""
    deployment_id = runs.create_deployment()["id"]
    for initial in STATE_TYPES:
        first = str(uuid.uuid4())
        for label, transition_id in {"repeated": first, "new": str(uuid.uuid4())}.items():
            *before, last = path_to(initial)
            last.setdefault("state_details", {})["transition_id"] = first
            for proposed in sorted({initial, "RUNNING", "CANCELLED"}):
                run_id = runs.create(*before, last, deployment_id=deployment_id)
                name = f"{label} transition id, {initial} to {proposed}"
                runs.record(name, run_id, state(proposed, transition_id=transition_id))
        run_id = runs.create(*before, last)
        proposed_state = state(initial, transition_id=first)
        name = f"repeated transition id, {initial} to {initial}, forced"
        runs.record(name, run_id, proposed_state, force=True)


def retries(runs: FlowRuns) -> None:
    """FAILED with retries left, exhausted, delayed, and what the retry resets."""
    failed = state("FAILED", message="it broke", data=UNPERSISTED)
    policies: dict[str, Json] = {
        "no retries": {"retries": 0},
        "one retry": {"retries": 1},
        "one retry after 5 s": {"retries": 1, "retry_delay": 5},
        "two retries after 1 h": {"retries": 2, "retry_delay": 3600},
    }
    for label, policy in policies.items():
        run_id = runs.create(*path_to("RUNNING"), empirical_policy=policy)
        runs.record(f"retry: {label}, first failure", run_id, failed)
        runs.record(f"retry: {label}, to RUNNING after the failure", run_id, state("RUNNING"))
        runs.drive(run_id, state("RUNNING"), force=True)
        runs.record(f"retry: {label}, next failure", run_id, failed)

        run_id = runs.create(*path_to("RUNNING"), empirical_policy=policy)
        runs.record(f"retry: {label}, failure forced", run_id, failed, force=True)
        for initial in ("PENDING", "SCHEDULED", "PAUSED", "CANCELLING"):
            run_id = runs.create(*path_to(initial), empirical_policy=policy)
            runs.record(f"retry: {label}, failure from {initial}", run_id, failed)
        for proposed in ("CRASHED", "COMPLETED", "CANCELLED"):
            run_id = runs.create(*path_to("RUNNING"), empirical_policy=policy)
            runs.record(f"retry: {label}, {proposed} instead", run_id, state(proposed))

    # Resuming straight to RUNNING counts as a run, so that two retries leave one.
    policy = {"retries": 2, "retry_delay": 0}
    run_id = runs.create(*path_to("PAUSED"), state("RUNNING"), empirical_policy=policy)
    runs.record("retry: resets the pause keys", run_id, failed)
    runs.drive(run_id, state("RUNNING"))
    runs.record("retry: exhausted clears the retry type", run_id, failed)

    for proposed in ("PENDING", "CANCELLING", "CANCELLED", "FAILED"):
        run_id = runs.create(*path_to("RUNNING"), empirical_policy={"retries": 1})
        runs.propose(run_id, failed)
        runs.record(f"retry: AwaitingRetry to {proposed}", run_id, state(proposed))


def pausing(runs: FlowRuns) -> None:
    """Entering PAUSED: keys, time-outs, rescheduling."""
    deployment_id = runs.create_deployment()["id"]
    paused: dict[str, Any] = {
        "without a key": {},
        "with a key": {"pause_key": "a"},
        "with a time-out": {"pause_key": "a", "pause_timeout": seconds_from_now(300)},
        "rescheduled": {"pause_key": "a", "pause_reschedule": True},
        "rescheduled with a time-out": {
            "pause_key": "a",
            "pause_reschedule": True,
            "pause_timeout": seconds_from_now(300),
        },
        "with a run input keyset": {
            "pause_key": "a",
            "run_input_keyset": {"response": "r", "schema": "s", "description": "d"},
        },
    }
    for label, details in paused.items():
        for name in (None, "Suspended"):
            for owner, fields in {
                "": {},
                " of a deployment": {"deployment_id": deployment_id},
            }.items():
                run_id = runs.create(*path_to("RUNNING"), **fields)
                title = f"pause: {name or 'Paused'} {label}, run{owner}"
                runs.record(title, run_id, state("PAUSED", name, **details))
                if "pause_key" in details:
                    runs.drive(run_id, state("RUNNING"), force=True)
                    repeated = state("PAUSED", name, **details)
                    runs.record(f"{title}, key repeated", run_id, repeated)
                    other = state("PAUSED", name, **(details | {"pause_key": "b"}))
                    runs.record(f"{title}, another key", run_id, other)
    for initial in INITIAL_TYPES:
        run_id = runs.create(*path_to(initial))
        runs.record(f"pause: {initial} to Suspended", run_id, state("PAUSED", "Suspended"))


def resuming(runs: FlowRuns) -> None:
    """Leaving PAUSED: in time, too late, rescheduled with and without a deployment."""
    deployment_id = runs.create_deployment()["id"]
    targets = {
        "RUNNING": state("RUNNING"),
        "Resuming": state("SCHEDULED", "Resuming"),
        **{type: state(type) for type in STATE_TYPES if type != "RUNNING"},
    }
    for timing, seconds in {"no time-out": None, "in time": 300, "too late": -5}.items():
        for reschedule in (False, True):
            for owned in (False, True):
                for label, target in targets.items():
                    fields = {"deployment_id": deployment_id} if owned else {}
                    run_id = runs.create(*path_to("RUNNING"), **fields)
                    paused = state("PAUSED", pause_key="a", pause_reschedule=reschedule)
                    if seconds is not None:
                        paused["state_details"]["pause_timeout"] = seconds_from_now(seconds)
                    # A rescheduling pause without a deployment is only reached by force.
                    runs.drive(run_id, paused, force=reschedule and not owned)
                    name = (
                        f"resume: {timing}, {'suspended' if reschedule else 'paused'},"
                        f" {'with' if owned else 'without'} a deployment, to {label}"
                    )
                    runs.record(name, run_id, target)
                    if label == "PENDING":
                        runs.record(f"{name}, then RUNNING", run_id, state("RUNNING"))

    run_id = runs.create(*path_to("PAUSED"), deployment_id=deployment_id)
    runs.drive(run_id, state("SCHEDULED", "Resuming"))
    runs.record("resume: Resuming to PENDING", run_id, state("PENDING"))
    runs.record("resume: Resuming, PENDING to RUNNING", run_id, state("RUNNING"))
    runs.record("resume: Resuming, RUNNING to COMPLETED", run_id, state("COMPLETED"))
    run_id = runs.create(*path_to("PAUSED"), state("RUNNING"))
    runs.record("resume: paused again with another key", run_id, state("PAUSED", pause_key="b"))
    runs.record("resume: resumed again", run_id, state("RUNNING"))
    for final in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
        run_id = runs.create(*path_to("PAUSED"))
        runs.record(f"resume: paused to {final}, forced", run_id, state(final), force=True)


def cancelling(runs: FlowRuns) -> None:
    """CANCELLING with and without infrastructure, and what may follow it."""
    deployment_id = runs.create_deployment()["id"]
    initials = {
        "Scheduled": [state("SCHEDULED")],
        "AwaitingRetry": [*path_to("RUNNING"), state("SCHEDULED", "AwaitingRetry")],
        "Resuming": [*path_to("PAUSED"), state("SCHEDULED", "Resuming")],
        "Late": [state("SCHEDULED"), state("SCHEDULED", "Late")],
        "Suspended": [
            *path_to("RUNNING"),
            state("PAUSED", "Suspended", pause_reschedule=True, pause_key="a"),
        ],
        "Paused": [*path_to("RUNNING"), state("PAUSED", pause_key="a")],
        "Pending": [state("PENDING")],
        "Running": [*path_to("RUNNING")],
    }
    for label, path in initials.items():
        for pid in (None, "host:1"):
            for force in (False, True):
                run_id = runs.create(*path, deployment_id=deployment_id, infrastructure_pid=pid)
                name = (
                    f"cancel: {label} {'with' if pid else 'without'} infrastructure"
                    f"{', forced' if force else ''}"
                )
                runs.record(name, run_id, state("CANCELLING"), force=force)
    for name in ("Cancelling", "Cancelling-TimedOut"):
        run_id = runs.create(*path_to("CANCELLING"))
        runs.record(f"cancel: CANCELLING to {name}", run_id, state("CANCELLING", name))
    run_id = runs.create(*path_to("CANCELLING"))
    cancelled = state("CANCELLED", "TimedOut", message="gave up")
    runs.record("cancel: CANCELLING to CANCELLED with a message", run_id, cancelled)


def results(runs: FlowRuns) -> None:
    """COMPLETED with results of each kind, left for each state that the result may forbid."""
    deployment_id = runs.create_deployment()["id"]
    data: dict[str, Any] = {
        "no data": None,
        "persisted data": PERSISTED,
        "unpersisted data": UNPERSISTED,
        "untyped data": {"answer": 42},
        "empty data": {},
        "text data": "forty-two",
        "list data": [42],
        "zero data": 0,
    }
    for label, held in data.items():
        for proposed in ("RUNNING", "SCHEDULED", "PENDING", "FAILED", "CANCELLED"):
            run_id = runs.create(
                *path_to("RUNNING"), state("COMPLETED", data=held), deployment_id=deployment_id
            )
            runs.record(f"result: {label} to {proposed}", run_id, state(proposed))
        for other, replaced in data.items():
            for force in (False, True):
                run_id = runs.create(*path_to("RUNNING"), state("COMPLETED", data=held))
                name = f"result: {label} to COMPLETED with {other}{', forced' if force else ''}"
                runs.record(name, run_id, state("COMPLETED", data=replaced), force=force)
    run_id = runs.create(*path_to("RUNNING"))
    runs.record("result: cached name kept", run_id, state("COMPLETED", "Cached", data=PERSISTED))


def reruns(runs: FlowRuns) -> None:
    """Leaving a terminal state resets what pauses and retries left behind."""
    deployment_id = runs.create_deployment()["id"]
    for final in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
        for owned in (False, True):
            for proposed in ("SCHEDULED", "PENDING", "RUNNING"):
                fields = {"deployment_id": deployment_id} if owned else {}
                run_id = runs.create(*path_to("PAUSED"), state("RUNNING"), state(final), **fields)
                name = (
                    f"rerun: {final} to {proposed} {'with' if owned else 'without'} a deployment,"
                    " after a pause"
                )
                runs.record(name, run_id, state(proposed))
                if owned and proposed == "SCHEDULED":
                    runs.record(f"{name}, then PENDING", run_id, state("PENDING"))
                    runs.record(f"{name}, then RUNNING", run_id, state("RUNNING"))
                    runs.record(f"{name}, then FAILED", run_id, state("FAILED"))


def subflows(runs: FlowRuns, task_runs: TaskRuns) -> None:
    """A subflow's states are copied to the task run that stands for it in the parent."""
    parent_id = runs.create(*path_to("RUNNING"))
    for initial in INITIAL_TYPES:
        for proposed in STATE_TYPES:
            parent_task_run_id = task_runs.create(state("PENDING"), flow_run_id=parent_id)
            run_id = runs.create(*path_to(initial), parent_task_run_id=parent_task_run_id)
            runs.record(f"subflow: {initial} to {proposed}", run_id, state(proposed))

    def subflow(*path: Json, **fields: Any) -> str:
        parent_task_run_id = task_runs.create(state("PENDING"), flow_run_id=parent_id)
        return runs.create(*path, parent_task_run_id=parent_task_run_id, **fields)

    suspended = state("PAUSED", "Suspended", pause_reschedule=True)
    runs.record("subflow: cannot be suspended", subflow(*path_to("RUNNING")), suspended)
    future = state("SCHEDULED", scheduled_time=seconds_from_now(60))
    runs.record("subflow: too early", subflow(future), state("RUNNING"))
    failing = subflow(*path_to("RUNNING"), empirical_policy={"retries": 1, "retry_delay": 9})
    runs.record("subflow: retried", failing, state("FAILED", message="it broke"))
    completed = state("COMPLETED", data=PERSISTED, message="done")
    runs.record("subflow: completed with a result", subflow(*path_to("RUNNING")), completed)
    runs.record("subflow: forced", subflow(*path_to("CANCELLED")), state("RUNNING"), force=True)


def deployment_limits(runs: FlowRuns) -> None:
    """A deployment's concurrency limit: taken at PENDING, kept, renewed, lost, given back."""

    def limited(limit: int = 1, **fields: Any) -> str:
        return runs.create_deployment(concurrency_limit=limit, **fields)["id"]

    cancel_new = {"collision_strategy": "CANCEL_NEW"}
    enqueue = {"collision_strategy": "ENQUEUE", "grace_period_seconds": 120}
    for label, options in {"": None, ", ENQUEUE": enqueue, ", CANCEL_NEW": cancel_new}.items():
        fields = {"concurrency_options": options} if options else {}
        for initial in (None, "SCHEDULED", "FAILED"):
            deployment_id = limited(**fields)
            run_id = runs.create(*path_to(initial), deployment_id=deployment_id)
            runs.record(f"limit{label}: {initial} takes a free slot", run_id, state("PENDING"))
        for initial in (None, "SCHEDULED", "FAILED"):
            deployment_id = limited(**fields)
            waiting = runs.create(*path_to(initial), deployment_id=deployment_id)
            runs.create(*path_to("PENDING"), deployment_id=deployment_id)
            runs.record(f"limit{label}: {initial} finds it full", waiting, state("PENDING"))
            runs.record(f"limit{label}: {initial} asks again", waiting, state("PENDING"))

    deployment_id = limited()
    deployment = runs.api.call("GET", f"deployments/{deployment_id}")
    limit_path = f"v2/concurrency_limits/{deployment['global_concurrency_limit']['id']}"
    runs.api.call("PATCH", limit_path, {"limit": 0})
    run_id = runs.create(state("SCHEDULED"), deployment_id=deployment_id)
    runs.record("limit: of zero", run_id, state("PENDING"))
    runs.record("limit: of zero, forced", run_id, state("PENDING"), force=True)

    run_id = runs.create(*path_to("PENDING"), deployment_id=limited())
    runs.record("limit: kept from Pending to Submitting", run_id, state("PENDING", "Submitting"))
    runs.record("limit: kept to RUNNING", run_id, state("RUNNING"))
    runs.record("limit: given back at COMPLETED", run_id, state("COMPLETED"))
    for initial in ("PENDING", "RUNNING", "CANCELLING"):
        for proposed in STATE_TYPES:
            for force in (False, True):
                run_id = runs.create(*path_to(initial), deployment_id=limited())
                name = f"limit: {initial} to {proposed}{', forced' if force else ''}"
                runs.record(name, run_id, state(proposed), force=force)
    run_id = runs.create(
        *path_to("RUNNING"), deployment_id=limited(), empirical_policy={"retries": 1}
    )
    runs.record("limit: kept through an in-process retry", run_id, state("FAILED"))
    runs.record("limit: kept when the retry runs", run_id, state("RUNNING"))
    run_id = runs.create(*path_to("RUNNING"), deployment_id=limited())
    awaiting = state("SCHEDULED", "AwaitingRetry")
    runs.record("limit: given back when the client reschedules", run_id, awaiting)
    run_id = runs.create(
        *path_to("RUNNING"),
        state("PAUSED", "Suspended", pause_reschedule=True, pause_key="a"),
        deployment_id=limited(),
    )
    runs.record("limit: suspended run resumes", run_id, state("SCHEDULED", "Resuming"))
    runs.record("limit: resuming run takes a slot", run_id, state("PENDING"))

    def lose_lease(run_id: str) -> None:
        details = runs.read(run_id)["state"]["state_details"]
        lease = {"lease_id": details["deployment_concurrency_lease_id"]}
        runs.api.call("POST", "v2/concurrency_limits/decrement-with-lease", lease)

    run_id = runs.create(*path_to("PENDING"), deployment_id=limited())
    lose_lease(run_id)
    runs.record("limit: lease lost, slot still free, to RUNNING", run_id, state("RUNNING"))
    deployment_id = limited()
    run_id = runs.create(*path_to("PENDING"), deployment_id=deployment_id)
    lose_lease(run_id)
    runs.create(*path_to("PENDING"), deployment_id=deployment_id)
    runs.record("limit: lease lost, slot taken, to RUNNING", run_id, state("RUNNING"))


def client_versions(runs: FlowRuns, task_runs: TaskRuns) -> None:
    """What the headers change: the API's version and the client's version in the user agent."""
    api_versions = (None, "0.8.0", "0.8.2", "0.8.3", "0.8.4", "0.9.0", "0.7.9", "1.0", "x.y.z")
    for version in api_versions:
        headers = {"X-PREFECT-API-VERSION": version}
        run_id = runs.create(*path_to("PAUSED"), state("RUNNING"), empirical_policy={"retries": 2})
        failed_task = task_runs.create(*path_to("FAILED"), flow_run_id=run_id)
        runs.record(
            f"API version {version}: retry",
            run_id,
            state("FAILED"),
            headers=headers,
            failed_task_run_id=failed_task,
        )
        runs.cases[-1]["failed_task_run_after"] = task_runs.read(failed_task)
        run_id = runs.create(*path_to("PAUSED"))
        runs.record(f"API version {version}: resume", run_id, state("RUNNING"), headers=headers)
        resuming = state("SCHEDULED", "Resuming")
        run_id = runs.create(*path_to("PAUSED"), resuming, state("PENDING"))
        title = f"API version {version}: resumed by way of PENDING"
        runs.record(title, run_id, state("RUNNING"), headers=headers)
        run_id = runs.create(*path_to("PAUSED"), state("RUNNING"), state("FAILED"))
        runs.record(f"API version {version}: rerun", run_id, state("RUNNING"), headers=headers)

    def user_agent(version: str) -> str:
        return f"prefect/{version} (API 0.8.4)"

    user_agents = {
        "none": None,
        "another product": "curl/8.0",
        "3.0.0rc20": user_agent("3.0.0rc20"),
        "3.0.3": user_agent("3.0.3"),
        "3.0.4": user_agent("3.0.4"),
        "3.4.10": user_agent("3.4.10"),
        "3.4.11": user_agent("3.4.11"),
        "3.8.8": user_agent("3.8.8"),
    }
    for label, agent in user_agents.items():
        headers = {"User-Agent": agent}
        deployment_id = runs.create_deployment(concurrency_limit=1)["id"]
        run_id = runs.create(deployment_id=deployment_id)
        runs.record(f"client {label}: takes a slot", run_id, state("PENDING"), headers=headers)
        runs.record(f"client {label}: keeps it", run_id, state("RUNNING"), headers=headers)
        runs.record(f"client {label}: gives it back", run_id, state("COMPLETED"), headers=headers)
