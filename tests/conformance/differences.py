"""Everything in which our server answers differently from the real one on purpose.

An entry that no longer matches anything makes the suite fail, so the list stays true.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Intended:
    """One intended difference.

    `module` is the test file that meets it. `request` is a shell pattern for "METHOD path",
    `where` a regular expression for the place in the answer ("status", "headers.name",
    "body.key[0].key"), and `allows` decides on the two values found there.
    """

    reason: str
    module: str
    request: str
    where: str
    allows: Callable[[Any, Any], bool]


INTENDED: tuple[Intended, ...] = ()
