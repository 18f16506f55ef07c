"""Background tasks: `delay N FILE` schedules N runs of a task, `serve` runs what is scheduled until it is interrupted.

Each run adds its number to the file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Nobody reads what a worker prints while it serves, and the pipe would be full after a hundred runs.
os.environ["PREFECT_LOGGING_LEVEL"] = "ERROR"

from prefect import task  # noqa: E402
from prefect.task_worker import serve  # noqa: E402


@task
def note(number: int, file: str) -> int:
    with Path(file).open("a") as notes:
        notes.write(f"{number}\n")
    return number


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve"]:
            serve(note, limit=4)
        case ["delay", count, file]:
            for number in range(int(count)):
                note.delay(number, file)
