"""Flows that workers run: one that adds, one that takes its time, and one that looks at its environment."""

from __future__ import annotations

import os
import time

from prefect import flow


@flow
def add(first: int, second: int = 2) -> int:
    return first + second


@flow
def linger(seconds: float) -> None:
    time.sleep(seconds)


@flow
def surrounded(environment: dict[str, str]) -> None:
    found = {name: os.environ.get(name) for name in environment}
    assert found == environment, found
