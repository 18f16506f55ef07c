"""A deployment that is served to a server, and runs what somebody starts on its page."""

from __future__ import annotations

from prefect import flow, get_run_logger


@flow(name="basket-flow")
def count_baskets(baskets: int = 3, orchard: str = "north") -> str:
    get_run_logger().info("counted %d baskets in the %s", baskets, orchard)
    return orchard


if __name__ == "__main__":
    count_baskets.serve(name="basket-deployment", print_starting_message=False)
