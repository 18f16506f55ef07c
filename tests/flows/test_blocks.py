"""Blocks with the unmodified client and its commands, and where their secrets are."""

from __future__ import annotations

import base64
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Api, Runner, eventually
from servers import Server, start_subject, subject_binary

SECRET = "a-secret-that-nothing-else-contains-4711"


def test_a_process_loads_what_another_one_has_saved(runner: Runner, tmp_path: Path) -> None:
    saved = runner.run("blocks", "save", SECRET, str(tmp_path)).answer
    expected = {
        "user": "me",
        "password": SECRET,
        "tokens": {"a": f"token of {SECRET}"},
        "basepath": str(tmp_path),
        "options": {"rows": 1},
        "plain": SECRET,
        "object": {"nested": [SECRET]},
    }
    assert saved == expected
    assert runner.run("blocks", "load", "").answer == expected
    changed = {**expected, "password": f"{SECRET} again", "options": {"rows": 2}}
    assert runner.run("blocks", "change", SECRET).answer == changed
    assert runner.run("blocks", "load", "").answer == changed


def test_what_is_listed_and_inspected_shows_no_secret(runner: Runner, api: Api, tmp_path: Path) -> None:
    runner.run("blocks", "save", SECRET, str(tmp_path), exit_code=None)
    documents = api.post("block_documents/filter", {})
    assert {"account", "files", "warehouse", "plain", "object"} <= {document["name"] for document in documents}
    listed = runner.prefect("block", "ls")
    inspected = [runner.prefect("block", "inspect", name) for name in ("account/account", "warehouse/warehouse", "secret/object")]
    assert "warehouse/warehouse" in listed and "********" in inspected[0]
    assert not any(SECRET in text for text in (listed, *inspected, str(documents)))


def test_commands(runner: Runner, tmp_path: Path) -> None:
    file = tmp_path / "registered.py"
    file.write_text("from prefect.blocks.core import Block\n\n\nclass RegisteredByCommand(Block):\n    x: int = 1\n")
    runner.prefect("block", "register", "--file", str(file))
    types = runner.prefect("block", "type", "ls")
    assert "registeredbycommand" in types and "local-file-system" in types
    assert "registeredbycommand" in runner.prefect("block", "type", "inspect", "registeredbycommand")
    code = "from prefect.blocks.system import Secret; Secret(value='x').save('by-command', overwrite=True)"
    runner.command("-c", code)
    assert "secret/by-command" in runner.prefect("block", "ls")
    runner.prefect("--no-prompt", "block", "delete", "secret/by-command")
    assert "secret/by-command" not in runner.prefect("block", "ls")
    runner.prefect("--no-prompt", "block", "type", "delete", "registeredbycommand")
    assert "registeredbycommand" not in runner.prefect("block", "type", "ls")
    protected = runner.finish(runner.start_prefect("--no-prompt", "block", "type", "delete", "secret"), None)
    assert protected.exit_code != 0


def test_a_result_in_a_block_is_read_in_another_process(runner: Runner, tmp_path: Path) -> None:
    run = runner.run("results_in_a_block", "keep", str(tmp_path / "results")).answer
    assert list((tmp_path / "results").iterdir())
    assert runner.run("results_in_a_block", "read", run).answer == {"answer": 42}


# ---- Where secrets are ----


class Place:
    """A data directory, and the servers that are started on it one after another."""

    def __init__(self, home: Path) -> None:
        self.home, self.data = home, home / "data"
        self.server: Server | None = None

    def start(self, **settings: str) -> Api:
        settings = {"PREFECT_SERVER_LOGGING_LEVEL": "DEBUG"} | settings
        self.server = start_subject(self.home, "--data", self.data, settings=settings)
        return Api(self.server.api_url)

    def stop(self) -> None:
        if self.server:
            self.server.stop()
            self.server = None

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [subject_binary(), "--data", self.data, *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=self.home)

    def contents(self) -> dict[str, bytes]:
        """Everything that was written: database, journal, queue, log, key file."""
        files = [*self.data.rglob("*"), *self.home.glob("*.log")]
        return {file.name: file.read_bytes() for file in files if file.is_file() and "assets" not in file.parts}

    @property
    def key(self) -> Path:
        return self.data / "proctor.key"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.stop()


def block(api: Api, name: str, data: Any, slug: str = "kept-secret") -> Any:
    found = api.http.get(f"block_types/slug/{slug}")
    block_type = found.json() if found.is_success else api.post("block_types/", {"name": slug, "slug": slug})
    fields = {"title": slug, "secret_fields": ["value"]}
    schema = api.post("block_schemas/", {"fields": fields, "block_type_id": block_type["id"]})
    body = {"name": name, "data": data, "block_schema_id": schema["id"], "block_type_id": block_type["id"]}
    return api.post("block_documents/", body)


def value(api: Api, document: Any) -> Any:
    return api.get(f"block_documents/{document['id']}", include_secrets="true")["data"]["value"]


