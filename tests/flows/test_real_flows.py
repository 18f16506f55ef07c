"""Real flows, run by the unmodified client, and what the server knows about them afterwards."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import Any

import pytest
from harness import Api, Runner, eventually
from servers import REPOSITORY


def announced_run(process: subprocess.Popen[str]) -> str:
    """Returns the flow run id that a script prints as its first line."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the script ended before it said which run it is"
    run_id: str = json.loads(line)["flow_run_id"]
    return run_id


def ran(*states: str) -> list[str]:
    """Returns the names of a run that was pending, ran, and went on as given."""
    return ["Pending", "Running", *states]


def test_hello(runner: Runner, api: Api) -> None:
    runner.command(REPOSITORY / "examples" / "hello.py")
    flows = {"name": {"any_": ["hello"]}}
    runs = api.post("flow_runs/filter", {"flows": flows, "sort": "START_TIME_DESC"})
    assert runs[0]["state_name"] == "Completed"
    assert runs[0]["parameters"] == {"names": ["Ada", "Grace", "Katherine"]}
    task_runs = api.finished_task_runs(runs[0]["id"], 4)
    assert {run["state_name"] for run in task_runs} == {"Completed"}


@pytest.fixture(scope="module")
def answer(api_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `arithmetic.py` printed at its end."""
    finished = Runner(api_url, tmp_path_factory.mktemp("home")).run("arithmetic")
    answer: dict[str, Any] = finished.answer
    return answer


@pytest.fixture(scope="module")
def run(answer: dict[str, Any], api: Api) -> dict[str, Any]:
    """The flow run of `arithmetic.py`."""
    return api.flow_run(answer["flow_run_id"])


class TestArithmetic:
    """One run of `arithmetic.py`, looked at from all sides."""

    def test_ends_with_its_result(self, answer: dict[str, Any], run: dict[str, Any]) -> None:
        assert (answer["state"], answer["result"]) == ("Completed", 30)
        assert (run["state_type"], run["state_name"]) == ("COMPLETED", "Completed")
        assert run["state"]["id"] == run["state_id"]

    def test_keeps_what_the_flow_says_about_itself(self, run: dict[str, Any], api: Api) -> None:
        assert run["name"] == "sums up to 5"
        assert run["parameters"] == {"limit": 5, "note": "none"}
        assert sorted(run["tags"]) == ["outer", "zebra"]
        assert run["flow_version"] == "seven"
        flow = api.get(f"flows/{run['flow_id']}")
        assert flow["name"] == "arithmetic"
        assert run["labels"]["prefect.flow.id"] == flow["id"]
        assert run["deployment_id"] is None and run["parent_task_run_id"] is None

    def test_counts_runs_and_times(self, run: dict[str, Any], api: Api) -> None:
        assert api.states(run["id"]) == ran("Completed")
        assert run["run_count"] == 1
        assert run["start_time"] < run["end_time"]
        assert run["expected_start_time"] <= run["start_time"]
        assert run["total_run_time"] > 0

    def test_records_every_task_run(self, run: dict[str, Any], api: Api) -> None:
        task_runs = api.finished_task_runs(run["id"], 8)
        names = [task_run["name"] for task_run in task_runs]
        assert {"add 1 and 2", "add 3 and 4"} <= set(names)
        assert sum(name.startswith("square-") for name in names) == 5
        for task_run in task_runs:
            assert task_run["state_type"] == "COMPLETED"
            assert api.task_states(task_run["id"]) == ran("Completed")
            assert task_run["run_count"] == 1 and task_run["flow_run_run_count"] == 1
            assert task_run["expected_start_time"] <= task_run["start_time"] <= task_run["end_time"]
            assert task_run["flow_run_id"] == run["id"]
            assert {"outer", "zebra"} <= set(task_run["tags"])

    def test_records_task_inputs(self, run: dict[str, Any], api: Api) -> None:
        task_runs = api.finished_task_runs(run["id"], 8)
        by_name = {task_run["name"]: task_run for task_run in task_runs}
        [total] = [task_run for task_run in task_runs if task_run["name"].startswith("total")]
        second = by_name["add 3 and 4"]
        assert total["task_inputs"]["wait_for"] == [{"input_type": "task_run", "id": second["id"]}]
        squares = {run["id"] for run in task_runs if run["name"].startswith("square")}
        assert {entry["id"] for entry in total["task_inputs"]["numbers"]} == squares
        assert "adding" in second["tags"] and "adding" not in total["tags"]

    def test_logs_read_back(self, run: dict[str, Any], api: Api) -> None:
        def probe() -> list[dict[str, Any]]:
            logs = api.logs(run["id"])
            messages = {log["message"] for log in logs}
            wanted = {"the sum is 30", "adding 1 and 2", "a warning with a ünicode snowman ☃"}
            assert wanted <= messages
            assert any("Finished in state Completed" in message for message in messages)
            return logs

        logs = eventually(probe)
        assert [log["timestamp"] for log in logs] == sorted(log["timestamp"] for log in logs)
        [warning] = api.logs(run["id"], level={"ge_": 30})
        assert "snowman" in warning["message"] and warning["task_run_id"] is None
        [adding] = [log for log in logs if log["message"] == "adding 1 and 2"]
        by_name = {task_run["name"]: task_run for task_run in api.task_runs(run["id"])}
        assert adding["task_run_id"] == by_name["add 1 and 2"]["id"]
        assert adding["name"] == "prefect.task_runs" and adding["level"] == 20


def test_async_tasks_and_subflows(runner: Runner, api: Api) -> None:
    answer = runner.run("asynchronous").answer
    assert answer["gathered"] == [0, 2, 4, 6]
    assert answer["mapped"] == [20, 40]
    assert answer["nested"] == [200, 400]
    # Four gathered, two mapped, and one for each of the two subflows.
    task_runs = api.finished_task_runs(answer["flow_run_id"], 8)
    assert {task_run["state_type"] for task_run in task_runs} == {"COMPLETED"}
    children = [run["state"]["state_details"]["child_flow_run_id"] for run in task_runs]
    assert sum(child is not None for child in children) == 2


def test_subflows_two_deep(runner: Runner, api: Api) -> None:
    outer, middle, inner = runner.run("subflows").answer["flow_run_ids"]
    assert [api.flow_run(run_id)["name"] for run_id in (outer, middle, inner)] == [
        "outer-run",
        "middle-run",
        "inner-run",
    ]
    for parent, child in ((outer, middle), (middle, inner)):
        task_runs = api.finished_task_runs(parent, 2)
        parent_task_run_id = api.flow_run(child)["parent_task_run_id"]
        [stands_for_child] = [run for run in task_runs if run["id"] == parent_task_run_id]
        assert stands_for_child["state"]["state_details"]["child_flow_run_id"] == child
        assert stands_for_child["state_type"] == "COMPLETED"
        assert api.states(child) == ran("Completed")
    assert len(api.finished_task_runs(inner, 1)) == 1

    filter = {"parent_flow_run_id": {"any_": [outer]}}
    children = api.post("flow_runs/filter", {"flow_runs": filter})
    assert [run["id"] for run in children] == [middle]


def test_failing_subflow_fails_its_parents(runner: Runner, api: Api) -> None:
    answer = runner.run("subflows", "fail").answer
    assert answer["state"] == "Failed"
    run_id = answer["flow_run_id"]
    for depth in range(2):
        task_runs = api.finished_task_runs(run_id, 2)
        [failed] = [run for run in task_runs if run["state_type"] == "FAILED"]
        run_id = failed["state"]["state_details"]["child_flow_run_id"]
        assert api.flow_run(run_id)["state_type"] == "FAILED", depth


def test_retries_with_delay(runner: Runner, api: Api) -> None:
    answer = runner.run("retries").answer
    assert (answer["state"], answer["task_attempts"], answer["flow_attempts"]) == (
        "Completed",
        3,
        2,
    )
    run = api.flow_run(answer["flow_run_id"])
    assert run["run_count"] == 2
    assert run["empirical_policy"]["retries"] == 1 and run["empirical_policy"]["retry_delay"] == 1
    assert run["empirical_policy"]["retry_type"] == "in_process"
    assert api.states(run["id"]) == ran("AwaitingRetry", "Running", "Completed")

    # The flow's second attempt calls the task anew, so that there is a task run for each.
    task_runs = api.finished_task_runs(run["id"], 2)
    for task_run in task_runs:
        attempts = ["AwaitingRetry", "Retrying", "AwaitingRetry", "Retrying", "Completed"]
        assert api.task_states(task_run["id"]) == ran(*attempts)
        assert task_run["run_count"] == 3
        assert task_run["empirical_policy"]["retries"] == 2
        assert task_run["empirical_policy"]["retry_delay"] == [0.3, 0.6]
    assert [task_run["flow_run_run_count"] for task_run in task_runs] == [1, 2]


@pytest.fixture(scope="module")
def outcomes(api_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """How each flow of `failures.py` ended, by its name."""
    finished = Runner(api_url, tmp_path_factory.mktemp("home")).run("failures")
    answer: dict[str, Any] = finished.answer
    return answer


class TestFailures:
    """One run of `failures.py`, which fails in every way that a flow may."""

    @pytest.mark.parametrize(
        ("flow", "type", "name", "message"),
        [
            ("task_fails", "FAILED", "Failed", "this task always fails"),
            ("failure_is_handled", "COMPLETED", "Completed", None),
            ("flow_fails", "FAILED", "Failed", "the flow itself fails"),
            ("returns_failed", "FAILED", "Failed", "failed on purpose"),
            ("returns_cancelled", "CANCELLED", "Cancelled", "cancelled on purpose"),
            ("returns_named_completed", "COMPLETED", "Skipped", "nothing to do"),
            ("needs_number", "FAILED", "Failed", "Validation of flow parameters failed"),
        ],
    )
    def test_outcome(
        self,
        outcomes: dict[str, Any],
        api: Api,
        flow: str,
        type: str,
        name: str,
        message: str | None,
    ) -> None:
        outcome = outcomes[flow]
        assert (outcome["type"], outcome["name"]) == (type, name)
        run = api.flow_run(outcome["flow_run_id"])
        assert (run["state_type"], run["state_name"]) == (type, name)
        assert run["state"]["message"] == outcome["message"]
        if message:
            assert message in run["state"]["message"]
        assert api.states(run["id"])[-1] == name
        assert run["end_time"] is not None and run["start_time"] is not None

    def test_task_states(self, outcomes: dict[str, Any], api: Api) -> None:
        [failed] = api.finished_task_runs(outcomes["task_fails"]["flow_run_id"], 1)
        assert failed["state_type"] == "FAILED"
        assert "this task always fails" in failed["state"]["message"]
        both = api.finished_task_runs(outcomes["failure_is_handled"]["flow_run_id"], 2)
        assert {run["state_type"] for run in both} == {"FAILED", "COMPLETED"}

    def test_invalid_parameters_never_run(self, outcomes: dict[str, Any], api: Api) -> None:
        run = api.flow_run(outcomes["needs_number"]["flow_run_id"])
        assert run["run_count"] == 0
        assert run["parameters"] == {"number": "many"}
        assert api.states(run["id"]) == ["Pending", "Failed"]


@pytest.mark.parametrize("how", ["base-exception", "task-base-exception"])
def test_crash_by_exception(runner: Runner, api: Api, how: str) -> None:
    process = runner.start("crash", how)
    run_id = announced_run(process)
    finished = runner.finish(process, exit_code=1)
    assert "Unstoppable" in finished.errors
    assert api.flow_run(run_id)["state_type"] == "CRASHED"
    assert api.states(run_id) == ran("Crashed")
    if how == "task-base-exception":
        [task_run] = api.finished_task_runs(run_id, 1)
        assert task_run["state_type"] == "CRASHED"


def test_crash_by_termination(runner: Runner, api: Api) -> None:
    process = runner.start("crash", "wait")
    run_id = announced_run(process)
    process.send_signal(signal.SIGTERM)
    runner.finish(process, exit_code=None)
    assert api.flow_run(run_id)["state_type"] == "CRASHED"


def test_killed_process_leaves_its_run_running(runner: Runner, api: Api) -> None:
    process = runner.start("crash", "wait")
    run_id = announced_run(process)
    process.kill()
    runner.finish(process, exit_code=-signal.SIGKILL)
    assert api.flow_run(run_id)["state_type"] == "RUNNING"
    result = api.set_state(run_id, {"type": "CRASHED", "message": "killed"})
    assert result["status"] == "ACCEPT"
    assert api.states(run_id) == ran("Crashed")


def test_caching_within_and_across_runs(runner: Runner, api: Api) -> None:
    fresh, cached = "Completed", "Cached"
    first = runner.run("caching").answer
    assert first["names"] == {
        "by_inputs": [fresh, cached, fresh],
        "by_key": [fresh, cached],
        "for_a_while": [fresh, cached, fresh],
        "refreshed": [fresh, fresh],
        "never": [fresh, fresh],
    }
    # The last result of the task that caches for three seconds has to be too old for the second run.
    time.sleep(3.2)
    second = runner.run("caching").answer
    assert second["names"] == {
        "by_inputs": [cached, cached, cached],
        "by_key": [cached, cached],
        "for_a_while": [fresh, cached, fresh],
        "refreshed": [fresh, fresh],
        "never": [fresh, fresh],
    }
    for answer in (first, second):
        names = [name for names in answer["names"].values() for name in names]
        recorded = api.finished_task_runs(answer["flow_run_id"], len(names))
        assert sorted(run["state_name"] for run in recorded) == sorted(names)


def test_state_hooks(runner: Runner) -> None:
    finished = runner.run("hooks", exit_code=-signal.SIGTERM)
    called = [tuple(json.loads(line)) for line in finished.lines]
    assert called == [
        ("on_running", "completes", "RUNNING"),
        ("task_on_running", "work", "RUNNING"),
        ("task_on_completion", "work", "COMPLETED"),
        ("on_completion", "completes", "COMPLETED"),
        ("on_running", "fails", "RUNNING"),
        ("task_on_running", "work", "RUNNING"),
        ("task_on_failure", "work", "FAILED"),
        ("on_failure", "fails", "FAILED"),
        ("on_running", "is-cancelled", "RUNNING"),
        ("on_cancellation", "is-cancelled", "CANCELLING"),
        ("on_running", "crashes", "RUNNING"),
        ("on_crashed", "crashes", "CRASHED"),
    ]


def test_cancelling_a_running_flow(runner: Runner, api: Api) -> None:
    process = runner.start("crash", "wait")
    run_id = announced_run(process)
    assert api.set_state(run_id, {"type": "CANCELLING"})["status"] == "ACCEPT"
    for refused in ("COMPLETED", "FAILED", "RUNNING", "PENDING"):
        assert api.set_state(run_id, {"type": refused})["status"] == "REJECT"
    assert api.set_state(run_id, {"type": "CANCELLED"})["status"] == "ACCEPT"
    process.kill()
    runner.finish(process, exit_code=-signal.SIGKILL)
    assert api.states(run_id) == ran("Cancelling", "Cancelled")


def test_pause_and_resume(runner: Runner, api: Api) -> None:
    process = runner.start("pausing", "pauses")
    run_id = announced_run(process)

    def paused() -> None:
        assert api.flow_run(run_id)["state_type"] == "PAUSED"

    eventually(paused)
    assert api.set_state(run_id, {"type": "RUNNING"})["status"] == "ACCEPT"
    answer = runner.finish(process).answer
    assert answer == {"type": "COMPLETED", "name": "Completed", "result": "resumed"}
    assert api.states(run_id) == ran("Paused", "Running", "Completed")
    run = api.flow_run(run_id)
    # The resuming mark is set only after RUNNING was entered, so that counts as an attempt too.
    assert run["run_count"] == 2
    assert run["empirical_policy"]["resuming"] is False
    assert len(run["empirical_policy"]["pause_keys"]) == 1


def test_pause_for_input(runner: Runner, api: Api) -> None:
    process = runner.start("pausing", "asks")
    run_id = announced_run(process)

    def asked() -> dict[str, str]:
        state = api.flow_run(run_id)["state"]
        assert state["type"] == "PAUSED"
        keyset: dict[str, str] = state["state_details"]["run_input_keyset"]
        inputs = api.post(f"flow_runs/{run_id}/input/filter", {"prefix": keyset["schema"]})
        assert [entry["key"] for entry in inputs] == [keyset["schema"]]
        return keyset

    keyset = eventually(asked)
    body = {"key": keyset["response"], "value": json.dumps({"value": "forty-two"})}
    response = api.http.post(f"flow_runs/{run_id}/input", json=body)
    assert response.status_code == 201, response.text
    assert api.set_state(run_id, {"type": "RUNNING"})["status"] == "ACCEPT"
    assert runner.finish(process).answer["result"] == "answered forty-two"


def test_pause_that_times_out(runner: Runner, api: Api) -> None:
    finished = runner.run("pausing", "gives_up")
    run_id = json.loads(finished.lines[0])["flow_run_id"]
    assert finished.answer["type"] == "FAILED"
    # Where the server looks for expired pauses before the client says that it gave up, both say so, as with Prefect's own.
    assert api.states(run_id) in (ran("Paused", "Failed"), ran("Paused", "Failed", "Failed"))
    assert "never resumed" in api.flow_run(run_id)["state"]["message"]


def test_suspending_needs_a_deployment(runner: Runner, api: Api) -> None:
    finished = runner.run("pausing", "suspends")
    run_id = json.loads(finished.lines[0])["flow_run_id"]
    assert "Cannot suspend flows without a deployment" in finished.answer["result"]
    assert api.states(run_id) == ran("Failed")


def test_run_inputs(runner: Runner, api: Api) -> None:
    answer = runner.run("run_inputs").answer
    assert sorted(answer["texts"]) == ["first", "second"]
    assert answer["greeting"] == {"name": "Ada", "times": 3}


def test_two_hundred_tasks(runner: Runner, api: Api) -> None:
    answer = runner.run("many_tasks").answer
    assert answer["result"] == sum(range(200))
    task_runs = api.finished_task_runs(answer["flow_run_id"], 200, timeout_seconds=90)
    assert len({task_run["id"] for task_run in task_runs}) == 200
    assert {task_run["state_name"] for task_run in task_runs} == {"Completed"}
    by_flow_run = {"flow_runs": {"id": {"any_": [answer["flow_run_id"]]}}}
    assert api.post("task_runs/count", by_flow_run) == 200
    for task_run in task_runs[::20]:
        assert api.task_states(task_run["id"]) == ran("Completed")


def test_variables(runner: Runner, api: Api) -> None:
    answer = runner.run("variables", "from-a-flow").answer
    assert answer == {
        "before": "nothing yet",
        "refused": "Variable 'from-a-flow' already exists. Use `overwrite=True` to update it.",
        "after": ["replaced", 2],
        "removed": True,
        "gone": None,
        "removed again": False,
    }
    assert api.http.get("variables/name/from-a-flow").status_code == 404


def test_limits_of_tags(runner: Runner, api: Api) -> None:
    """Task runs of a tag take turns, and the tag's limit says who holds its slot."""
    answer = runner.run("limited_tags").answer
    assert answer["first held by"] == answer["first"]
    assert answer["most at once"] == 1
    assert answer["while held"] == [answer["lone run"]]
    assert answer["refused"] == "AcquireConcurrencySlotTimeoutError"
    assert answer["afterwards"] == []
    assert {run["state_name"] for run in api.finished_task_runs(answer["flow_run_id"], 3)} == {"Completed"}
    assert answer["most of the crowd at once"] == 4
    crowd = api.finished_task_runs(answer["crowded flow run"], 20)
    assert {run["state_name"] for run in crowd} == {"Completed"}
