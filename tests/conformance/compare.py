"""Compares two JSON answers, leaf by leaf, forgiving only what two servers cannot agree on.

What a server makes up by itself differs between two servers: ids, the time of day, generated run
names and measured durations. Everything else, and everything that the client chose, must be
equal, types included. An id that one server made up is paired with the other's on first sight
and has to stay paired from then on, so a mixed-up reference is a difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
TIME = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:?\d{2})?"
TOKEN = re.compile(f"({UUID}|{TIME})")
UUID_ONLY = re.compile(UUID)
GENERATED_NAME = re.compile(r"[a-z]+(?:-[a-z]+)+")

# The two servers are asked one after the other, so what "now" is differs by as much as a slow
# oracle takes to answer.
CLOCK_TOLERANCE_SECONDS = 45.0

MEASURED_DURATIONS = frozenset(
    {
        "total_run_time",
        "estimated_run_time",
        "time_in_current_state",
        "estimated_start_time_delta",
        "delay_seconds",
        "sum_estimated_run_time",
        "sum_estimated_lateness",
    }
)

# Keys that hold a run's name, where the server makes one up if the client sends none.
NAME_KEYS = frozenset({"name", "prefect.resource.name"})

# Instants of one object that are often the very same one: which of them are equal must not differ.
COUPLED_TIMES = ("start_time", "end_time", "expected_start_time", "next_scheduled_start_time")


# Lists that the oracle keeps as a set, so that their order is left to chance.
UNORDERED_LISTS = frozenset({"pause_keys", "after", "expect", "for_each"})


class Missing:
    """Stands for a key or an element that one of the two answers does not have."""

    def __repr__(self) -> str:
        return "<missing>"


MISSING = Missing()


@dataclass(frozen=True)
class Difference:
    """One place where the subject's answer is not the oracle's."""

    path: str
    oracle: Any
    subject: Any
    why: str = ""

    def __str__(self) -> str:
        note = f"   ({self.why})" if self.why else ""
        return f"{self.path}: oracle {self.oracle!r}, subject {self.subject!r}{note}"


def parse_time(text: str) -> datetime | None:
    """Reads an ISO 8601 instant; one without an offset counts as UTC, as both servers take it."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def time_shape(text: str) -> str:
    """The format of an instant, without its value; microseconds are left out where they are zero."""
    return re.sub(r"\d", "0", re.sub(r"\.\d{6}(?!\d)", "", text))


