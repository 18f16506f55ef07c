"""The page behind the emulated distribution: uploaded by the documented commands, private, and shown in a browser."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import chromium
import pytest
from botocore import UNSIGNED
from botocore.client import Config
from botocore.exceptions import ClientError
from conftest import Stack
from distribution import Front, behaviour_of, configuration, front
from emulator import client, documented, run, upload_page
from page_cases import Case, cases
from playwright.sync_api import Browser, Page, expect
from watched import Watched

KEPT = {"no-cache", "public, max-age=3600", "public, max-age=31536000, immutable"}


@pytest.fixture(scope="module")
def shown(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with front(stack.emulator, stack.outputs, tmp_path_factory.mktemp("front")) as running:
        yield running


def ask(shown: Front, method: str, path: str, headers: dict[str, str] | None = None):
    """Asks the distribution; returns the answer and its content."""
    context = ssl.create_default_context()
    # The certificate is the front's own.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", shown.port, timeout=60, context=context)
    with contextlib.closing(connection):
        connection.request(method, path, headers={"host": shown.host, **(headers or {})})
        answer = connection.getresponse()
        return answer, answer.read()


@pytest.fixture(scope="module")
def stored(stack: Stack) -> dict[str, dict]:
    """What the bucket says of each file, with its content."""
    s3, bucket = client(stack.emulator, "s3"), stack.outputs["PageBucket"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [one["Key"] for page in pages for one in page["Contents"]]
    objects = {key: s3.get_object(Bucket=bucket, Key=key) for key in keys}
    return {key: one | {"content": one["Body"].read()} for key, one in objects.items()}


def test_the_bucket_is_private(stack: Stack) -> None:
    s3, bucket = client(stack.emulator, "s3"), stack.outputs["PageBucket"]
    blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert len(blocked) == 4 and all(blocked.values())
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    anybody = boto3.client(
        "s3", endpoint_url=stack.emulator.url, region_name="us-east-1", config=Config(signature_version=UNSIGNED)
    )
    with pytest.raises(ClientError, match="403|AccessDenied"):
        anybody.get_object(Bucket=bucket, Key="index.html")


def test_another_distribution_reads_nothing(stack: Stack, shown: Front) -> None:
    """The policy names this distribution, so that the origin access control of another one is of no use."""
    s3, bucket = client(stack.emulator, "s3"), stack.outputs["PageBucket"]
    policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    other = json.dumps(policy).replace(stack.outputs["DistributionId"], "EANOTHER")
    s3.put_bucket_policy(Bucket=bucket, Policy=other)
    try:
        assert ask(shown, "GET", "/v2/")[0].status == 403
    finally:
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    assert ask(shown, "GET", "/v2/")[0].status == 200


def test_every_file_is_uploaded_with_what_browsers_are_told(stored: dict[str, dict], page_folder: Path) -> None:
    rows = [line.split("\t") for line in (page_folder / "folders.tsv").read_text().splitlines()]
    made = {
        str(path.relative_to(page_folder / folder)): (kind, cache, path.read_bytes())
        for folder, kind, cache in rows
        for path in (page_folder / folder).rglob("*")
        if path.is_file()
    }
    found = {key: (one["ContentType"], one["CacheControl"], one["content"]) for key, one in stored.items()}
    assert found == made and len(found) > 300
    assert {cache for _, cache, _ in found.values()} == KEPT
    assert not any(b"REPLACE_PLACEHOLDER" in content for _, _, content in found.values())


# The emulator answers preflights itself, and takes `/v2` for a Docker registry's; `test_edge.py` has all cases.
ON_THE_EMULATOR = [case for case in cases() if case.method != "OPTIONS" and case.path.partition("?")[0] != "/v2"]


@pytest.mark.parametrize("case", ON_THE_EMULATOR, ids=str)
def test_the_table_of_cases(stack: Stack, shown: Front, stored: dict[str, dict], case: Case) -> None:
    # The API says nothing to strangers, and the page everything.
    key = {"authorization": f"Bearer {stack.key}"} if case.path.startswith("/api/") else {}
    answer, content = ask(shown, case.method, case.path, case.headers | key)
    assert (answer.status, answer.headers["location"]) == (case.in_the_cloud.status, case.in_the_cloud.location)
    file = case.in_the_cloud.file
    if file and case.method == "GET":
        assert content == stored[file]["content"]
    if answer.status == 404 and case.method == "GET":
        assert (answer.headers["content-type"], json.loads(content)) == ("application/json", {"detail": "Not Found"})


def test_pages_are_protected_and_files_with_a_hash_are_kept(shown: Front, stored: dict[str, dict]) -> None:
    policies = {"/v2/": "script-src 'self' 'unsafe-eval'", "/docs": "style-src", "/proctor/": "object-src"}
    for path, policy in policies.items():
        headers = ask(shown, "GET", path)[0].headers
        assert policy in headers["content-security-policy"], path
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff")
        assert headers["cache-control"] == "no-cache"
    script = next(key for key in stored if re.fullmatch(r"v2/assets/index-.*\.js", key))
    headers = ask(shown, "GET", f"/{script}")[0].headers
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert headers["content-type"] == "text/javascript; charset=utf-8"
    again = ask(shown, "GET", f"/{script}", {"if-none-match": headers["etag"]})
    assert (again[0].status, again[1]) == (304, b"")


def test_the_settings_name_the_stack_s_address_and_ask_for_no_key(stack: Stack, shown: Front) -> None:
    answer, content = ask(shown, "GET", "/ui-settings")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert list(json.loads(content).items()) == [
        ("api_url", stack.outputs["PrefectApiUrl"]),
        ("csrf_enabled", False),
        ("auth", "BASIC"),
        ("flags", []),
        ("default_ui", "v2"),
        ("available_uis", ["v1", "v2"]),
        ("v1_base_url", "/"),
        ("v2_base_url", "/v2"),
    ]


def test_the_document_of_the_operations_is_there(shown: Front) -> None:
    answer, content = ask(shown, "GET", "/openapi.json")
    assert answer.status == 200 and "/flows/" in json.loads(content)["paths"]


def test_another_upload_leaves_former_files_and_a_documented_command_deletes_them(
    stack: Stack, shown: Front, tmp_path: Path
) -> None:
    s3, bucket = client(stack.emulator, "s3"), stack.outputs["PageBucket"]
    former, path = b"the version before", "/v2/assets/index-former00.js"
    s3.put_object(Bucket=bucket, Key=path[1:], Body=former)
    before = len(invalidations(stack))
    upload_page(stack.emulator, tmp_path)
    assert ask(shown, "GET", path)[1] == former
    assert len(invalidations(stack)) == before + 1
    deletes = documented("s3api list-objects-v2")
    run(stack.emulator, "bash", "-euo", "pipefail", "-c", deletes.replace("DAY", "1970-01-02"), bucket=bucket)
    assert ask(shown, "GET", path)[1] == former
    [found] = s3.list_objects_v2(Bucket=bucket, Prefix=path[1:])["Contents"]
    newer = f"{found['LastModified']:%Y-%m-%dT%H:%M:%S}.999Z"
    run(stack.emulator, "bash", "-euo", "pipefail", "-c", deletes.replace("DAY", newer), bucket=bucket)
    answer, content = ask(shown, "GET", path)
    assert (answer.status, json.loads(content)) == (404, {"detail": "Not Found"})
    assert ask(shown, "GET", "/v2/")[0].status == 200


def invalidations(stack: Stack) -> list[dict]:
    cloudfront = client(stack.emulator, "cloudfront")
    found = cloudfront.list_invalidations(DistributionId=stack.outputs["DistributionId"])["InvalidationList"]
    return found.get("Items", [])


@pytest.fixture(scope="module")
def browser(shown: Front) -> Iterator[Browser]:
    """A browser to which the distribution's name is this machine."""
    with chromium.started(f"--host-resolver-rules=MAP {shown.host} 127.0.0.1:{shown.port}") as running:
        yield running


