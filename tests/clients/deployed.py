"""Flows that workers and `serve` run, in processes of their own, on every release of the client from 3.0 on."""

from __future__ import annotations

import sys
import time

from prefect import flow, get_run_logger, serve, suspend_flow_run, task


@task
def double(number: int) -> int:
    return 2 * number


@flow(persist_result=True)
def deployed_sum(first: int, second: int = 2) -> int:
    get_run_logger().info("adding")
    return double(first) + double(second)


@flow
def deployed_failure() -> None:
    raise ValueError("on purpose")


@flow
def deployed_wait() -> None:
    time.sleep(120)


@flow(persist_result=True)
def deployed_suspension() -> int:
    first = double(1)
    suspend_flow_run(timeout=120, key="once")
    return first + double(2)


@task(persist_result=True)
def in_background(number: int) -> int:
    return number + 1


if __name__ == "__main__":
    if sys.argv[1] == "task worker":
        from prefect.task_worker import serve as serve_tasks

        serve_tasks(in_background)
    else:
        serve(deployed_sum.to_deployment("served", tags=["served"], parameters={"second": 5}), query_seconds=1)
