"""Every page of both interfaces shows what there is, and nothing fails on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from seed import Seeded
from servers import Server
from watched import Watched

FIRST = {
    "/dashboard": ["orchard-pool"],
    "/runs": ["quince-completed", "medlar-failed"],
    "/runs/flow-run/{flow_run}": ["quince-completed", "picked seven quinces"],
    "/runs/task-run/{task_run}": ["pick-ladder", "picked seven quinces"],
    "/flows": ["orchard-flow"],
    "/flows/flow/{flow}": ["orchard-flow", "orchard-deployment"],
    "/deployments": ["orchard-deployment"],
    "/deployments/deployment/{deployment}": ["orchard-deployment", "quince-completed"],
    "/deployments/deployment/{deployment}/edit": ["orchard-deployment", "baskets"],
    "/deployments/deployment/{deployment}/duplicate": ["orchard-deployment", "baskets"],
    "/deployments/deployment/{deployment}/run": ["orchard-deployment", "baskets"],
    "/work-pools": ["orchard-pool"],
    "/work-pools/create": ["Select the infrastructure"],
    "/work-pools/work-pool/orchard-pool": ["orchard-pool", "sloe-scheduled"],
    "/work-pools/work-pool/orchard-pool/edit": ["orchard-pool"],
    "/work-pools/work-pool/orchard-pool/queue/create": ["orchard-pool"],
    "/work-pools/work-pool/orchard-pool/queue/orchard-queue": ["orchard-queue"],
    "/work-pools/work-pool/orchard-pool/queue/orchard-queue/edit": ["orchard-queue"],
    "/blocks": ["orchard-secret"],
    "/blocks/catalog": ["Secret"],
    "/blocks/catalog/secret": ["Secret"],
    "/blocks/catalog/secret/create": ["Secret"],
    "/blocks/block/{block}": ["orchard-secret"],
    "/blocks/block/{block}/edit": ["orchard-secret"],
    "/variables": ["orchard_variable", "quince"],
    "/automations": ["orchard-automation"],
    "/automations/create": ["Trigger"],
    "/automations/automation/{automation}": ["orchard-automation", "when the ladder breaks"],
    "/automations/automation/{automation}/edit": ["Trigger"],
    "/artifacts": ["orchard-report"],
    "/artifacts/artifact/{artifact}": ["Harvest of the day"],
    "/artifacts/key/orchard-report": ["orchard-report"],
    "/concurrency-limits": ["orchard-limit"],
    "/concurrency-limits/concurrency-limit/{tag_limit}": ["orchard-tag"],
    "/events": ["orchard-flow"],
    "/settings": ["3.9.1"],
}

SECOND = FIRST


@pytest.mark.parametrize("path", FIRST)
def test_first(opened: Callable[..., Watched], server: Server, seeded: Seeded, path: str) -> None:
    show(opened(server), seeded, "", path, FIRST[path])


@pytest.mark.parametrize("path", SECOND)
def test_second(opened: Callable[..., Watched], server: Server, seeded: Seeded, path: str) -> None:
    show(opened(server), seeded, "/v2", path, SECOND[path])


def show(window: Watched, seeded: Seeded, base: str, path: str, texts: list[Any]) -> None:
    window.open(base + seeded.fill(path)).shows(*texts).is_well()
