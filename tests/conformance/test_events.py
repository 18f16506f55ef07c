"""Events: recording over HTTP and websocket, queries page by page, what a flow run emits."""

from __future__ import annotations

import base64
from typing import Any
from uuid import uuid4

import pytest

from . import filters
from .events import Event, at, event, id_made, related, send, window
from .library import NOBODY, scheduled
from .side_by_side import Answer, Pair, sorted_by

# The tests of this file use times apart from each other, in seconds after `BASE`.
SHOP, CREATED, PAGES, ODD, TEXTS, COUNTED = 0, 1000, 2000, 3000, 4000, 5000

SHOP_EVENTS: list[Event] = [
    event(1, "shop.order.placed", "shop.order.1", labels={"color": "red", "size": "big"}),
    event(
        2,
        "shop.order.paid",
        "shop.order.1",
        labels={"color": "red", "prefect.resource.name": "Order One"},
        related=[related("shop.customer.1", "customer", tier="gold")],
        payload={"by": "credit card", "amount": 12.5, "items": [1, None, {"deep": True}]},
    ),
    event(
        3,
        "shop.order.placed",
        "shop.order.2",
        labels={"color": "blue", "rate": "100%"},
        related=[related("shop.customer.1", "customer", tier="gold"), related("shop.customer.2", "payer")],
    ),
    event(4, "shop.cart.emptied", "shop.cart.1", labels={"color": "Rot", "rate": "1__%"}),
    event(5, "Shop.Order.shouted", "SHOP.ORDER.1", related=[related("shop.customer.2", "customer", tier="silver")]),
    event(6, "other.thing", "thing.ü", payload={"text": "Gold ünïcode ✓"}),
    event(
        7,
        "shop.order.paid",
        "shop.order.2",
        labels={"color": "blue", "rate": "100"},
        related=[related("shop.customer.2", "payer"), related("shop.customer.2", "customer")],
        payload={"by": "cash"},
    ),
]
ORACLE_WITHOUT_CONCAT = 500
QUERIES = filters.event_filters(at(SHOP), at(4), at(SHOP + 900), SHOP_EVENTS[0]["id"])


def without_token(page: Any) -> Any:
    """A page of events without the token in its link, which every server writes its own way."""
    if not isinstance(page, dict) or not page.get("next_page"):
        return page
    return {**page, "next_page": page["next_page"].split("page-token=")[0]}


def next_page(pair: Pair, answer: Answer) -> Answer:
    tokens = (response.json()["next_page"].split("page-token=")[1] for response in (answer.oracle, answer.subject))
    return pair.check("GET", "/events/filter/next", params={"page-token": pair.refer(*tokens)}, view=without_token)


@pytest.fixture(scope="module")
def recorded_shop(session_pair: Pair) -> None:
    send(session_pair, *SHOP_EVENTS)


@pytest.fixture
def shop(pair: Pair, recorded_shop: None) -> Pair:
    """Both servers, with the events of the shop recorded."""
    return pair


@pytest.mark.parametrize("filter", QUERIES.values(), ids=QUERIES)
def test_filter(shop: Pair, filter: dict[str, Any]) -> None:
    shop.check("POST", "/events/filter", {"filter": filter})


# Which of the shop's events (by their place in the list) a text query finds.
TEXT_QUERIES: dict[str, list[int]] = {
    "paid": [1, 6],
    "GOLD": [1, 2, 5],
    "card": [1],
    "shop -paid": [0, 2, 3, 4],
    "placed emptied": [0, 2, 3],
    "+gold +paid": [1],
    "+gold -placed": [1, 5],
    '"credit card"': [1],
    "100%": [2],
    "!paid": [0, 2, 3, 4, 5],
    "nowhere": [],
    "": [0, 1, 2, 3, 4, 5, 6],
}


@pytest.mark.parametrize(("query", "expected"), TEXT_QUERIES.items(), ids=TEXT_QUERIES)
def test_text(shop: Pair, query: str, expected: list[int]) -> None:
    """The oracle needs SQLite 3.44 to answer these at all, so it is asked, but may fail."""
    filter = {"occurred": window(SHOP, SHOP + 900), "text": {"query": query}, "order": "ASC"}
    answer = shop.send("POST", "/events/filter", {"filter": filter})
    for server, response in ((shop.oracle, answer.oracle), (shop.subject, answer.subject)):
        if not (server.is_oracle and response.status_code == ORACLE_WITHOUT_CONCAT):
            found = [event["id"] for event in response.json()["events"]]
            assert found == [SHOP_EVENTS[place]["id"] for place in expected], server.url


