"""Partial matches of names: a term is found as it is written, whatever the case of its letters.

The real server is asked as well, so that the difference is known to exist; what ours has to find is stated here.
"""

from __future__ import annotations

from typing import Any

import pytest

from .side_by_side import Pair

NAMES = ["my_flow", "my-flow", "MY%FLOW", "100", "100%", "Ünïcode", "ÜNÏCODE", "back\\slash", "Σίσυφος"]

TERMS: dict[str, list[str]] = {
    "y_f": ["my_flow"],
    "Y%f": ["MY%FLOW"],
    "my": ["MY%FLOW", "my-flow", "my_flow"],
    "0%": ["100%"],
    "%": ["100%", "MY%FLOW"],
    "_": ["my_flow"],
    "\\": ["back\\slash"],
    "ünï": ["Ünïcode", "ÜNÏCODE"],
    "ΣΊΣΥΦ": ["Σίσυφος"],
    "a\\": [],
    "my\\_flow": [],
}


@pytest.fixture(scope="module")
def named(session_pair: Pair) -> Pair:
    for name in NAMES:
        # Flows and deployments are not called anything with % in it.
        without = f"partial {name.replace('%', '+')}"
        flow = session_pair.prepare("POST", "/flows/", {"name": without, "tags": ["partial"]})["id"]
        body = {"flow_id": flow, "name": f"partial {name}", "tags": ["partial"]}
        session_pair.prepare("POST", "/flow_runs/", body)
        session_pair.prepare("POST", "/deployments/", {**body, "name": without})
    return session_pair


def found(pair: Pair, path: str, body: dict[str, Any]) -> list[str]:
    answer = pair.check("POST", path, body)
    return [each["name"].removeprefix("partial ") for each in answer.subject.json()]


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("kind", ["flows", "flow_runs"])
def test_a_term_is_found_as_it_is(named: Pair, pair: Pair, kind: str, term: str) -> None:
    body = {kind: {"name": {"like_": term}, "tags": {"all_": ["partial"]}}, "sort": "NAME_ASC"}
    expected = TERMS[term]
    if kind == "flows":
        expected = [] if "%" in term else [name.replace("%", "+") for name in expected]
    assert sorted(found(pair, f"/{kind}/filter", body)) == sorted(expected)


@pytest.mark.parametrize("field", ["name", "flow_or_deployment_name"])
def test_a_deployment_is_found_by_its_name_or_that_of_its_flow(named: Pair, pair: Pair, field: str) -> None:
    def by(term: str) -> list[str]:
        return found(pair, "/deployments/filter", {"deployments": {field: {"like_": term}, "tags": {"all_": ["partial"]}}})

    assert by("Y_f") == ["my_flow"]
    assert sorted(by("ÜNï")) == sorted(["Ünïcode", "ÜNÏCODE"])
    assert by("0%") == []
    assert by("0+") == ["100+"]


def test_a_block_type_and_a_block_are_found_by_what_their_names_contain(pair: Pair) -> None:
    for name, slug in (("pm_type", "pm-one"), ("pm+type", "pm-two"), ("ÄM type", "pm-three")):
        kind = pair.prepare("POST", "/block_types/", {"name": name, "slug": slug}, name=f"type.{slug}")["id"]
    for term, expected in (("M_T", ["pm_type"]), ("m%t", []), ("äm", ["ÄM type"])):
        assert found(pair, "/block_types/filter", {"block_types": {"name": {"like_": term}}}) == expected
    schema = pair.prepare("POST", "/block_schemas/", {"block_type_id": kind, "fields": {"title": "Partial"}})["id"]
    body = {"name": "pm-a", "block_type_id": kind, "block_schema_id": schema}
    pair.prepare("POST", "/block_documents/", body)
    for term, expected in (("M-A", ["pm-a"]), ("m_a", [])):
        assert found(pair, "/block_documents/filter", {"block_documents": {"name": {"like_": term}}}) == expected


def test_a_queue_starts_with_a_text(pair: Pair) -> None:
    for name in ("pm_q", "pm-q", "ÄM"):
        pair.prepare("POST", "/work_queues/", {"name": name})
    filtered = {"work_queues": {"name": {"startswith_": ["pm_", "äm"]}}}
    assert sorted(found(pair, "/work_queues/filter", filtered)) == ["pm_q", "ÄM"]


def test_an_input_starts_with_a_text(pair: Pair) -> None:
    flow = pair.prepare("POST", "/flows/", {"name": "partial inputs"})["id"]
    run = pair.prepare("POST", "/flow_runs/", {"flow_id": flow})["id"]
    pair.send("POST", f"/flow_runs/{run}/input", {"key": "greet-1", "value": "1"})
    for prefix, count in (("GREET", 1), ("gr%", 0), ("gree_", 0)):
        answer = pair.check("POST", f"/flow_runs/{run}/input/filter", {"prefix": prefix, "limit": 10})
        assert len(answer.subject.json()) == count, prefix
