"""Tasks that call, submit and map; run names, tags and logs."""

import json

from prefect import flow, get_run_logger, tags, task
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner


@task(task_run_name="add {a} and {b}", tags=["adding"])
def add(a: int, b: int) -> int:
    get_run_logger().info("adding %s and %s", a, b)
    return a + b


@task(retries=0)
def square(number: int) -> int:
    return number * number


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@flow(
    flow_run_name="sums up to {limit}",
    task_runner=ThreadPoolTaskRunner(max_workers=4),
    version="seven",
    description="Adds and squares.",
    log_prints=True,
)
def arithmetic(limit: int, note: str = "none") -> int:
    three = add(1, 2)
    seven = add.submit(three, 4)
    squares = square.map(range(limit))
    late = total.submit(squares, wait_for=[seven])
    print(f"the sum is {late.result()}")
    get_run_logger().warning("a warning with a ünicode snowman ☃")
    print(json.dumps({"flow_run_id": flow_run.id}))
    return late.result()


if __name__ == "__main__":
    with tags("outer", "zebra"):
        state = arithmetic(limit=5, return_state=True)
    run_id = str(state.state_details.flow_run_id)
    print(json.dumps({"flow_run_id": run_id, "result": state.result(), "state": state.name}))