WORDS = [
    "エラー", "データベース接続エラー", "失败", "连接超时", "본번 한국어", "한", "ไทย", "नमस्ते", "مرحبا", "שלום", "ёжик", "ЁЖИК",
    "é", "e\u0301", "É", "E\u0301", "ß", "ẞ", "ss", "ı", "İ", "i\u0307", "Σ", "σ", "ς", "ΑΣ", "ας", "ασ", "ǅ", "ǆ",
    "ＡＢＣ", "ａｂｃ", "ABC", "１００％", "100%", "！", "－", "＋", "ﬁ", "fi", "\u212a", "\u2126", "ω", "å", "\u212b", "ⅷ", "Ⅷ",
    "🎉", "👩\u200d👧", "𝔸", "𐐀", "𐐨", "Ა", "ა", "Ꭰ", "ꭰ", "\u3000", "\u00a0", "\u200b", "\u2028", "\ufeff", "\ufffd", "\ufffe", "\uffff",
]  # fmt: skip
TONGUES = [
    made
    for place, word in enumerate(WORDS)
    for made in (
        event(TEXTS + 3 * place, f"text.{word}", f"text.{place}.name"),
        event(TEXTS + 3 * place + 1, "text", f"text.{place}.label {word}", labels={word or "label": word}),
        event(TEXTS + 3 * place + 2, "text", f"text.{place}.payload", payload={"word": word, word: [word]}),
    )
]


@pytest.fixture(scope="module")
def recorded_tongues(session_pair: Pair) -> None:
    for start in range(0, len(TONGUES), 40):
        send(session_pair, *TONGUES[start : start + 40])


@pytest.mark.parametrize(
    "query",
    [
        *WORDS,
        *(f"+text.{word}" for word in WORDS[:8]),
        *(f"-{word}" for word in ("エラー", "é", "ＡＢＣ", "ß", "\ufffe")),
        "e\u0301 É", '"본번 한국어"', "!한 +국", "エラー\u3000连接超时", "\\u30a8", "\\u00e9", "\\ud83c", "u00C9",
    ],  # fmt: skip
    ids=ascii,
)
def test_text_of_any_language(pair: Pair, recorded_tongues: None, query: str) -> None:
    """SQLite folds the case of ASCII alone, and normalizes nothing; what is kept as JSON has only ASCII in it."""
    occurred = window(TEXTS, TEXTS + 3 * len(WORDS))
    filter = {"occurred": occurred, "text": {"query": query}, "order": "ASC"}
    pair.check("POST", "/events/filter", {"filter": filter}, view=without_token)


@pytest.mark.parametrize("limit", [0, 1, 3, 7, 50, 51, -1, "5", "x", 1.5, None])
def test_limit(shop: Pair, limit: Any) -> None:
    filter = {"occurred": window(SHOP, SHOP + 900)}
    shop.check("POST", "/events/filter", {"filter": filter, "limit": limit}, view=without_token)


@pytest.mark.parametrize(
    "filter",
    [
        {"unknown": 1},
        {"occurred": {"since": "x"}},
        {"occurred": None},
        {"event": {"name": "text"}},
        {"event": {"unknown": []}},
        {"resource": {"labels": {"a": 1}}},
        {"resource": {"distinct": "maybe"}},
        {"related": {"resources_in_roles": [["one"]]}},
        {"related": "x"},
        {"any_resource": [{"unknown": 1}]},
        {"id": {"id": ["x"]}},
        {"id": None},
        {"text": {}},
        {"text": {"query": "x" * 201}},
        {"order": "UP"},
        {"order": "asc"},
        [],
        "text",
    ],
    ids=lambda body: str(body)[:60],
)
def test_invalid_filter(shop: Pair, filter: Any) -> None:
    shop.check("POST", "/events/filter", {"filter": filter})


@pytest.mark.parametrize("body", [[], "text", 1], ids=str)
def test_invalid_query(shop: Pair, body: Any) -> None:
    shop.check("POST", "/events/filter", body)


COUNTABLES = ["day", "time", "event", "resource"]
WITHOUT_TEXT = {name: query for name, query in QUERIES.items() if "text" not in query}


