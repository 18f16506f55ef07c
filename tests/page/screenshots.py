"""Makes the pictures in docs/images: Prefect's interface and our own views, over a server with some runs.

Usage: .venv-page/bin/python tests/page/screenshots.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import httpx
from playwright.sync_api import Page

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "page")]

import assets  # noqa: E402
import chromium  # noqa: E402
import servers  # noqa: E402
from conftest import oracle_environment, ours  # noqa: E402

IMAGES = servers.REPOSITORY / "docs" / "images"
SIZE = {"width": 1280, "height": 800}
FLOWS = ("load-orders", "train-forecast", "refresh-dashboards")
ENDS = ["COMPLETED"] * 9 + ["FAILED", "CRASHED"]


def fill(api_url: str) -> None:
    """Makes some runs, and operations on many."""
    random = Random(1)
    with httpx.Client(base_url=api_url, timeout=30) as http:

        def post(path: str, body: object) -> dict[str, str]:
            answer = http.post(path, json=body)
            answer.raise_for_status()
            made: dict[str, str] = answer.json() if answer.content else {}
            return made

        post("/work_pools/", {"name": "machines", "type": "process"})
        for flow in FLOWS:
            id = post("/flows/", {"name": flow})["id"]
            body = {"name": "production", "flow_id": id, "work_pool_name": "machines", "entrypoint": f"{flow}.py:run"}
            deployment = post("/deployments/", {**body, "schedules": [{"schedule": {"interval": 3600}}]})["id"]
            for _ in range(24):
                run = post("/flow_runs/", {"flow_id": id, "deployment_id": deployment, "state": {"type": "PENDING"}})["id"]
                for type in ("RUNNING", random.choice(ENDS)):
                    post(f"/flow_runs/{run}/set_state", {"state": {"type": type}, "force": True})
        for n in range(4):
            filter = {"flow_runs": {"name": {"like_": f"nothing-{n}"}}}
            http.post("/flow_runs/bulk_delete", json=filter, headers={"prefer": "respond-async"}).raise_for_status()


def take(page: Page, url: str, name: str) -> None:
    page.goto(url)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1500)
    page.screenshot(path=str(IMAGES / f"{name}.png"))
    print(IMAGES / f"{name}.png")


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with assets.made(servers.subject_binary(), oracle_environment()), ours() as server, chromium.started() as browser:
        fill(server.api_url)
        origin = server.api_url.removesuffix("/api")
        page = browser.new_context(viewport=SIZE).new_page()
        take(page, f"{origin}/proctor/", "views")
        # The dashboard shows what began before this minute.
        page.wait_for_timeout(60_000)
        take(page, f"{origin}/v2/dashboard", "dashboard")


if __name__ == "__main__":
    main()
