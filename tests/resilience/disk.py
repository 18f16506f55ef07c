"""A disk that can be made full and free again, for a server that runs."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from subject import Subject

# More than a test writes, and less than any machine has memory for.
SIZE_MEGABYTES = 384
BALLAST_STEP = 1 << 20
PAGE = 4096


class Disk(Protocol):
    """What the tests do with a disk."""

    @property
    def home(self) -> Path:
        """Where the server's data and log are."""

    def start(self, subject: Subject) -> None:
        """Starts the server on this disk."""

    def fill(self, subject: Subject) -> None:
        """Leaves no room at all."""

    def leave(self, subject: Subject) -> None:
        """Leaves a little room, which is gone after some writes."""

    def free(self, subject: Subject) -> None:
        """Leaves room enough."""


class Filesystem:
    """A filesystem of its own in memory, which a ballast file fills."""

    def __init__(self, mount_point: Path) -> None:
        self.home = mount_point
        self.ballast = mount_point / "ballast"

    def start(self, subject: Subject) -> None:
        subject.start()

    def fill(self, subject: Subject) -> None:
        with contextlib.suppress(OSError), self.ballast.open("ab", buffering=0) as ballast:
            for step in (BALLAST_STEP, PAGE):
                with contextlib.suppress(OSError):
                    while ballast.write(bytes(step)) == step:
                        pass

    def leave(self, subject: Subject) -> None:
        os.truncate(self.ballast, max(self.ballast.stat().st_size - 40 * PAGE, 0))

    def free(self, subject: Subject) -> None:
        self.ballast.unlink()


class FileSizeLimit:
    """A limit on the size of files, which the server's writes run into; it can be changed while the server runs."""

    def __init__(self, directory: Path) -> None:
        self.home = directory

    def start(self, subject: Subject) -> None:
        # A write beyond the limit is to fail, and not to end the process. The log goes through a pipe:
        # a limit on the database's file is none on a log, which is smaller.
        subject.start("bash", "-c", "trap '' XFSZ; exec \"$0\" \"$@\" > >(cat) 2>&1")

    def fill(self, subject: Subject) -> None:
        self._limit(subject, 0)

    def leave(self, subject: Subject) -> None:
        size = (subject.data / "proctor.db-wal").stat().st_size
        self._limit(subject, size + 40 * PAGE)

    def free(self, subject: Subject) -> None:
        self._limit(subject, resource.RLIM_INFINITY)

    @staticmethod
    def _limit(subject: Subject, size: int) -> None:
        _, hard = resource.prlimit(subject.process_id, resource.RLIMIT_FSIZE)
        resource.prlimit(subject.process_id, resource.RLIMIT_FSIZE, (size, hard))


@contextlib.contextmanager
def filesystem(directory: Path) -> Iterator[Filesystem | None]:
    """Mounts a filesystem, or yields nothing where this account may not."""
    mount_point = directory / "disk"
    mount_point.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={SIZE_MEGABYTES}m", "tmpfs", str(mount_point)]
    mounted = subprocess.run(["mount", *options], capture_output=True, check=False)
    if mounted.returncode != 0:
        yield None
        return
    try:
        yield Filesystem(mount_point)
    finally:
        subprocess.run(["umount", "--lazy", str(mount_point)], check=True)
