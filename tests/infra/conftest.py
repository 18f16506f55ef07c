"""The stack on the emulator, deployed once for all tests by the command that deploys it for a person."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "page")]

import assets
import emulator
from emulator import Emulator


@dataclass
class Stack:
    """The deployed stack: the emulator that it runs on, what the client is told of it, and its outputs."""

    emulator: Emulator
    api_url: str
    key: str
    outputs: dict[str, str]


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    command = subprocess.Popen([sys.executable, emulator.__file__], stdout=subprocess.PIPE, text=True)
    try:
        said = ""
        while not (url := re.search(r"^export PREFECT_API_URL=(\S+)$", said, re.MULTILINE)):
            line = command.stdout.readline()
            assert line, f"the command ended: {said}"
            said += line
        itself, log = re.search(r"^The emulator is at (\S+), its log is (\S+)$", said, re.MULTILINE).groups()
        running = Emulator(command, urlsplit(itself).port, Path(log))
        key = re.search(r"^export PREFECT_API_AUTH_STRING=(\S+)$", said, re.MULTILINE)[1]
        yield Stack(running, url[1], key, emulator.outputs(running))
    finally:
        command.terminate()
        command.wait(60)


@pytest.fixture(scope="session")
def page_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the page as they are uploaded, made by the command that makes them for a person."""
    proctor, folder = emulator.binaries() / "proctor", tmp_path_factory.mktemp("page") / "page"
    with assets.made(proctor, emulator.prefect_environment()) as data:
        command = [proctor, "page", "--assets", data, "--into", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="session")
def prefect_python() -> Path:
    """The interpreter that has the Prefect client."""
    return emulator.prefect_environment() / "bin" / "python"
