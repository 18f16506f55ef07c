"""Deploys `add` of `deployed.py` with triggers, which become automations that belong to the deployment."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

from deployed import add
from prefect import flow
from prefect.events import DeploymentCompoundTrigger, DeploymentEventTrigger, DeploymentMetricTrigger, EventTrigger
from prefect.events.schemas.automations import MetricTriggerOperator, MetricTriggerQuery, PrefectMetric

TRIGGERS = {
    "none": [],
    "two": [
        DeploymentEventTrigger(expect={"order.placed"}, parameters={"first": "{{ event.payload.count }}"}),
        DeploymentCompoundTrigger(
            name="both",
            require="all",
            within=timedelta(minutes=1),
            triggers=[EventTrigger(expect={"order.paid"}), EventTrigger(expect={"order.packed"})],
            job_variables={"cpu": 1},
        ),
    ],
    "a metric": [
        DeploymentMetricTrigger(
            metric=MetricTriggerQuery(name=PrefectMetric.lateness, operator=MetricTriggerOperator.GT, threshold=60)
        )
    ],
}

if __name__ == "__main__":
    which, way = sys.argv[1:]
    triggers = TRIGGERS[which]
    match way:
        case "apply":
            print(add.to_deployment("triggered", triggers=triggers).apply())
        case "serve":
            add.serve("triggered by serving", triggers=triggers, print_starting_message=False)
        case _:
            stored = flow.from_source(source=str(Path(__file__).parent), entrypoint="deployed.py:add")
            print(stored.deploy("triggered in a pool", work_pool_name=way, triggers=triggers, print_next_steps=False))
