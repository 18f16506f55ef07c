"""The whole stack on the emulator, through its API Gateway and with the roles of its functions held to."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TypeVar

import boto3
import pytest
from botocore.exceptions import ClientError
from conftest import Stack
from emulator import ORIGIN_HEADER, REGION, REPOSITORY, STACK, client, origin_value
from websockets import Subprotocol
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

EVENTUALLY_SECONDS = 30
T = TypeVar("T")


def request(stack: Stack, method: str, path: str, body: object = None, url: str | None = None, **headers: str):
    """Sends a request to the API; returns the status, the headers and the decoded body, and follows no redirect."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {stack.key}"} | {name.replace("_", "-"): text for name, text in headers.items()}
    wanted = urllib.request.Request((url or stack.api_url) + path, data, headers, method=method)

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    try:
        with urllib.request.build_opener(Stay).open(wanted, timeout=60) as answer:
            return answer.status, answer.headers, json.loads(answer.read() or "null")
    except urllib.error.HTTPError as answer:
        text = answer.read()
        return answer.code, answer.headers, json.loads(text) if text else None


def eventually(ask: Callable[[], T], wanted: Callable[[T], bool], seconds: float = EVENTUALLY_SECONDS) -> T:
    deadline = time.monotonic() + seconds
    while not wanted(found := ask()) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert wanted(found), found
    return found


def events_of(stack: Stack, resource: str) -> list[str]:
    body = {"filter": {"resource": {"id": [resource]}, "order": "ASC"}}
    _, _, page = request(stack, "POST", "/events/filter", body)
    return [event["event"] for event in page["events"]]


