"""A window of the browser, and what went wrong in it."""

from __future__ import annotations

import re

from playwright.sync_api import ConsoleMessage, Page, Request, Response, expect

# Whom the interfaces call whatever the settings say, and whose calls the policy refuses: analytics, logos.
REFUSED = ("amplitude.com", "images.ctfassets.net", "cdn.sanity.io", "githubusercontent.com")

# What the first interface asks for by a fault of its own, also of Prefect's server: the icon of a state that is not read.
ASKED_BY_FAULT = "/ico/undefined.svg"


class Watched:
    """A page with all that failed on it."""

    def __init__(self, page: Page, origin: str, base: str) -> None:
        self.page, self.origin, self.base = page, origin, base
        self.problems: list[str] = []
        self.elsewhere: list[str] = []
        page.set_default_timeout(15_000)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("response", self._answered)
        page.on("requestfailed", self._failed)

    def open(self, path: str, wait_until: str = "load") -> Watched:
        self.page.goto(f"{self.origin}{self.base}{path}", wait_until=wait_until)
        return self

    def shows(self, *texts: str) -> Watched:
        """Waits until each text is somewhere on the page."""
        for text in texts:
            expect(self.page.get_by_text(text).or_(self.page.locator(f'input[value="{text}"]')).first).to_be_visible(
                timeout=15_000
            )
        return self

    def gets_to(self, path: str) -> Watched:
        """Waits until the address ends with `path`, whatever query it has."""
        self.page.wait_for_url(re.compile(rf"^[^?]*{re.escape(path)}(\?|$)"))
        return self

    def is_well(self) -> None:
        """Fails if anything went wrong, also in what the page does after it is shown."""
        self.page.wait_for_load_state("networkidle")
        assert not self.problems, "\n".join(self.problems)
        assert not self.elsewhere, "\n".join(self.elsewhere)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type != "error":
            return
        if "Content Security Policy" in message.text and any(host in message.text for host in REFUSED):
            return
        if str(message.location.get("url")).endswith(ASKED_BY_FAULT):
            return
        self.problems.append(f"console: {message.text} ({message.location.get('url')})")

    def _answered(self, response: Response) -> None:
        if not self._is_ours(response.url):
            self.elsewhere.append(response.url)
        elif response.status >= 400 and not response.url.endswith(ASKED_BY_FAULT):
            self.problems.append(f"{response.status} {response.request.method} {response.url}")

    def _failed(self, request: Request) -> None:
        # A page that is left gives up what it had asked for.
        if self._is_ours(request.url) and request.failure != "net::ERR_ABORTED":
            self.problems.append(f"{request.failure} {request.method} {request.url}")

    def _is_ours(self, url: str) -> bool:
        return url.startswith((f"{self.origin}/", "data:", "blob:"))
