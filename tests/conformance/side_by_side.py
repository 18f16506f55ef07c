"""Sends one request to both servers and compares the two answers."""

from __future__ import annotations

import fnmatch
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import httpx

from .compare import MISSING, Comparison, Difference
from .differences import INTENDED, Intended

# A value that differs between the servers is written @name@ in a request, and replaced by what
# the server that gets the request answered earlier.
REFERENCE = re.compile(r"@([a-z][a-z0-9_.-]*)@")

HEADERS_THAT_MATTER = (
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "allow",
    "content-disposition",
    "content-encoding",
    "content-type",
    "location",
    "vary",
)

OVERLOADED = 503
OVERLOAD_RETRIES = 8
OVERLOAD_PAUSE_SECONDS = 0.25
EVENTUALLY_SECONDS = 60.0
POLL_SECONDS = 0.1
SHOWN_CHARACTERS = 3000


View = Callable[[Any], Any]


def as_it_is(body: Any) -> Any:
    return body


def sorted_by(key: str) -> View:
    """Looks at the objects of a list in the order of one of their keys."""
    return lambda body: sorted(body, key=lambda item: str(item[key])) if isinstance(body, list) else body


class AnswersDiffer(AssertionError):
    """The subject did not answer as the oracle did."""


class OracleNeverAnswered(AssertionError):
    """The oracle did not come to the awaited answer, so there is nothing to compare with."""


