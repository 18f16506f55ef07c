"""Puts TLS in front of the emulated distribution, so that a browser finds it at its own address as in the cloud.

What the emulator's CloudFront lacks is done here as the template says it: where a behaviour leads to a group of
origins, the second one is asked for what the first one does not have.
"""

from __future__ import annotations

import datetime
import http.client
import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from emulator import ORIGIN_HEADER, ROOT, TEMPLATES, Emulator, origin_value

# The emulator takes this path for that of a Docker registry, whichever host is asked; the other one means the same.
REGISTRY, SAME = "/v2/", "/v2//"

OF_ONE_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


def configuration() -> dict:
    """Returns the distribution's configuration as the rendered template has it."""
    resources = json.loads((TEMPLATES / ROOT).read_text())["Resources"]
    return resources["Distribution"]["Properties"]["DistributionConfig"]


def behaviour_of(config: dict, path: str) -> dict:
    """Returns the behaviour of a path: the first whose pattern fits, or else the default."""
    for behaviour in config["CacheBehaviors"]:
        if "PathPattern" not in behaviour:  # the relay's, which there is under a condition alone
            continue
        pattern = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in behaviour["PathPattern"])
        if re.fullmatch(pattern, path):
            return behaviour
    return config["DefaultCacheBehavior"]


def passes_on(config: dict, path: str) -> list[int]:
    """Returns the statuses of the first origin that lead to the second one."""
    groups = {group["Id"]: group for group in config["OriginGroups"]["Items"]}
    group = groups.get(behaviour_of(config, path)["TargetOriginId"])
    return group["FailoverCriteria"]["StatusCodes"]["Items"] if group else []


@dataclass
class Front:
    """Where the distribution is: its host, and the port of this machine that stands for it."""

    host: str
    port: int


@contextmanager
def front(emulator: Emulator, outputs: dict[str, str], directory: Path) -> Iterator[Front]:
    """Runs the front on a free port."""
    config = configuration()
    host = re.match(r"https://([^/]+)/", outputs["PageUrl"])[1]
    api = re.match(r"https://([^.]+)", outputs["HttpApiUrl"])[1]
    secret = origin_value(emulator, outputs)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            sent = {name: text for name, text in self.headers.items() if name.lower() not in OF_ONE_HOP}
            path, mark, query = self.path.partition("?")
            asked = f"{SAME if path == REGISTRY else path}{mark}{query}"
            answer, content = self.ask(asked, body, sent | {"host": host, "x-forwarded-proto": "https"})
            if self.command in ("GET", "HEAD") and answer.status in passes_on(config, path):
                asked = f"/_aws/execute-api/{api}{self.path}"
                answer, content = self.ask(asked, body, {"x-forwarded-proto": "https", ORIGIN_HEADER: secret})
            self.send_response_only(answer.status)
            for name, text in answer.getheaders():
                if name.lower() not in OF_ONE_HOP:
                    self.send_header(name, text)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def ask(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[http.client.HTTPResponse, bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=60)
            try:
                connection.request(self.command, path, body, headers)
                answer = connection.getresponse()
                return answer, answer.read()
            finally:
                connection.close()

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Says nothing of connections that the browser gives up."""

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(host, directory))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Front(host, server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


def certificate(host: str, directory: Path) -> Path:
    """Makes a certificate of the host that it has signed itself; returns the file with it and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the front of the tests")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = directory / "front.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    file.chmod(0o600)
    return file
