"""Records which requests Prefect's own notification blocks and webhooks send: `notifications.json`.

Run it with the Python of the oracle's environment: `.venv/bin/python tests/golden/record_notifications.py`.
Nothing leaves the machine: the recorder stands in the place of the network, under `requests`, `httpx` and `smtplib`.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import email.utils
import json
import logging
import os
import smtplib
import ssl
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="proctor-notifications-")
os.environ["PREFECT_SERVER_EPHEMERAL_ENABLED"] = "false"
os.environ["HOME"] = "/home/nobody"

import h11
import httpx
import notification_cases
import requests
from apprise.url import URLBase
from prefect.blocks import notifications
from prefect.blocks.abstract import NotificationBlock, NotificationError
from prefect.blocks.webhook import Webhook

HERE = Path(__file__).resolve().parent

#: Headers that say something about the request, and not about the library that sends it.
UNTOLD = {"accept-encoding", "connection", "content-length", "host"}

BLOCKS: dict[str, type[NotificationBlock]] = {
    cls.get_block_type_slug(): cls
    for cls in (
        notifications.SlackWebhook,
        notifications.MicrosoftTeamsWebhook,
        notifications.PagerDutyWebHook,
        notifications.TwilioSMS,
        notifications.OpsgenieWebhook,
        notifications.MattermostWebhook,
        notifications.DiscordWebhook,
        notifications.CustomWebhookNotificationBlock,
        notifications.SendgridEmail,
    )
}


#: Headers of a mail that are new in each, or say how it is made up.
MADE = {"content-type", "content-transfer-encoding", "date", "message-id", "mime-version"}


class Network:
    """Answers in the place of every service, and remembers what it was asked."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer
        self.requests: list[dict[str, Any]] = []
        self.mails: list[dict[str, Any]] = []

    def note(self, method: str, url: str, headers: Any, content: bytes | str | None) -> None:
        text = content.decode() if isinstance(content, bytes) else content or ""
        told = {name.lower(): value for name, value in headers.items() if name.lower() not in UNTOLD}
        told = {name: value.decode("latin-1") if isinstance(value, bytes) else value for name, value in told.items()}
        if told.get("user-agent", "").startswith(("python-httpx/", "python-requests/")):
            del told["user-agent"]
        self.requests.append({"method": method, "url": url, "headers": dict(sorted(told.items())), "body": text})

    def by_requests(self, adapter: Any, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        self.note(request.method or "", request.url or "", request.headers, request.body)
        response = requests.Response()
        response.status_code, response._content = self.answer["status"], self.answer["body"].encode()
        response.request, response.url = request, request.url or ""
        return response

    async def by_httpx(self, transport: Any, request: httpx.Request) -> httpx.Response:
        if request.url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol("not http")
        if not request.url.host:
            raise httpx.UnsupportedProtocol("no host")
        await request.aread()
        # What httpx would notice only while it writes: headers that HTTP has not, a length that is not the body's.
        wire = h11.Connection(h11.CLIENT)
        target = request.url.raw_path or b"/"
        wire.send(h11.Request(method=request.method.encode(), target=target, headers=request.headers.raw))
        wire.send(h11.Data(request.content))
        wire.send(h11.EndOfMessage())
        raw = request.url.copy_with(userinfo=b"")
        self.note(request.method, str(raw), request.headers, request.content)
        return httpx.Response(self.answer["status"], content=self.answer["body"].encode(), request=request)


def mail_server(network: Network, is_encrypted: bool) -> type:
    """Returns what stands in the place of `smtplib.SMTP`: a server that takes every mail."""

    class Server:
        def __init__(self, host: str, port: int, *_: Any, context: ssl.SSLContext | None = None, **__: Any) -> None:
            self.told: dict[str, Any] = {"host": host, "port": port, "security": "ssl" if is_encrypted else "insecure"}
            self.told |= {"login": None, "verifies": context is None or context.check_hostname}

        def starttls(self, context: ssl.SSLContext) -> None:
            self.told |= {"security": "starttls", "verifies": context.check_hostname}

        def login(self, user: str, password: str) -> None:
            self.told["login"] = [user, password]

        def sendmail(self, sender: str, recipients: list[str], content: str) -> dict[str, Any]:
            network.mails.append({**self.told, **told_of_mail(sender, recipients, content)})
            return {}

        def quit(self) -> None:
            pass

    return Server


def told_of_header(value: Any) -> Any:
    """Returns the text of a header, or the names and addresses if it has such."""
    addresses = getattr(value, "addresses", None)
    return str(value) if addresses is None else sorted([one.display_name, one.addr_spec] for one in addresses)


def told_of_mail(sender: str, recipients: list[str], content: str) -> dict[str, Any]:
    """Returns what a mail says, decoded: who gets it, which headers and which parts it has."""
    mail = email.message_from_bytes(content.encode("ascii"), policy=email.policy.default)
    headers = {name.lower(): told_of_header(value) for name, value in mail.items() if name.lower() not in MADE}
    parts = [[part.get_content_type(), part.get_content()] for part in mail.walk() if not part.is_multipart()]
    addresses = sorted(email.utils.parseaddr(recipient)[1] for recipient in recipients)
    return {"sender": sender, "recipients": addresses, "headers": dict(sorted(headers.items())), "parts": parts}


async def perform(case: dict[str, Any]) -> str:
    """Loads the block as the server does and calls it, and returns what became of it."""
    try:
        block = (Webhook if case["block"] == "webhook" else BLOCKS[case["block"]]).model_validate(case["data"])
    except Exception as failure:
        return f"invalid: {type(failure).__name__}"
    try:
        if isinstance(block, Webhook):
            await block.call(case["payload"])
        else:
            with block.raise_on_failure():
                await block.notify(subject=case["subject"], body=case["body"])
    except NotificationError:
        return "failed"
    except Exception as failure:
        return f"raised: {type(failure).__name__}"
    return "sent"


def record(case: dict[str, Any]) -> dict[str, Any]:
    network = Network(case["answer"])
    with (
        mock.patch.object(requests.adapters.HTTPAdapter, "send", lambda *a, **k: network.by_requests(*a, **k)),
        mock.patch.object(httpx.AsyncHTTPTransport, "handle_async_request", lambda *a: network.by_httpx(*a)),
        mock.patch.object(URLBase, "throttle", lambda *_, **__: None),
        mock.patch("apprise.plugins.slack.time", lambda: 1_700_000_000.5),
        mock.patch.object(smtplib, "SMTP", mail_server(network, False)),
        mock.patch.object(smtplib, "SMTP_SSL", mail_server(network, True)),
    ):
        case["outcome"] = asyncio.run(perform(case))
    mails = {"mails": network.mails} if network.mails else {}
    return {**case, "requests": network.requests, **mails}


def main() -> None:
    logging.disable(logging.CRITICAL)
    cases = [record(case) for case in (*notification_cases.webhooks(), *notification_cases.notifications())]
    names = [case["name"] for case in cases]
    assert len(set(names)) == len(names), "a name is given twice"
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (HERE / "notifications.json").write_text(f"[\n{lines}\n]\n")
    print(f"{len(cases)} cases", file=sys.stderr)


if __name__ == "__main__":
    main()
