"""A real browser on our own views, which notes every error and every request that leaves the server."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    with chromium.started() as browser:
        yield browser


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens the views of a server; at the end of the test, nothing may have gone wrong in the console.

    `provoked` is what the test brings about on purpose and the browser tells of: statuses, or its errors.
    """
    contexts = []
    problems: list[str] = []

    def opened(url: str, view: str = "", provoked: tuple[int | str, ...] = (), **options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()

        def told(message: Any) -> None:
            texts = [f"a status of {this} " if isinstance(this, int) else this for this in provoked]
            is_provoked = any(text in message.text for text in texts)
            if message.type in ("error", "warning") and not is_provoked:
                problems.append(f"console: {message.text}")

        def asked(request: Any) -> None:
            if not request.url.startswith(f"{url}/"):
                problems.append(f"request outside: {request.url}")

        page.on("console", told)
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        page.on("request", asked)
        page.goto(f"{url}/proctor/{f'#{view}' if view else ''}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []
