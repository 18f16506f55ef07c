"""Conversations over websockets, held with both servers."""

from __future__ import annotations

import json
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from .side_by_side import AnswersDiffer, Pair, Server

AUTH = {"type": "auth", "token": None}
ANSWER_SECONDS = 10.0


def address(server: Server, path: str) -> str:
    return server.url.replace("http://", "ws://") + path


def talk(server: Server, path: str, protocols: list[str] | None, messages: list[Any], *, reads: int) -> dict[str, Any]:
    """Sends messages over a new connection and tells everything that the server did."""
    seen: dict[str, Any] = {"received": []}
    subprotocols = [Subprotocol(name) for name in protocols] if protocols else None
    try:
        with connect(address(server, path), subprotocols=subprotocols, open_timeout=ANSWER_SECONDS) as socket:
            seen["subprotocol"] = socket.subprotocol
            exchange(socket, messages, reads, seen)
    except InvalidHandshake as refusal:
        response = getattr(refusal, "response", None)
        seen["refused"] = response.status_code if response else str(refusal)
    return seen


def exchange(socket: ClientConnection, messages: list[Any], reads: int, seen: dict[str, Any]) -> None:
    try:
        for message in messages:
            socket.send(message if isinstance(message, str | bytes) else json.dumps(message))
        for _ in range(reads):
            seen["received"].append(json.loads(socket.recv(timeout=ANSWER_SECONDS)))
    except ConnectionClosed as closed:
        frame = closed.rcvd
        seen["closed"] = (frame.code, frame.reason) if frame else None
    except TimeoutError:
        seen["silent"] = True


def check_talk(pair: Pair, path: str, protocols: list[str] | None, messages: list[Any], *, reads: int) -> None:
    """Has the same conversation with both servers and compares them."""
    oracle, subject = (talk(server, path, protocols, messages, reads=reads) for server in (pair.oracle, pair.subject))
    if oracle != subject:
        raise AnswersDiffer(f"websocket {path} {protocols} {messages}\noracle:  {oracle}\nsubject: {subject}")
