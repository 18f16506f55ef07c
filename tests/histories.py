"""Which histories of flow runs are legal, by what the golden vectors recorded of the real server."""

from __future__ import annotations

import json
import re
from pathlib import Path

GOLDEN = Path(__file__).resolve().parent / "golden" / "flow_run_transitions.json"


def legal_pairs() -> set[tuple[str, str]]:
    """Returns which state types may follow which, by what the golden vectors' grid wrote.

    The runs here are as those of the grid: unforced, with no deployment, retries or infrastructure.
    """
    plain = re.compile(r"grid: [A-Z]+ to [A-Z]+")
    cases = [
        case
        for case in json.loads(GOLDEN.read_text(encoding="utf-8"))
        if plain.fullmatch(case["name"])
    ]
    return {
        (case["run_before"]["state_type"], case["run_after"]["state_type"])
        for case in cases
        if case["run_before"]["state_id"] != case["run_after"]["state_id"]
    }
