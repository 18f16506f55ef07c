"""State hooks of flows and tasks, each of which prints that it ran, for what, in which state."""

import json
import signal

from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run
from prefect.states import Cancelling


def hook_of(kind: str):
    def hook(owner, run, state) -> None:
        print(json.dumps([kind, owner.name, state.type.value]), flush=True)

    hook.__name__ = kind
    return hook


FLOW_HOOKS = {
    kind: [hook_of(kind)]
    for kind in ("on_running", "on_completion", "on_failure", "on_cancellation", "on_crashed")
}
TASK_HOOKS = {
    kind: [hook_of(f"task_{kind}")] for kind in ("on_running", "on_completion", "on_failure")
}


@task(**TASK_HOOKS)
def work(fail: bool = False) -> None:
    if fail:
        raise ValueError("the task fails")


@flow(**FLOW_HOOKS)
def completes() -> None:
    work()


@flow(**FLOW_HOOKS)
def fails() -> None:
    work(fail=True)


@flow(**FLOW_HOOKS)
def is_cancelled() -> None:
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(flow_run.id, Cancelling())


@flow(**FLOW_HOOKS)
def crashes() -> None:
    signal.raise_signal(signal.SIGTERM)


if __name__ == "__main__":
    completes()
    fails(return_state=True)
    is_cancelled(return_state=True)
    # The client ends this process by the same signal again.
    crashes()
