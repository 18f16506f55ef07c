"""Keeps the list of intended differences true; behind each file, `conftest.py` checks that it met its own."""

from pathlib import Path

from .differences import INTENDED


def test_every_intended_difference_is_met_by_a_test_file() -> None:
    files = {file.name for file in Path(__file__).parent.glob("*.py")}
    assert {entry.module for entry in INTENDED} <= files
