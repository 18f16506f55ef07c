"""The main flows, run with whichever release of the client runs this script; prints what each came to, a line a scenario.

It keeps to what every release from 3.0 on has, so that one script serves them all. What a scenario returns is compared
between the two servers, and so is what the servers know of its runs afterwards (`observe.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from prefect import flow, get_run_logger, pause_flow_run, task
from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.blocks.system import Secret
from prefect.cache_policies import INPUTS
from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency, rate_limit
from prefect.concurrency.v1.sync import concurrency as concurrency_of_tags
from prefect.deployments import run_deployment
from prefect.events import emit_event
from prefect.exceptions import ObjectNotFound
from prefect.flow_runs import resume_flow_run
from prefect.futures import wait
from prefect.input import receive_input, send_input
from prefect.runtime import flow_run as this_flow_run
from prefect.runtime import task_run as this_task_run
from prefect.states import Cancelling, Completed, Failed
from prefect.transactions import transaction
from prefect.variables import Variable

HERE = Path(__file__).resolve().parent
DEADLINE_SECONDS = 120

SCENARIOS: dict[str, Callable[[], Any]] = {}


def scenario(function: Callable[[], Any]) -> Callable[[], Any]:
    """Adds the function to those that are run, under its name."""
    SCENARIOS[function.__name__] = function
    return function


def ended(state: Any) -> list[Any]:
    """What a state came to: its type, its name, and the result or the exception's name."""
    result = asyncio.run(resolved(state))
    return [state.type.value, state.name, f"{type(result).__name__}: {result}"]


async def resolved(state: Any) -> Any:
    """The state's result; 3.0 has to be asked to read it, and may return a record that carries it."""
    fetching = {"fetch": True} if "fetch" in inspect.signature(state.result).parameters else {}
    found = state.result(raise_on_failure=False, **fetching)
    found = await found if asyncio.iscoroutine(found) else found
    return found.result if type(found).__name__ == "ResultRecord" else found


