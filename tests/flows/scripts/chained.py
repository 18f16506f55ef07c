"""Serves two flows, of which the second runs whenever the first has completed, and one that takes long."""

from __future__ import annotations

from time import sleep

from prefect import flow, serve
from prefect.events import DeploymentEventTrigger


@flow(name="chained-first")
def first(word: str) -> str:
    return word


@flow(name="chained-second")
def second(of: str, state: str, words: dict) -> str:
    return f"{of} {state} {words}"


@flow(name="chained-endless")
def endless() -> None:
    for _ in range(600):
        sleep(0.5)


AFTER_THE_FIRST = DeploymentEventTrigger(
    name="after the first",
    expect={"prefect.flow-run.Completed"},
    match_related={"prefect.resource.role": "flow", "prefect.resource.name": "chained-first"},
    parameters={
        "of": "{{ flow_run.name }}",
        "state": "state {{ flow_run.state.name }}",
        "words": "{{ flow_run.parameters }}",
    },
)

if __name__ == "__main__":
    serve(
        first.to_deployment("chained"),
        second.to_deployment("chained", triggers=[AFTER_THE_FIRST]),
        endless.to_deployment("chained"),
        query_seconds=1,
    )