@pytest.fixture(scope="module")
def flow_run(stack: Stack, prefect_python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The flow run that the unmodified client made of the first example."""
    home = tmp_path_factory.mktemp("prefect")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {"PREFECT_HOME": str(home), "PREFECT_API_URL": stack.api_url, "DO_NOT_TRACK": "1"}
    environment["PREFECT_API_AUTH_STRING"] = stack.key
    done = subprocess.run(
        [prefect_python, REPOSITORY / "examples" / "hello.py"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
    )
    assert done.returncode == 0, done.stdout
    _, _, runs = request(stack, "POST", "/flow_runs/filter", {"flows": {"name": {"any_": ["hello"]}}})
    assert len(runs) == 1, done.stdout
    return runs[0]


@pytest.fixture(scope="module", autouse=True)
def late_run(stack: Stack) -> dict:
    """A flow run that should have started a minute before the tests, and that nobody starts."""
    _, _, flow = request(stack, "POST", "/flows/", {"name": "late"})
    scheduled = (datetime.now(timezone.utc) - timedelta(minutes=1)).isoformat()
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": scheduled}}
    status, _, run = request(stack, "POST", "/flow_runs/", {"flow_id": flow["id"], "name": "late", "state": state})
    assert status == 201, run
    return run


def test_the_unmodified_client_runs_a_flow_with_tasks_and_logs(stack: Stack, flow_run: dict) -> None:
    assert flow_run["state_type"] == "COMPLETED"
    filters = {"logs": {"flow_run_id": {"any_": [flow_run["id"]]}}}
    messages = eventually(
        lambda: [line["message"] for line in request(stack, "POST", "/logs/filter", filters)[2]],
        lambda messages: any("Finished in state Completed" in message for message in messages),
    )
    assert {"Hello, Ada!", "Hello, Grace!", "Hello, Katherine!"} <= set(messages)


def test_the_consumer_makes_events_of_the_changes(stack: Stack, flow_run: dict) -> None:
    resource = f"prefect.flow-run.{flow_run['id']}"
    wanted = ["prefect.flow-run.Pending", "prefect.flow-run.Running", "prefect.flow-run.Completed"]
    # The client sends events of its own about the run, such as heartbeats.
    eventually(lambda: [event for event in events_of(stack, resource) if event in wanted], lambda found: found == wanted)


def test_the_websocket_takes_the_client_s_events(stack: Stack, flow_run: dict) -> None:
    """The client tells of task runs by events alone, and sends them over the websocket alone."""
    filters = {"task_runs": {"flow_run_id": {"any_": [flow_run["id"]]}}}
    task_runs = eventually(
        lambda: request(stack, "POST", "/task_runs/filter", filters)[2],
        lambda found: len(found) == 4 and all(run["state_type"] == "COMPLETED" for run in found),
    )
    for run in task_runs:
        wanted = ["prefect.task-run.Pending", "prefect.task-run.Running", "prefect.task-run.Completed"]
        assert events_of(stack, f"prefect.task-run.{run['id']}") == wanted


def websocket(stack: Stack, *messages: dict) -> list[dict | None]:
    """Opens the websocket and sends each message; returns what is answered to each, or nothing once it is cut."""
    address = stack.api_url.replace("http://", "ws://") + "/events/in"
    answers: list[dict | None] = []
    with contextlib.suppress(ConnectionClosed), connect(address, subprotocols=[Subprotocol("prefect")]) as socket:
        for message in messages:
            socket.send(json.dumps(message))
            answers.append(json.loads(socket.recv(timeout=EVENTUALLY_SECONDS)))
    return answers + [None] * (len(messages) - len(answers))


def test_the_websocket_asks_for_a_key_and_cuts_who_has_none(stack: Stack) -> None:
    refused = {"type": "auth_failure", "reason": "Invalid token"}
    wrong = {"type": "auth", "token": "proctor_wrong"}
    assert websocket(stack, wrong, {"type": "auth", "token": stack.key}) == [refused, None]
    accepted = {"type": "auth_success"}
    assert websocket(stack, {"type": "auth", "token": stack.key}, {"event": "senseless"}) == [accepted, None]


def test_paths_with_and_without_their_slash_work_as_upstream(stack: Stack) -> None:
    status, _, flow = request(stack, "POST", "/flows/", {"name": "slashes"})
    assert status == 201
    for path, other in (("/flows", "/flows/"), ("/flows/filter/", "/flows/filter"), (f"/flows/{flow['id']}/", f"/flows/{flow['id']}")):
        method = "GET" if path.endswith(f"{flow['id']}/") else "POST"
        status, headers, _ = request(stack, method, path, None if method == "GET" else {})
        assert (status, headers["location"]) == (307, f"/api{other}")


def test_what_has_no_route_is_answered_as_upstream(stack: Stack) -> None:
    assert request(stack, "GET", "/nothing")[::2] == (404, {"detail": "Not Found"})
    status, headers, body = request(stack, "DELETE", "/flows/")
    assert (status, headers["allow"], body) == (405, "POST", {"detail": "Method Not Allowed"})


def test_what_prefect_ships_as_data_is_in_the_functions_that_read_it(stack: Stack) -> None:
    status, _, workers = request(stack, "GET", "/collections/views/aggregate-worker-metadata")
    assert status == 200 and "kubernetes" in workers["prefect-kubernetes"], workers
    functions = client(stack.emulator, "lambda")
    layers = {
        one["FunctionName"]: [layer["Arn"] for layer in one.get("Layers") or []]
        for page in functions.get_paginator("list_functions").paginate()
        for one in page["Functions"]
    }
    layer, = layers["proctor-local-read_view_content"]
    assert all(found in ([], [layer]) for found in layers.values()) and layers["proctor-local-read_flow"] == []
    [address] = [functions.get_layer_version_by_arn(Arn=layer)["Content"]["Location"]]
    with urllib.request.urlopen(address) as content, zipfile.ZipFile(io.BytesIO(content.read())) as unpacked:
        files = set(unpacked.namelist())
    assert {"assets/manifest.json", "assets/block_types.json", "assets/views/aggregate-worker-metadata.json"} <= files
    assert not any(name.startswith("assets/ui") for name in files), "these functions don't serve the interfaces"


def test_the_store_is_ready(stack: Stack) -> None:
    assert request(stack, "GET", "/ready")[::2] == (200, {"message": "OK"})


def test_without_a_key_nobody_gets_in(stack: Stack) -> None:
    for path in ("/version", "/flows/filter/", "/nothing"):
        assert request(stack, "GET", path, authorization="Bearer proctor_wrong")[0] == 401, path
    assert request(stack, "GET", "/version")[0] == 200


def bulk(stack: Stack, prefix: str, count: int) -> dict:
    """Makes flow runs, and has a state set for all of them by an operation that outlives its request."""
    _, _, flow = request(stack, "POST", "/flows/", {"name": "bulk"})
    for index in range(count):
        status, _, _ = request(stack, "POST", "/flow_runs/", {"flow_id": flow["id"], "name": f"{prefix}{index}"})
        assert status == 201
    body = {"flow_runs": {"name": {"like_": prefix}}, "state": {"type": "CANCELLED"}}
    status, _, operation = request(stack, "POST", "/flow_runs/bulk_set_state", body, prefer="respond-async")
    assert status == 202, operation
    return operation


def finished(stack: Stack, operation: dict) -> dict:
    path = f"/operations/{operation['id']}"
    return eventually(lambda: request(stack, "GET", path)[2], lambda found: found["status"] != "RUNNING")


def test_bulk_work_goes_through_the_queue(stack: Stack) -> None:
    operation = finished(stack, bulk(stack, "queued-", 12))
    assert (operation["status"], operation["matched"], operation["done"]) == ("COMPLETED", 12, 12)


def queue_url(stack: Stack, name: str) -> str:
    formation = client(stack.emulator, "cloudformation")
    nested = formation.describe_stack_resource(StackName=STACK, LogicalResourceId="Work")["StackResourceDetail"]
    resource = formation.describe_stack_resource(StackName=nested["PhysicalResourceId"], LogicalResourceId=name)
    return resource["StackResourceDetail"]["PhysicalResourceId"]


def test_a_message_that_comes_twice_changes_nothing_and_a_poisoned_one_is_put_aside(stack: Stack) -> None:
    queues = client(stack.emulator, "sqs")
    queue, dead_letters = queue_url(stack, "Queue"), queue_url(stack, "DeadLetters")
    # A message that failed comes again after six minutes otherwise.
    queues.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "1"})
    operation = finished(stack, bulk(stack, "twice-", 3))
    again = {"task": "bulk_step", "operation": operation["id"], "part": 0, "step": 0}
    bodies = [json.dumps(again), "poisoned", json.dumps(again)]
    queues.send_message_batch(
        QueueUrl=queue, Entries=[{"Id": str(place), "MessageBody": body} for place, body in enumerate(bodies)]
    )
    dead = eventually(
        lambda: queues.receive_message(QueueUrl=dead_letters, VisibilityTimeout=0).get("Messages", []),
        lambda messages: bool(messages),
    )
    assert [message["Body"] for message in dead] == ["poisoned"]
    assert finished(stack, operation) == operation
    filters = {"flow_runs": {"name": {"like_": "twice-"}}}
    for run in request(stack, "POST", "/flow_runs/filter", filters)[2]:
        _, _, states = request(stack, "GET", f"/flow_run_states/?flow_run_id={run['id']}")
        assert [state["type"] for state in states] == ["PENDING", "CANCELLED"] or [state["type"] for state in states] == ["CANCELLED"]


def test_cloudfront_leads_to_the_api(stack: Stack) -> None:
    host = stack.outputs["PrefectApiUrl"].removeprefix("https://").removesuffix("/api")
    answer = request(stack, "GET", "/api/health", None, stack.emulator.url, host=host, x_forwarded_proto="https")
    assert answer[::2] == (200, True)


def origin(stack: Stack) -> str:
    """The address of the HTTP API without anything in front of it."""
    http = stack.outputs["HttpApiUrl"].removeprefix("https://").split(".")[0]
    return f"{stack.emulator.url}/_aws/execute-api/{http}/api"


def test_what_does_not_come_through_cloudfront_is_not_answered(stack: Stack) -> None:
    for path in ("/health", "/version", "/nothing"):
        assert request(stack, "GET", path, url=origin(stack))[0] == 401, path
        assert request(stack, "GET", path, url=origin(stack), **{ORIGIN_HEADER: "wrong"})[0] == 403, path
    value = origin_value(stack.emulator, stack.outputs)
    assert len(value) == 64
    assert request(stack, "GET", "/health", url=origin(stack), **{ORIGIN_HEADER: value})[::2] == (200, True)


def test_a_websocket_that_does_not_come_through_cloudfront_is_not_opened(stack: Stack) -> None:
    websocket, stage = re.match(r"wss://([^.]+)[^/]+/(.+)", stack.outputs["WebsocketUrl"]).groups()
    address = f"{stack.emulator.url.replace('http', 'ws')}/_aws/execute-api/{websocket}/{stage}"
    for headers, status in (({}, 401), ({ORIGIN_HEADER: "wrong"}, 403)):
        with pytest.raises(InvalidStatus) as refused:
            connect(address, subprotocols=[Subprotocol("prefect")], additional_headers=headers)
        assert refused.value.response.status_code == status
    value = origin_value(stack.emulator, stack.outputs)
    connect(address, subprotocols=[Subprotocol("prefect")], additional_headers={ORIGIN_HEADER: value}).close()


def test_a_replaced_origin_secret_opens_the_api_beside_the_one_before(stack: Stack) -> None:
    """CloudFront goes on to send the value before until it is deployed again, and some of its locations longer."""
    before = origin_value(stack.emulator, stack.outputs)
    secrets, arn = client(stack.emulator, "secretsmanager"), stack.outputs["OriginSecretArn"]
    secrets.put_secret_value(SecretId=arn, SecretString="replaced")
    # The authorizer reads again at a wrong value, at most every ten seconds, and API Gateway remembers a refusal. There
    # are minutes between the two in the cloud: CloudFront is deployed with the new value.
    time.sleep(11)
    for value in ("replaced", before):
        assert request(stack, "GET", "/health", url=origin(stack), **{ORIGIN_HEADER: value})[0] == 200


def test_both_apis_log_who_calls(stack: Stack) -> None:
    gateway, logs = client(stack.emulator, "apigatewayv2"), client(stack.emulator, "logs")
    for output, stage, group in (
        ("HttpApiUrl", "$default", "/aws/vendedlogs/proctor/local/http"),
        ("WebsocketUrl", "websockets", "/aws/vendedlogs/proctor/local/websocket"),
    ):
        api = re.match(r"\w+://([^.]+)", stack.outputs[output])[1]
        found = gateway.get_stage(ApiId=api, StageName=stage)
        [log] = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        assert log["retentionInDays"] == 30
        assert found["AccessLogSettings"]["DestinationArn"].removesuffix(":*") == log["arn"].removesuffix(":*")


def test_the_consumers_are_bounded(stack: Stack) -> None:
    functions = client(stack.emulator, "lambda")

    def source(function: str) -> dict:
        [found] = functions.list_event_source_mappings(FunctionName=f"proctor-local-{function}")["EventSourceMappings"]
        return found

    assert source("job_runner")["ScalingConfig"] == {"MaximumConcurrency": 10}
    assert source("stream_consumer")["ParallelizationFactor"] == 10


@pytest.fixture
def with_password(stack: Stack) -> Iterator[tuple[str, str]]:
    """The function of `/version` as in a stack whose AuthMode is `basic`: its name, and the ARN of its secret."""
    function = "proctor-local-server_version"
    functions, secrets = client(stack.emulator, "lambda"), client(stack.emulator, "secretsmanager")
    arn = secrets.create_secret(Name="password", SecretString='{"username": "me", "password": "old"}')["ARN"]
    before = functions.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    basic = {"PROCTOR_AUTH_MODE": "basic", "PROCTOR_AUTH_STRING_SECRET": arn}
    functions.update_function_configuration(FunctionName=function, Environment={"Variables": before | basic})
    yield function, arn
    functions.update_function_configuration(FunctionName=function, Environment={"Variables": before})


def test_the_password_is_read_from_its_secret_or_nobody_gets_in(stack: Stack, with_password: tuple[str, str]) -> None:
    function, arn = with_password

    def version(password: str) -> int:
        credentials = base64.b64encode(f"me:{password}".encode()).decode()
        return request(stack, "GET", "/version", authorization=f"Basic {credentials}")[0]

    assert version("old") >= 500, "its role may not read the secret, so that the function does not start"
    role = client(stack.emulator, "lambda").get_function_configuration(FunctionName=function)["Role"].rsplit("/")[-1]
    reads = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": arn}
    client(stack.emulator, "iam").put_role_policy(
        RoleName=role, PolicyName="password", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [reads]})
    )
    eventually(lambda: version("old"), lambda status: status == 200)
    assert version("wrong") == 401
    client(stack.emulator, "secretsmanager").put_secret_value(SecretId=arn, SecretString="me:new")
    eventually(lambda: version("new"), lambda status: status == 200)
    assert version("old") == 401


def test_a_reader_may_not_write(stack: Stack) -> None:
    """The roles are held to at all, so that the other tests prove that they allow enough."""
    roles = client(stack.emulator, "iam").list_roles(MaxItems=1000)["Roles"]
    role = next(role for role in roles if "ReadFlowRole" in role["RoleName"])
    session = client(stack.emulator, "sts").assume_role(RoleArn=role["Arn"], RoleSessionName="test")["Credentials"]
    table = boto3.client(
        "dynamodb", endpoint_url=stack.emulator.url, region_name=REGION,
        aws_access_key_id=session["AccessKeyId"], aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )
    name, key = stack.outputs["TableName"], {"pk": {"S": "any"}, "sk": {"S": "any"}}
    assert "Item" not in table.get_item(TableName=name, Key=key)
    with pytest.raises(ClientError, match="not authorized"):
        table.put_item(TableName=name, Item=key)


def test_the_schedule_calls_its_function(stack: Stack, late_run: dict) -> None:
    """Once a minute it looks for what is due; being the last test, this one waits the least."""
    path = f"/flow_runs/{late_run['id']}"
    eventually(lambda: request(stack, "GET", path)[2]["state_name"], lambda name: name == "Late", seconds=90)