@pytest.fixture
def window(browser: Browser, shown: Front) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, ignore_https_errors=True)
    yield Watched(context.new_page(), f"https://{shown.host}", "")
    context.close()


@pytest.fixture(scope="module", autouse=True)
def seeded(stack: Stack) -> None:
    """Puts into the stack what the pages show."""

    def post(path: str, body: dict) -> dict:
        headers = {"content-type": "application/json", "authorization": f"Bearer {stack.key}"}
        wanted = urllib.request.Request(stack.api_url + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(wanted, timeout=60) as answer:
            return json.loads(answer.read())

    flow = post("/flows/", {"name": "orchard-flow"})
    post("/flow_runs/", {"flow_id": flow["id"], "name": "quince-completed", "state": {"type": "COMPLETED"}})
    post("/work_pools/", {"name": "orchard-pool", "type": "process"})
    post("/variables/", {"name": "orchard_variable", "value": "quince"})


def log_in(page: Page, key: str) -> None:
    field = page.get_by_placeholder("admin:pass").or_(page.locator("input[type=password]")).first
    field.fill(key)
    field.press("Enter")


def test_the_second_interface_over_the_stack(window: Watched, stack: Stack) -> None:
    window.open("/").gets_to("/v2/login")
    log_in(window.page, stack.key)
    window.gets_to("/v2/dashboard")
    # Until it has a key, its calls are refused.
    window.problems.clear()
    window.open("/v2/dashboard").shows("orchard-pool").is_well()
    window.open("/v2/runs").shows("quince-completed").is_well()
    window.open("/v2/variables").shows("orchard_variable").is_well()


def test_the_first_interface_over_the_stack(window: Watched, stack: Stack, shown: Front) -> None:
    cookie = {"name": "prefect_ui_version", "value": "v1", "url": f"https://{shown.host}"}
    window.page.context.add_cookies([cookie])
    window.open("/").gets_to("/login")
    log_in(window.page, stack.key)
    window.gets_to("/dashboard")
    window.problems.clear()
    window.open("/dashboard").shows("orchard-pool").is_well()
    window.open("/variables").shows("orchard_variable").is_well()


def test_our_views_over_the_stack(window: Watched, stack: Stack) -> None:
    window.open("/proctor")
    window.page.locator("#credentials").fill(stack.key)
    window.page.locator("#credentials").press("Enter")
    expect(window.page.locator("#sign-in")).to_be_hidden()
    window.problems.clear()
    for view, text in (("keys", "admin"), ("lag", "Stream"), ("letters", ""), ("operations", "")):
        window.open(f"/proctor/#{view}")
        expect(window.page.locator("#updated")).to_contain_text("Updated at")
        if text:
            expect(window.page.locator("#view")).to_contain_text(text)
    window.is_well()


def test_the_operations_are_shown_without_another_server(window: Watched) -> None:
    window.open("/docs")
    window.page.locator(".opblock").first.wait_for()
    window.is_well()


def test_no_path_of_the_page_hides_one_of_the_api() -> None:
    config = configuration()
    for path in ("/api/flows/", "/api/assets/x", "/api/health", "/api/events/filter"):
        assert behaviour_of(config, path)["TargetOriginId"] == "http", path
    assert behaviour_of(config, "/api/events/in")["TargetOriginId"] == "websockets"
