"""Runs a deployment and waits for its end; prints the state that it ended in."""

from __future__ import annotations

import json
import sys

from prefect.deployments import run_deployment

if __name__ == "__main__":
    run = run_deployment(sys.argv[1], parameters=json.loads(sys.argv[2]), timeout=90, poll_interval=0.5)
    print(json.dumps({"id": str(run.id), "state": run.state.type.value}))
