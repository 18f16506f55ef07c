"""A flow that says which run it is and then ends, or is ended, from outside of its own rules."""

import json
import sys
import time

from prefect import flow, task
from prefect.runtime import flow_run


class Unstoppable(BaseException):
    """Nothing that a flow may raise: the run is taken to have crashed."""


@task
def raise_base_exception() -> None:
    raise Unstoppable("no ordinary exception")


@flow
def crash(how: str) -> None:
    print(json.dumps({"flow_run_id": str(flow_run.id)}), flush=True)
    if how == "base-exception":
        raise Unstoppable("no ordinary exception")
    if how == "task-base-exception":
        raise_base_exception()
    while True:
        time.sleep(0.1)


if __name__ == "__main__":
    crash(sys.argv[1])
