"""A disk that is full for a while under many writers: what was acknowledged has all that follows from it."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import checks
import httpx
import pytest
import stored
from disk import Disk, FileSizeLimit, filesystem
from load import Load
from subject import Subject

FULL_SECONDS = float(os.environ.get("PROCTOR_FULL_SECONDS", "7"))
WRITERS = 16
BEFORE_SECONDS = 2.0
AFTER_SECONDS = 2.0
# How long the disk is full before there is a little room again.
SQUEEZE_SECONDS = 0.5
FIRST_REFUSAL_SECONDS = 30.0
QUIET_SECONDS = 20.0


@pytest.fixture(params=["filesystem", "file_size_limit"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """Two disks: one that is full, and one that takes no longer files."""
    if request.param == "file_size_limit":
        yield FileSizeLimit(tmp_path)
        return
    with filesystem(tmp_path) as mounted:
        if mounted is None:
            pytest.skip("this account may not mount a filesystem; the other disk needs none")
        yield mounted


class Reader:
    """Reads time and again what a page of the user interface reads."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: Counter[str] = Counter()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _read(self) -> None:
        with httpx.Client(base_url=f"{self.url}/", timeout=30) as client:
            while not self._is_over.is_set():
                for path, body in (
                    ("health", None),
                    ("flow_runs/filter", {"limit": 20}),
                    ("flow_runs/count", {}),
                    ("events/filter", {"limit": 20}),
                ):
                    try:
                        method = "GET" if body is None else "POST"
                        answer = client.request(method, path, json=body)
                        self.answers[f"{path} {answer.status_code}"] += 1
                    except httpx.TransportError as error:
                        self.answers[f"{path} {error!r}"] += 1
                time.sleep(0.05)


def squeeze(disk: Disk, subject: Subject, seconds: float) -> None:
    """Keeps the disk full, with a little room once in a while, so that some writes get through and others don't."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        disk.fill(subject)
        time.sleep(SQUEEZE_SECONDS)
        disk.leave(subject)
        time.sleep(SQUEEZE_SECONDS / 5)
    disk.fill(subject)
    time.sleep(SQUEEZE_SECONDS)


def test_nothing_is_lost_while_the_disk_is_full(disk: Disk, seed: int) -> None:
    subject = Subject(disk.home, disk.home / "data")
    disk.start(subject)
    load = Load(subject, WRITERS, seed, is_killed=False)
    try:
        with load.running() as ledger:
            time.sleep(BEFORE_SECONDS)
            disk.fill(subject)
            until = time.monotonic() + FIRST_REFUSAL_SECONDS
            while not ledger.unavailable and time.monotonic() < until:
                time.sleep(0.05)
            before = ledger.acknowledged.total()
            with Reader(subject.url) as reader:
                squeeze(disk, subject, FULL_SECONDS)
            during = ledger.acknowledged.total() - before
            disk.free(subject)
            time.sleep(AFTER_SECONDS)
        quiet = stored.wait_until_quiet(subject.data, QUIET_SECONDS)
        wrong = [f"reader: {line}" for line in reader.answers if not line.endswith(" 200")]
        wrong += [*checks.left_undone(subject.data), *checks.Checks(subject.url, ledger).all()]
        assert subject.stop() == 0
        wrong += [*checks.wrong_in_file(subject.data, ledger), *subject.check().splitlines()]
    finally:
        subject.stop()
    print(
        f"{WRITERS} writers, {ledger.acknowledged.total()} acknowledged writes, {during} of them while the"
        f" disk was full; {ledger.unavailable.total()} answers 503 ({dict(ledger.unavailable)});"
        f" reads {dict(reader.answers)}; quiet {quiet:.1f} s after the last write"
    )
    assert not wrong, "\n".join([f"{len(wrong)} differences:", *wrong[:30]])
    assert ledger.unavailable.total() > 0, "the disk was never full"
