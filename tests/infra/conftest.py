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
    """The deployed stack: the emulator that it runs on, its outputs, and the root template that it was made from."""

    emulator: Emulator
    outputs: dict[str, str]
    root: Path

    @property
    def api_url(self) -> str:
        """The value for PREFECT_API_URL."""
        return emulator.api_url(self.emulator, self.outputs)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("emulator")
    with emulator.running(directory) as running:
        emulator.make_bucket(running)
        root = emulator.lay_out(directory)
        yield Stack(running, emulator.deploy(running, root), root)


@pytest.fixture(scope="session")
def prefect_python() -> Path:
    """The interpreter that has the Prefect client: that of PROCTOR_ORACLE_ENV, or of the repository's `.venv`."""
    environment = Path(os.environ.get("PROCTOR_ORACLE_ENV", emulator.REPOSITORY / ".venv"))
    return environment / "bin" / "python"
