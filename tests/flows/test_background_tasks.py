"""Background tasks with the unmodified client: `.delay()` and `serve`, on several workers, and across a restart."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import Api, Runner, eventually
from servers import start_subject

# Of background tasks that three workers share.
COUNT = 500


@contextmanager
def serving(runner: Runner, workers: int) -> Iterator[None]:
    processes = [runner.start("background", "serve") for _ in range(workers)]
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGINT)
        for process in processes:
            runner.finish(process, None)


def check_notes(file: Path, count: int, timeout_seconds: float = 480) -> None:
    """Waits until every run has noted its number, each once."""

    def are_noted() -> None:
        assert file.exists() and len(file.read_text().split()) >= count

    eventually(are_noted, timeout_seconds)
    assert sorted(map(int, file.read_text().split())) == list(range(count))


def test_each_run_is_run_once(runner: Runner, api: Api, tmp_path: Path) -> None:
    notes = tmp_path / "notes"

    def are_there() -> None:
        assert len(api.post("task_workers/filter", {"task_worker_filter": {"task_keys": []}})) >= 3

    with serving(runner, workers=3):
        eventually(are_there, 120)
        runner.run("background", "delay", str(COUNT), str(notes))
        check_notes(notes, COUNT)
    runs = {"task_runs": {"name": {"like_": "note"}}}

    def are_completed() -> None:
        completed = {"task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}, **runs["task_runs"]}}
        assert api.post("task_runs/count", runs) == api.post("task_runs/count", completed) == COUNT

    eventually(are_completed, 30)


def test_what_was_delayed_outlives_the_server(tmp_path: Path) -> None:
    """Scheduled while nobody serves, and run by who comes when the server is another one, at the address that the runs name."""
    home, notes = tmp_path / "server", tmp_path / "notes"
    home.mkdir()
    options = ("--data", str(home / "data"))
    server = start_subject(home, *options)
    try:
        Runner(server.api_url, tmp_path).run("background", "delay", "5", str(notes))
    finally:
        server.stop()
    server = start_subject(home, *options, port=server.port)
    try:
        with serving(Runner(server.api_url, tmp_path), workers=1):
            check_notes(notes, 5)
    finally:
        server.stop()