@pytest.mark.parametrize("countable", COUNTABLES)
@pytest.mark.parametrize("filter", WITHOUT_TEXT.values(), ids=WITHOUT_TEXT)
def test_count_by(shop: Pair, filter: dict[str, Any], countable: str) -> None:
    interval = {} if countable == "day" else {"time_unit": "minute", "time_interval": 0.5}
    shop.check("POST", f"/events/count-by/{countable}", {"filter": filter, **interval})


INTERVALS: dict[str, dict[str, Any]] = {
    "hours": {"time_unit": "hour"},
    "minutes": {"time_unit": "minute"},
    "seconds": {"time_unit": "second"},
    "days": {"time_unit": "day"},
    "weeks": {"time_unit": "week", "time_interval": 1},
    "half hours": {"time_unit": "hour", "time_interval": 0.5},
    "thirds of an hour": {"time_unit": "hour", "time_interval": 0.333333333},
    "seven minutes": {"time_unit": "minute", "time_interval": 7},
    "a second and a half": {"time_unit": "second", "time_interval": 1.5},
    "unit alone null": {"time_unit": None},
    "length null": {"time_interval": None},
    "length as text": {"time_interval": "2", "time_unit": "hour"},
    "shortest": {"time_interval": 0.01},
    "too short": {"time_interval": 0.009},
    "no length": {"time_interval": 0},
    "negative": {"time_interval": -1},
    "no number": {"time_interval": "x"},
    "unknown unit": {"time_unit": "month"},
    "defaults": {},
}
WINDOWS: dict[str, dict[str, str]] = {
    "all": window(SHOP, SHOP + 900),
    "some": window(SHOP + 2, SHOP + 5.5),
    "between": window(SHOP + 2.25, SHOP + 4.75),
    "empty": window(SHOP + 800, SHOP + 900),
    "an instant": window(SHOP + 3.5, SHOP + 3.5),
    "backwards": window(SHOP + 900, SHOP),
}


@pytest.mark.parametrize("countable", COUNTABLES)
@pytest.mark.parametrize("occurred", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("interval", INTERVALS.values(), ids=INTERVALS)
def test_count_by_interval(shop: Pair, interval: dict[str, Any], occurred: dict[str, str], countable: str) -> None:
    shop.check("POST", f"/events/count-by/{countable}", {"filter": {"occurred": occurred}, **interval})


LONG_WINDOWS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "1000 days": ({"since": "2020-01-01T00:00:00Z", "until": "2022-09-27T00:00:00Z"}, {}),
    "1001 days": ({"since": "2020-01-01T00:00:00Z", "until": "2022-09-27T00:00:00.000001Z"}, {}),
    "too many": ({"since": "2020-01-01T00:00:00Z", "until": "2022-01-01T00:00:00Z"}, {"time_unit": "second"}),
    "before the pivot": ({"since": "2020-01-01T05:06:07.089Z", "until": "2020-01-03T00:00:01Z"}, {"time_unit": "hour"}),
    "with offset": ({"since": "2021-01-01T05:00:00+05:00", "until": "2021-01-03T05:00:00+05:00"}, {}),
    "in future": ({"since": "2090-01-01T00:00:00Z", "until": "2090-02-01T00:00:00Z"}, {}),
    "into the future": ({"since": at(-86_400), "until": "2029-01-01T00:00:00Z"}, {"time_unit": "week"}),
}


@pytest.mark.parametrize("countable", COUNTABLES)
@pytest.mark.parametrize(("occurred", "interval"), LONG_WINDOWS.values(), ids=LONG_WINDOWS)
def test_count_by_of_nothing(pair: Pair, occurred: dict[str, str], interval: dict[str, Any], countable: str) -> None:
    filter = {"occurred": occurred, "resource": {"id": ["nobody"]}}
    pair.check("POST", f"/events/count-by/{countable}", {"filter": filter, **interval})


def test_count_by_names_that_change(pair: Pair) -> None:
    name = "prefect.resource.name"
    other = "prefect.name"
    names: list[dict[str, str]] = [{name: "old"}, {name: "new"}, {}, {name: "", other: "x"}, {other: "other"}]
    send(pair, *(event(COUNTED + n, f"counted.{n % 2}", "counted.1", labels=labels) for n, labels in enumerate(names)))
    send(pair, *(event(COUNTED + n, "counted.0", "counted.2", labels=labels) for n, labels in enumerate(names[:4])))
    for until in range(len(names)):
        for countable in ("event", "resource"):
            filter = {"occurred": window(COUNTED, COUNTED + until)}
            # Where counts and labels are equal, the order is nobody's.
            pair.check("POST", f"/events/count-by/{countable}", {"filter": filter}, view=sorted_by("value"))


