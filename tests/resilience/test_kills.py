"""SIGKILL at random moments under mixed load: what was acknowledged is there once, and all that began ends."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import checks
import stored
from load import Load
from subject import Subject
from watch import LONGEST_SECONDS, Watch

KILLS = int(os.environ.get("PROCTOR_KILLS", "5"))
CLIENTS = int(os.environ.get("PROCTOR_CLIENTS", "14"))
# Clients that never rest write faster than the server does what follows, however often it is killed.
PAUSE_SECONDS = 0.2
# How long the server lives, mostly: once in a while it dies as soon as it answers.
LIFE_SECONDS = (1.0, 5.0)
SHORT_LIFE_SECONDS = (0.0, 0.3)
DEATH_SECONDS = (0.0, 0.5)
# How many operations are begun just before the server dies, and how long before.
OPERATIONS_BEFORE_KILL = 2
WORK_SECONDS = (0.0, 0.5)
QUIET_SECONDS = 60.0


def test_every_acknowledged_write_outlives_kills(tmp_path: Path, seed: int) -> None:
    choice = random.Random(seed)
    subject = Subject(tmp_path, tmp_path / "data")
    subject.start()
    load = Load(subject, CLIENTS, seed, is_killed=True, pause_seconds=PAUSE_SECONDS)
    try:
        with Watch(subject, load.ledger) as watch:
            with load.running() as ledger:
                for _ in range(KILLS):
                    is_short = choice.random() < 0.2
                    time.sleep(choice.uniform(*(SHORT_LIFE_SECONDS if is_short else LIFE_SECONDS)))
                    load.begin_operations(OPERATIONS_BEFORE_KILL)
                    time.sleep(choice.uniform(*WORK_SECONDS))
                    subject.kill()
                    time.sleep(choice.uniform(*DEATH_SECONDS))
                    subject.start()
            watch.wait_until_ended(LONGEST_SECONDS + 5)
            quiet = stored.wait_until_quiet(subject.data, QUIET_SECONDS)
        wrong = [*watch.overdue.values(), *checks.left_undone(subject.data)]
        wrong += checks.Checks(subject.url, ledger).all()
        assert subject.stop() == 0
        wrong += [*checks.wrong_in_file(subject.data, ledger), *subject.check().splitlines()]
    finally:
        subject.stop()
    print(
        f"{CLIENTS} clients, {subject.kills} kills, {ledger.acknowledged.total()} acknowledged writes"
        f" ({dict(ledger.acknowledged)}), {sum(len(run.states) for run in ledger.flow_runs.values())}"
        f" states, {len(ledger.operations)} operations ({len(watch.after_starts)} outlived a start)\n"
        f"ready after {sorted(subject.starts)[len(subject.starts) // 2]:.2f} s,"
        f" at most {max(subject.starts):.2f} s; operations ended at most"
        f" {max(watch.after_starts, default=0):.1f} s after a start; quiet after {quiet:.1f} s"
    )
    assert not wrong, "\n".join([f"{len(wrong)} differences:", *wrong[:30]])
    assert ledger.acknowledged.total() > 20 * KILLS