def leaves(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


@dataclass
class Comparison:
    """What is known of both servers after the answers compared so far."""

    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    pairs: dict[str, str] = field(default_factory=dict)
    partners: dict[str, str] = field(default_factory=dict)
    sent_strings: set[str] = field(default_factory=set)
    sent_times: set[datetime] = field(default_factory=set)

    def note_sent(self, value: Any) -> None:
        """Remembers what a client sent, so that it must come back unchanged."""
        for leaf in leaves(value):
            if isinstance(leaf, str):
                self.sent_strings.add(leaf)
                for token in TOKEN.findall(leaf):
                    if UUID_ONLY.fullmatch(token):
                        self.sent_strings.add(token)
                    elif instant := parse_time(token):
                        self.sent_times.add(instant)

    def copy(self) -> Comparison:
        return Comparison(
            self.began,
            dict(self.pairs),
            dict(self.partners),
            set(self.sent_strings),
            set(self.sent_times),
        )

    def differences(self, oracle: Any, subject: Any, *, seconds: float = CLOCK_TOLERANCE_SECONDS) -> list[Difference]:
        """Lists where the subject's JSON value differs; `seconds` is the tolerance of durations."""
        return list(self._walk("", "", oracle, subject, seconds))

    def _walk(self, path: str, key: str, oracle: Any, subject: Any, seconds: float) -> Iterable[Difference]:
        if isinstance(oracle, dict) and isinstance(subject, dict):
            yield from self._objects(path, oracle, subject, seconds)
        elif isinstance(oracle, list) and isinstance(subject, list):
            if key in UNORDERED_LISTS:
                oracle, subject = self._in_one_order(oracle, subject)
            for index in range(max(len(oracle), len(subject))):
                left = oracle[index] if index < len(oracle) else MISSING
                right = subject[index] if index < len(subject) else MISSING
                yield from self._walk(f"{path}[{index}]", key, left, right, seconds)
        elif isinstance(oracle, str) and isinstance(subject, str):
            yield from self._strings(path, key, oracle, subject)
        elif type(oracle) is not type(subject):
            yield Difference(path, oracle, subject, "another type" if oracle == subject else "")
        elif isinstance(oracle, float | int) and key in MEASURED_DURATIONS:
            if abs(oracle - subject) > seconds:
                yield Difference(path, oracle, subject, f"more than {seconds} s apart")
        elif oracle != subject:
            yield Difference(path, oracle, subject)

    def _objects(
        self, path: str, oracle: dict[str, Any], subject: dict[str, Any], seconds: float
    ) -> Iterable[Difference]:
        matched = dict(self._match_keys(oracle, subject))
        for left, right in matched.items():
            yield from self._walk(
                f"{path}.{left}", left, oracle.get(left, MISSING), subject.get(right, MISSING), seconds
            )
        for right in subject.keys() - set(matched.values()):
            yield Difference(f"{path}.{right}", MISSING, subject[right])
        coupled = [name for name in COUPLED_TIMES if oracle.get(name) and subject.get(name)]
        for index, left in enumerate(coupled):
            for right in coupled[index + 1 :]:
                if (oracle[left] == oracle[right]) != (subject[left] == subject[right]):
                    yield Difference(
                        f"{path}.{left}, {path}.{right}",
                        (oracle[left], oracle[right]),
                        (subject[left], subject[right]),
                        "equal instants on one side only",
                    )

    def _in_one_order(self, oracle: list[str], subject: list[str]) -> tuple[list[str], list[str]]:
        """Puts both lists into an order in which what is known to belong together meets."""
        left, right, rest, others = [], [], [], list(subject)
        for item in oracle:
            partner = self.pairs.get(item, item)
            if partner in others:
                others.remove(partner)
                left.append(item)
                right.append(partner)
            else:
                rest.append(item)
        return left + sorted(rest), right + sorted(others)

    def _match_keys(self, oracle: dict[str, Any], subject: dict[str, Any]) -> Iterable[tuple[str, str]]:
        for key in sorted(oracle):
            partner = self.pairs.get(key, key)
            yield key, partner if partner in subject else key

    def _strings(self, path: str, key: str, oracle: str, subject: str) -> Iterable[Difference]:
        if oracle == subject and oracle not in self.pairs and subject not in self.partners:
            return
        if key in NAME_KEYS and self._both_made_up(oracle, subject):
            return
        left, right = TOKEN.split(oracle), TOKEN.split(subject)
        if len(left) != len(right) or left[::2] != right[::2]:
            yield Difference(path, oracle, subject)
            return
        for ours, theirs in zip(left[1::2], right[1::2], strict=True):
            problem = (
                self._ids(ours, theirs)
                if UUID_ONLY.fullmatch(ours) and UUID_ONLY.fullmatch(theirs)
                else self._times(ours, theirs)
            )
            if problem:
                yield Difference(path, oracle, subject, problem)

    def _both_made_up(self, oracle: str, subject: str) -> bool:
        """Whether two names come from the servers' word lists, which may repeat themselves."""
        names = (oracle, subject)
        return all(GENERATED_NAME.fullmatch(name) and name not in self.sent_strings for name in names)

    def _ids(self, oracle: str, subject: str) -> str:
        """Pairs two made-up ids; answers with the reason when they cannot belong together."""
        if oracle in self.sent_strings or subject in self.sent_strings:
            return "" if oracle == subject else "the client chose this id"
        partner = self.pairs.setdefault(oracle, subject)
        back = self.partners.setdefault(subject, oracle)
        if partner != subject:
            return f"the oracle's id stood for {partner} before"
        if back != oracle:
            return f"the subject's id stood for {back} before"
        return ""

    def _times(self, oracle: str, subject: str) -> str:
        """Compares two instants; answers with the reason when they cannot both be right."""
        if oracle == subject:
            return ""
        left, right = parse_time(oracle), parse_time(subject)
        if left is None or right is None:
            return "not the same kind of value"
        if time_shape(oracle) != time_shape(subject):
            return "another format"
        if left in self.sent_times or right in self.sent_times:
            return "the client chose this instant"
        if min(left, right).timestamp() < self.began.timestamp() - CLOCK_TOLERANCE_SECONDS:
            return "not an instant of this session"
        if abs((left - right).total_seconds()) > CLOCK_TOLERANCE_SECONDS:
            return f"more than {CLOCK_TOLERANCE_SECONDS} s apart"
        return ""
