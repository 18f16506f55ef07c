"""Flows that pause in their process until someone resumes them, or until they give up."""

import json
import sys

from prefect import flow, pause_flow_run, suspend_flow_run
from prefect.runtime import flow_run


def announce() -> None:
    print(json.dumps({"flow_run_id": str(flow_run.id)}), flush=True)


@flow
def pauses() -> str:
    announce()
    pause_flow_run(timeout=60, poll_interval=1)
    return "resumed"


@flow
def asks() -> str:
    announce()
    answer = pause_flow_run(wait_for_input=str, timeout=60, poll_interval=1)
    return f"answered {answer}"


@flow
def gives_up() -> None:
    announce()
    pause_flow_run(timeout=1, poll_interval=1)


@flow
def suspends() -> None:
    announce()
    suspend_flow_run()


if __name__ == "__main__":
    state = {"pauses": pauses, "asks": asks, "gives_up": gives_up, "suspends": suspends}[
        sys.argv[1]
    ](return_state=True)
    result = state.result(raise_on_failure=False)
    print(json.dumps({"type": state.type.value, "name": state.name, "result": str(result)}))
