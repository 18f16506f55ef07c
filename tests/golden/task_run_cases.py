"""The task-run transitions that are recorded."""

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


def record_all(runs: TaskRuns, flow_runs: FlowRuns) -> None:
    """Records every task-run case."""
    running = flow_runs.create(*path_to("RUNNING"))
    grids(runs, running)
    enclosing_flow(runs, flow_runs)
    scheduling(runs, running)
    names(runs, running)
    retries(runs, running)
    flow_retries(runs, flow_runs)
    results(runs, running)
    caching(runs, flow_runs, running)
    tag_limits(runs, running)
    background(runs)


def grids(runs: TaskRuns, running: str) -> None:
    """Every initial with every proposed type: in a flow, forced, without a flow, deferred."""
    variants: dict[str, tuple[str | None, bool, Json]] = {
        "": (running, False, {}),
        ", forced": (running, True, {}),
        ", without a flow run": (None, False, {}),
        ", deferred": (None, False, {"deferred": True}),
        ", deferred and forced": (None, True, {"deferred": True}),
    }
    for suffix, (flow_run_id, force, details) in variants.items():
        for initial in INITIAL_TYPES:
            for proposed in STATE_TYPES:
                run_id = runs.create(*path_to(initial), flow_run_id=flow_run_id)
                name = f"grid: {initial} to {proposed}{suffix}"
                runs.record(name, run_id, state(proposed, **details), force=force)

    # A run that is created in its first state has other times and counts than one that got there.
    for initial in STATE_TYPES:
        for proposed in ("SCHEDULED", "RUNNING", "COMPLETED"):
            run_id = runs.create(state(initial), flow_run_id=running)
            runs.record(f"first state {initial} to {proposed}", run_id, state(proposed))


def enclosing_flow(runs: TaskRuns, flow_runs: FlowRuns) -> None:
    """A task only starts while its flow runs."""
    flow_paths = {str(initial): list(path_to(initial)) for initial in INITIAL_TYPES}
    flow_paths["PAUSED without a time-out"] = [*path_to("RUNNING"), state("PAUSED")]
    flow_paths["PAUSED past its time-out"] = [
        *path_to("RUNNING"),
        state("PAUSED", pause_timeout=seconds_from_now(-5)),
    ]
    for label, path in flow_paths.items():
        for initial in (None, "PENDING", "COMPLETED"):
            for force in (False, True):
                flow_run_id = flow_runs.create(*path)
                first, *rest = list(path_to(initial)) or [None]
                run_id = runs.create(*([first] if first else []), flow_run_id=flow_run_id)
                # The flow may forbid the way to the initial state, so that is forced.
                runs.drive(run_id, *rest, force=True)
                name = f"flow is {label}: {initial} to RUNNING{', forced' if force else ''}"
                runs.record(name, run_id, state("RUNNING"), force=force)
        for proposed in ("PENDING", "COMPLETED", "CANCELLED"):
            flow_run_id = flow_runs.create(*path)
            run_id = runs.create(state("PENDING"), flow_run_id=flow_run_id)
            runs.record(f"flow is {label}: PENDING to {proposed}", run_id, state(proposed))

    deployment_id = flow_runs.create_deployment()["id"]
    flow_run_id = flow_runs.create(
        *path_to("RUNNING"),
        state("PAUSED", "Suspended", pause_reschedule=True, pause_timeout=seconds_from_now(60)),
        deployment_id=deployment_id,
    )
    run_id = runs.create(state("PENDING"), flow_run_id=flow_run_id)
    runs.record("flow is suspended: PENDING to RUNNING", run_id, state("RUNNING"))

    flow_run_id = flow_runs.create(*path_to("PAUSED"))
    too_early = state("SCHEDULED", scheduled_time=seconds_from_now(60))
    run_id = runs.create(too_early, flow_run_id=flow_run_id)
    runs.record("flow is paused and the task too early", run_id, state("RUNNING"))


def scheduling(runs: TaskRuns, running: str) -> None:
    """Scheduled times: too early, late, and carried to PENDING."""
    for label, seconds in {
        "past": -60,
        "soon": 1.4,
        "in a minute": 60,
        "in a day": 86400.6,
    }.items():
        for initial in INITIAL_TYPES:
            run_id = runs.create(*path_to(initial), flow_run_id=running)
            proposed = state("SCHEDULED", scheduled_time=seconds_from_now(seconds))
            runs.record(f"scheduled {label}, from {initial}", run_id, proposed)
        for target in ("PENDING", "RUNNING"):
            scheduled = state("SCHEDULED", scheduled_time=seconds_from_now(seconds))
            run_id = runs.create(scheduled, flow_run_id=running)
            runs.record(f"scheduled {label}, to {target}", run_id, state(target))
            if target == "PENDING":
                runs.record(f"scheduled {label} and pending, to RUNNING", run_id, state("RUNNING"))
            else:
                name = f"scheduled {label}, to RUNNING, forced"
                runs.record(name, run_id, state("RUNNING"), force=True)

    future = state("SCHEDULED", scheduled_time=seconds_from_now(60))
    run_id = runs.create(future, flow_run_id=running)
    proposed = state("PENDING", scheduled_time=seconds_from_now(-5))
    runs.record("pending with a scheduled time of its own", run_id, proposed)
    runs.record("pending with a scheduled time of its own, to RUNNING", run_id, state("RUNNING"))


