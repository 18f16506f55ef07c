"""Keeps a flow's result in a storage block, or reads it in another process; prints the result."""

from __future__ import annotations

import json
import sys

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.filesystems import LocalFileSystem

action, where = sys.argv[1:]
if action == "keep":
    LocalFileSystem(basepath=where).save("results")

    @flow(persist_result=True, result_storage=LocalFileSystem.load("results"))
    def answer() -> dict[str, int]:
        return {"answer": 42}

    state = answer(return_state=True)
    print(json.dumps(str(state.state_details.flow_run_id)))
else:
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(where).state
    assert state is not None
    print(json.dumps(state.result()))
