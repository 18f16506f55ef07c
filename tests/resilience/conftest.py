"""What the tests of this directory share: the modules beside it, and the seed of everything that is left to chance."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))


@pytest.fixture
def seed() -> int:
    """What decides on everything that is left to chance: PROCTOR_SEED, or another one each time."""
    chosen = int(os.environ.get("PROCTOR_SEED") or random.randrange(1 << 32))
    print(f"PROCTOR_SEED={chosen}")
    return chosen
