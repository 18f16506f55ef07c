"""Large parameters, messages, inputs of tasks, artifacts and lines of logs."""

import json
import random

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event

KILOBYTE = 1_000


def noise(size: int) -> str:
    """A text that can't be compressed to less than half."""
    return random.randbytes(size // 2 + 1).hex()[:size]


@task
def number(place: int) -> int:
    return place


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


# Parameters are bounded at 512 KB of JSON, so what a flow raises is no parameter.
MESSAGES = {"ascii": "x" * 500_000, "cjk": "語" * 100_000, "noise": noise(500 * KILOBYTE), "short": "it failed"}


@flow
def fails_with(message: str, beside: str = "") -> None:
    raise RuntimeError(MESSAGES[message])


@flow
def makes(text: str) -> int:
    create_markdown_artifact(text, key="large")
    get_run_logger().info(noise(300 * KILOBYTE))
    emit_event("large.told", {"prefect.resource.id": "large.resource"}, payload={"text": noise(600 * KILOBYTE)})
    return total([number(place) for place in range(20)])


if __name__ == "__main__":
    ended = {
        "ascii": fails_with("ascii", return_state=True),
        "cjk": fails_with("cjk", return_state=True),
        "beside": fails_with("noise", noise(300 * KILOBYTE), return_state=True),
        "parameters": fails_with("short", noise(450 * KILOBYTE), return_state=True),
        "makes": makes(noise(500 * KILOBYTE), return_state=True),
    }
    outcomes = {
        name: {"flow_run_id": str(state.state_details.flow_run_id), "message": len(state.message or "")}
        for name, state in ended.items()
    }
    print(json.dumps(outcomes))
