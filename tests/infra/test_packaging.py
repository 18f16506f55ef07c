"""What a redeploy changes: the artefacts of the functions that changed, and no others."""

from __future__ import annotations

import json
from pathlib import Path

import emulator
from conftest import Stack
from emulator import BUCKET, REGION, TOOLS, client

CHANGED = "read_flow"


def package(stack: Stack) -> dict[str, str]:
    """Packages with `sam package`, as `sam deploy` does; returns the artefact of each function."""
    packaged = stack.root.parent / "packaged.yaml"
    emulator.run(
        stack.emulator, TOOLS / "sam", "package", "--template-file", stack.root, "--s3-bucket", BUCKET,
        "--region", REGION, "--use-json", "--output-template-file", packaged, "--no-progressbar",
    )
    template = json.loads(packaged.read_text())
    packaged.unlink()
    artefacts: dict[str, str] = {}
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::CloudFormation::Stack":
            artefacts |= artefacts_of(stack, resource["Properties"]["TemplateURL"])
    return artefacts


def artefacts_of(stack: Stack, template_url: str) -> dict[str, str]:
    key = template_url.split(f"{BUCKET}/", 1)[1]
    body = client(stack.emulator, "s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    # `sam package` writes nested templates as YAML, of which the emulator's tools read either.
    from samcli.yamlhelper import yaml_parse

    functions = [one for one in yaml_parse(body.decode())["Resources"].values() if one["Type"] == "AWS::Lambda::Function"]
    return {one["Properties"]["FunctionName"]["Fn::Sub"]: one["Properties"]["Code"]["S3Key"] for one in functions}


def test_only_the_changed_function_has_a_new_artefact(stack: Stack) -> None:
    before = package(stack)
    assert len(before) > 50
    for function in Path(stack.root.parents[2] / "target" / "lambda").iterdir():
        (function / "bootstrap").touch()  # a build that changes nothing but the time
    bootstrap = stack.root.parents[2] / "target" / "lambda" / CHANGED / "bootstrap"
    built = bootstrap.read_bytes()
    try:
        bootstrap.write_bytes(built + b"changed")
        after = package(stack)
    finally:
        bootstrap.write_bytes(built)
    changed = [function for function, artefact in after.items() if before[function] != artefact]
    assert changed == [f"proctor-${{Stage}}-{CHANGED}"]
