"""Tasks whose results are cached by their inputs, by a key of their own, and for a short time."""

import datetime
import json
import time

from prefect import flow, task
from prefect.cache_policies import INPUTS, NO_CACHE
from prefect.states import State


@task(cache_policy=INPUTS, persist_result=True)
def by_inputs(number: int) -> float:
    return number + time.time()


@task(cache_key_fn=lambda context, parameters: "constant", persist_result=True)
def by_key() -> float:
    return time.time()


@task(
    cache_policy=INPUTS,
    cache_expiration=datetime.timedelta(seconds=3),
    persist_result=True,
)
def for_a_while(number: int) -> float:
    return number + time.time()


@task(cache_policy=INPUTS, refresh_cache=True, persist_result=True)
def refreshed(number: int) -> float:
    return number + time.time()


@task(cache_policy=NO_CACHE)
def never() -> float:
    return time.time()


def name_of(state: State) -> str:
    return state.name


# The inputs policy knows nothing of the task, so each task is given inputs of its own.
@flow
def caching() -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    names["by_inputs"] = [name_of(by_inputs(n, return_state=True)) for n in (1, 1, 2)]
    names["by_key"] = [name_of(by_key(return_state=True)) for _ in range(2)]
    first = [name_of(for_a_while(10, return_state=True)) for _ in range(2)]
    time.sleep(3.2)
    names["for_a_while"] = [*first, name_of(for_a_while(10, return_state=True))]
    names["refreshed"] = [name_of(refreshed(20, return_state=True)) for _ in range(2)]
    names["never"] = [name_of(never(return_state=True)) for _ in range(2)]
    return names


if __name__ == "__main__":
    state = caching(return_state=True)
    run_id = str(state.state_details.flow_run_id)
    print(json.dumps({"flow_run_id": run_id, "names": state.result()}))
