"""What the relay's machine does when it starts, on this machine: with paths of its own, and AWS in small."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from emulator import TEMPLATES

BINARY = b"the relay"
VALUES = {
    "AWS::Region": "eu-central-1", "Binary": "arn:the-layer:1", "Stage": "prod", "RelaySecret": "arn:the-secret",
    "RelayConnections": "1000",
}


def script(directory: Path) -> str:
    """Returns the script as CloudFormation makes it, with its paths below `directory`."""
    template = json.loads((TEMPLATES / "relay_host.json").read_text())
    data = template["Resources"]["Machine"]["Properties"]["LaunchTemplateData"]["UserData"]
    text = re.sub(r"\$\{([A-Za-z:]+)\}", lambda found: VALUES[found[1]], data["Fn::Base64"]["Fn::Sub"])
    assert "${" not in text, "what is in braces is CloudFormation's"
    return text.replace(" /opt/", f" {directory}/opt/").replace(">/etc/", f">{directory}/etc/")


def started(directory: Path, digest: bytes) -> subprocess.CompletedProcess[str]:
    """Runs the script where Lambda says that the binary's archive has this hash."""
    tools, units = directory / "tools", directory / "etc" / "systemd" / "system"
    tools.mkdir()
    units.mkdir(parents=True)
    with zipfile.ZipFile(directory / "archive.zip", "w") as archive:
        archive.writestr("bootstrap", BINARY)
    said = base64.b64encode(digest or hashlib.sha256((directory / "archive.zip").read_bytes()).digest()).decode()
    for name, does in {
        "aws": f"echo \"$@\" >{directory}/asked; printf 'https://a.place/\\t{said}\\n'",
        "curl": f"while [ $# -gt 1 ]; do [ \"$1\" = --output ] && cp {directory}/archive.zip \"$2\"; shift; done",
        "systemctl": f"echo \"$@\" >>{directory}/told",
    }.items():
        (tools / name).write_text(f"#!/bin/bash\n{does}\nexit 0\n")
        (tools / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"}
    return subprocess.run(["bash"], input=script(directory), env=environment, text=True, capture_output=True)


def test_the_machine_fetches_its_binary_and_keeps_it_running(tmp_path: Path) -> None:
    done = started(tmp_path, b"")
    assert done.returncode == 0, done.stderr
    binary = tmp_path / "opt" / "proctor" / "relay"
    assert (binary.read_bytes(), binary.stat().st_mode & 0o777) == (BINARY, 0o755)
    assert "--arn arn:the-layer:1" in (tmp_path / "asked").read_text()
    assert (tmp_path / "told").read_text().splitlines()[-1] == "enable --now proctor-relay"
    unit = tmp_path / "etc" / "systemd" / "system" / "proctor-relay.service"
    settings = dict(line.removeprefix("Environment=").split("=", 1) for line in unit.read_text().splitlines()
                    if line.startswith("Environment="))
    assert settings == {
        "AWS_REGION": "eu-central-1", "PROCTOR_RELAY_FUNCTIONS": "proctor-prod-",
        "PROCTOR_RELAY_SECRET": "arn:the-secret", "PROCTOR_RELAY_CONNECTIONS": "1000",
    }


def test_a_binary_of_another_hash_is_not_run(tmp_path: Path) -> None:
    assert started(tmp_path, b"of another").returncode != 0
    assert not (tmp_path / "opt").exists() and not (tmp_path / "told").exists()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not here")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    assert started(tmp_path, b"").returncode == 0
    unit = tmp_path / "etc" / "systemd" / "system" / "proctor-relay.service"
    unit.write_text(unit.read_text().replace("/opt/proctor/relay", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert str(unit.name) not in done.stderr, done.stderr
