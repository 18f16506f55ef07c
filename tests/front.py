"""Puts one address in front of two servers, as CloudFront does in the cloud: websockets go to one, the rest to the other.

    python tests/front.py 4201 --http 127.0.0.1:9000 --websockets 127.0.0.1:4200

The Prefect client takes the address of the events websocket from PREFECT_API_URL, and `cargo lambda watch` serves no
websockets; the local server does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
from urllib.parse import quote

# The paths that are websockets.
WEBSOCKET = re.compile(rb"GET (?:/_aws/execute-api/\w+)?/api/(events/(in|out)|logs/out|task_runs/subscriptions/scheduled|work_pools/[^/]+/workers/connect)[? ]")
LARGEST_HEAD = 64 * 1024

Address = tuple[str, int]


def address(text: str) -> Address:
    host, port = text.rsplit(":", 1)
    return host, int(port)


async def start(
    port: int, http: Address, websockets: Address, path: str | None = None, header: tuple[str, str] | None = None
) -> asyncio.Server:
    """Listens on the port of the loopback address; each connection goes where its first request belongs.

    Websockets are asked for at `path`, if there is one, in the place of their own, which goes into a parameter of the
    query. Each request gets the `header`.
    """

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await reader.readuntil(b"\r\n\r\n")
            behind = websockets if (found := WEBSOCKET.match(head)) else http
            if found and path:
                own = quote(re.search(rb"/api/[^ ?]*", head)[0], safe="")
                head = f"GET {path}?path={own}".encode() + head[head.index(b" HTTP/") :]
            if header:
                head = with_header(head, *header, is_last=not found)
            behind_reader, behind_writer = await asyncio.open_connection(*behind)
            behind_writer.write(head)
            await asyncio.gather(splice(reader, behind_writer), splice(behind_reader, writer))
        writer.close()

    return await asyncio.start_server(connected, "127.0.0.1", port, limit=LARGEST_HEAD)


def with_header(head: bytes, name: str, value: str, is_last: bool) -> bytes:
    """Puts a header into a request's head, in the place of the client's; the last request of its connection says so.

    What comes later on a connection is not looked at, so that it would come without the header.
    """
    replaced = {name.lower().encode()} | ({b"connection"} if is_last else set())
    lines = [line for line in head[:-4].split(b"\r\n") if line.split(b":")[0].lower() not in replaced]
    lines += [b"connection: close"] if is_last else []
    return b"\r\n".join([*lines, f"{name}: {value}".encode(), b"", b""])


async def splice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(LARGEST_HEAD):
            writer.write(data)
            await writer.drain()
    writer.close()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("--http", type=address, required=True, metavar="HOST:PORT")
    parser.add_argument("--websockets", type=address, required=True, metavar="HOST:PORT")
    options = parser.parse_args()
    server = await start(options.port, options.http, options.websockets)
    print(f"PREFECT_API_URL=http://127.0.0.1:{options.port}/api", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
