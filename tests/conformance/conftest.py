"""Fixtures of the conformance suite: the two servers, asked side by side."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import pytest

from . import library, servers
from .differences import INTENDED
from .side_by_side import Pair, Server

sys.path.append(str(Path(__file__).resolve().parent.parent))

import assets  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def proctor_assets() -> Iterator[Path]:
    """The folder of what Prefect ships as data, which our servers read."""
    with assets.made(servers.our_executable(), servers.oracle_executable().parent.parent) as folder:
        yield folder


@contextmanager
def asked_side_by_side(
    settings: Mapping[str, str] | None = None, *, oracle_url: str = "", subject_url: str = ""
) -> Iterator[Pair]:
    """Yields both servers: running ones where an address is given, else new and empty ones."""
    running = (
        nullcontext(oracle_url) if oracle_url else servers.oracle(settings),
        nullcontext(subject_url) if subject_url else servers.subject(settings),
    )
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        oracle, subject = pool.map(stack.enter_context, running)
        yield Pair(Server(oracle), Server(subject))


@pytest.fixture(scope="session")
def session_pair() -> Iterator[Pair]:
    """Both servers for the whole session: running ones that the environment names, or new ones."""
    with asked_side_by_side(
        oracle_url=os.environ.get("PROCTOR_ORACLE_URL", ""),
        subject_url=os.environ.get("PROCTOR_SUBJECT_URL", ""),
    ) as pair:
        yield pair


@pytest.fixture
def pair(session_pair: Pair, request: pytest.FixtureRequest) -> Pair:
    """Both servers, shared with every other test: what is found there is not the test's own."""
    session_pair.test = request.node.nodeid
    return session_pair


def pytest_configure() -> None:
    """Ends on SIGTERM as on Ctrl-C, so that a session that is cut short stops its servers."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


# The test files of this session in which a test failed.
failed_modules: set[str] = set()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        failed_modules.add(report.nodeid.split("::")[0].rsplit("/")[-1])


@pytest.fixture(scope="module", autouse=True)
def every_intended_difference_still_exists(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test file that does not meet an intended difference which is listed for it.

    It is checked behind each file, since the files of a session may run in several processes. A file in which a test failed may
    have met fewer. A session of selected tests cannot know, and one that repeats what failed goes by what the session before it
    found. One of the oracle against itself has none.
    """
    yield
    config, module = request.config, request.path.name
    selected = config.option.keyword or any("::" in argument for argument in config.args)
    if selected or os.environ.get("PROCTOR_SUBJECT") == "oracle":
        return
    noted = f"conformance/unused_differences/{module}"
    unused = [entry.reason for entry in INTENDED if entry.module == module and entry not in Pair.used]
    # pytest can be told to have no cache.
    cache: pytest.Cache | None = getattr(config, "cache", None)
    if cache and config.option.lf:
        unused = cache.get(noted, unused)
    else:
        unused = [] if module in failed_modules else unused
        if cache:
            cache.set(noted, unused)
    assert unused == []


@pytest.fixture(scope="session")
def session_library() -> Iterator[Pair]:
    """Both servers with the data of `library`, which no test may change."""
    with asked_side_by_side() as pair:
        library.build(pair)
        yield pair


@pytest.fixture
def filled(session_library: Pair, request: pytest.FixtureRequest) -> Pair:
    session_library.test = request.node.nodeid
    return session_library
