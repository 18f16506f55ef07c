"""Gives SQLite the function `concat`, which it has of itself from version 3.44 on.

The oracle's text searches need it: without it, each fails with an internal error, and there is nothing to compare.
Python imports this module by its name when the oracle starts.
"""

from __future__ import annotations

import functools
import sqlite3
from typing import Any


def concat(*values: Any) -> str:
    return "".join("" if value is None else str(value) for value in values)


def with_concat(connect: Any) -> Any:
    @functools.wraps(connect)
    def connect_with_concat(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.create_function("concat", -1, concat, deterministic=True)
        return connection

    return connect_with_concat


if sqlite3.sqlite_version_info < (3, 44):
    sqlite3.connect = with_concat(sqlite3.connect)
