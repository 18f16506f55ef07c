"""Each of our own views, as people use it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import seeds
from playwright.sync_api import Page, expect
from servers import Server, free_port, start_subject

SOON = 15_000
KEYS = {"PROCTOR_AUTH_MODE": "keys", "PROCTOR_API_KEY_MEMORY_SECONDS": "0"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory for a database."""
    return tmp_path / "data"


@pytest.fixture
def start(tmp_path: Path, data: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers on the one database, and ends them with the test."""
    started: list[Server] = []

    def start_one(*arguments: str, settings: dict[str, str] | None = None, port: int | None = None) -> Server:
        server = start_subject(tmp_path, "--data", data, *arguments, settings=settings, port=port)
        started.append(server)
        return server

    yield start_one
    for server in started:
        server.stop()


def address(server: Server) -> str:
    """Returns the server's address without a path."""
    return server.api_url.removesuffix("/api")


def sign_in(page: Page, text: str) -> None:
    page.get_by_label("Key or password").fill(text)
    page.get_by_role("dialog").get_by_role("button", name="Sign in").click()


def test_an_operation_is_stopped_by_keyboard_alone(
    start: Callable[..., Server], open_page: Callable[..., Page]
) -> None:
    port = free_port()
    # Without its services the server leaves the operation where it is.
    server = start("--no-services", port=port)
    seeds.begin_operation(server.api_url)
    page = open_page(address(server))
    card = page.get_by_role("listitem").filter(has_text="Set flow runs to CANCELLED")
    expect(card).to_contain_text("running")
    expect(card.get_by_role("progressbar")).to_have_attribute("value", "0")

    stop = card.get_by_role("button", name=re.compile("^Stop: Set flow runs to CANCELLED"))
    for _ in range(30):
        page.keyboard.press("Tab")
        if stop.evaluate("button => button === document.activeElement"):
            break
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Stop the operation?")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(stop).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("The operation is asked to stop.")
    expect(card).to_contain_text("stopping")
    expect(stop).to_be_hidden()
    expect(page.get_by_role("heading", name="Bulk operations")).to_be_focused()


def test_an_operation_that_was_stopped_or_completed_says_how_far_it_came(
    start: Callable[..., Server], open_page: Callable[..., Page]
) -> None:
    port = free_port()
    server = start("--no-services", port=port)
    stopped = seeds.begin_operation(server.api_url)
    completed = seeds.begin_operation(server.api_url)
    httpx.delete(f"{server.api_url}/operations/{stopped}").raise_for_status()
    server.stop()
    server = start(port=port)
    page = open_page(address(server))
    cards = page.locator("main li")
    expect(cards).to_have_count(2)
    # The last begun is the first.
    expect(cards.nth(0)).to_contain_text("completed", timeout=SOON)
    expect(cards.nth(1)).to_contain_text("stopped", timeout=SOON)
    told = httpx.get(f"{server.api_url}/operations/{completed}").json()
    expect(cards.nth(0)).to_contain_text(f"{told['parts']} of {told['parts']} parts")
    expect(cards.nth(0).locator("dt:text-is('Done') + dd")).to_have_text("3")
    expect(cards.nth(1).locator("dt:text-is('Done') + dd")).to_have_text("0")
    expect(page.get_by_role("button", name=re.compile("^Stop"))).to_have_count(0)


def test_dead_letters_are_tried_again_and_deleted(
    start: Callable[..., Server], data: Path, open_page: Callable[..., Page]
) -> None:
    server = start()
    seeds.make_dead_letters(server.api_url, data)
    page = open_page(address(server), "dead-letters")
    killer = page.get_by_role("listitem").filter(has_text="its worker ended in the middle of it")
    nonsense = page.get_by_role("listitem").filter(has_text="no message of ours")
    expect(killer).to_have_count(1)
    expect(nonsense).to_have_count(1)
    killer.get_by_text("What it was about").click()
    expect(killer.locator("pre")).to_contain_text('"task": "cancel_children"')

    killer.get_by_role("button", name=re.compile("^Try again")).click()
    expect(page.get_by_role("status")).to_contain_text("It is tried again.")
    expect(killer).to_have_count(0, timeout=SOON)
    # The focus is not lost with what had it.
    expect(page.get_by_role("heading", name="Dead letters")).to_be_focused()

    before = seeds.letters(server.api_url)[0]["updated"]
    nonsense.get_by_role("button", name=re.compile("^Try again")).click()
    expect(nonsense.get_by_text("waits for you")).to_be_visible(timeout=SOON)
    page.wait_for_timeout(1_000)
    letter = seeds.letters(server.api_url)[0]
    assert letter["updated"] > before and letter["redrive"] is None, "it failed again"

    nonsense.get_by_role("button", name=re.compile("^Delete")).click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(nonsense).to_have_count(1)
    nonsense.get_by_role("button", name=re.compile("^Delete")).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("There are no dead letters.")).to_be_visible(timeout=SOON)
    assert seeds.letters(server.api_url) == []