@pytest.mark.parametrize(
    "body", [{}, {"filter": None}, {"filter": []}, {"filter": {"unknown": 1}}, [], None, "x"], ids=str
)
@pytest.mark.parametrize("countable", ["day", "week", "DAY", "x"])
def test_invalid_count_by(pair: Pair, countable: str, body: Any) -> None:
    pair.check("POST", f"/events/count-by/{countable}", body)


def test_default_window_is_half_a_year(shop: Pair) -> None:
    old = event(0, "window.old", "window.1", occurred="2020-01-01T00:00:00Z")
    future = event(0, "window.future", "window.1", occurred="2090-01-01T00:00:00Z")
    recent = event(CREATED - 1, "window.recent", "window.1")
    shop.check("POST", "/events", [old, future, recent])
    window_only = {"resource": {"id": ["window.1"]}}
    shop.eventually("POST", "/events/filter", {"filter": window_only}, until=lambda page: page["total"] == 1)
    for occurred in (
        {"since": "2019-01-01T00:00:00Z"},
        {"since": "2019-01-01T00:00:00Z", "until": "2099-01-01T00:00:00Z"},
        {"until": "2099-01-01T00:00:00Z"},
        {"until": "2021-01-01T00:00:00Z"},
    ):
        shop.check("POST", "/events/filter", {"filter": {**window_only, "occurred": occurred}})


@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_pages(shop: Pair, order: str) -> None:
    filter = {"occurred": window(SHOP, SHOP + 900), "order": order}
    answer = shop.check("POST", "/events/filter", {"filter": filter, "limit": 3}, view=without_token)
    answer = next_page(shop, answer)
    next_page(shop, answer)
    next_page(shop, answer)


def test_pages_of_a_filter(shop: Pair) -> None:
    filter = {"occurred": window(SHOP, SHOP + 900), "related": {"role": ["customer"]}}
    answer = shop.check("POST", "/events/filter", {"filter": filter, "limit": 2}, view=without_token)
    next_page(shop, answer)


def test_an_event_that_came_later_does_not_move_the_pages(pair: Pair) -> None:
    filter = {"occurred": window(PAGES, PAGES + 900), "order": "ASC"}
    send(pair, *(event(PAGES + n, "pages", f"pages.{n}") for n in range(5)))
    answer = pair.check("POST", "/events/filter", {"filter": filter, "limit": 2}, view=without_token)
    send(pair, event(PAGES + 10, "pages", "pages.10"))
    answer = next_page(pair, answer)
    next_page(pair, answer)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"page-token": ""},
        {"page-token": "garbage!"},
        {"page-token": "Z2FyYmFnZQ=="},
        {"page-token": base64.b64encode(base64.b64encode(b"not json")).decode()},
        {"page_token": "x"},
    ],
    ids=str,
)
def test_invalid_page_token(pair: Pair, params: dict[str, str]) -> None:
    pair.check("GET", "/events/filter/next", params=params)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"payload": {"a": [1, 2.5, None, "ü", {"b": {}}], "n": 10**20, "f": 1e-9}},
        {"occurred": "2024-01-01T00:00:00"},
        {"occurred": "2024-01-01T00:00:00.5+05:30"},
        {"occurred": 1700000000},
        {"occurred": "1700000000.5"},
        {"follows": NOBODY},
        {"related": [related("a", "x", **{"prefect.resource.name": "n"}), related("a", "x"), related("b", "y")]},
        {"event": "ünï ✓"},
        {"event": "x" * 1024},
        {"resource": {"prefect.resource.id": "r", "b": "2", "a": "1", "ü": ""}},
        {"received": "2020-01-01T00:00:00Z"},
        {"unknown": "dropped"},
        {"event": "nul \u0000", "payload": {"nul": "\u0000"}},
    ],
    ids=lambda body: str(body)[:60],
)
def test_create(pair: Pair, more: dict[str, Any]) -> None:
    sent = {**event(CREATED, "created", "created.1"), **more}
    pair.check("POST", "/events", [sent])
    filter = {"id": {"id": [sent["id"]]}, "occurred": {"since": "2000-01-01T00:00:00Z"}}
    pair.eventually("POST", "/events/filter", {"filter": filter}, until=lambda page: page["total"] == 1)


