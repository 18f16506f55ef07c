"""A task that succeeds at its third attempt, in a flow that succeeds at its second."""

import json

from prefect import flow, task
from prefect.runtime import flow_run, task_run


@task(retries=2, retry_delay_seconds=[0.3, 0.6])
def third_time() -> int:
    if task_run.run_count < 3:
        raise RuntimeError(f"attempt {task_run.run_count} fails")
    return task_run.run_count


@flow(retries=1, retry_delay_seconds=1)
def second_time() -> dict[str, object]:
    attempts = third_time()
    if flow_run.run_count < 2:
        raise RuntimeError("the flow's first attempt fails")
    return {"task_attempts": attempts, "flow_attempts": flow_run.run_count}


if __name__ == "__main__":
    state = second_time(return_state=True)
    run_id = str(state.state_details.flow_run_id)
    print(json.dumps({"flow_run_id": run_id, "state": state.name, **state.result()}))