def names(runs: TaskRuns, running: str) -> None:
    """Reruns and retries are renamed, other names are kept."""
    for initial in ("PENDING", "RUNNING", "PAUSED", "FAILED", "CRASHED", "COMPLETED"):
        for name in (None, "Custom"):
            run_id = runs.create(*path_to(initial), flow_run_id=running)
            runs.record(f"name: {initial} to {name or 'Running'}", run_id, state("RUNNING", name))
    awaiting = state("SCHEDULED", "AwaitingRetry")
    run_id = runs.create(*path_to("RUNNING"), awaiting, flow_run_id=running)
    runs.record("name: AwaitingRetry to RUNNING", run_id, state("RUNNING"))
    run_id = runs.create(*path_to("RUNNING"), awaiting, state("PENDING"), flow_run_id=running)
    runs.record("name: AwaitingRetry and PENDING to RUNNING", run_id, state("RUNNING"))
    run_id = runs.create(awaiting, flow_run_id=running)
    runs.record("name: AwaitingRetry that never ran to RUNNING", run_id, state("RUNNING"))
    run_id = runs.create(*path_to("RUNNING"), flow_run_id=running)
    runs.record("name: RUNNING to RUNNING, forced", run_id, state("RUNNING"), force=True)
    transition_id = str(uuid.uuid4())
    run_id = runs.create(state("PENDING", transition_id=transition_id), flow_run_id=running)
    repeated = state("PENDING", transition_id=transition_id)
    runs.record("name: a repeated transition id means nothing to tasks", run_id, repeated)


def retries(runs: TaskRuns, running: str) -> None:
    """FAILED with retries left, exhausted, delayed by a number or a list, and not retriable."""
    failed = state("FAILED", message="it broke", data=UNPERSISTED)
    policies: dict[str, Json] = {
        "no retries": {"retries": 0},
        "one retry": {"retries": 1},
        "one retry after 5 s": {"retries": 1, "retry_delay": 5},
        "one retry after 1.5 s": {"retries": 1, "retry_delay": 1.5},
        "three retries after a list": {"retries": 3, "retry_delay": [60, 120]},
        "two retries after fractions": {"retries": 2, "retry_delay": [0.5, 90.25]},
        "jitter without a delay": {"retries": 1, "retry_delay": 0, "retry_jitter_factor": 0.5},
        "zero jitter": {"retries": 1, "retry_delay": 7, "retry_jitter_factor": 0},
    }
    for label, policy in policies.items():
        run_id = runs.create(*path_to("RUNNING"), flow_run_id=running, empirical_policy=policy)
        for attempt in range(1, policy["retries"] + 2):
            runs.record(f"retry: {label}, failure {attempt}", run_id, failed)
            title = f"retry: {label}, to RUNNING after failure {attempt}"
            answer = runs.record(title, run_id, state("RUNNING"))
            if answer["status"] == "WAIT":
                runs.drive(run_id, state("RUNNING"), force=True)
        run_id = runs.create(*path_to("RUNNING"), flow_run_id=running, empirical_policy=policy)
        runs.record(f"retry: {label}, failure forced", run_id, failed, force=True)

    policy = {"retries": 1, "retry_delay": 5}
    for retriable in (False, True):
        run_id = runs.create(*path_to("RUNNING"), flow_run_id=running, empirical_policy=policy)
        name = f"retry: {'retriable' if retriable else 'not retriable'}"
        runs.record(name, run_id, state("FAILED", retriable=retriable))
    for initial in ("PENDING", "SCHEDULED", "PAUSED", "CANCELLING", None):
        run_id = runs.create(*path_to(initial), flow_run_id=running, empirical_policy=policy)
        runs.record(f"retry: failure from {initial}", run_id, failed)
    for proposed in ("CRASHED", "COMPLETED", "CANCELLED"):
        run_id = runs.create(*path_to("RUNNING"), flow_run_id=running, empirical_policy=policy)
        runs.record(f"retry: {proposed} instead", run_id, state(proposed))
    run_id = runs.create(*path_to("RUNNING"), flow_run_id=None, empirical_policy=policy)
    runs.record("retry: without a flow run", run_id, failed)
    run_id = runs.create(*path_to("RUNNING"), flow_run_id=None, empirical_policy=policy)
    runs.record("retry: deferred", run_id, state("FAILED", deferred=True))
    # The default policy has no number of retries at all.
    run_id = runs.create(*path_to("RUNNING"), flow_run_id=running)
    runs.record("retry: default policy", run_id, failed)


