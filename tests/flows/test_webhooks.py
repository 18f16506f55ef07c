"""Calls that leave the server: an automation calls a webhook, and notifies by one, which a server of the test receives."""

from __future__ import annotations

import email
import email.policy
import json
import socketserver
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import pytest
from harness import Api, eventually

Received = list[tuple[str, dict[str, str], str]]


class Hook(BaseHTTPRequestHandler):
    received: Received

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.received.append((self.path, headers, body))
        self.send_response(202)
        self.end_headers()
        self.wfile.write(b"taken")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[tuple[str, Received]]:
    received: Received = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OneHook", (Hook,), {"received": received}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    server.server_close()


Mails = list[tuple[list[str], str]]


class MailServer(socketserver.StreamRequestHandler):
    received: Mails

    def handle(self) -> None:
        commands: list[str] = []
        self.wfile.write(b"220 test\r\n")
        while line := self.rfile.readline().decode().strip():
            commands.append(line)
            verb = line.split(" ")[0]
            answers = {"EHLO": "250 AUTH PLAIN", "AUTH": "235 in", "DATA": "354 go"}
            self.wfile.write(answers.get(verb, "250 ok").encode() + b"\r\n")
            if verb == "DATA":
                content = "".join(iter(lambda: self.rfile.readline().decode(), ".\r\n"))
                self.received.append(([*commands], content))
                self.wfile.write(b"250 queued\r\n")


@pytest.fixture
def mail_server() -> Iterator[tuple[str, Mails]]:
    received: Mails = []
    handler = type("OneMailServer", (MailServer,), {"received": received})
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}", received
    server.shutdown()
    server.server_close()


def block(api: Api, slug: str, data: dict[str, Any]) -> str:
    kind = api.get(f"block_types/slug/{slug}")["id"]
    [schema, *_] = api.post("block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [kind]}}})
    body = {"name": f"b{uuid4().hex}", "data": data, "block_type_id": kind, "block_schema_id": schema["id"]}
    return api.post("block_documents/", body)["id"]


def acted(api: Api, action: dict[str, Any]) -> dict[str, Any]:
    """Has an automation carry the action out once, and returns the payload of the event that tells how."""
    name = f"ring.{uuid4()}"
    trigger = {"type": "event", "posture": "Reactive", "expect": [name]}
    automation = api.post("automations/", {"name": name, "trigger": trigger, "actions": [action]})["id"]
    occurred = datetime.now(UTC).isoformat()
    sent = {"occurred": occurred, "event": name, "resource": {"prefect.resource.id": "bell"}, "payload": {"n": 3}, "id": str(uuid4())}
    assert api.http.post("events", json=[sent]).is_success

    def told() -> dict[str, Any]:
        resource = {"id": [f"prefect.automation.{automation}"]}
        prefix = ["prefect.automation.action.executed", "prefect.automation.action.failed"]
        events = api.post("events/filter", {"filter": {"event": {"prefix": prefix}, "resource": resource}})["events"]
        assert len(events) == 1
        return {**events[0]["payload"], "event": events[0]["event"].rpartition(".")[2]}

    payload = eventually(told, 30)
    api.http.delete(f"automations/{automation}")
    return payload


def test_a_webhook_is_called_once(api: Api, hook: tuple[str, Received]) -> None:
    url, received = hook
    id = block(api, "webhook", {"method": "POST", "url": f"{url}/secret-path", "headers": {"X-Own": "yes"}})
    payload = json.dumps({"n": "{{ event.payload.n }}", "of": "{{ event.resource.id }}"})
    told = acted(api, {"type": "call-webhook", "block_document_id": id, "payload": payload})
    assert (told["event"], told["status_code"], told["response_body"]) == ("executed", 202, "taken")
    [(path, headers, body)] = received
    assert (path, json.loads(body), headers["x-own"]) == ("/secret-path", {"n": "3", "of": "bell"}, "yes")
    assert headers["idempotency-key"] == told["invocation"]


def test_a_notification_is_sent_once(api: Api, hook: tuple[str, Received]) -> None:
    url, received = hook
    form = {"title": "{{subject}}", "text": "{{body}}"}
    id = block(api, "custom-webhook", {"name": "bell", "url": f"{url}/notify", "method": "POST", "json_data": form})
    action = {"type": "send-notification", "block_document_id": id, "subject": "{{ event.event[:4] }}", "body": "n is {{ event.payload.n }}"}
    assert acted(api, action)["event"] == "executed"
    [(path, _, body)] = received
    assert (path, json.loads(body)) == ("/notify", {"title": "ring", "text": "n is 3"})


def test_a_mail_is_sent_once(api: Api, mail_server: tuple[str, Mails]) -> None:
    host, received = mail_server
    url = f"mailto://us3r:s3cr3t@{host}?from=Ours%20%3Cfrom@example.com%3E&to=to@example.com&format=text"
    id = block(api, "slack-webhook", {"url": url})
    said = {"subject": "{{ event.event[:4] }}", "body": "n is {{ event.payload.n }}"}
    told = acted(api, {"type": "send-notification", "block_document_id": id, **said})
    assert told["event"] == "executed"
    [(commands, content)] = received
    mail = email.message_from_string(content, policy=email.policy.default)
    assert [mail["subject"], mail["from"], mail["to"]] == ["ring", "Ours <from@example.com>", "to@example.com"]
    assert (mail.get_content().strip(), mail["message-id"]) == ("n is 3", f"<{told['invocation']}@example.com>")
    assert commands[1:] == [
        "AUTH PLAIN AHVzM3IAczNjcjN0",
        "MAIL FROM:<from@example.com>",
        "RCPT TO:<to@example.com>",
        "DATA",
    ]


def test_what_can_t_be_called_is_told_without_its_address(api: Api) -> None:
    id = block(api, "webhook", {"method": "POST", "url": "http://169.254.169.254/latest/meta-data/secret"})
    told = acted(api, {"type": "call-webhook", "block_document_id": id, "payload": ""})
    assert told["event"] == "failed"
    assert "Webhook call failed" in told["reason"] and "169.254" not in told["reason"] and "secret" not in told["reason"]
