"""What is not of the API is answered as Prefect's server answers it: files, redirects, fallbacks, `/ui-settings`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from conftest import oracle, ours
from page_cases import HTML as HTML_ACCEPTED
from page_cases import Case, cases
from servers import Server

HTML = {"accept": HTML_ACCEPTED}
ANY = {"accept": "*/*"}
SET = {"PREFECT_UI_API_URL": "http://page.example/api"}
BELOW = {
    **SET,
    "PREFECT_UI_SERVE_BASE": "prefect/",
    "PREFECT_SERVER_UI_V2_ENABLED": "false",
    "PREFECT_SERVER_API_AUTH_STRING": "admin:pass",
    "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
}


@dataclass
class Both:
    """The real server and ours, with the same settings."""

    oracle: str
    ours: str

    def check(self, method: str, path: str, headers: dict[str, str], *compared: str) -> httpx.Response:
        """Asks both, and returns our answer if it is the oracle's."""
        answers = [ask(origin, method, path, headers) for origin in (self.oracle, self.ours)]
        expected, found = (told(answer, compared) for answer in answers)
        assert found == expected
        return answers[1]


CLIENT = httpx.Client(timeout=30)


def ask(origin: str, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
    return CLIENT.request(method, origin + path, headers=headers)


def told(answer: httpx.Response, compared: tuple[str, ...]) -> dict[str, object]:
    """What matters of an answer; a location as the browser resolves it, without the server's address."""
    location = answer.headers.get("location")
    if location is not None:
        location = urljoin(str(answer.url), location).removeprefix(str(answer.url.copy_with(path="/", query=None))[:-1])
    return {
        "status": answer.status_code,
        "type": answer.headers.get("content-type"),
        "location": location,
        "allow": sorted(answer.headers.get("allow", "").split(", ")),
        "body": answer.content,
        **{name: answer.headers.get(name) for name in compared},
    }


@pytest.fixture(scope="module")
def pairs(proctor_assets: Path) -> Iterator[dict[str, Both]]:
    """Both servers by their settings, started at once."""

    def origin(server: Server) -> str:
        return server.api_url.removesuffix("/api")

    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        starting = [start(settings=settings) for settings in (SET, BELOW) for start in (oracle, ours)]
        root, our_root, below, our_below = map(origin, pool.map(stack.enter_context, starting))
        yield {"root": Both(root, our_root), "below": Both(below, our_below)}


@pytest.mark.parametrize("case", cases(), ids=str)
def test_the_table_of_cases(pairs: dict[str, Both], case: Case) -> None:
    both, request = pairs["root"], (case.method, case.path, case.headers)
    answer = ask(both.ours, *request) if case.ours else both.check(*request)
    location = told(answer, ())["location"]
    assert (answer.status_code, location) == (case.answer.status, case.answer.location)
    if case.answer.file and case.method == "GET":
        path = "/" + case.answer.file.removesuffix("index.html")
        assert answer.content == ask(both.ours, "GET", "/docs" if path == "/docs/" else path, ANY).content


BESIDE = [case for case in cases() if not case.ours and case.method in ("GET", "HEAD", "OPTIONS")]


@pytest.mark.parametrize("case", BESIDE, ids=str)
def test_the_same_requests_where_the_interfaces_are_below_a_path(pairs: dict[str, Both], case: Case) -> None:
    pairs["below"].check(case.method, case.path, case.headers)


def test_every_file_is_the_oracles_with_the_base_in_its_place(pairs: dict[str, Both], proctor_assets: Path) -> None:
    files = json.loads((proctor_assets / "manifest.json").read_text())["files"]
    bases = {"ui": "", "ui-v2": "/v2"}
    paths = [(bases[top], rest) for path in files for top, _, rest in [path.partition("/")] if top in bases]
    assert len(paths) > 300
    # Compressing all of it takes the real server longer than us.
    plain = {"accept-encoding": "identity"}
    for where, below in (("root", ""), ("below", "/prefect")):
        both = pairs[where]
        for base, path in paths:
            expected, found = (ask(at, "GET", f"{below}{base}/{path}", plain) for at in (both.oracle, both.ours))
            assert (found.status_code, found.headers["content-type"]) == (200, expected.headers["content-type"]), path
            assert found.content == expected.content, path
            assert b"REPLACE_PLACEHOLDER" not in found.content


def test_the_settings_are_the_oracles_in_its_order(pairs: dict[str, Both]) -> None:
    for where, path in (("root", "/ui-settings"), ("below", "/prefect/ui-settings")):
        answer = pairs[where].check("GET", path, ANY)
        assert answer.json()["auth"] == (None if where == "root" else "BASIC")
        assert answer.json()["csrf_enabled"] == (where == "below")


def test_the_settings_name_the_address_that_is_listened_on(proctor_assets: Path) -> None:
    with ours() as server:
        settings = CLIENT.get(server.api_url.removesuffix("/api") + "/ui-settings").json()
        assert settings["api_url"] == server.api_url
    with ours("--host", "0.0.0.0", settings={"PREFECT_SERVER_API_BASE_PATH": "/v3/api"}, api="/v3/api") as server:
        port = server.port
        headers = {"host": f"box.example:{port}"}
        settings = CLIENT.get(f"http://127.0.0.1:{port}/ui-settings", headers=headers).json()
        assert settings["api_url"] == f"http://box.example:{port}/v3/api"


@pytest.mark.parametrize("encoding", ["br", "gzip"])
def test_a_file_is_compressed_and_kept(server: Server, encoding: str) -> None:
    origin = server.api_url.removesuffix("/api")
    script = CLIENT.get(origin + "/", headers=ANY).text.partition('src="')[2].partition('"')[0]
    assert script.startswith("/assets/index-")
    plain = CLIENT.get(origin + script, headers={"accept-encoding": "identity"})
    with httpx.stream("GET", origin + script, headers={"accept-encoding": encoding}) as answer:
        size = len(b"".join(answer.iter_raw()))
    assert answer.headers["content-encoding"] == encoding
    assert size == int(answer.headers["content-length"]) < len(plain.content)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "accept-encoding" in answer.headers["vary"].lower()
    assert answer.headers["etag"] != plain.headers["etag"]
    again = CLIENT.get(origin + script, headers={"if-none-match": answer.headers["etag"], "accept-encoding": encoding})
    assert (again.status_code, again.content) == (304, b"")
    since = CLIENT.get(origin + script, headers={"if-modified-since": answer.headers["last-modified"]})
    assert since.status_code == 304


@pytest.mark.parametrize("spec", ["bytes=0-3", "bytes=5-", "bytes=-3", "bytes=3-5000"])
def test_a_range_is_the_oracles(pairs: dict[str, Both], spec: str) -> None:
    compared = ("content-range", "content-length", "accept-ranges")
    answer = pairs["root"].check("GET", "/robots.txt", {"range": spec}, *compared)
    assert answer.status_code == 206


def test_a_range_beyond_the_end_is_refused_as_json(pairs: dict[str, Both]) -> None:
    both, beyond = pairs["root"], {"range": "bytes=9000-"}
    answers = [ask(origin, "GET", "/robots.txt", beyond) for origin in (both.oracle, both.ours)]
    assert [answer.status_code for answer in answers] == [416, 416]
    assert answers[0].headers["content-range"] == answers[1].headers["content-range"]
    assert answers[1].json()


def test_a_page_is_asked_for_again_and_keeps_third_parties_out(server: Server) -> None:
    origin = server.api_url.removesuffix("/api")
    for path in ("/v2/", "/index.html", "/runs"):
        headers = CLIENT.get(origin + path, headers={**HTML, "cookie": "prefect_ui_version=v1"}).headers
        assert headers["cache-control"] == "no-cache"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "connect-src 'self';" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_the_policy_can_be_loosened(proctor_assets: Path) -> None:
    settings = {"PROCTOR_UI_ALLOWED_SOURCES": "https://logos.example", "PROCTOR_UI_FRAME_ANCESTORS": "'self'"}
    with ours(settings=settings) as server:
        headers = CLIENT.get(server.api_url.removesuffix("/api") + "/v2/").headers
        assert "img-src 'self' data: blob: https://logos.example;" in headers["content-security-policy"]
        assert headers["x-frame-options"] == "SAMEORIGIN"


def test_without_the_second_interface_its_paths_lead_to_the_first(proctor_assets: Path, tmp_path: Path) -> None:
    manifest = json.loads((proctor_assets / "manifest.json").read_text())
    manifest["files"] = {path: entry for path, entry in manifest["files"].items() if not path.startswith("ui-v2/")}
    for path in manifest["files"]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).symlink_to(proctor_assets / path)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with ours("--assets", tmp_path) as server:
        origin = server.api_url.removesuffix("/api")
        redirects = {"/v2/runs?a=1": "/runs?a=1", "/v2/": "/", "/v2//elsewhere.example": "/elsewhere.example"}
        for path, location in redirects.items():
            answer = CLIENT.get(origin + path, headers=HTML)
            assert (answer.status_code, answer.headers["location"]) == (307, location)
        assert CLIENT.get(origin + "/", headers=HTML).status_code == 200
        settings = CLIENT.get(origin + "/ui-settings").json()
        assert (settings["available_uis"], settings["default_ui"], settings["v2_base_url"]) == (["v1"], "v1", None)
