"""Tear-down, last of all: the stack goes, the data stays."""

from __future__ import annotations

import emulator
import pytest
from botocore.exceptions import ClientError
from conftest import Stack
from emulator import STACK, client


def test_the_table_outlives_its_stack(stack: Stack) -> None:
    table = stack.outputs["TableName"]
    # What `sam delete` calls; itself it stumbles over the emulator's S3 addresses.
    cloudformation = client(stack.emulator, "cloudformation")
    empties = emulator.documented("sam delete").splitlines()[0]
    emulator.run(stack.emulator, "bash", "-euo", "pipefail", "-c", empties, bucket=stack.outputs["PageBucket"])
    cloudformation.delete_stack(StackName=STACK)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    with pytest.raises(ClientError, match="does not exist"):
        emulator.outputs(stack.emulator)
    assert client(stack.emulator, "lambda").list_functions()["Functions"] == []
    assert stack.outputs["PageBucket"] not in [
        bucket["Name"] for bucket in client(stack.emulator, "s3").list_buckets()["Buckets"]
    ]
    found = client(stack.emulator, "dynamodb").describe_table(TableName=table)["Table"]
    assert (found["TableStatus"], found["DeletionProtectionEnabled"]) == ("ACTIVE", True)
