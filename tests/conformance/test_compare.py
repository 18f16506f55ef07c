"""The comparison itself: what it forgives, and that it sees every other difference."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from .compare import Comparison

ORACLE_ID = "11111111-1111-4111-8111-111111111111"
SUBJECT_ID = "22222222-2222-4222-8222-222222222222"
OTHER_ID = "33333333-3333-4333-8333-333333333333"


NOW = datetime.now(UTC)


def instant(seconds: float = 0) -> str:
    moment = NOW + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.123456Z"


@pytest.mark.parametrize(
    ("oracle", "subject"),
    [
        ({"a": 1, "b": [None, "x"]}, {"b": [None, "x"], "a": 1}),
        ({"id": ORACLE_ID}, {"id": SUBJECT_ID}),
        ([ORACLE_ID, ORACLE_ID], [SUBJECT_ID, SUBJECT_ID]),
        (f"Flow run {ORACLE_ID} not found", f"Flow run {SUBJECT_ID} not found"),
        ({"created": instant()}, {"created": instant(2)}),
        ({"total_run_time": 0.0}, {"total_run_time": 1.5}),
        ({"name": "tidy-okapi"}, {"name": "blue-mule"}),
        ({"pause_keys": ["a", ORACLE_ID]}, {"pause_keys": [SUBJECT_ID, "a"]}),
        ([{"id": ORACLE_ID}, {ORACLE_ID: 1}], [{"id": SUBJECT_ID}, {SUBJECT_ID: 1}]),
    ],
)
def test_equal(oracle: Any, subject: Any) -> None:
    assert Comparison(NOW).differences(oracle, subject) == []


@pytest.mark.parametrize(
    ("oracle", "subject"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": 1}, {"a": True}),
        ({"a": None}, {}),
        ({}, {"a": None}),
        ({"a": "1"}, {"a": 1}),
        ([1, 2], [2, 1]),
        ([1], [1, 1]),
        ({"pause_keys": ["a"]}, {"pause_keys": ["a", "a"]}),
        ({"pause_keys": ["a", ORACLE_ID]}, {"pause_keys": ["b", SUBJECT_ID]}),
        ([], {}),
        ("x", "y"),
        ({"id": ORACLE_ID}, {"id": None}),
        ({"id": ORACLE_ID}, {"id": "not an id"}),
        ([ORACLE_ID, ORACLE_ID], [SUBJECT_ID, OTHER_ID]),
        ([ORACLE_ID, OTHER_ID], [SUBJECT_ID, SUBJECT_ID]),
        (f"Flow run {ORACLE_ID} not found", f"Flow {SUBJECT_ID} not found"),
        ({"created": instant()}, {"created": instant(60)}),
        ({"created": instant()}, {"created": instant().replace("Z", "+00:00")}),
        ({"created": instant()}, {"created": instant().replace(".123456", ".123")}),
        ({"scheduled": "2031-01-01T00:00:00Z"}, {"scheduled": "2031-01-01T00:10:00Z"}),
        ({"scheduled": "2020-01-01T00:00:00Z"}, {"scheduled": "2020-01-01T00:00:01Z"}),
        ({"total_run_time": 0.0}, {"total_run_time": 0}),
        ({"total_run_time": 0.0}, {"total_run_time": 99.0}),
        ({"elsewhere": 0.0}, {"elsewhere": 0.5}),
        ({"message": "tidy-okapi"}, {"message": "blue-mule"}),
        ({"name": "tidy-okapi"}, {"name": "Blue Mule"}),
    ],
)
def test_different(oracle: Any, subject: Any) -> None:
    assert Comparison(NOW).differences(oracle, subject) != []


def test_an_id_stays_paired_over_several_answers() -> None:
    comparison = Comparison(NOW)
    assert comparison.differences({"id": ORACLE_ID}, {"id": SUBJECT_ID}) == []
    assert comparison.differences([ORACLE_ID], [SUBJECT_ID]) == []
    assert comparison.differences([ORACLE_ID], [OTHER_ID]) != []
    assert comparison.differences([OTHER_ID], [SUBJECT_ID]) != []


@pytest.mark.parametrize(
    ("sent", "key"), [(ORACLE_ID, "id"), (instant(1000), "time"), ("tidy-okapi", "name")], ids=["id", "time", "name"]
)
def test_what_the_client_sent_comes_back_unchanged(sent: str, key: str) -> None:
    comparison = Comparison(NOW)
    comparison.note_sent({"nested": [sent]})
    other = {"id": SUBJECT_ID, "time": instant(1001), "name": "blue-mule"}[key]
    assert comparison.differences({key: sent}, {key: sent}) == []
    assert comparison.differences({key: sent}, {key: other}) != []


def test_equal_instants_of_one_run_are_equal_on_both_sides() -> None:
    one, other = instant(), instant(1)
    run = {"start_time": one, "end_time": other}
    assert Comparison(NOW).differences(run, {"start_time": other, "end_time": one}) == []
    assert Comparison(NOW).differences(run, {"start_time": one, "end_time": one}) != []