def eventually(probe: Callable[[], Any]) -> Any:
    """Returns what `probe` answers as soon as that is true; waits for it for two minutes."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (found := probe()):
        if time.monotonic() > deadline:
            raise TimeoutError("nothing came of it")
        time.sleep(0.2)
    return found


def is_in(run_id: UUID, *names: str) -> bool:
    with get_client(sync_client=True) as client:
        return client.read_flow_run(run_id).state_name in names


@contextlib.contextmanager
def process(*command: str) -> Iterator[None]:
    """Runs the command beside, and ends it as a user would."""
    log = Path(os.environ["PREFECT_HOME"]) / f"process-{uuid4()}.log"
    with log.open("wb") as output:
        started = subprocess.Popen(command, stdout=output, stderr=output, cwd=HERE)
    try:
        yield
    except BaseException:
        print(log.read_text(errors="replace")[-4000:], file=sys.stderr)
        raise
    finally:
        started.send_signal(signal.SIGINT)
        try:
            started.wait(30)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@task
def add(first: int, second: int) -> int:
    get_run_logger().info("adding %s and %s", first, second)
    return first + second


@flow
def summing(numbers: list[int], start: int = 0) -> int:
    total = start
    for number in numbers:
        total = add(total, number)
    get_run_logger().warning("the sum is %s", total)
    return total


@scenario
def tasks() -> Any:
    return ended(summing([1, 2, 3], return_state=True))


@task(task_run_name="square of {number}")
def square(number: int) -> int:
    return number * number


@flow
def mapping() -> list[int]:
    squares = square.map(range(5))
    # A task run names the run of each future among its parameters as a parent if the server knows that run as running
    # when the client asks, which is a race between the two. What has been waited for is not asked about.
    wait(squares)
    sums = add.map(squares, 1)
    later = add.submit(7, 8, wait_for=[sums[0]])
    return [*sums.result(), later.result()]


@scenario
def mapped_tasks() -> Any:
    return ended(mapping(return_state=True))


released = threading.Event()


@task
def held(number: int) -> int:
    return number if released.wait(DEADLINE_SECONDS) else -1


@flow
def mapping_what_runs() -> list[int]:
    """Maps over task runs that the server knows as running until it knows those that depend on them."""
    numbers = held.map(range(5))
    try:
        eventually(lambda: all(number.state.is_running() for number in numbers))
        sums = add.map(numbers, 1)
        eventually(lambda: all(is_known(each.task_run_id) for each in sums))
    finally:
        released.set()
    return list(sums.result())


def is_known(task_run_id: UUID) -> bool:
    with get_client(sync_client=True) as client, contextlib.suppress(ObjectNotFound):
        client.read_task_run(task_run_id)
        return True
    return False


@scenario
def mapped_running_tasks() -> Any:
    return ended(mapping_what_runs(return_state=True))


@task
async def add_later(first: int, second: int) -> int:
    await asyncio.sleep(0.01)
    return first + second


@flow
async def asynchronous() -> int:
    pair = await asyncio.gather(add_later(1, 2), add_later(3, 4))
    return await add_later(*pair)


@scenario
def async_flow() -> Any:
    return ended(asyncio.run(asynchronous(return_state=True)))


@flow
def child(number: int) -> int:
    return add(number, 1)


@flow
def failing_child() -> None:
    raise ValueError("the child's")


@task
def calls_a_flow(number: int) -> int:
    return child(number)


@flow
def parent() -> list[Any]:
    state = failing_child(return_state=True)
    return [child(1), calls_a_flow(2), state.name]


@scenario
def subflows() -> Any:
    return ended(parent(return_state=True))


@task(retries=2, retry_delay_seconds=0)
def third_time_lucky() -> int:
    if this_task_run.run_count < 3:
        raise ValueError("not yet")
    return this_task_run.run_count


@task(retries=1, retry_delay_seconds=1)
def second_time_lucky() -> int:
    if this_task_run.run_count < 2:
        raise ValueError("not yet")
    return this_task_run.run_count


@flow
def retried_tasks() -> list[int]:
    return [third_time_lucky(), second_time_lucky()]


@flow(retries=1, retry_delay_seconds=1)
def retried_flow() -> int:
    add(1, 1)
    if this_flow_run.run_count < 2:
        raise ValueError("not yet")
    return this_flow_run.run_count


@task(retries=1, retry_delay_seconds=0)
def never_lucky() -> None:
    raise ValueError("never")


@flow(retries=1, retry_delay_seconds=0)
def exhausted_flow() -> None:
    never_lucky()


@scenario
def retries() -> Any:
    return [ended(each(return_state=True)) for each in (retried_tasks, retried_flow, exhausted_flow)]


@task
def fails() -> None:
    raise ValueError("on purpose")


@flow
def fails_by_a_task() -> None:
    fails()


@flow
def outlives_a_task() -> str:
    state = fails(return_state=True)
    skipped = add.submit(state, 1)
    return f"after {state.name}, {skipped.state.name or 'unknown'}" if not skipped.wait() else skipped.state.name


@flow
def answers_a_state() -> Any:
    return Failed(message="said so")


@flow
def answers_a_named_state() -> Any:
    return Completed(message="nothing to do", name="Skipped")


@flow(timeout_seconds=1)
def too_slow() -> None:
    for _ in range(100):
        time.sleep(0.1)


@task(timeout_seconds=1)
def too_slow_task() -> None:
    for _ in range(100):
        time.sleep(0.1)


@flow
def with_a_slow_task() -> str:
    return too_slow_task(return_state=True).name


@flow(validate_parameters=True)
def particular(number: int) -> int:
    return number


@scenario
def failures() -> Any:
    told = [ended(each(return_state=True)) for each in (fails_by_a_task, outlives_a_task, answers_a_state)]
    told += [ended(each(return_state=True)) for each in (answers_a_named_state, too_slow, with_a_slow_task)]
    return [*told, particular("many", return_state=True).name]


@flow
def crashes() -> None:
    add(1, 1)
    raise KeyboardInterrupt


@scenario
def crash() -> Any:
    try:
        crashes()
    except BaseException as error:
        return type(error).__name__
    return "went on"


@flow(on_completion=[lambda flow, run, state: get_run_logger().info("hook: %s", state.name)])
def hooked() -> None:
    add(1, 1)


@flow(on_failure=[lambda flow, run, state: get_run_logger().info("hook: %s", state.name)], flow_run_name="hooked {number}")
def hooked_failure(number: int) -> None:
    raise ValueError("on purpose")


@scenario
def hooks() -> Any:
    return [ended(hooked(return_state=True)), ended(hooked_failure(7, return_state=True))]


@task(cache_policy=INPUTS, persist_result=True)
def cached_by_inputs(number: int) -> int:
    return number


@task(cache_key_fn=lambda context, parameters: f"of-{parameters['number']}", cache_expiration=timedelta(minutes=5))
def cached_by_a_key(number: int) -> int:
    return number


@flow
def caching() -> list[str]:
    states = [cached_by_inputs(1, return_state=True), cached_by_inputs(1, return_state=True)]
    states += [cached_by_inputs(2, return_state=True), cached_by_a_key(1, return_state=True)]
    states += [cached_by_a_key(1, return_state=True), cached_by_a_key.with_options(refresh_cache=True)(1, return_state=True)]
    return [state.name for state in states]


@scenario
def caches() -> Any:
    return [ended(caching(return_state=True)), ended(caching(return_state=True))]


@flow
def rolling_back() -> None:
    @task
    def staged(number: int) -> int:
        return number

    @staged.on_rollback
    def undone(transaction: Any) -> None:
        print("undone")

    with transaction():
        staged(1)
        raise ValueError("after the task")


@scenario
def transactions() -> Any:
    return ended(rolling_back(return_state=True))


LIMIT = 4
TAGGED = 20
lock = threading.Lock()
running: set[int] = set()
most = 0


@task(tags=["limited"], task_run_name="limited {number}")
def takes_its_turn(number: int) -> int:
    global most
    with lock:
        running.add(number)
        most = max(most, len(running))
    time.sleep(0.2)
    with lock:
        running.remove(number)
    return number


@flow
def limited() -> int:
    return sum(takes_its_turn.map(range(TAGGED)).result())


def slots_of_tag(tag: str) -> int:
    with get_client(sync_client=True) as client:
        return len(client._client.get(f"/concurrency_limits/tag/{tag}").json()["active_slots"])


@scenario
def tag_limits() -> Any:
    with get_client(sync_client=True) as client:
        client._client.post("/concurrency_limits/", json={"tag": "limited", "concurrency_limit": LIMIT})
    told = ended(limited(return_state=True))
    return [told, most <= LIMIT, slots_of_tag("limited")]


def slots_of_limit(name: str) -> int:
    with get_client(sync_client=True) as client:
        return int(client._client.get(f"/v2/concurrency_limits/{name}").json()["active_slots"])


@scenario
def slots_of_tags_by_hand() -> Any:
    with get_client(sync_client=True) as client:
        client._client.post("/concurrency_limits/", json={"tag": "held", "concurrency_limit": 1})
    told: list[Any] = []
    with concurrency_of_tags("held", task_run_id=uuid4()):
        told.append(slots_of_tag("held"))
        try:
            with concurrency_of_tags("held", task_run_id=uuid4(), timeout_seconds=0.5):
                told.append("two held it")
        except TimeoutError as error:
            told.append(type(error).__name__)
    return [*told, slots_of_tag("held")]


@task
def occupies(number: int) -> int:
    with concurrency("database", occupy=1):
        time.sleep(0.1)
    return number


@flow
def concurrent() -> list[Any]:
    told: list[Any] = [sum(occupies.map(range(6)).result())]
    with concurrency(["database", "network"], occupy=2):
        told.append(slots_of_limit("database"))
        try:
            with concurrency("database", occupy=1, timeout_seconds=0.5):
                told.append("more than there is")
        except TimeoutError as error:
            told.append(type(error).__name__)
    for _ in range(3):
        rate_limit("rate")
    try:
        with concurrency("nowhere", strict=True):
            told.append("entered nowhere")
    except Exception as error:
        told.append(type(error).__name__)
    with concurrency("nowhere"):
        told.append("not strict")
    return told


@scenario
def global_limits() -> Any:
    with get_client(sync_client=True) as client:
        for name, limit, decay in (("database", 2, 0.0), ("network", 5, 0.0), ("rate", 2, 5.0)):
            body = {"name": name, "limit": limit, "slot_decay_per_second": decay}
            client._client.post("/v2/concurrency_limits/", json=body)
    told = ended(concurrent(return_state=True))
    return [told, slots_of_limit("database"), slots_of_limit("network")]


@flow
def pausing() -> int:
    first = add(1, 1)
    announced["pausing"] = UUID(str(this_flow_run.id))
    pause_flow_run(timeout=60, poll_interval=1)
    return add(first, 1)


@flow
def asking() -> str:
    announced["asking"] = UUID(str(this_flow_run.id))
    answer = pause_flow_run(wait_for_input=str, timeout=60, poll_interval=1)
    return f"answered {answer}"


@flow
def giving_up() -> None:
    pause_flow_run(timeout=1, poll_interval=1)


announced: dict[str, UUID] = {}


def answered(flow: Callable[..., Any], name: str, **named: Any) -> Any:
    """Runs the flow, and resumes it once it is paused."""

    def resume() -> None:
        eventually(lambda: name in announced and is_in(announced[name], "Paused"))
        asyncio.run(resumed(announced[name], **named))

    helper = threading.Thread(target=resume)
    helper.start()
    told = ended(flow(return_state=True))
    helper.join()
    return told


async def resumed(run_id: UUID, **named: Any) -> None:
    found = resume_flow_run(run_id, **named)
    if asyncio.iscoroutine(found):
        await found


@scenario
def pauses() -> Any:
    told = [answered(pausing, "pausing"), answered(asking, "asking", run_input={"value": "yes"})]
    return [*told, ended(giving_up(return_state=True))]


@flow
def receiving() -> list[str]:
    run_id = UUID(str(this_flow_run.id))
    for word in ("one", "two"):
        send_input(word, flow_run_id=run_id)
    received = receive_input(str, timeout=20, poll_interval=0.1, raise_timeout_error=True)
    return sorted(received.next() for _ in range(2))


@scenario
def run_inputs() -> Any:
    return ended(receiving(return_state=True))


@flow
def producing() -> None:
    create_markdown_artifact("# Said", key="report", description="first")
    create_markdown_artifact("# Said again", key="report", description="second")
    create_table_artifact([{"a": 1, "b": None}, {"a": 2, "b": "x"}], key="table")
    create_link_artifact("https://example.com", link_text="there", key="link")
    create_image_artifact("https://example.com/image.png", key="image")
    progress = create_progress_artifact(progress=10.0, key="progress")
    update_progress_artifact(artifact_id=progress, progress=55.0)


@scenario
def artifacts() -> Any:
    return ended(producing(return_state=True))


@flow
def remembering() -> Any:
    Variable.set("remembered", {"a": [1, None, "ä"]}, tags=["kept"])
    before = Variable.get("remembered")
    try:
        Variable.set("remembered", 5)
    except ValueError as error:
        before = [before, type(error).__name__]
    Variable.set("remembered", 5, overwrite=True)
    after = Variable.get("remembered")
    Variable.unset("remembered")
    return [before, after, Variable.get("remembered", default="nothing")]


@scenario
def variables() -> Any:
    return ended(remembering(return_state=True))


@flow
def emitting() -> None:
    emit_event(event="client.said", resource={"prefect.resource.id": "client.resource"}, payload={"number": 1})


@scenario
def events() -> Any:
    return ended(emitting(return_state=True))


@flow
def keeping_secrets() -> str:
    Secret(value="hidden").save("kept", overwrite=True)
    return str(Secret.load("kept").get())


@scenario
def blocks() -> Any:
    return ended(keeping_secrets(return_state=True))


def deploy(name: str, deployment: str) -> None:
    stored = flow.from_source(source=str(HERE), entrypoint=f"deployed.py:{name}")
    stored.deploy(name=deployment, work_pool_name="pool", build=False, push=False, print_next_steps=False)


def finished(run_id: UUID) -> list[Any]:
    """Waits for the run's end, and returns how it ended and what its result was."""
    eventually(lambda: is_in(run_id, "Completed", "Failed", "Crashed", "Cancelled"))
    with get_client(sync_client=True) as client:
        return ended(client.read_flow_run(run_id).state)