@dataclass
class Server:
    """One of the two servers, and what is only true for it."""

    url: str
    references: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # The oracle drops a connection after an internal error, without saying so: use each once.
        self.client = httpx.Client(
            timeout=60,
            headers={"accept-encoding": "identity"},
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        # Only the oracle is known to shed load in normal use, and only it is forgiven for it.
        self.is_oracle = self.client.get(f"{self.url}/health").headers.get("server") == "uvicorn"

    @property
    def root(self) -> str:
        """The address of the server without the base path of its API."""
        return self.url.removesuffix(httpx.URL(self.url).path)

    def resolve(self, text: str) -> str:
        return REFERENCE.sub(lambda match: self.references[match[1]], text)

    def resolve_value(self, value: Any) -> Any:
        """Replaces each reference in a JSON value."""
        if isinstance(value, str):
            return self.resolve(value)
        if isinstance(value, dict):
            return {self.resolve(key): self.resolve_value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.resolve_value(item) for item in value]
        return value

    def send(self, request: Request) -> httpx.Response:
        for _ in range(OVERLOAD_RETRIES):
            response = self.client.request(
                request.method,
                (self.root if request.from_root else self.url) + self.resolve(request.path),
                params={name: self.resolve(value) for name, value in request.params.items()},
                headers={name: self.resolve(value) for name, value in request.headers.items()},
                content=self._content(request),
            )
            if response.status_code != OVERLOADED or not self.is_oracle:
                break
            time.sleep(OVERLOAD_PAUSE_SECONDS)
        return response

    def _content(self, request: Request) -> bytes | None:
        if request.content is not None:
            return request.content
        if request.json is MISSING:
            return None
        return json.dumps(self.resolve_value(request.json)).encode()


@dataclass(frozen=True)
class Request:
    """A request as both servers get it, but for the references in it."""

    method: str
    path: str
    json: Any = MISSING
    content: bytes | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    from_root: bool = False

    def __str__(self) -> str:
        query = f" ?{dict(self.params)}" if self.params else ""
        extra = f"\n  headers {dict(self.headers)}" if self.headers else ""
        if self.content is not None:
            body = f"\n  {shortened(repr(self.content))}"
        elif self.json is not MISSING:
            body = f"\n  {shortened(json.dumps(self.json))}"
        else:
            body = ""
        return f"{self.method} {self.path}{query}{extra}{body}"


@dataclass
class Answer:
    """Both servers' answers to one request; indexing it gives a reference to the value there."""

    pair: Pair
    oracle: httpx.Response
    subject: httpx.Response

    @property
    def status(self) -> int:
        return self.oracle.status_code

    @property
    def json(self) -> Any:
        """The oracle's body, for decisions of a test on what to send next."""
        return self.oracle.json()

    def at(self, *path: str | int) -> str:
        """A reference to the value at a path of keys and indexes of the two bodies."""
        return self.pair.refer(*(value_at(response.json(), path) for response in (self.oracle, self.subject)))

    def __getitem__(self, key: str | int) -> str:
        return self.at(key)


@dataclass
class Pair:
    """The oracle and the subject, asked side by side."""

    oracle: Server = field(repr=False)
    subject: Server = field(repr=False)
    comparison: Comparison = field(default_factory=Comparison, repr=False)
    test: str = ""
    used: ClassVar[set[Intended]] = set()

    def refer(self, oracle: Any, subject: Any, name: str = "") -> str:
        """Makes a reference that stands for another text on each server."""
        name = name or f"value-{len(self.oracle.references)}"
        self.oracle.references[name] = str(oracle)
        self.subject.references[name] = str(subject)
        return f"@{name}@"

    def send(self, method: str, path: str, json: Any = MISSING, **more: Any) -> Answer:
        """Sends a request to both servers without comparing the answers."""
        request = Request(method, path, json, **more)
        headers = dict(request.headers)
        if request.json is not MISSING and "content-type" not in map(str.lower, headers):
            request = Request(**{**vars(request), "headers": {"content-type": "application/json", **headers}})
        self.comparison.note_sent(without_references([request.path, dict(request.params), request.json]))
        return Answer(self, self.oracle.send(request), self.subject.send(request))

    def prepare(self, method: str, path: str, json: Any = MISSING, *, name: str = "", **more: Any) -> Answer:
        """Sends a request that sets up data: it must succeed, and is compared elsewhere.

        With a `name`, the id in the answer can be written @name@ in later requests.
        """
        answer = self.send(method, path, json, **more)
        for server, response in (("oracle", answer.oracle), ("subject", answer.subject)):
            assert response.is_success, f"{method} {path}: the {server} answered {shown(response)}"
        self.comparison.differences(body_of(answer.oracle), body_of(answer.subject))
        if name:
            self.refer(answer.oracle.json()["id"], answer.subject.json()["id"], name)
        return answer

    def check(
        self,
        method: str,
        path: str,
        json: Any = MISSING,
        *,
        view: View = as_it_is,
        seconds: float | None = None,
        **more: Any,
    ) -> Answer:
        """Sends a request to both servers and fails where the subject's answer differs.

        `view` is applied to both bodies first, where the oracle itself leaves a part to chance.
        `seconds` is the tolerance of measured durations.
        """
        __tracebackhide__ = True
        request = Request(method, path, json, **more)
        answer = self.send(method, path, json, **more)
        found = self._found(answer, self.comparison, view, seconds)
        self._raise(request, answer, self._unintended(request, answer, found))
        return answer

    def eventually(
        self,
        method: str,
        path: str,
        json: Any = MISSING,
        *,
        until: Callable[[Any], bool],
        view: View = as_it_is,
        **more: Any,
    ) -> Answer:
        """Polls both servers until the oracle's body satisfies `until` and the subject's is equal."""
        __tracebackhide__ = True
        request = Request(method, path, json, **more)
        deadline = time.monotonic() + EVENTUALLY_SECONDS
        while True:
            answer = self.send(method, path, json, **more)
            ready = answer.oracle.is_success and until(answer.json)
            attempt = self.comparison.copy()
            found = self._found(answer, attempt, view, None)
            if ready and not self._unintended(request, answer, found):
                self.comparison = attempt
                return answer
            if time.monotonic() > deadline:
                break
            time.sleep(POLL_SECONDS)
        if not ready:
            raise OracleNeverAnswered(f"{request}\noracle: {shown(answer.oracle)}")
        self._raise(request, answer, self._unintended(request, answer, found))
        return answer

    def _found(self, answer: Answer, comparison: Comparison, view: View, seconds: float | None) -> list[Difference]:
        oracle, subject = answer.oracle, answer.subject
        if oracle.status_code != subject.status_code:
            return [Difference("status", oracle.status_code, subject.status_code)]
        headers = [
            Difference(f"headers.{name}", *values)
            for name in HEADERS_THAT_MATTER
            if (values := [self._header(server, response, name) for server, response in self._sides(answer)])
            and list(comparison.differences(values[0], values[1]))
        ]
        bodies = [view(body_of(response)) for response in (oracle, subject)]
        tolerance = {} if seconds is None else {"seconds": seconds}
        return headers + [
            Difference(f"body{difference.path}", difference.oracle, difference.subject, difference.why)
            for difference in comparison.differences(*self._without_addresses(bodies), **tolerance)
        ]

    def _sides(self, answer: Answer) -> tuple[tuple[Server, httpx.Response], ...]:
        return (self.oracle, answer.oracle), (self.subject, answer.subject)

    @staticmethod
    def _header(server: Server, response: httpx.Response, name: str) -> str | None:
        value = response.headers.get(name)
        if value is None:
            return None
        if name in ("allow", "vary"):
            parts = sorted(part.strip() for part in value.split(","))
            # What a body might have been compressed with matters to nobody where it was not.
            plain = name == "vary" and "content-encoding" not in response.headers
            return ", ".join(part for part in parts if not (plain and part.lower() == "accept-encoding")) or None
        return value.replace(server.root, "<server>")

    def _without_addresses(self, bodies: list[Any]) -> list[Any]:
        return [
            replace_in_strings(body, server.root, "<server>")
            for body, server in zip(bodies, (self.oracle, self.subject), strict=True)
        ]

    def _unintended(self, request: Request, answer: Answer, found: list[Difference]) -> list[Difference]:
        """The differences that no entry of the list of intended ones allows."""
        if self.subject.is_oracle:
            return found
        rest = []
        for difference in found:
            entry = next((entry for entry in INTENDED if self._allows(entry, request, difference)), None)
            if entry:
                self.used.add(entry)
            else:
                rest.append(difference)
        return rest

    def _allows(self, entry: Intended, request: Request, difference: Difference) -> bool:
        return (
            self.test.split("::")[0].rsplit("/")[-1] == entry.module
            and fnmatch.fnmatchcase(f"{request.method} {request.path}", entry.request)
            and re.fullmatch(entry.where, difference.path) is not None
            and entry.allows(difference.oracle, difference.subject)
        )

    def _raise(self, request: Request, answer: Answer, found: list[Difference]) -> None:
        __tracebackhide__ = True
        if found:
            raise AnswersDiffer(
                f"{request}\n"
                + "\n".join(f"  ≠ {shortened(str(difference))}" for difference in found[:20])
                + (f"\n  … and {len(found) - 20} more" if len(found) > 20 else "")
                + f"\noracle:  {shown(answer.oracle)}\nsubject: {shown(answer.subject)}"
            )


def without_references(value: Any) -> Any:
    """What of a request the client chose itself, rather than took from an earlier answer."""
    if isinstance(value, str):
        return REFERENCE.sub("", value)
    if isinstance(value, dict):
        return {key: without_references(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_references(item) for item in value]
    return value


def value_at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def body_of(response: httpx.Response) -> Any:
    """The JSON value of an answer, or its text where it is not JSON."""
    if response.headers.get("content-type", "").startswith("application/json") and response.content:
        return response.json()
    return response.text


def replace_in_strings(value: Any, old: str, new: str) -> Any:
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, dict):
        return {key: replace_in_strings(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [replace_in_strings(item, old, new) for item in value]
    return value


def shortened(text: str) -> str:
    if len(text) <= SHOWN_CHARACTERS:
        return text
    return f"{text[:SHOWN_CHARACTERS]} … ({len(text)} characters)"


def shown(response: httpx.Response) -> str:
    headers = {name: response.headers[name] for name in HEADERS_THAT_MATTER if name in response.headers}
    return f"{response.status_code} {headers}\n  {shortened(response.text)}"
