"""The Chromium of the system, for the tests of what is shown in a browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

PROGRAM = os.environ.get("PROCTOR_CHROMIUM", "/usr/bin/chromium")
# Nothing that the browser does by itself on the network, and no sandbox: containers have none.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def started(*more: str) -> Iterator[Browser]:
    """Runs the browser without a window, with `more` arguments."""
    if not Path(PROGRAM).is_file():
        raise FileNotFoundError(f"{PROGRAM} is needed: apt-get install chromium, or set PROCTOR_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=[*ARGUMENTS, *more])
        yield browser
        browser.close()
