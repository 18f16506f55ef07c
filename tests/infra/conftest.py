"""The emulator with the whole stack, deployed once for all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import emulator
from emulator import Emulator


@dataclass
class Stack:
    """The deployed stack: the emulator that it runs on, and its outputs."""

    emulator: Emulator
    outputs: dict[str, str]

    @property
    def api_url(self) -> str:
        """The value for PREFECT_API_URL."""
        return emulator.api_url(self.emulator, self.outputs)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator.running(tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture(scope="session")
def stack(running: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    root = emulator.lay_out(tmp_path_factory.mktemp("stack"), running.port)
    return Stack(running, emulator.deploy(running, root))


@pytest.fixture(scope="session")
def prefect_python() -> Path:
    """The interpreter that has the Prefect client: that of PROCTOR_ORACLE_ENV, or of the repository's `.venv`."""
    environment = Path(os.environ.get("PROCTOR_ORACLE_ENV", emulator.REPOSITORY / ".venv"))
    return environment / "bin" / "python"