@scenario
def work_pool() -> Any:
    """Deployments that a worker of a process pool runs: a result, a failure, a suspension, a cancellation."""
    prefect = str(Path(sys.executable).with_name("prefect"))
    subprocess.run([prefect, "work-pool", "create", "pool", "--type", "process"], check=True, stdout=subprocess.DEVNULL)
    names = ("deployed_sum", "deployed_failure", "deployed_suspension", "deployed_wait")
    for name in names:
        deploy(name, "worked")
    told: list[Any] = []
    with process(prefect, "worker", "start", "--pool", "pool", "--name", "worker"):
        summed = run_deployment("deployed-sum/worked", parameters={"first": 3}, timeout=DEADLINE_SECONDS, poll_interval=1)
        told.append(finished(summed.id))
        failed = run_deployment("deployed-failure/worked", timeout=0)
        suspended = run_deployment("deployed-suspension/worked", timeout=0)
        waiting = run_deployment("deployed-wait/worked", timeout=0)
        told.append(finished(failed.id)[:2])
        eventually(lambda: is_in(suspended.id, "Suspended"))
        # A resumed run waits for the worker as any other does, and goes on where it was.
        time.sleep(2)
        asyncio.run(resumed(suspended.id))
        told.append(finished(suspended.id))
        eventually(lambda: is_in(waiting.id, "Running"))
        time.sleep(2)
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(waiting.id, Cancelling())
        told.append(finished(waiting.id)[:2])
    return told