def test_the_lag_of_a_server_that_works_is_small(
    start: Callable[..., Server], open_page: Callable[..., Page]
) -> None:
    page = open_page(address(start()), "lag")
    behind = page.locator("dt:text-is('Behind') + dd")
    expect(behind).to_have_text(re.compile(r"^[01]\.\d seconds$"), timeout=SOON)
    expect(page.locator("dt:text-is('Waiting messages') + dd")).to_have_text(re.compile(r"^\d+$"))


def test_the_lag_of_a_server_that_does_not_work_grows(
    start: Callable[..., Server], data: Path, open_page: Callable[..., Page]
) -> None:
    server = start("--no-services")
    seeds.put_into_queue(data, "one")
    seeds.put_into_queue(data, "two")
    page = open_page(address(server), "lag")
    expect(page.get_by_text("Not known: a change was made to measure it")).to_be_visible()
    expect(page.locator("dt:text-is('Behind') + dd")).to_have_text(
        re.compile(r"^at least ([2-9]|\d\d)"), timeout=SOON
    )
    expect(page.locator("dt:text-is('Waiting messages') + dd")).to_have_text("2")


def test_a_key_is_made_used_and_revoked(
    start: Callable[..., Server], data: Path, open_page: Callable[..., Page]
) -> None:
    server = start(settings=KEYS)
    admin = seeds.make_key(data, "admin", "first")
    page = open_page(address(server), "keys", provoked=(401,))
    sign_in(page, "proctor_wrong")
    expect(page.get_by_text("The server does not know this key or password.")).to_be_visible()
    sign_in(page, admin)
    first = page.get_by_role("listitem").filter(has_text="first")
    expect(first).to_contain_text("active")
    assert page.evaluate("[Object.keys(localStorage).length, document.cookie]") == [0, ""]
    assert admin not in page.content()

    page.get_by_label("Name", exact=True).fill("night <b>shift</b>")
    page.get_by_label("Role").select_option("worker")
    page.get_by_label("Works for").select_option("7 days")
    page.get_by_role("button", name="Make a key").click()
    shown = page.get_by_role("dialog", name="The new key")
    key = shown.get_by_label("Key", exact=True).input_value()
    asked = httpx.get(f"{server.api_url}/hello", headers={"Authorization": f"Bearer {key}"})
    assert asked.status_code == 200
    shown.get_by_role("button", name="Close").click()
    expect(page.locator("#new-key-text")).to_have_value("")
    assert key not in page.content()

    made = page.get_by_role("listitem").filter(has_text="night <b>shift</b>")
    expect(made).to_contain_text("worker")
    made.get_by_role("button", name=re.compile("^Revoke")).click()
    page.get_by_role("dialog", name="Revoke the key?").get_by_role("button", name="Revoke the key").click()
    expect(made).to_contain_text("revoked")
    expect(made.get_by_role("button")).to_be_hidden()
    asked = httpx.get(f"{server.api_url}/hello", headers={"Authorization": f"Bearer {key}"})
    assert asked.status_code == 401

    # Another tab has to sign in by itself, and so has this one once it is told to forget.
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("dialog", name="Sign in")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_key_that_may_not_is_told_so(
    start: Callable[..., Server], data: Path, open_page: Callable[..., Page]
) -> None:
    server = start("--no-services")
    seeds.begin_operation(server.api_url)
    port = server.port
    server.stop()
    server = start("--no-services", settings=KEYS, port=port)
    page = open_page(address(server), provoked=(401, 403))
    sign_in(page, seeds.make_key(data, "read-only", "reader"))
    stop = page.get_by_role("button", name=re.compile("^Stop: "))
    stop.click()
    page.get_by_role("dialog").get_by_role("button", name="Stop the operation").click()
    refusal = "This needs an API key with the role admin; yours has read-only."
    expect(page.locator("#problem")).to_have_text(refusal)
    page.wait_for_timeout(6_000)
    expect(page.locator("#problem")).to_have_text(refusal)
    for name in ("Dead letters", "API keys"):
        page.get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", name=name)).to_be_focused()
        expect(page.get_by_role("alert").first).to_have_text("You may not see this.")
        expect(page.locator(".refusal")).to_contain_text("needs an API key with the role admin")
    page.get_by_role("link", name="Background lag").click()
    expect(page.get_by_text("Waiting messages")).to_be_visible()


