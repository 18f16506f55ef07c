"""A window of the browser, and what went wrong in it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable

from playwright.sync_api import ConsoleMessage, Error, Page, Request, Response, expect

# Whom the interfaces call whatever the settings say, and whose calls the policy refuses: analytics, logos.
REFUSED = ("amplitude.com", "images.ctfassets.net", "cdn.sanity.io", "githubusercontent.com")

# What the first interface asks for by a fault of its own, also of Prefect's server: the icon of a state that is not read.
ASKED_BY_FAULT = "/ico/undefined.svg"

# What goes wrong on every page of the real server besides, if the journeys are made on that.
ON_PREFECT = (*REFUSED, "favicon.ico") if os.environ.get("PROCTOR_PAGE_OF") == "prefect" else ()

# Ends when the browser has nothing to do, and so has made of the last answer whatever it makes of it.
IDLE = "() => new Promise(done => setTimeout(() => requestIdleCallback(done, {timeout: 1000}), 50))"

# How often it must have nothing to do, and no request without its answer, one after the other.
QUIET_ROUNDS = 3


# How long a page may take for anything: cold, on a machine that is busy.
PATIENCE_SECONDS = 30


class Watched:
    """A page with all that failed on it."""

    def __init__(self, page: Page, origin: str, base: str) -> None:
        self.page, self.origin, self.base = page, origin, base
        self.problems: list[str] = []
        self.elsewhere: list[str] = []
        self._passing: list[str] = [*ON_PREFECT]
        self._unanswered: set[Request] = set()
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("request", self._asked)
        page.on("response", self._answered)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._failed)

    def open(self, path: str, wait_until: str = "load") -> Watched:
        self.page.goto(f"{self.origin}{self.base}{path}", wait_until=wait_until)
        return self

    def shows(self, *texts: str) -> Watched:
        """Waits until each text is somewhere on the page."""
        for text in texts:
            shown = self.page.get_by_text(text).or_(self.page.locator(f'input[value="{text}"]')).first
            expect(shown).to_be_visible(timeout=PATIENCE_SECONDS * 1000)
        return self

    def has_field(self, value: str) -> Watched:
        """Waits until a field has this value."""
        has = "value => [...document.querySelectorAll('input, textarea')].some(one => one.value === value)"
        self.page.wait_for_function(has, arg=value)
        return self

    def gets_to(self, path: str) -> Watched:
        """Waits until the address ends with `path`, whatever query it has."""
        self.page.wait_for_url(re.compile(rf"^[^?]*{re.escape(path)}(\?|$)"))
        return self

    def becomes(self, read: Callable[[], object], expected: object) -> Watched:
        """Waits until the server's state is as expected: a page may show a change before it is made."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (found := read()) != expected:
            assert time.monotonic() < deadline, f"{found} is not {expected}"
            self.page.wait_for_timeout(50)
        return self

    def lets_pass(self, *patterns: str) -> Watched:
        """Names problems that a test brings about, by what is in them."""
        self._passing += patterns
        return self

    def is_well(self) -> None:
        """Fails if anything went wrong since it was asked last, also in what the page does after it is shown."""
        self.settle()
        problems = [one for one in self.problems if not any(re.search(passing, one) for passing in self._passing)]
        elsewhere = [one for one in self.elsewhere if not any(host in one for host in ON_PREFECT)]
        self.problems.clear()
        self.elsewhere.clear()
        assert not problems, "\n".join(problems)
        assert not elsewhere, "\n".join(elsewhere)

    def settle(self) -> None:
        """Waits until the page has all answers, has worked on them, and asks for nothing more."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        quiet = 0
        while quiet < QUIET_ROUNDS:
            if time.monotonic() > deadline:
                raise AssertionError(f"still without an answer: {[request.url for request in self._unanswered]}")
            try:
                self.page.evaluate(IDLE)
            except Error:
                # The page is on its way to another address.
                quiet = 0
            quiet = 0 if self._unanswered else quiet + 1

    def _said(self, message: ConsoleMessage) -> None:
        if message.type != "error":
            return
        if "Content Security Policy" in message.text and any(host in message.text for host in REFUSED):
            return
        if str(message.location.get("url")).endswith(ASKED_BY_FAULT):
            return
        self.problems.append(f"console: {message.text} ({message.location.get('url')})")

    def _asked(self, request: Request) -> None:
        self._unanswered.add(request)

    def _ended(self, request: Request) -> None:
        self._unanswered.discard(request)

    def _answered(self, response: Response) -> None:
        if not self._is_ours(response.url):
            self.elsewhere.append(response.url)
        elif response.status >= 400 and not response.url.endswith(ASKED_BY_FAULT):
            self.problems.append(f"{response.status} {response.request.method} {response.url}")

    def _failed(self, request: Request) -> None:
        self._unanswered.discard(request)
        # A page that is left gives up what it had asked for.
        if self._is_ours(request.url) and request.failure != "net::ERR_ABORTED":
            self.problems.append(f"{request.failure} {request.method} {request.url}")

    def _is_ours(self, url: str) -> bool:
        return url.startswith((f"{self.origin}/", "data:", "blob:"))
