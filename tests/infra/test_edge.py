"""The function at the edge decides for each request of the page as the local server does, without a deployment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl

import emulator
import pytest
from distribution import behaviour_of, configuration
from emulator import ROOT, TEMPLATES
from page_cases import Case, cases
from transforms import functions_have_the_query_as_it_came

PORT = 0


@pytest.fixture(scope="module")
def uploaded(page_folder: Path) -> set[str]:
    """The paths of all files that are uploaded."""
    return {"/".join(path.relative_to(page_folder).parts[1:]) for path in page_folder.glob("*/**/*") if path.is_file()}


@pytest.fixture(scope="module")
def handler(monkeypatch_module: pytest.MonkeyPatch) -> Iterator[str]:
    """The code of the function, of a stack with the default parameters."""
    template = json.loads((TEMPLATES / ROOT).read_text())
    functions_have_the_query_as_it_came(template, PORT)
    code = template["Resources"]["PageRequest"]["Properties"]["FunctionCode"]["Fn::Sub"]
    monkeypatch_module.setenv("PATH", emulator.path_with_node())
    yield code.replace("${DefaultUi}", template["Parameters"]["DefaultUi"]["Default"])


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def run(code: str, case: Case) -> dict:
    """Runs the function as CloudFront does; returns the request for the origin, or the response."""
    # Not at the top: it starts Node, which the path must lead to by then.
    from ministack.core import cloudfront_js

    path, _, query = case.path.partition("?")
    headers = {name: {"value": text} for name, text in case.headers.items() if name != "cookie"}
    pairs = [pair.strip().partition("=") for pair in case.headers.get("cookie", "").split(";") if pair]
    event = {
        "request": {
            "method": case.method,
            "uri": path,
            "querystring": {name: {"value": text} for name, text in parse_qsl(query)},
            "headers": headers,
            "cookies": {name: {"value": text} for name, _, text in pairs},
        }
    }
    return cloudfront_js.evaluate(code.encode(), event)


@pytest.mark.parametrize("case", cases(), ids=str)
def test_the_table_of_cases(handler: str, uploaded: set[str], case: Case) -> None:
    config = configuration()
    path = case.path.partition("?")[0]
    behaviour = behaviour_of(config, path)
    if behaviour["TargetOriginId"] == "http":
        assert path.startswith("/api/") or path == "/ui-settings", "the function fallback answers it"
        return
    if case.method not in behaviour["AllowedMethods"]:
        assert case.in_the_cloud.status == 403, "CloudFront refuses the method by itself"
        return
    expected, found = case.in_the_cloud, run(handler, case)
    if "statusCode" in found:
        location = found["headers"].get("location", {}).get("value")
        assert (found["statusCode"], location) == (expected.status, expected.location)
        if location is None:
            assert found["headers"]["content-type"]["value"] == "application/json"
            words = {404: "Not Found", 405: "Method Not Allowed"}[expected.status]
            body = {"encoding": "text", "data": json.dumps({"detail": words}, separators=(",", ":"))}
            assert found.get("body") == (None if case.method == "HEAD" else body)
        return
    file = found["uri"].removeprefix("/")
    if file in uploaded:
        assert (200, file) == (expected.status, expected.file)
    else:
        assert behaviour["TargetOriginId"] == "page-or-api", f"{file} is not there, and nobody says so in JSON"
        assert expected.status == 404


def test_every_uploaded_file_is_found_at_its_path(handler: str, uploaded: set[str]) -> None:
    for file in uploaded - {"docs/index.html"}:
        case = Case("GET", f"/{file}", {"accept": "*/*"}, *[cases()[0].answer] * 2)
        assert run(handler, case)["uri"] == f"/{file}", "infra/src/page.rs lists the files beside the folders"


def test_the_preference_of_the_stack_counts_for_browsers_without_one(handler: str) -> None:
    first = handler.replace("'v2';", "'v1';", 1)
    assert first != handler
    html = {"accept": "text/html"}
    answers = [cases()[0].answer] * 2
    assert run(first, Case("GET", "/", html, *answers))["uri"] == "/index.html"
    chosen = run(first, Case("GET", "/", {**html, "cookie": "prefect_ui_version=v2"}, *answers))
    assert chosen["headers"]["location"]["value"] == "/v2/"