def flow_retries(runs: TaskRuns, flow_runs: FlowRuns) -> None:
    """A task that ended in an earlier attempt of its flow is retried by the next attempt."""
    for final in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
        for proposed in ("PENDING", "SCHEDULED", "RUNNING", "COMPLETED", "CANCELLED"):
            flow_run_id = flow_runs.create(*path_to("RUNNING"))
            run_id = runs.create(*path_to(final), flow_run_id=flow_run_id)
            flow_runs.drive(flow_run_id, state("FAILED"), state("RUNNING"))
            name = f"flow retried: {final} to {proposed}"
            runs.record(name, run_id, state(proposed))
            if proposed == "PENDING":
                runs.record(f"{name}, then RUNNING", run_id, state("RUNNING"))
        flow_run_id = flow_runs.create(*path_to("RUNNING"))
        policy = {"retries": 2}
        run_id = runs.create(*path_to("RUNNING"), flow_run_id=flow_run_id, empirical_policy=policy)
        runs.drive(run_id, state(final), force=True)
        flow_runs.drive(flow_run_id, state("FAILED"), state("RUNNING"))
        runs.record(f"flow retried: {final} with retries to RUNNING", run_id, state("RUNNING"))
        runs.record(f"flow retried: {final} with retries fails again", run_id, state("FAILED"))


def results(runs: TaskRuns, running: str) -> None:
    """COMPLETED with results of each kind, left for every type.

    Data that is neither null nor an object is left out: the oracle answers 500 on leaving it.
    """
    data: dict[str, Json | None] = {
        "no data": None,
        "persisted data": PERSISTED,
        "unpersisted data": UNPERSISTED,
        "untyped data": {"answer": 42},
        "empty data": {},
    }
    for label, held in data.items():
        for proposed in STATE_TYPES:
            for force in (False, True):
                run_id = runs.create(
                    *path_to("RUNNING"), state("COMPLETED", data=held), flow_run_id=running
                )
                name = f"result: {label} to {proposed}{', forced' if force else ''}"
                runs.record(name, run_id, state(proposed), force=force)


