"""What a process of this machine takes."""

from __future__ import annotations

import os
from pathlib import Path


def memory(process: int) -> float:
    """Megabytes that the process has in memory."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS"))


def processor(process: int) -> float:
    """Seconds of processors that the process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
