"""Runs `prefect` commands one after another, in one process, so that the client is imported once.

Reads a JSON list of arguments a line, and answers with a line: the exit code and what the command printed.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys

from prefect.cli import app


def run(arguments: list[str]) -> tuple[int, str]:
    """Runs `prefect` with these arguments; returns its exit code and what it printed."""
    sys.argv, sys.stdin = ["prefect", *arguments], io.StringIO()
    printed = io.StringIO()
    code: object = 0
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            app()
        except SystemExit as ended:
            code = ended.code
    return code if isinstance(code, int) else int(code is not None), printed.getvalue()


if __name__ == "__main__":
    for line in sys.__stdin__:
        print(json.dumps(run(json.loads(line))), flush=True)
