"""Ways to fail: in a task, in the flow, by a returned state, by a parameter that is not valid."""

import json

from prefect import flow, task
from prefect.states import Cancelled, Completed, Failed


@task
def broken() -> None:
    raise ValueError("this task always fails")


@task
def healthy() -> str:
    return "fine"


@flow
def task_fails() -> None:
    broken()


@flow
def failure_is_handled() -> str:
    state = broken(return_state=True)
    return f"{healthy()}, although {state.name}"


@flow
def flow_fails() -> None:
    raise RuntimeError("the flow itself fails")


@flow
def returns_failed():
    return Failed(message="failed on purpose")


@flow
def returns_cancelled():
    return Cancelled(message="cancelled on purpose")


@flow
def returns_named_completed():
    return Completed(message="nothing to do", name="Skipped")


@flow
def needs_number(number: int) -> int:
    return number


def outcome(state) -> dict[str, object]:
    return {
        "flow_run_id": str(state.state_details.flow_run_id),
        "type": state.type.value,
        "name": state.name,
        "message": state.message,
    }


if __name__ == "__main__":
    flows = [
        task_fails,
        failure_is_handled,
        flow_fails,
        returns_failed,
        returns_cancelled,
        returns_named_completed,
    ]
    outcomes = {flow.__name__: outcome(flow(return_state=True)) for flow in flows}
    outcomes["needs_number"] = outcome(needs_number("many", return_state=True))
    print(json.dumps(outcomes))