def test_the_password_of_a_server_opens(
    start: Callable[..., Server], open_page: Callable[..., Page]
) -> None:
    server = start(settings={"PREFECT_SERVER_API_AUTH_STRING": "ada:hush"})
    page = open_page(address(server), "keys", provoked=(401, 409))
    sign_in(page, "ada:hush")
    page.get_by_label("Name", exact=True).fill("useless")
    page.get_by_role("button", name="Make a key").click()
    expect(page.locator("#problem")).to_have_text(
        "This server asks for no API keys, so a key would open nothing."
    )


def test_a_server_that_protects_from_forged_requests_takes_writes(
    start: Callable[..., Server], data: Path, open_page: Callable[..., Page]
) -> None:
    server = start()
    seeds.make_dead_letters(server.api_url, data)
    port = server.port
    server.stop()
    server = start(settings={"PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true"}, port=port)
    page = open_page(address(server), "dead-letters", provoked=(403,))
    letter = page.get_by_role("listitem").filter(has_text="no message of ours")
    letter.get_by_role("button", name=re.compile("^Delete")).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete it").click()
    expect(letter).to_have_count(0, timeout=SOON)


def test_a_server_that_is_gone_is_told_in_words_and_comes_back(
    start: Callable[..., Server], open_page: Callable[..., Page]
) -> None:
    page = open_page(address(start()), "lag", provoked=(502, "ERR_INTERNET_DISCONNECTED"))
    expect(page.locator("#updated")).to_contain_text("Updated at")
    page.context.set_offline(True)
    expect(page.locator("#problem")).to_have_text("The server can't be reached.", timeout=SOON)
    page.context.set_offline(False)
    page.route("**/api/**", lambda route: route.fulfill(status=502, body="<h1>Bad Gateway</h1>"))
    expect(page.locator("#problem")).to_have_text("The server answered with the status 502.", timeout=SOON)
    page.unroute("**/api/**")
    expect(page.locator("#problem")).to_have_text("", timeout=SOON)


def test_nothing_is_asked_while_nobody_looks(
    start: Callable[..., Server], open_page: Callable[..., Page]
) -> None:
    server = start("--no-services")
    page = open_page(address(server), "lag")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    expect(page.locator("#updated")).to_contain_text("Updated at")
    page.wait_for_load_state("networkidle")
    asked.clear()
    hide = (
        "isHidden => { Object.defineProperty(document, 'hidden', {value: isHidden, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )
    page.evaluate(hide, True)
    page.wait_for_timeout(6_500)
    assert asked == []
    page.evaluate(hide, False)
    page.wait_for_timeout(1_000)
    assert asked == [f"{server.api_url}/consumers/lag"], "it asks at once when somebody looks again"
    page.wait_for_timeout(5_500)
    assert len(asked) == 2


def test_lists_have_pages(start: Callable[..., Server], open_page: Callable[..., Page]) -> None:
    server = start("--no-services")
    for _ in range(21):
        seeds.begin_operation(server.api_url, runs=0)
    page = open_page(address(server))
    expect(page.locator("main li")).to_have_count(20)
    page.get_by_role("button", name="Older").click()
    expect(page.locator("main li")).to_have_count(1)
    expect(page.get_by_role("button", name="Older")).to_be_disabled()
    page.get_by_role("button", name="Newer").click()
    expect(page.locator("main li")).to_have_count(20)


def test_an_api_of_any_path_is_found(tmp_path: Path, data: Path, open_page: Callable[..., Page]) -> None:
    settings = {"PREFECT_SERVER_API_BASE_PATH": "/orchard/rest", "PREFECT_UI_SERVE_BASE": "/orchard"}
    server = start_subject(tmp_path, "--data", data, settings=settings, api="/orchard/rest")
    try:
        page = open_page(f"http://127.0.0.1:{server.port}/orchard", "lag")
        expect(page.locator("#updated")).to_contain_text("Updated at", timeout=SOON)
        links = [link.get_attribute("href") for link in page.locator(".links a").all()]
        assert links == ["/orchard/", "/docs"]
    finally:
        server.stop()