def completed_runs_of(deployment: str) -> list[UUID]:
    with get_client(sync_client=True) as client:
        body = {
            "deployments": {"name": {"any_": [deployment]}},
            "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
        }
        return [UUID(run["id"]) for run in client._client.post("/flow_runs/filter", json=body).json()]


def has_logged(flow_run_id: UUID, beginning: str) -> bool:
    """Returns whether the flow run itself has said something that begins so, and none of its task runs."""
    with get_client(sync_client=True) as client:
        body = {"logs": {"flow_run_id": {"any_": [str(flow_run_id)]}}}
        logs = client._client.post("/logs/filter", json=body).json()
    return any(log["task_run_id"] is None and log["message"].startswith(beginning) for log in logs)


@flow
def asking_a_deployment() -> str:
    run = run_deployment("deployed-sum/served", parameters={"first": 1}, timeout=DEADLINE_SECONDS, poll_interval=1)
    return str(run.state.name)


@scenario
def served() -> Any:
    """A deployment that a process serves, asked for by a flow, whose child it becomes."""

    def is_ready() -> bool:
        with get_client(sync_client=True) as client:
            found = client._client.post("/deployments/filter", json={}).json()
            return any(deployment["name"] == "served" and not deployment["paused"] for deployment in found)

    with process(sys.executable, "deployed.py", "serve"):
        eventually(is_ready)
        told = ended(asking_a_deployment(return_state=True))
        # The run's process sends its last logs after its last state. To interrupt it in between loses them.
        eventually(lambda: all(has_logged(run_id, "Finished in state") for run_id in completed_runs_of("served")))
        return told


@scenario
def background_tasks() -> Any:
    """A task that is put off, and run by a task worker."""
    from deployed import in_background

    with process(sys.executable, "deployed.py", "task worker"):
        future = in_background.delay(41)
        future.wait(timeout=30)
        return ended(future.state)


@scenario
def scheduled() -> Any:
    """A run that is to start later is there, with the time it was given."""
    start = datetime(2041, 5, 6, 7, 8, 9, tzinfo=UTC)
    run = run_deployment("deployed-sum/worked", parameters={"first": 1}, scheduled_time=start, timeout=0)
    with get_client(sync_client=True) as client:
        read = client.read_flow_run(run.id)
    return [read.state.name, str(read.next_scheduled_start_time)]


def main() -> None:
    if sys.argv[1:] == ["--list"]:
        print(*SCENARIOS, sep="\n")
        return
    wanted = sys.argv[1:] or list(SCENARIOS)
    for name in wanted:
        try:
            with contextlib.redirect_stdout(sys.stderr):
                answer: Any = SCENARIOS[name]()
        except Exception as error:
            traceback.print_exc()
            answer = f"{type(error).__name__}: {error}"
        print(json.dumps({"scenario": name, "answer": answer}, default=str), flush=True)


if __name__ == "__main__":
    main()
