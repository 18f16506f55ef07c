"""What Prefect ships as data: taken by every documented command, and used by the unmodified client."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from harness import Api, Runner
from servers import REPOSITORY, start_subject, subject_binary

RELEASE = "3.9.1"
WHEEL = f"prefect-{RELEASE}-py3-none-any.whl"
COMMAND = "cargo run --release -- assets"
DOCUMENTS = ("README.md", "docs/using.md", "infra/README.md", "infra/layer/README.md")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the installed package, packed again of what it was installed from."""
    packages = Path(sysconfig.get_path("purelib"))
    path = tmp_path_factory.mktemp("wheel") / WHEEL
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for folder in ("prefect", f"prefect-{RELEASE}.dist-info"):
            for file in sorted((packages / folder).rglob("*")):
                if file.is_file() and "__pycache__" not in file.parts:
                    packed.write(file, file.relative_to(packages))
    return path


def documented(document: str) -> list[list[str]]:
    """The arguments of each command `assets` in a document."""
    lines = (REPOSITORY / document).read_text().splitlines()
    return [shlex.split(line, comments=True)[5:] for line in lines if re.match(rf"{COMMAND}\b", line)]


def assets(place: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs the command in `place`, where the `python3` of the environment is that of the tests."""
    environment = {name: value for name, value in os.environ.items() if name != "PROCTOR_ASSETS"}
    environment["PATH"] = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        [subject_binary(), "assets", *arguments], cwd=place, env=environment | variables, capture_output=True, text=True
    )


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documented_commands(document: str, wheel: Path, proctor_assets: Path, tmp_path: Path) -> None:
    commands = documented(document)
    assert commands, document
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / WHEEL).symlink_to(wheel)
    (tmp_path / "infra" / "layer").mkdir(parents=True)
    for arguments in commands:
        done = assets(tmp_path, *arguments)
        assert done.returncode == 0 and f"Prefect {RELEASE}" in done.stdout, (arguments, done)
        folder = tmp_path / (arguments[arguments.index("--into") + 1] if "--into" in arguments else "data/assets")
        made = json.loads((folder / "manifest.json").read_text())["files"]
        whole = json.loads((proctor_assets / "manifest.json").read_text())["files"]
        wanted = {path: file for path, file in whole.items() if "--without-ui" not in arguments or not path.startswith("ui")}
        assert made == wanted, "the same from everywhere"


def test_the_outcome_is_a_document(tmp_path: Path) -> None:
    for is_written in (True, False):
        done = assets(tmp_path, "--json", "--into", "made")
        assert done.returncode == 0 and done.stderr == "", done
        outcome = json.loads(done.stdout)
        files = json.loads((tmp_path / "made" / "manifest.json").read_text())["files"]
        assert outcome == {
            "release": RELEASE,
            "folder": "made",
            "files": len(files),
            "bytes": sum((tmp_path / "made" / path).stat().st_size for path in files),
            "is_written": is_written,
        }
    row = next(line for line in (REPOSITORY / "docs/using.md").read_text().splitlines() if line.startswith("| `assets` |"))
    assert re.findall(r"`(\w+)`", row.split("|")[2]) == list(outcome)


def test_pip_fetches_the_wheel_where_there_is_no_prefect(wheel: Path, proctor_assets: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "empty", with_pip=True)
    path = f"{tmp_path / 'empty' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    shelf = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheel.parent), "PATH": path}
    done = assets(tmp_path, **shelf)
    assert done.returncode == 0 and "pip fetches the wheel" in done.stderr, done
    made = (tmp_path / "data" / "assets" / "manifest.json").read_text()
    assert made == (proctor_assets / "manifest.json").read_text()
    nothing = assets(tmp_path, "--quiet", "--into", "none", **(shelf | {"PIP_FIND_LINKS": str(tmp_path / "empty")}))
    assert nothing.returncode == 1 and f"prefect=={RELEASE}" in nothing.stderr and not (tmp_path / "none").exists()
    assert nothing.stderr.startswith("proctor: can't fetch Prefect with python3: "), nothing


def test_a_server_that_runs_finds_the_folder(api_url: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    server = start_subject(tmp_path, "--data", data, settings={"PROCTOR_ASSETS": str(data / "assets")})
    try:
        api = Api(server.api_url)
        view = "collections/views/aggregate-worker-metadata"
        missing = api.http.get(view)
        assert missing.status_code == 404 and "`proctor assets`" in missing.json()["detail"]
        assert "`proctor assets`" in server.log.read_text()
        assert assets(tmp_path, "--data", str(data)).returncode == 0
        assert "kubernetes" in api.get(view)["prefect-kubernetes"]
    finally:
        server.stop()


@pytest.mark.parametrize("kind", ["process", "docker", "kubernetes", "ecs", "cloud-run-v2"])
def test_a_pool_is_made_with_the_template_of_its_kind(runner: Runner, api: Api, kind: str) -> None:
    template = json.loads(runner.prefect("work-pool", "get-default-base-job-template", "--type", kind))
    runner.prefect("work-pool", "create", f"assets-{kind}", "--type", kind)
    pool = api.get(f"work_pools/assets-{kind}")
    assert (pool["type"], pool["base_job_template"]) == (kind, template)
    assert template["variables"]["properties"]["env"]
    runner.prefect("--no-prompt", "work-pool", "delete", f"assets-{kind}")
