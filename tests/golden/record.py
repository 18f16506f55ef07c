"""Records the golden vectors: what the real server answers to every proposed state.

Run it with the Python of the oracle's environment: `.venv/bin/python tests/golden/record.py`.
It writes `flow_run_transitions.json` and `task_run_transitions.json` beside itself, in about
ten minutes. Name `flows` or `tasks` as the argument to record only one of them.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import flow_run_cases
import task_run_cases
from recorder import Api, FlowRuns, TaskRuns
from servers import oracle


def main(wanted: list[str]) -> None:
    """Records the kinds that are wanted, `flows` and `tasks`, each on an empty oracle of its own."""
    if unknown := set(wanted) - {"flows", "tasks"}:
        sys.exit(f"unknown: {', '.join(unknown)}; give flows, tasks or nothing")
    for kind in wanted or ["flows", "tasks"]:
        with oracle(services=False) as server:
            api = Api(server.api_url, server.log.with_name("oracle.db"))
            flow_runs, task_runs = FlowRuns(api), TaskRuns(api)
            try:
                if kind == "flows":
                    flow_run_cases.record_all(flow_runs, task_runs)
                    flow_runs.write(HERE / "flow_run_transitions.json")
                else:
                    task_run_cases.record_all(task_runs, flow_runs)
                    task_runs.write(HERE / "task_run_transitions.json")
            except Exception:
                print(server.log.read_text(errors="replace")[-4000:], file=sys.stderr)
                raise


if __name__ == "__main__":
    main(sys.argv[1:])
