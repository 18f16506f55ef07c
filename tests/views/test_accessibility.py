"""axe-core finds nothing in any view or dialog: in both colour schemes, on a wide screen and a narrow phone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import seeds
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from servers import Server, start_subject

KEYS = {"PROCTOR_AUTH_MODE": "keys"}
# WCAG 2.2 at level AA, and what axe holds for good practice besides.
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
VIEWS = {"operations": "li.card", "dead-letters": "li.card", "lag": "section.card", "keys": "li.card"}


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server that asks for keys, with something to see in each view, and an administrator's key."""
    home = tmp_path_factory.mktemp("seeded")
    data = home / "data"
    server = start_subject(home, "--data", data)
    seeds.make_dead_letters(server.api_url, data)
    seeds.begin_operation(server.api_url)
    port = server.port
    server.stop()
    server = start_subject(home, "--data", data, "--no-services", port=port)
    seeds.begin_operation(server.api_url)
    server.stop()
    server = start_subject(home, "--data", data, "--no-services", port=port, settings=KEYS)
    yield server, seeds.make_key(data, "admin", "an administrator with quite a long name for a key")
    server.stop()


def check(page: Page, what: str) -> None:
    """Fails if axe finds anything, or if something is wider than the screen."""
    found = Axe().run(page, options=RULES).response["violations"]
    shown = [(violation["id"], [node["html"] for node in violation["nodes"]]) for violation in found]
    assert shown == [], what
    wide = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    scrolled, client = page.evaluate(wide)
    assert scrolled <= client, f"{what}: {scrolled} px of {client}"


@pytest.mark.parametrize("width", [1280, 320])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    seeded: tuple[Server, str], open_page: Callable[..., Page], scheme: Any, width: int
) -> None:
    server, key = seeded
    url = server.api_url.removesuffix("/api")
    viewport = {"width": width, "height": 640}
    page = open_page(url, provoked=(401,), color_scheme=scheme, viewport=viewport)
    expect(page.get_by_role("dialog", name="Sign in")).to_be_visible()
    check(page, "the sign-in")
    page.get_by_label("Key or password").fill(key)
    page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    for view, content in VIEWS.items():
        page.locator(f"nav a[href='#{view}']").click()
        expect(page.locator(f"main {content}").first).to_be_visible()
        for summary in page.locator("summary:visible").all():
            summary.click()
        check(page, view)
    page.get_by_role("button", name=re.compile("^Revoke")).first.click()
    check(page, "the question before a key is revoked")
    page.keyboard.press("Escape")
    page.get_by_label("Name", exact=True).fill("other")
    page.get_by_role("button", name="Make a key").click()
    expect(page.get_by_role("dialog", name="The new key")).to_be_visible()
    check(page, "a new key")


def test_colours_differ_between_the_schemes(
    seeded: tuple[Server, str], open_page: Callable[..., Page]
) -> None:
    url = seeded[0].api_url.removesuffix("/api")
    colours = {
        scheme: open_page(url, provoked=(401,), color_scheme=scheme).evaluate(
            "getComputedStyle(document.body).backgroundColor"
        )
        for scheme in ("light", "dark")
    }
    assert colours == {"light": "rgb(245, 246, 248)", "dark": "rgb(18, 21, 27)"}
