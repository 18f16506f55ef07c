"""What Prefect ships as data, made for the tests by the command that makes it for a person."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = "PROCTOR_ASSETS"


@contextmanager
def made(proctor: Path, environment: Path) -> Iterator[Path]:
    """Yields a folder with the data of the package in a virtual environment, which servers find by PROCTOR_ASSETS.

    A folder that the variable names already is taken as it is.
    """
    if given := os.environ.get(FOLDER):
        yield Path(given)
        return
    with tempfile.TemporaryDirectory(prefix="proctor-assets-") as directory:
        folder = Path(directory) / "assets"
        subprocess.run([proctor, "assets", "--from", environment, "--into", folder], check=True, stdout=subprocess.DEVNULL)
        os.environ[FOLDER] = str(folder)
        try:
            yield folder
        finally:
            del os.environ[FOLDER]
