"""Concurrency limits of the first generation: of tags, whose slots task runs hold."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from .library import NOBODY
from .side_by_side import Pair, sorted_by

PATH = "/concurrency_limits"
FIRST, SECOND, THIRD = (f"0000000{number}-0000-4000-8000-000000000000" for number in (1, 2, 3))


def add(pair: Pair, tag: str, limit: int = 2) -> str:
    return pair.prepare("POST", f"{PATH}/", {"tag": tag, "concurrency_limit": limit})["id"]


def increment(pair: Pair, run: str, *tags: str) -> None:
    answer = pair.check("POST", f"{PATH}/increment", {"names": list(tags), "task_run_id": run})
    if answer.oracle.status_code == answer.subject.status_code:
        assert answer.oracle.headers.get("retry-after") == answer.subject.headers.get("retry-after")


def decrement(pair: Pair, run: str, *tags: str) -> None:
    pair.check("POST", f"{PATH}/decrement", {"names": list(tags), "task_run_id": run}, view=sorted_by("name"))


@pytest.fixture
def ours(pair: Pair) -> Iterator[httpx.Client]:
    """A client of our server alone, whose limits are deleted in the end, as other tests compare how many there are."""
    with httpx.Client(base_url=pair.subject.url, timeout=60) as client:

        def limits() -> set[str]:
            return {limit["id"] for limit in client.post("/v2/concurrency_limits/filter", json={}).json()}

        before = limits()
        yield client
        for id in limits() - before:
            client.delete(f"{PATH}/{id}").raise_for_status()


def check_slots(pair: Pair, *tags: str) -> None:
    """Compares who holds the slots of the tags, and how many are taken."""
    for tag in tags:
        pair.check("GET", f"{PATH}/tag/{tag}")
        pair.check("GET", f"/v2/concurrency_limits/tag:{tag}")


@pytest.mark.parametrize(
    "body",
    [
        {"tag": "v1-plain", "concurrency_limit": 3},
        {"tag": "v1-none", "concurrency_limit": 0},
        {"tag": "v1-negative", "concurrency_limit": -1},
        {"tag": "v1-large", "concurrency_limit": 2**40},
        {"tag": "v1-too-large", "concurrency_limit": 2**70},
        {"tag": "v1-text", "concurrency_limit": "4"},
        {"tag": "v1-word", "concurrency_limit": "x"},
        {"tag": "v1-half", "concurrency_limit": 1.5},
        {"tag": "v1-null", "concurrency_limit": None},
        {"tag": "v1 ä", "concurrency_limit": 1},
        {"tag": "", "concurrency_limit": 1},
        {"tag": 1, "concurrency_limit": 1},
        {"tag": "v1-unknown", "concurrency_limit": 1, "unknown": 1},
        {"tag": "v1-lonely"},
        {"concurrency_limit": 1},
        {},
        None,
    ],
    ids=str,
)
def test_create(pair: Pair, body: Any) -> None:
    pair.check("POST", f"{PATH}/", body)


def test_a_tag_with_a_slash(pair: Pair) -> None:
    """Upstream takes no such name, though a task run may have such a tag."""
    pair.check("POST", f"{PATH}/", {"tag": "v1/slash", "concurrency_limit": 1})
    pair.send("DELETE", f"{PATH}/tag/v1%2Fslash")


def test_create_again(pair: Pair) -> None:
    for limit in (2, 3, 3):
        pair.check("POST", f"{PATH}/", {"tag": "v1-again", "concurrency_limit": limit})
    increment(pair, FIRST, "v1-again")
    pair.check("POST", f"{PATH}/", {"tag": "v1-again", "concurrency_limit": 1})
    check_slots(pair, "v1-again")
    add(pair, "v1-below")
    pair.check("POST", f"{PATH}/", {"tag": "v1-below", "concurrency_limit": -1})


def test_a_limit_is_one_of_the_second_generation(pair: Pair) -> None:
    id = add(pair, "v1-both", 2)
    pair.check("GET", f"/v2/concurrency_limits/{id}")
    pair.check("PATCH", f"/v2/concurrency_limits/{id}", {"limit": 5})
    pair.check("GET", f"{PATH}/{id}")
    pair.prepare("POST", "/v2/concurrency_limits/", {"name": "tag:v2-both", "limit": 1})
    pair.check("GET", f"{PATH}/tag/v2-both")


def test_read_by_id_and_by_tag(pair: Pair) -> None:
    id = add(pair, "v1-read ä")
    pair.check("GET", f"{PATH}/{id}")
    pair.check("GET", f"{PATH}/tag/v1-read ä")
    pair.check("GET", f"{PATH}/{NOBODY}")
    pair.check("GET", f"{PATH}/no-id")
    pair.check("GET", f"{PATH}/tag/v1-nobody")


def test_limits_of_other_names(pair: Pair) -> None:
    other = pair.prepare("POST", "/v2/concurrency_limits/", {"name": "v1-other", "limit": 2})["id"]
    pair.check("GET", f"{PATH}/{other}")
    pair.check("GET", f"{PATH}/tag/v1-other")
    increment(pair, FIRST, "v1-other")
    pair.check("DELETE", f"{PATH}/tag/v1-other")
    pair.check("DELETE", f"{PATH}/{other}")
    pair.check("GET", "/v2/concurrency_limits/v1-other")


def test_delete(pair: Pair) -> None:
    id = add(pair, "v1-delete")
    add(pair, "v1-delete-by-tag")
    increment(pair, FIRST, "v1-delete", "v1-delete-by-tag")
    for which in (id, "tag/v1-delete-by-tag", id, "tag/v1-delete", NOBODY, "no-id"):
        pair.check("DELETE", f"{PATH}/{which}")
    pair.check("GET", f"{PATH}/{id}")
    decrement(pair, FIRST, "v1-delete")
    pair.check("POST", f"{PATH}/", {"tag": "v1-delete", "concurrency_limit": 1})
    check_slots(pair, "v1-delete")


@pytest.mark.parametrize("body", [{"limit": 0}, {"limit": 201}, {"offset": -1}, {"limit": None}, {"unknown": 1}, None], ids=str)
def test_filter_requests(pair: Pair, body: Any) -> None:
    pair.check("POST", f"{PATH}/filter", body, view=lambda answer: answer if isinstance(answer, dict) else "a list")


def test_filter_goes_by_tag(pair: Pair) -> None:
    for tag in ("c", "a", "b"):
        add(pair, f" v1-page-{tag}")
    increment(pair, FIRST, " v1-page-a", " v1-page-b")
    for window in ({"limit": 2}, {"limit": 3}, {"limit": 2, "offset": 1}, {"limit": 1, "offset": 2}):
        pair.check("POST", f"{PATH}/filter", window)


def test_other_limits_take_no_place_on_a_page(ours: httpx.Client) -> None:
    """Ours alone: upstream cuts the page off before it leaves the other limits out."""
    for name in (" v1-before", "  v1-before"):
        ours.post("/v2/concurrency_limits/", json={"name": name, "limit": 1}).raise_for_status()
    ours.post(f"{PATH}/", json={"tag": "  v1-after", "concurrency_limit": 1}).raise_for_status()
    page = ours.post(f"{PATH}/filter", json={"limit": 2}).json()
    assert "  v1-after" in [limit["tag"] for limit in page]


@pytest.mark.parametrize("operation", ["increment", "decrement"])
@pytest.mark.parametrize(
    "body",
    [
        {"names": [], "task_run_id": FIRST},
        {"names": ["v1-nobody"], "task_run_id": FIRST},
        {"names": ["v1-asked", "v1-nobody"], "task_run_id": FIRST},
        {"names": ["v1-zero"], "task_run_id": FIRST},
        {"names": ["v1-asked", "v1-zero"], "task_run_id": FIRST},
        {"names": "v1-asked", "task_run_id": FIRST},
        {"names": [1], "task_run_id": FIRST},
        {"names": None, "task_run_id": FIRST},
        {"names": ["v1-asked"], "task_run_id": "no id"},
        {"names": ["v1-asked"], "task_run_id": None},
        {"names": ["v1-asked"], "task_run_id": FIRST, "occupancy_seconds": 3.5},
        {"names": ["v1-asked"]},
        {"task_run_id": FIRST},
        {},
        None,
    ],
    ids=str,
)
def test_slot_requests(pair: Pair, operation: str, body: Any) -> None:
    # Made by the first of these tests, and there already for the others.
    pair.send("POST", f"{PATH}/", {"tag": "v1-asked", "concurrency_limit": 1})
    pair.send("POST", f"{PATH}/", {"tag": "v1-zero", "concurrency_limit": 0})
    pair.send("PATCH", "/v2/concurrency_limits/tag:v1-asked", {"active_slots": 0})
    pair.send("POST", f"{PATH}/decrement", {"names": ["v1-asked"], "task_run_id": FIRST})
    pair.check("POST", f"{PATH}/{operation}", body, view=lambda found: sorted_by("name")(found) if isinstance(found, list) else found)


def test_slots_are_taken_and_given_back(pair: Pair) -> None:
    id = add(pair, "v1-slots", 2)
    for run in (FIRST, SECOND, THIRD):
        increment(pair, run, "v1-slots")
        check_slots(pair, "v1-slots")
    pair.check("GET", f"{PATH}/{id}")
    for run in (FIRST, FIRST, THIRD):
        decrement(pair, run, "v1-slots")
        check_slots(pair, "v1-slots")
    increment(pair, THIRD, "v1-slots")
    check_slots(pair, "v1-slots")


def test_all_tags_or_none(pair: Pair) -> None:
    add(pair, "v1-roomy", 5)
    add(pair, "v1-narrow", 1)
    for run in (FIRST, SECOND):
        increment(pair, run, "v1-roomy", "v1-narrow", "v1-nobody")
        check_slots(pair, "v1-roomy", "v1-narrow")
    # The lease is given back, whichever of its tags is named.
    decrement(pair, FIRST, "v1-narrow")
    check_slots(pair, "v1-roomy", "v1-narrow")


def test_a_task_run_counts_once(pair: Pair) -> None:
    """Upstream counts it as often as it asks, and a tag that is named twice as full."""
    add(pair, "v1-once", 1)
    increment(pair, FIRST, "v1-once")
    increment(pair, FIRST, "v1-once")
    increment(pair, FIRST, "v1-once", "v1-once")
    check_slots(pair, "v1-once")
    increment(pair, SECOND, "v1-once")
    decrement(pair, FIRST, "v1-once", "v1-once")
    check_slots(pair, "v1-once")


def test_an_inactive_limit_does_not_limit(pair: Pair) -> None:
    pair.prepare("POST", "/v2/concurrency_limits/", {"name": "tag:v1-inactive", "limit": 1, "active": False})
    for run in (FIRST, SECOND):
        increment(pair, run, "v1-inactive")
    check_slots(pair, "v1-inactive")
    pair.check("POST", f"{PATH}/tag/v1-inactive/reset", {"slot_override": [FIRST]})
    check_slots(pair, "v1-inactive")
    decrement(pair, FIRST, "v1-inactive")
    check_slots(pair, "v1-inactive")
    pair.prepare("POST", "/v2/concurrency_limits/", {"name": "tag:v1-inactive-zero", "limit": 0, "active": False})
    increment(pair, FIRST, "v1-inactive-zero")


def test_leases_of_the_second_generation(pair: Pair) -> None:
    add(pair, "v1-leased", 9)
    take = {"slots": 2, "names": ["tag:v1-leased"]}
    for holder in ({"type": "task_run", "id": FIRST}, {"type": "flow_run", "id": SECOND}, None):
        pair.prepare("POST", "/v2/concurrency_limits/increment-with-lease", {**take, "holder": holder})
        check_slots(pair, "v1-leased")
    decrement(pair, FIRST, "v1-leased")
    check_slots(pair, "v1-leased")
    lease = pair.prepare("POST", "/v2/concurrency_limits/increment-with-lease", {**take, "holder": {"type": "task_run", "id": THIRD}})
    check_slots(pair, "v1-leased")
    pair.check("POST", "/v2/concurrency_limits/decrement-with-lease", {"lease_id": lease["lease_id"]})
    check_slots(pair, "v1-leased")


@pytest.mark.parametrize(
    "body",
    [
        {"slot_override": [SECOND]},
        {"slot_override": [SECOND, THIRD]},
        {"slot_override": []},
        {"slot_override": None},
        {"slot_override": ["no id"]},
        {"slot_override": SECOND},
        {"unknown": 1},
        {},
        None,
    ],
    ids=str,
)
def test_reset(pair: Pair, body: Any) -> None:
    tag = f"v1-reset {body}".replace("'", "").replace(":", "").replace("{", "(").replace("}", ")")
    add(pair, tag, 3)
    for reset in (False, True):
        if reset:
            increment(pair, FIRST, tag)
        pair.check("POST", f"{PATH}/tag/{tag}/reset", body)
        check_slots(pair, tag)
    pair.check("POST", f"{PATH}/tag/v1-nobody/reset", body)


def test_a_reset_frees_the_slots(pair: Pair) -> None:
    """Upstream forgets who held them, and counts them as taken for good."""
    add(pair, "v1-reset-freed", 1)
    increment(pair, FIRST, "v1-reset-freed")
    pair.check("POST", f"{PATH}/tag/v1-reset-freed/reset", {})
    increment(pair, SECOND, "v1-reset-freed")
    check_slots(pair, "v1-reset-freed")


def test_a_reset_gives_slots_beyond_the_limit(pair: Pair) -> None:
    add(pair, "v1-beyond", 1)
    pair.check("POST", f"{PATH}/tag/v1-beyond/reset", {"slot_override": [FIRST, SECOND, SECOND]})
    pair.check("GET", f"{PATH}/tag/v1-beyond", view=lambda limit: sorted(set(limit["active_slots"])))
    increment(pair, THIRD, "v1-beyond")


def test_a_reset_leaves_other_tags_alone(pair: Pair) -> None:
    add(pair, "v1-reset-one", 1)
    add(pair, "v1-reset-other", 1)
    increment(pair, FIRST, "v1-reset-one", "v1-reset-other")
    pair.check("POST", f"{PATH}/tag/v1-reset-one/reset", {})
    check_slots(pair, "v1-reset-other")
    decrement(pair, FIRST, "v1-reset-other")
    check_slots(pair, "v1-reset-other")


def test_very_many_holders(ours: httpx.Client) -> None:
    """Ours alone: they are more than one transaction takes."""
    runs = [f"{number:08}-0000-4000-8000-000000000000" for number in range(150)]
    ours.post(f"{PATH}/", json={"tag": "v1-many", "concurrency_limit": 1}).raise_for_status()

    def taken() -> tuple[list[str], int]:
        limit = ours.get(f"{PATH}/tag/v1-many").json()
        return sorted(limit["active_slots"]), ours.get("/v2/concurrency_limits/tag:v1-many").json()["active_slots"]

    for holders in (runs, runs[100:], []):
        ours.post(f"{PATH}/tag/v1-many/reset", json={"slot_override": holders}).raise_for_status()
        assert taken() == (holders, len(holders))
    ours.post(f"{PATH}/tag/v1-many/reset", json={"slot_override": runs}).raise_for_status()
    ours.delete(f"{PATH}/tag/v1-many").raise_for_status()
    ours.post(f"{PATH}/", json={"tag": "v1-many", "concurrency_limit": 1}).raise_for_status()
    assert taken() == ([], 0)


def test_a_crowd_never_holds_more_than_there_is(ours: httpx.Client) -> None:
    """Ours alone: upstream answers some of so many at once with 503."""
    ours.post(f"{PATH}/", json={"tag": "v1-crowd", "concurrency_limit": 3}).raise_for_status()
    # Each of eight task runs asks four times at once.
    runs = [f"{number:08}-0000-4000-8000-000000000000" for number in range(8)] * 4

    def ask(operation: str, run: str) -> int:
        return ours.post(f"{PATH}/{operation}", json={"names": ["v1-crowd"], "task_run_id": run}).status_code

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(lambda run: ask("increment", run), runs)) == {200, 423}
    held = ours.get(f"{PATH}/tag/v1-crowd").json()["active_slots"]
    assert len(held) == len(set(held)) == 3
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(lambda run: ask("decrement", run), runs)) == {200}
    assert ours.get(f"{PATH}/tag/v1-crowd").json()["active_slots"] == []
    assert ours.get("/v2/concurrency_limits/tag:v1-crowd").json()["active_slots"] == 0


def test_task_runs_hold_slots_of_their_tags(ours: httpx.Client) -> None:
    """Ours alone: on SQLite upstream never answers, as its rule waits for the lock that its request holds."""
    for tag in ("v1-db", "v1-disk"):
        ours.post(f"{PATH}/", json={"tag": tag, "concurrency_limit": 1}).raise_for_status()

    def add_task_run(key: str, *tags: str) -> str:
        body = {"task_key": key, "dynamic_key": "0", "name": key, "tags": list(tags)}
        return ours.post("/task_runs/", json=body).json()["id"]

    def set_state(run: str, type: str, force: bool = False) -> str:
        return ours.post(f"/task_runs/{run}/set_state", json={"state": {"type": type}, "force": force}).json()["status"]

    def held() -> list[list[str]]:
        limits = [ours.get(f"{PATH}/tag/{tag}").json() for tag in ("v1-db", "v1-disk")]
        counted = [ours.get(f"/v2/concurrency_limits/tag:{tag}").json()["active_slots"] for tag in ("v1-db", "v1-disk")]
        holders = [limit["active_slots"] for limit in limits]
        assert counted == [len(runs) for runs in holders]
        return holders

    def ask(operation: str, run: str, *tags: str) -> int:
        return ours.post(f"{PATH}/{operation}", json={"names": list(tags), "task_run_id": run}).status_code

    first, second = add_task_run("v1-first", "v1-db", "v1-disk"), add_task_run("v1-second", "v1-db")
    assert (set_state(first, "RUNNING"), held()) == ("ACCEPT", [[first], [first]])
    assert (set_state(second, "RUNNING"), held()) == ("WAIT", [[first], [first]])
    # Inside the task, the slot that it holds already is not taken again; and others do not get it.
    assert (ask("increment", first, "v1-db"), ask("increment", second, "v1-db")) == (200, 423)
    assert (set_state(first, "COMPLETED"), held()) == ("ACCEPT", [[], []])
    assert (set_state(second, "RUNNING"), held()) == ("ACCEPT", [[second], []])
    assert (ask("increment", second, "v1-db", "v1-disk"), held()) == (200, [[second], [second]])
    assert (set_state(second, "CRASHED", force=True), held()) == ("ACCEPT", [[], []])
    third = add_task_run("v1-third", "v1-db")
    assert set_state(third, "RUNNING") == "ACCEPT"
    ours.post(f"{PATH}/tag/v1-db/reset", json={}).raise_for_status()
    assert held() == [[], []]
    assert (set_state(third, "COMPLETED"), held()) == ("ACCEPT", [[], []])
    fourth = add_task_run("v1-fourth", "v1-db")
    assert (set_state(fourth, "RUNNING"), held()) == ("ACCEPT", [[fourth], []])
    ours.delete(f"/task_runs/{fourth}").raise_for_status()
    assert held() == [[], []]


def test_a_limit_says_that_it_is_made_changed_and_deleted(pair: Pair) -> None:
    id = add(pair, "v1-told")
    increment(pair, FIRST, "v1-told")
    pair.check("POST", f"{PATH}/", {"tag": "v1-told", "concurrency_limit": 7})
    pair.check("POST", f"{PATH}/tag/v1-told/reset", {})
    pair.check("DELETE", f"{PATH}/{id}")
    wanted = {"filter": {"resource": {"id": [f"prefect.concurrency-limit.{id}"]}, "order": "ASC"}}
    pair.eventually("POST", "/events/filter", wanted, until=lambda page: len(page["events"]) == 3)
