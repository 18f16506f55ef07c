"""Flows that workers run: one that adds and one that takes its time."""

from __future__ import annotations

import time

from prefect import flow


@flow
def add(first: int, second: int = 2) -> int:
    return first + second


@flow
def linger(seconds: float) -> None:
    time.sleep(seconds)