@pytest.mark.parametrize(
    "more",
    [
        {"id": "x"},
        {"id": None},
        {"occurred": "soon"},
        {"occurred": None},
        {"event": None},
        {"event": 5},
        {"event": "x" * 1025},
        {"resource": {}},
        {"resource": {"prefect.resource.id": ""}},
        {"resource": {"name": "no id"}},
        {"resource": {"prefect.resource.id": 5}},
        {"resource": {"prefect.resource.id": "r", **{f"label-{n}": "x" for n in range(500)}}},
        {"resource": None},
        {"related": [{"prefect.resource.id": "a"}]},
        {"related": [{"prefect.resource.id": "a", "prefect.resource.role": ""}]},
        {"related": [{"prefect.resource.role": "a"}]},
        {"related": [related(f"r.{n}", "x") for n in range(101)]},
        {"related": None},
        {"related": {}},
        {"payload": None},
        {"payload": []},
        {"follows": "x"},
    ],
    ids=lambda body: str(body)[:60],
)
def test_refused(pair: Pair, more: dict[str, Any]) -> None:
    good = event(ODD, "refused", "refused.1")
    pair.check("POST", "/events", [good, {**good, "id": str(uuid4()), **more}])
    filter = {"id": {"id": [good["id"]]}, "occurred": window(ODD - 1, ODD + 1)}
    pair.check("POST", "/events/filter", {"filter": filter})


BODIES: list[Any] = [[], {}, "text", None, [{}], [[]]]


@pytest.mark.parametrize("body", [*BODIES, event(ODD, "a", "b")], ids=[*map(str, BODIES), "an event"])
def test_create_body(pair: Pair, body: Any) -> None:
    pair.check("POST", "/events", body)


@pytest.mark.parametrize("missing", ["id", "occurred", "event", "resource", "related", "payload"])
def test_missing_field(pair: Pair, missing: str) -> None:
    sent = event(ODD, "missing", "missing.1")
    del sent[missing]
    pair.check("POST", "/events", [sent])


@pytest.mark.parametrize("told", [None, CREATED + 1, CREATED + 8], ids=["nothing", "its time", "another time"])
def test_the_same_event_again(pair: Pair, told: float | None) -> None:
    resource, id = f"again.{told}", str(uuid4()) if told is None else id_made(told)
    first = event(CREATED + 1, "again", resource, payload={"n": 1}, id=id)
    send(pair, first)
    send(pair, {**first, "payload": {"n": 2}})
    for seconds in (1.02, 0.4, 8):
        send(pair, {**first, "payload": {"n": 3}, "occurred": at(CREATED + seconds)})
    send(pair, event(CREATED + 2, "again.later", resource))
    for filter in ({"resource": {"id": [resource]}}, {"any_resource": {"id_prefix": [resource]}}, {"id": {"id": [id]}}):
        pair.check("POST", "/events/filter", {"filter": {**filter, "occurred": window(CREATED, CREATED + 9)}})


class Run:
    """A flow run on both servers whose events are compared."""

    def __init__(self, pair: Pair, **body: Any) -> None:
        flow = pair.prepare("POST", "/flows/", {"name": "events", "tags": ["flow-tag", "both"]})
        run = pair.prepare(
            "POST", "/flow_runs/", {"flow_id": flow["id"], "name": "emitting", "tags": ["b", "a", "both"], **body}
        )
        self.pair, self.id, self.path = pair, run["id"], f"/flow_runs/{run['id']}"

    def set(self, type: str, **state: Any) -> None:
        body = {"state": {"type": type, **state}, "force": state.pop("force", False)}
        self.pair.check("POST", f"{self.path}/set_state", body)

    def check_events(self, count: int) -> None:
        """Waits for the run's events, oldest first, and compares all there is in them."""
        filter = {"resource": {"id": [f"prefect.flow-run.{self.id}"]}, "order": "ASC"}
        self.pair.eventually("POST", "/events/filter", {"filter": filter}, until=lambda page: page["total"] == count)


def test_flow_run_events(pair: Pair) -> None:
    run = Run(pair)
    run.set("RUNNING", message="off we go")
    run.set("COMPLETED", name="Finished", data={"kept": "out"}, message="ü" * 100)
    run.check_events(3)


