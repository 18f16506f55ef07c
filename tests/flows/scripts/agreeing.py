"""Deploys a flow with service level agreements, which the client only does with what it takes for Prefect Cloud."""

import json
from datetime import timedelta
from pathlib import Path

from prefect import flow
from prefect._experimental.sla.objects import FrequencySla, LatenessSla, TimeToCompletionSla
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate

if __name__ == "__main__":
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="agreeing", type="process"), overwrite=True)
    deployment_id = flow.from_source(source=str(Path(__file__).parent), entrypoint="deployed.py:add").deploy(
        name="agreeing",
        work_pool_name="agreeing",
        _sla=[
            TimeToCompletionSla(name="slow", duration=1, severity="high"),
            LatenessSla(name="late", within=timedelta(seconds=1)),
            FrequencySla(name="rare", stale_after=timedelta(days=1)),
        ],
    )
    print(json.dumps({"deployment_id": str(deployment_id)}))
