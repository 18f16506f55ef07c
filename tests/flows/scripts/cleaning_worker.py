"""Serves a work pool, as `prefect worker start` does, with a process worker that can tear down what runs leave behind.

No worker of the `prefect` package can; those of other packages, such as the one for Docker, say how as this one does.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from prefect.workers.process import ProcessWorker


class CleaningWorker(ProcessWorker):
    """Ends the process whose id the flow run has noted, and notes in a file that it was asked to."""

    asked = Path()

    async def kill_infrastructure(self, infrastructure_pid: str, configuration: Any, grace_seconds: int = 30) -> None:
        with self.asked.open("a") as notes:
            notes.write(f"{infrastructure_pid}\n")
        os.kill(int(infrastructure_pid.rsplit(":", 1)[-1]), signal.SIGKILL)


pool, name, notes = sys.argv[1:]
CleaningWorker.asked = Path(notes)
asyncio.run(CleaningWorker(work_pool_name=pool, name=name).start())
