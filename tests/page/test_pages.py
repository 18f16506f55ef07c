"""Every page of both interfaces shows what there is, and nothing fails on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from seed import Seeded
from servers import Server
from watched import Watched

PAGES = {
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


@pytest.fixture(scope="module", params=["", "/v2"], ids=["first", "second"])
def window(request: pytest.FixtureRequest, browser: Browser, server: Server) -> Iterator[Watched]:
    """A window for all pages of an interface: what it has loaded it keeps, as a person's does."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield Watched(context.new_page(), server.api_url.removesuffix("/api"), request.param)
    context.close()


@pytest.mark.parametrize("path", PAGES)
def test_page(window: Watched, seeded: Seeded, path: str) -> None:
    window.problems.clear()
    window.open(seeded.fill(path)).shows(*PAGES[path]).is_well()
