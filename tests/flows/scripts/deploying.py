"""Deploys a flow of `deployed.py` to a work pool, its code where it lies; prints the deployment's id."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from prefect import flow

if __name__ == "__main__":
    name, deployment, pool, options = sys.argv[1:]
    stored = flow.from_source(source=str(Path(__file__).parent), entrypoint=f"deployed.py:{name}")
    deployed = stored.deploy(
        name=deployment, work_pool_name=pool, build=False, push=False, print_next_steps=False, **json.loads(options)
    )
    print(json.dumps(str(deployed)))
