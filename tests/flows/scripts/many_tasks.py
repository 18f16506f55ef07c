"""Two hundred tasks in one flow, many of them at once."""

import json

from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner


@task
def identity(number: int) -> int:
    return number


@flow(task_runner=ThreadPoolTaskRunner(max_workers=16))
def many() -> int:
    return sum(identity.map(range(200)).result())


if __name__ == "__main__":
    state = many(return_state=True)
    run_id = str(state.state_details.flow_run_id)
    print(json.dumps({"flow_run_id": run_id, "result": state.result()}))
