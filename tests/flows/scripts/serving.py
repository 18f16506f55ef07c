"""Serves the flows of `deployed.py` from this process: one every few seconds, one when it is asked for."""

from __future__ import annotations

from deployed import add, linger
from prefect import serve

if __name__ == "__main__":
    scheduled = add.to_deployment("served", interval=4, parameters={"first": 1})
    serve(scheduled, linger.to_deployment("served"), query_seconds=1)
