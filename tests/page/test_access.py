"""The login of both interfaces works with a password and with keys, and a key's role holds."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from conftest import Keyed, ours
from interfaces import First, Second
from playwright.sync_api import expect
from seed import Seeded, seed
from servers import Server
from test_pages import PAGES
from watched import Watched

PASSWORD = {"PREFECT_SERVER_API_AUTH_STRING": "admin:pass", "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true"}
SENT = {"authorization": "Basic YWRtaW46cGFzcw=="}

# What the role hides: the documents of blocks, whose names the events have too.
HIDDEN = ("/blocks", "/blocks/block/{block}", "/blocks/block/{block}/edit")
# What the browser and the interfaces say of that.
OF_BLOCKS = ("403.*/block_documents/", "the role worker; yours has read-only", "^(console|error): dO\\b")

BASES = pytest.mark.parametrize("base", ["", "/v2"], ids=["first", "second"])


@pytest.fixture(scope="module")
def closed(proctor_assets: Path) -> Iterator[Server]:
    """Our server that asks for a password, with one variable in it."""
    with ours(settings={**PASSWORD, "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "false"}) as server:
        body = {"name": "orchard_variable", "value": "quince"}
        httpx.post(f"{server.api_url}/variables/", json=body, headers=SENT).raise_for_status()
        yield server


def log_in(window: Watched, secret: str) -> None:
    field = window.page.get_by_placeholder("admin:pass").or_(window.page.locator("input[type=password]")).first
    field.fill(secret)
    field.press("Enter")


@BASES
def test_a_password_opens_the_interface_and_a_wrong_one_does_not(
    opened: Callable[..., Watched], closed: Server, base: str
) -> None:
    window = opened(closed).open(f"{base}/variables")
    window.gets_to("/login")
    log_in(window, "admin:wrong")
    window.shows("Invalid credentials" if base else "Authentication failed.")
    assert "/login" in window.page.url
    log_in(window, "admin:pass")
    window.gets_to("/variables")
    window.shows("orchard_variable")
    window.problems.clear()
    # It stays open until its user leaves.
    window.open(f"{base}/variables").shows("orchard_variable").is_well()
    if base:
        # The first interface has no way to leave.
        window.page.get_by_role("button", name="Logout").click()
        window.gets_to("/login")
        window.open(f"{base}/variables").gets_to("/login")


@BASES
def test_a_write_carries_the_token_that_protects_it(
    opened: Callable[..., Watched], proctor_assets: Path, base: str
) -> None:
    with ours(settings=PASSWORD) as server:
        assert httpx.post(f"{server.api_url}/variables/", json={}, headers=SENT).status_code == 403
        window = opened(server).open(f"{base}/variables")
        log_in(window, "admin:pass")
        window.gets_to("/variables")
        window.problems.clear()
        add_variable(window, base)
        window.shows("new_variable")
        # The first interface asks whether the name is free, and the answer to that is 404.
        assert not [problem for problem in window.problems if "/variables/name/" not in problem]


@BASES
def test_a_key_that_reads_looks_at_every_page_but_blocks(
    opened: Callable[..., Watched], keyed: Keyed, base: str
) -> None:
    window = opened(keyed.server).open(f"{base}/variables")
    log_in(window, keyed.keys["read-only"])
    window.gets_to("/variables").shows("orchard_variable")
    window.problems.clear()
    window.lets_pass(*OF_BLOCKS)
    for path, texts in PAGES.items():
        address = base + keyed.seeded.fill(path)
        if path in HIDDEN:
            with window.page.expect_response(re.compile("/api/block_documents/(?!count)")) as answer:
                window.open(address)
            assert answer.value.status == 403
            window.is_well()
            assert not window.page.get_by_text("orchard-secret").count()
        else:
            if path == "/events":
                wait_for_feed(window, address, *texts)
            window.open(address).shows(*texts).is_well()


def wait_for_feed(window: Watched, address: str, text: str) -> None:
    """Opens the feed until it tells of what has just happened: the second interface's ends some time before now."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        window.open(address).page.wait_for_timeout(3000)
        if window.page.get_by_text(text).count():
            return


@BASES
def test_a_key_that_reads_changes_nothing(opened: Callable[..., Watched], keyed: Keyed, base: str) -> None:
    before = keyed.everything()
    window = opened(keyed.server).open(f"{base}/variables")
    log_in(window, keyed.keys["read-only"])
    window.gets_to("/variables").shows("orchard_variable").settle()
    window.problems.clear()
    interface = (Second if base else First)(window)
    refused: list[str] = []

    def is_refused(*texts: str) -> None:
        """Waits until the page says so, and forgets what the browser says of the refusal."""
        window.shows(*texts).settle()
        refused.extend(problem for problem in window.problems if problem.startswith("403 "))
        window.problems.clear()

    interface.add_variable("new_variable", '"medlar"')
    is_refused("This needs an API key with the role worker; yours has read-only")
    interface.open("/runs")
    window.shows("quince-completed", "bullace-cancelled").settle()
    interface.select_all_runs()
    interface.delete_selected_runs()
    is_refused("flow runs failed to delete" if base else "Something went wrong")
    interface.open("/automations")
    window.shows("orchard-automation").settle()
    window.page.get_by_role("switch").first.click()
    is_refused(*([] if base else ["something went wrong disabling your automation"]))
    window.page.reload()
    expect(window.page.get_by_role("switch").first).to_be_checked()
    assert {answer.split(" ")[1] for answer in refused} == {"POST", "DELETE", "PATCH"}
    assert keyed.everything() == before


def test_a_key_of_an_administrator_changes_what_it_wants(
    opened: Callable[..., Watched], keyed: Keyed
) -> None:
    server, keys = keyed.server, keyed.keys
    window = opened(server).open("/v2/variables")
    log_in(window, f"anyone:{keys['admin']}")
    window.gets_to("/variables")
    window.problems.clear()
    add_variable(window, "/v2")
    window.shows("new_variable").is_well()
    headers = {"authorization": f"Bearer {keys['admin']}"}
    httpx.delete(f"{server.api_url}/variables/name/new_variable", headers=headers).raise_for_status()


def add_variable(window: Watched, base: str) -> None:
    page = window.page
    if base:
        page.get_by_role("button", name="Add variable").first.click()
    else:
        page.get_by_role("banner").get_by_role("button").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox").first.fill("new_variable")
    dialog.get_by_role("textbox").nth(1).fill('"medlar"')
    dialog.get_by_role("button", name="Create").click()


@BASES
def test_behind_a_base_path(opened: Callable[..., Watched], proctor_assets: Path, base: str) -> None:
    with ours(settings={"PREFECT_UI_SERVE_BASE": "/prefect"}) as server:
        seeded: Seeded = seed(server.api_url)
        cookies = [{"name": "prefect_ui_version", "value": "v2" if base else "v1", "url": server.api_url}]
        window = opened(server, "/prefect")
        window.page.context.add_cookies(cookies)
        window.open("/").gets_to(f"/prefect{base}/dashboard")
        window.is_well()
        for path, text in (("/runs/flow-run/{flow_run}", "quince-completed"), ("/blocks", "orchard-secret")):
            window.open(base + seeded.fill(path)).shows(text).is_well()
        role = "link" if base else "button"
        window.page.get_by_role(role, name="Deployments").first.click()
        window.gets_to(f"/prefect{base}/deployments").shows("orchard-deployment")
        window.page.reload()
        window.shows("orchard-deployment").is_well()