def caching(runs: TaskRuns, flow_runs: FlowRuns, running: str) -> None:
    """Completed states are found again by their cache key."""

    def completed(cache_key: str, **fields: Any) -> Json:
        return state("COMPLETED", cache_key=cache_key, **fields)

    def cached(expires_in: float | None = None, **fields: Any) -> tuple[str, Json]:
        """Completes a task run under a new cache key; returns the key and the completed state."""
        key = runs.api.unique("cache")
        if expires_in is not None:
            fields["cache_expiration"] = seconds_from_now(expires_in)
        run_id = runs.create(*path_to("RUNNING"), completed(key, **fields), flow_run_id=running)
        return key, runs.read(run_id)["state"]

    missing = runs.api.unique("cache")
    run_id = runs.create(state("PENDING"), flow_run_id=running)
    runs.record("cache: miss", run_id, state("RUNNING", cache_key=missing))
    expiring = completed(missing, cache_expiration=seconds_from_now(600), data=PERSISTED)
    runs.record("cache: insertion", run_id, expiring)

    held: dict[str, tuple[float | None, Json]] = {
        "without expiration": (None, {"data": PERSISTED, "message": "done"}),
        "expiring later": (600, {"data": PERSISTED}),
        "expired": (-5, {"data": PERSISTED}),
        "without data": (None, {}),
    }
    for label, (expires_in, fields) in held.items():
        for initial in INITIAL_TYPES:
            key, cached_state = cached(expires_in, **fields)
            run_id = runs.create(*path_to(initial), flow_run_id=running)
            running_state = state("RUNNING", cache_key=key)
            name = f"cache: {label}, {initial} to RUNNING"
            runs.record(name, run_id, running_state, cached_state=cached_state)

        for flag, details in {
            "refreshed": {"refresh_cache": True},
            "not refreshed": {"refresh_cache": False},
            "forced": {},
            "deferred": {"deferred": True},
            "PENDING instead": {},
        }.items():
            key, cached_state = cached(expires_in, **fields)
            run_id = runs.create(state("PENDING"), flow_run_id=running)
            target = "PENDING" if flag == "PENDING instead" else "RUNNING"
            proposed = state(target, cache_key=key, **details)
            name = f"cache: {label}, {flag}"
            forced = flag == "forced"
            runs.record(name, run_id, proposed, force=forced, cached_state=cached_state)

        key, cached_state = cached(expires_in, **fields)
        stopped = flow_runs.create(*path_to("COMPLETED"))
        run_id = runs.create(state("PENDING"), flow_run_id=stopped)
        name = f"cache: {label}, flow has ended"
        runs.record(name, run_id, state("RUNNING", cache_key=key), cached_state=cached_state)
        key, cached_state = cached(expires_in, **fields)
        run_id = runs.create(state("PENDING"), flow_run_id=None)
        name = f"cache: {label}, without a flow run"
        runs.record(name, run_id, state("RUNNING", cache_key=key), cached_state=cached_state)

    key, _ = cached(data=PERSISTED, message="older")
    newer = runs.create(
        *path_to("RUNNING"), completed(key, data=PERSISTED, message="newer"), flow_run_id=running
    )
    run_id = runs.create(state("PENDING"), flow_run_id=running)
    newest = runs.read(newer)["state"]
    proposed = state("RUNNING", cache_key=key)
    runs.record("cache: the newest is taken", run_id, proposed, cached_state=newest)

    key, cached_state = cached(data=PERSISTED)
    expired = completed(key, data=PERSISTED, cache_expiration=seconds_from_now(-5))
    runs.create(*path_to("RUNNING"), expired, flow_run_id=running)
    run_id = runs.create(state("PENDING"), flow_run_id=running)
    proposed = state("RUNNING", cache_key=key)
    title = "cache: the newest that has not expired is taken"
    runs.record(title, run_id, proposed, cached_state=cached_state)

    for length in (2000, 2001):
        run_id = runs.create(*path_to("RUNNING"), flow_run_id=running)
        key = "k" * length
        runs.record(f"cache: key of {length} characters", run_id, completed(key, data=PERSISTED))
        run_id = runs.create(state("PENDING"), flow_run_id=running)
        name = f"cache: key of {length} characters, to RUNNING"
        runs.record(name, run_id, state("RUNNING", cache_key=key))

    # A completion that was forced skips the insertion.
    key = runs.api.unique("cache")
    forced_run = runs.create(*path_to("RUNNING"), flow_run_id=running)
    runs.drive(forced_run, completed(key, data=PERSISTED), force=True)
    run_id = runs.create(state("PENDING"), flow_run_id=running)
    runs.record("cache: forced completion", run_id, state("RUNNING", cache_key=key))


def tag_limits(runs: TaskRuns, running: str) -> None:
    """Concurrency limits on tags, as far as the oracle on SQLite answers.

    Taking a slot opens a second transaction inside the first, which SQLite lets wait for itself
    until the request ends in a 503; so only limits that leave no slot to take are recorded.
    """

    def limited(limit: int) -> str:
        tag = runs.api.unique("tag")
        body = {"tag": tag, "concurrency_limit": limit}
        runs.api.call("POST", "concurrency_limits/", body)
        return tag

    run_id = runs.create(state("PENDING"), flow_run_id=running, tags=[limited(0)])
    runs.record("limit: zero", run_id, state("RUNNING"))
    runs.record("limit: zero, forced", run_id, state("RUNNING"), force=True)
    key = runs.api.unique("cache")
    cached = state("COMPLETED", cache_key=key, data=PERSISTED)
    runs.create(*path_to("RUNNING"), cached, flow_run_id=running)
    run_id = runs.create(state("PENDING"), flow_run_id=running, tags=[limited(0)])
    runs.record("limit: zero, yet cached", run_id, state("RUNNING", cache_key=key))
    run_id = runs.create(state("PENDING"), flow_run_id=running, tags=[runs.api.unique("tag")])
    runs.record("limit: none on the tag", run_id, state("RUNNING"))


def background(runs: TaskRuns) -> None:
    """Deferred task runs carry the id of their parameters along."""
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    for initial in ("SCHEDULED", "PENDING"):
        for target in ("PENDING", "RUNNING", "COMPLETED"):
            for deferred in (True, False):
                for own in (None, second):
                    before = state(initial, deferred=True, task_parameters_id=first)
                    run_id = runs.create(before, flow_run_id=None)
                    details: Json = {"deferred": deferred}
                    if own:
                        details["task_parameters_id"] = own
                    name = (
                        f"background: {initial} to {target}{'' if deferred else ' not deferred'}"
                        f"{' with parameters of its own' if own else ''}"
                    )
                    runs.record(name, run_id, state(target, **details))
    for name in ("AwaitingRetry", "Scheduled"):
        run_id = runs.create(*path_to("RUNNING"), flow_run_id=None)
        runs.record(
            f"background: enqueued as {name}", run_id, state("SCHEDULED", name, deferred=True)
        )
