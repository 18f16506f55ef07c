"""A flow in a flow in a flow; the innermost one may be told to fail."""

import json
import sys

from prefect import flow, task
from prefect.runtime import flow_run


@task
def leaf(depth: int) -> int:
    return depth


@flow(flow_run_name="inner-run")
def inner(fail: bool) -> str:
    leaf(2)
    if fail:
        raise ValueError("the innermost flow fails")
    return str(flow_run.id)


@flow(flow_run_name="middle-run")
def middle(fail: bool) -> list[str]:
    leaf(1)
    return [str(flow_run.id), inner(fail)]


@flow(flow_run_name="outer-run")
def outer(fail: bool) -> list[str]:
    leaf(0)
    return [str(flow_run.id), *middle(fail)]


if __name__ == "__main__":
    state = outer(fail="fail" in sys.argv, return_state=True)
    outcome = {"state": state.name, "flow_run_id": str(state.state_details.flow_run_id)}
    if state.is_completed():
        outcome["flow_run_ids"] = state.result()
    print(json.dumps(outcome))
