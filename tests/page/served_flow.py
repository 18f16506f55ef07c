"""Deployments that are served to a server, and run what somebody starts on its page."""

from __future__ import annotations

import os
import time

from prefect import flow, get_run_logger, pause_flow_run, serve
from prefect.client.orchestration import get_client
from prefect.input import RunInput
from prefect.runtime import flow_run


class Harvest(RunInput):
    """What a person enters."""

    baskets: int
    fruit: str = "quince"


@flow(name="basket-flow")
def count_baskets(baskets: int = 3, orchard: str = "north") -> str:
    """Ends at once."""
    get_run_logger().info("counted %d baskets in the %s", baskets, orchard)
    return orchard


@flow(name="ladder-flow")
def climb() -> None:
    """Runs until it is suspended, and to its end when it is resumed."""
    with get_client(sync_client=True) as client:
        while not any(state.is_paused() for state in client.read_flow_run_states(flow_run.id)):
            time.sleep(0.2)
        if client.read_flow_run(flow_run.id).state.is_paused():
            # The process of a suspended run is gone, and says nothing of its end.
            os._exit(0)
    get_run_logger().info("reached the top")


@flow(name="night-flow")
def watch() -> None:
    """Does not end by itself."""
    while True:
        time.sleep(0.2)


@flow(name="harvest-flow")
def ask() -> None:
    """Waits for what a person enters."""
    harvest = pause_flow_run(wait_for_input=Harvest, timeout=300, poll_interval=1)
    get_run_logger().info("harvested %d baskets of %s", harvest.baskets, harvest.fruit)


if __name__ == "__main__":
    names = {count_baskets: "basket", climb: "ladder", watch: "night", ask: "harvest"}
    serve(*(served.to_deployment(f"{name}-deployment") for served, name in names.items()), print_starting_message=False)