def test_flow_run_events_of_a_scheduled_run(pair: Pair) -> None:
    run = Run(pair, state=scheduled("2021-01-01T00:00:00Z"))
    run.set("SCHEDULED", name="Late", state_details={"scheduled_time": "2021-01-01T00:00:00Z"})
    run.set("PENDING")
    run.set("RUNNING")
    run.set("CRASHED", message="gone")
    run.check_events(5)


def test_flow_run_events_of_refused_states(pair: Pair) -> None:
    run = Run(pair, state=scheduled("2031-01-01T00:00:00Z"))
    run.set("RUNNING")
    run.set("PENDING")
    run.set("COMPLETED")
    run.set("RUNNING")
    run.set("COMPLETED")
    run.set("PENDING")
    pair.check("GET", "/flow_run_states/", params={"flow_run_id": run.id})
    states = len(pair.check("GET", "/flow_run_states/", params={"flow_run_id": run.id}).json)
    run.check_events(states)


def test_flow_run_events_of_retries(pair: Pair) -> None:
    run = Run(pair, empirical_policy={"retries": 1, "retry_delay": 0})
    for state in ("RUNNING", "FAILED", "RUNNING", "FAILED"):
        run.set(state, message=f"to {state}")
    run.check_events(5)


@pytest.mark.parametrize("transitions", [2, 14])
def test_flow_run_events_outlive_their_run(pair: Pair, transitions: int) -> None:
    run = Run(pair)
    for number in range(transitions):
        body = {"state": {"type": "RUNNING", "name": f"Step {number}"}, "force": True}
        pair.check("POST", f"{run.path}/set_state", body)
    run.check_events(transitions + 1)
    pair.check("DELETE", run.path)
    run.check_events(transitions + 1)
    filter = {"event": {"prefix": ["prefect.flow-run.Step"]}, "resource": {"id": [f"prefect.flow-run.{run.id}"]}}
    told = pair.check("POST", "/events/filter", {"filter": filter})
    ids = [told.at("events", place, "id") for place in range(transitions)]
    pair.check("POST", "/events/filter", {"filter": {"id": {"id": ids}, "order": "ASC"}})


def test_flow_run_events_of_a_pause(pair: Pair) -> None:
    run = Run(pair)
    run.set("RUNNING")
    run.set("PAUSED", state_details={"pause_timeout": "2031-01-01T00:00:00Z"})
    run.set("RUNNING")
    run.set("CANCELLING")
    run.set("CANCELLED")
    run.check_events(6)


def test_flow_run_events_of_a_subflow(pair: Pair) -> None:
    parent = Run(pair)
    task = pair.prepare(
        "POST",
        "/task_runs/",
        {"flow_run_id": parent.id, "name": "sub", "task_key": "s", "dynamic_key": "0", "tags": ["task-tag"]},
    )
    child = Run(pair, parent_task_run_id=task["id"])
    child.set("RUNNING")
    child.set("COMPLETED")
    child.check_events(3)


def test_flow_run_events_by_related_resource(pair: Pair) -> None:
    flow = pair.prepare("POST", "/flows/", {"name": "events-related"})["id"]
    for name in ("one", "two"):
        pair.prepare("POST", "/flow_runs/", {"flow_id": flow, "name": name, "tags": [f"tag-{name}"]})
    filter = {
        "related": {"id": [f"prefect.flow.{flow}"], "role": ["flow"]},
        "event": {"prefix": ["prefect.flow-run."]},
        "order": "ASC",
    }
    pair.eventually("POST", "/events/filter", {"filter": filter}, until=lambda page: page["total"] == 2)
    filter["related"] = {"id": ["prefect.tag.tag-two"]}
    pair.check("POST", "/events/filter", {"filter": filter})


def test_flow_run_events_after_a_change_of_name(pair: Pair) -> None:
    run = Run(pair)
    pair.check("PATCH", run.path, {"name": "renamed", "tags": ["other"]})
    run.set("RUNNING")
    run.check_events(2)


def test_flow_events(pair: Pair) -> None:
    """A flow that is made, changed and deleted says so."""
    flow = pair.prepare("POST", "/flows/", {"name": "flow-events", "tags": ["b", "a"]})["id"]
    pair.check("PATCH", f"/flows/{flow}", {"tags": ["c"]})
    pair.check("DELETE", f"/flows/{flow}")
    filter = {"resource": {"id": [f"prefect.flow.{flow}"]}, "order": "ASC"}
    pair.eventually("POST", "/events/filter", {"filter": filter}, until=lambda page: page["total"] == 3)
