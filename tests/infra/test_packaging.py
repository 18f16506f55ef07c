"""What a redeploy changes: the artefacts of the functions that changed, and no others."""

from __future__ import annotations

from pathlib import Path

import emulator
from emulator import BUCKET, REGION, TOOLS, Emulator, client
from samcli.yamlhelper import yaml_parse

CHANGED = "read_flow"


def artefacts(running: Emulator, root: Path) -> dict[str, str]:
    """Packages with `sam package`, as `sam deploy` does; returns the key of each function's artefact, and of
    each layer's."""
    packaged = root.parent / "packaged.yaml"
    emulator.run(
        running, TOOLS / "sam", "package", "--template-file", root, "--s3-bucket", BUCKET, "--region", REGION,
        "--output-template-file", packaged, "--no-progressbar",
    )
    found = {"layer": one["Content"]["S3Key"] for one in resources(packaged.read_text(), "AWS::Lambda::LayerVersion")}
    for stack in resources(packaged.read_text(), "AWS::CloudFormation::Stack"):
        key = stack["TemplateURL"].split(f"{BUCKET}/", 1)[1]
        nested = client(running, "s3").get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()
        for function in resources(nested, "AWS::Lambda::Function"):
            found[function["FunctionName"]["Fn::Sub"]] = function["Code"]["S3Key"]
        for layer in resources(nested, "AWS::Lambda::LayerVersion"):
            found[layer["LayerName"]["Fn::Sub"]] = layer["Content"]["S3Key"]
    packaged.unlink()
    return found


def resources(template: str, kind: str) -> list[dict]:
    return [one["Properties"] for one in yaml_parse(template)["Resources"].values() if one["Type"] == kind]


def test_only_the_changed_function_has_a_new_artefact(tmp_path: Path) -> None:
    with emulator.running(tmp_path) as running:
        root = emulator.lay_out(tmp_path, running.port, lambda function, bootstrap: bootstrap.write_text(function))
        built = tmp_path / "target" / "lambda"
        before = artefacts(running, root)
        assert len(set(before.values())) == len(list(built.iterdir())) + 1, "each function, the relay, and the layer"
        for bootstrap in built.glob("*/bootstrap"):
            bootstrap.touch()  # a build that changes nothing but the time
        (built / CHANGED / "bootstrap").write_text("changed")
        after = artefacts(running, root)
    changed = [function for function, artefact in after.items() if before[function] != artefact]
    assert changed == [f"proctor-${{Stage}}-{CHANGED}"]