def forms(secret: str) -> list[bytes]:
    """How a secret could lie about: as it is, turned around, in base64 at each offset, in hexadecimal."""
    raw = secret.encode()
    encoded = [base64.b64encode(b"x" * offset + raw)[4 * ((offset + 2) // 3) : -4] for offset in range(3)]
    return [raw, raw[::-1], raw.hex().encode(), *encoded]


def test_a_secret_lies_nowhere(place: Place) -> None:
    api = place.start()
    old, new = f"{SECRET}-old", f"{SECRET}-new"
    document = block(api, "kept", {"value": old, "open": "to be seen"})
    api.http.patch(f"block_documents/{document['id']}", json={"data": {"value": new}})
    around = block(api, "around", {"value": new, "inner": {"$ref": {"block_document_id": document["id"]}}}, "around-it")
    # Whatever goes wrong with it says nothing of it.
    refusals = [
        api.http.post("block_documents/", json={"name": "A b", "data": {"value": new}}),
        api.http.post("block_documents/", json={"name": "a", "data": new}),
        api.http.post("block_documents/", json=[new]),
        api.http.post("block_documents/", content=f'{{"data": {{"value": "{new}"', headers={"content-type": "application/json"}),
        api.http.patch(f"block_documents/{document['id']}", json={"data": {"value": new}, "unknown": 1}),
        api.http.patch(f"block_documents/{document['id']}", json={"data": {"value": new, "k": {"$ref": {"value": new}}}}),
    ]
    assert all(400 <= refusal.status_code < 500 and SECRET not in refusal.text for refusal in refusals), [r.text for r in refusals]
    for path in ("block_documents/filter", "block_documents/count"):
        assert SECRET not in api.http.post(path, json={"block_documents": {"is_anonymous": None}}).text
    api.http.delete(f"block_documents/{around['id']}")

    def events() -> list[Any]:
        told = api.post("events/filter", {"filter": {"event": {"prefix": ["prefect.block-document."]}}})["events"]
        assert [event["event"].rsplit(".")[-1] for event in told] == ["deleted", "created", "updated", "created"]
        return told

    told = str(eventually(events))
    assert "to be seen" in told and SECRET not in told
    assert value(api, document) == new
    place.stop()
    for name, content in place.contents().items():
        found = [form for secret in (old, new, SECRET) for form in forms(secret) if form in content]
        assert not found, f"{found} is in {name}"
    assert any(b"to be seen" in content for content in place.contents().values()), "what is written can be found"


def test_the_key_file_is_made_once_for_its_owner_alone(place: Place) -> None:
    document = block(place.start(), "kept", {"value": SECRET})
    made = place.key.read_bytes()
    assert stat.S_IMODE(place.key.stat().st_mode) == 0o600
    place.stop()
    assert value(place.start(), document) == SECRET
    assert place.key.read_bytes() == made


def test_a_lost_key_is_missed_and_nothing_is_overwritten(place: Place) -> None:
    document = block(place.start(), "kept", {"value": SECRET})
    place.stop()
    aside = place.home / "aside"
    shutil.move(place.key, aside)
    api = place.start()
    path = f"block_documents/{document['id']}"
    for answer in (
        api.http.get(path),
        api.http.patch(path, json={"data": {"value": "new"}}),
        api.http.post("block_documents/filter", json={}),
    ):
        assert answer.status_code == 500 and "proctor.key is missing" in answer.text, answer.text
    assert not place.key.exists() and "proctor.key is missing" in (place.home / "server.log").read_text()
    assert api.post("block_documents/count", {}) == 1 and api.get("health") is True
    shutil.move(aside, place.key)
    assert value(api, document) == SECRET, "it works again without a restart"


def test_a_wrong_key_is_told_apart(place: Place, tmp_path_factory: pytest.TempPathFactory) -> None:
    document = block(place.start(), "kept", {"value": SECRET})
    place.stop()
    other = Place(tmp_path_factory.mktemp("other"))
    other.start()
    other.stop()
    right = place.key.read_bytes()
    place.key.write_bytes(other.key.read_bytes())
    api = place.start()
    answer = api.http.get(f"block_documents/{document['id']}")
    assert answer.status_code == 500 and "which is not in" in answer.text, answer.text
    os.chmod(place.key, 0o644)
    place.stop()
    api = place.start()
    assert "chmod 600" in api.http.get(f"block_documents/{document['id']}").text
    place.key.write_bytes(right)
    os.chmod(place.key, 0o600)
    assert value(api, document) == SECRET


def test_who_has_lost_the_key_begins_anew(place: Place) -> None:
    document = block(place.start(), "kept", {"value": SECRET})
    place.stop()
    place.key.unlink()
    refused = place.command("data-keys", "forget", "--lost")
    assert refused.returncode != 0 and "1 documents" in refused.stderr, refused
    api = place.start()
    assert api.http.delete(f"block_documents/{document['id']}").status_code == 204
    place.stop()
    assert place.command("data-keys", "forget", "--lost").returncode == 0
    api = place.start()
    assert value(api, block(api, "kept", {"value": SECRET})) == SECRET


def test_keys_are_replaced_under_a_running_server(place: Place) -> None:
    api = place.start()
    documents = [block(api, f"kept-{number}", {"value": f"{SECRET}-{number}"}) for number in range(5)]
    before = place.key.read_text()
    listed = place.command("data-keys", "list")
    assert listed.returncode == 0 and re.search(r" yes .* 5 ", listed.stdout), listed
    rotated = place.command("data-keys", "rotate")
    assert rotated.returncode == 0 and "5 documents were sealed anew" in rotated.stdout, rotated
    assert place.key.read_text() != before and stat.S_IMODE(place.key.stat().st_mode) == 0o600
    assert [value(api, document) for document in documents] == [f"{SECRET}-{number}" for number in range(5)]
    listed = place.command("data-keys", "list").stdout.splitlines()[1:]
    assert [line.split()[1:2] + line.split()[3:4] for line in listed] == [["no", "0"], ["yes", "5"]]
    assert "no key is to be forgotten" in place.command("data-keys", "forget").stdout, "another process may seal with it yet"
    later = block(api, "later", {"value": SECRET})
    place.stop()
    api = place.start()
    assert value(api, later) == SECRET and value(api, documents[3]) == f"{SECRET}-3"
