"""Without the interface's files there is a page that says so, and a server that has none fetches them by itself."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from conftest import oracle_environment, ours
from playwright.sync_api import Browser
from servers import Server, subject_binary
from watched import Watched

HTML = {"accept": "text/html"}


def python(folder: Path, script: str) -> dict[str, str]:
    """Returns the environment of a server whose `python3` is `script`, and whose folder of assets is not there."""
    (folder / "bin").mkdir()
    executable = folder / "bin" / "python3"
    executable.write_text(f"#!/bin/sh\n{script}\n")
    executable.chmod(0o755)
    return {"PATH": f"{executable.parent}:{os.environ['PATH']}", "PROCTOR_ASSETS": str(folder / "assets")}


def page(server: Server, path: str = "/") -> httpx.Response:
    return httpx.get(server.api_url.removesuffix("/api") + path, headers=HTML, timeout=30)


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_a_first_start_fetches_the_files_and_the_api_does_not_wait(tmp_path: Path) -> None:
    real = oracle_environment() / "bin" / "python3"
    script = f'while [ ! -e {tmp_path}/go ]; do sleep 0.05; done\nexec {real} "$@"'
    with ours(settings=python(tmp_path, script)) as server:
        assert httpx.post(f"{server.api_url}/flows/filter", json={}).json() == []
        for path in ("/", "/runs/flow-run/x"):
            answer = page(server, path)
            assert answer.status_code == 200
            assert "fetched at the moment" in answer.text
            assert 'http-equiv="refresh"' in answer.text
        assert httpx.get(server.api_url.removesuffix("/api") + "/runs").json() == {"detail": "Not Found"}
        assert "in the background" in server.log.read_text()
        (tmp_path / "go").touch()
        wait_for(lambda: page(server).status_code == 307)
        assert page(server, "/v2/").text.startswith("<!DOCTYPE html>")
        assert "files of Prefect 3.9.1" in server.log.read_text()
        wait_for(lambda: httpx.get(f"{server.api_url}/block_types/slug/secret").status_code == 200)


def test_what_could_not_be_fetched_is_said_with_the_command(tmp_path: Path) -> None:
    with ours(settings=python(tmp_path, "echo '<no> network' >&2; exit 1")) as server:
        wait_for(lambda: "could not be fetched" in page(server).text)
        text = page(server).text
        assert "&lt;no&gt; network" in text
        assert f"proctor assets --into {tmp_path}/assets" in text
        assert "could not be fetched" in server.log.read_text()
        assert httpx.get(f"{server.api_url}/health").status_code == 200


def test_a_server_that_ends_takes_what_fetches_along(tmp_path: Path) -> None:
    script = f"echo $$ >{tmp_path}/pid; exec sleep 600"
    with ours(settings=python(tmp_path, script)) as server:
        wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 10
    process = int((tmp_path / "pid").read_text())
    wait_for(lambda: not is_running(process), 5)


def is_running(process: int) -> bool:
    """Whether the process works; one that has ended and that nobody has asked about is only a number."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_keeps_nothing_fetches_nothing_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROCTOR_ASSETS", raising=False)
    with ours("--in-memory", "--data", tmp_path) as server:
        assert "not there yet" in page(server).text
        assert not (tmp_path / "assets").exists()
        # What the page says to do is done, and the server goes on.
        command = [subject_binary(), "assets", "--from", oracle_environment(), "--into", tmp_path / "assets"]
        command.append("--without-ui")
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        assert "without the interface" in page(server).text
        subprocess.run(command[:-1], check=True, stdout=subprocess.DEVNULL)
        assert page(server).status_code == 307


def test_a_damaged_file_is_an_error_that_names_the_command(tmp_path: Path) -> None:
    folder = tmp_path / "assets"
    command = [subject_binary(), "assets", "--from", oracle_environment(), "--into", folder]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (folder / "ui-v2" / "index.html").write_text("something else")
    with ours("--assets", folder) as server:
        answer = page(server, "/v2/")
        assert answer.status_code == 500
        assert answer.headers["content-type"] == "application/json"
        (folder / "manifest.json").write_text("{")
        assert "can't be read" in page(server).text


@pytest.mark.parametrize("how", ["--no-ui", "PREFECT_SERVER_UI_ENABLED"])
def test_the_interface_can_be_switched_off(tmp_path: Path, how: str) -> None:
    arguments = [how] if how.startswith("--") else []
    settings = python(tmp_path, f"touch {tmp_path}/asked") | ({} if arguments else {how: "false"})
    with ours(*arguments, settings=settings) as server:
        answer = page(server)
        assert (answer.status_code, "switched off" in answer.text) == (200, True)
        assert page(server, "/runs").status_code == 404
        assert httpx.get(f"{server.api_url}/admin/settings").json()["server"]["ui"]["enabled"] is False
        told = httpx.get(server.api_url.removesuffix("/api") + "/ui-settings").json()
        assert (told["available_uis"], told["v1_base_url"], told["v2_base_url"]) == ([], None, None)
    assert not (tmp_path / "asked").exists()


def test_the_page_is_for_everyone(browser: Browser, opened: Callable[..., Watched], tmp_path: Path) -> None:
    with ours(settings=python(tmp_path, "exit 1")) as server:
        wait_for(lambda: "could not be fetched" in page(server).text)
        colors = set()
        for scheme, width in (("light", 1280), ("dark", 360)):
            window = opened(server, color_scheme=scheme).open("/")
            window.page.set_viewport_size({"width": width, "height": 800})
            colors.add(window.page.evaluate("getComputedStyle(document.body).backgroundColor"))
            assert window.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert window.page.get_by_role("heading", level=1).inner_text() == "Proctor"
            assert window.page.get_by_role("main").count() == 1
            assert window.page.locator("html").get_attribute("lang") == "en"
            window.is_well()
            window.page.get_by_role("link", name="All operations").click()
            window.shows("Flows")
        assert len(colors) == 2
