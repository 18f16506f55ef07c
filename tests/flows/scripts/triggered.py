"""Serves `add` of `deployed.py` with triggers, which become automations that belong to the deployment."""

from __future__ import annotations

import sys
from datetime import timedelta

from deployed import add
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
    print(add.to_deployment("triggered", triggers=TRIGGERS[sys.argv[1]]).apply())
