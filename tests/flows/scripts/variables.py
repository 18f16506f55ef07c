"""A flow that keeps what it learns in a variable, replaces it, and removes it."""

from __future__ import annotations

import json
import sys

from prefect import flow
from prefect.variables import Variable


@flow
def remembers(name: str) -> dict[str, object]:
    before = Variable.get(name, default="nothing yet")
    Variable.set(name, {"runs": 1}, tags=["learned"])
    refused = ""
    try:
        Variable.set(name, "again")
    except ValueError as error:
        refused = str(error)
    Variable.set(name, ["replaced", 2], overwrite=True)
    after = Variable.get(name)
    removed = Variable.unset(name)
    return {
        "before": before,
        "refused": refused,
        "after": after,
        "removed": removed,
        "gone": Variable.get(name),
        "removed again": Variable.unset(name),
    }


if __name__ == "__main__":
    print(json.dumps(remembers(sys.argv[1])))
