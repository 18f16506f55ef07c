"""The operations are shown and tried at /docs, and no other server is asked."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest
from conftest import Keyed, ours
from playwright.sync_api import Locator, expect
from servers import Server
from watched import Watched


NAMES = """found => found.map(one => {
  const [method, path] = [one.querySelector(".opblock-summary-method"), one.querySelector("[data-path]")];
  return `${method.innerText} ${path.dataset.path}`;
})"""


def test_every_operation_is_shown(opened: Callable[..., Watched], server: Server) -> None:
    document = httpx.get(server.api_url.removesuffix("/api") + "/openapi.json").json()
    operations = sum(len(methods) for methods in document["paths"].values())
    assert operations > 180
    window = opened(server).open("/docs")
    window.page.locator(".opblock").first.wait_for()
    expected = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    shown: set[str] = set()
    # The page has only what is in sight.
    for _ in range(200):
        shown.update(window.page.locator(".opblock").evaluate_all(NAMES))
        if shown == expected:
            break
        window.page.mouse.wheel(0, 500)
        window.page.wait_for_timeout(50)
    assert shown == expected
    window.is_well()


def test_the_apis_own_docs_are_the_same_page(opened: Callable[..., Watched], server: Server) -> None:
    opened(server).open("/api/docs").shows("Flows").is_well()


def test_an_operation_is_tried(opened: Callable[..., Watched], server: Server) -> None:
    window = opened(server).open("/docs")
    assert "3.9.1" in tried(window, "get", "/admin/version").inner_text()
    window.is_well()


@pytest.mark.parametrize("csrf", ["false", "true"])
def test_what_is_tried_carries_the_password_and_the_token(opened: Callable[..., Watched], csrf: str) -> None:
    settings = {"PREFECT_SERVER_API_AUTH_STRING": "admin:pass", "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": csrf}
    with ours(settings=settings) as server:
        window = opened(server).open("/docs")
        assert ("403" if csrf == "true" else "401") in status(tried(window, "post", "/flows/filter"))
        window.page.get_by_role("button", name="Authorize").first.click()
        window.page.locator("#auth-basic-username, input[name=username]").first.fill("admin")
        window.page.locator("#auth-basic-password, input[name=password]").first.fill("pass")
        window.page.locator(".modal-ux").get_by_role("button", name=re.compile("^(Authorize|Apply)")).first.click()
        window.page.locator(".modal-ux").get_by_role("button", name="Close").first.click()
        window.page.locator(".opblock.is-open").get_by_role("button", name="Execute").click()
        answers = window.page.locator(".opblock.is-open .live-responses-table td.response-col_status")
        expect(answers.last).to_contain_text("200")


def test_a_key_is_taken(opened: Callable[..., Watched], keyed: Keyed) -> None:
    server, keys = keyed.server, keyed.keys
    window = opened(server).open("/docs")
    window.page.get_by_role("button", name="Authorize").first.click()
    window.page.locator("#auth-bearer-value").fill(keys["read-only"])
    dialog = window.page.locator(".modal-ux")
    dialog.get_by_role("button", name=re.compile("^(Authorize|Apply)")).last.click()
    dialog.get_by_role("button", name="Close").first.click()
    assert "200" in status(tried(window, "post", "/flows/filter"))


def tried(window: Watched, method: str, path: str) -> Locator:
    """Opens an operation and sends it with what the page proposes; returns the answer that is shown."""
    operation = window.page.locator(f".opblock-{method}").filter(has=window.page.locator(f'[data-path="{path}"]')).first
    window.page.get_by_placeholder("Filter by tag or path").fill(path)
    window.page.wait_for_function("() => document.querySelectorAll('.opblock').length <= 5")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    body = operation.locator("textarea")
    if body.count():
        body.first.fill("{}")
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table")
    answer.wait_for()
    return answer


def status(answer: Locator) -> str:
    return answer.locator("td.response-col_status").last.inner_text()
