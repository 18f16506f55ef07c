"""The rendered templates are clean to the tools that know CloudFormation."""

from __future__ import annotations

import os
import subprocess

from emulator import REGION, ROOT, TEMPLATES, TOOLS


def checked(*command: object) -> None:
    environment = os.environ | {"AWS_DEFAULT_REGION": REGION, "SAM_CLI_TELEMETRY": "0"}
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_cfn_lint_is_content() -> None:
    checked(TOOLS / "cfn-lint", *TEMPLATES.glob("*.json"))


def test_sam_validate_is_content() -> None:
    checked(TOOLS / "sam", "validate", "--lint", "--template", TEMPLATES / ROOT)
