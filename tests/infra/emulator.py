"""Deploys the rendered templates to the emulator on this machine, and leaves it running until it is interrupted.

    .venv-infra/bin/python tests/infra/emulator.py

Builds nothing: the binaries are those of `cargo build --workspace`, or of PROCTOR_BINARIES. `sam deploy` does the rest,
as it does in the cloud.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
from playwright._impl._driver import compute_driver_executable
from transforms import TRANSFORMS, layers_lie_on_this_machine

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(REPOSITORY / "tests"))

import front  # noqa: E402

README = REPOSITORY / "infra" / "README.md"
TEMPLATES = REPOSITORY / "infra" / "templates"
LAYER = REPOSITORY / "infra" / "layer"
ROOT = "proctor.json"
STACK = "proctor"
REGION = "us-east-1"
BUCKET = "artifacts"
ORIGIN_HEADER = "x-origin-verify"
TOOLS = Path(sys.executable).parent


def binaries() -> Path:
    """Returns where the built binaries are: PROCTOR_BINARIES, or the debug build."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    return Path(os.environ.get("PROCTOR_BINARIES", target / "debug"))


def built(template: dict) -> list[str]:
    """Returns the names of the binaries that a template wants: those of its functions, and the relay's, which is a layer's."""
    found = []
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            found.append(Path(resource["Properties"]["Code"]).name)
        elif resource["Type"] == "AWS::Lambda::LayerVersion" and "/target/" in resource["Properties"]["Content"]:
            found.append(Path(resource["Properties"]["Content"]).name)
    return found


def prefect_environment() -> Path:
    """Returns the virtual environment with the Prefect client: PROCTOR_ORACLE_ENV, or the repository's `.venv`."""
    return Path(os.environ.get("PROCTOR_ORACLE_ENV", REPOSITORY / ".venv"))


def put_assets(layer: Path) -> None:
    """Puts what Prefect ships as data into the layer, by the command that does it for a person."""
    command = [binaries() / "proctor", "assets", "--without-ui", "--from", prefect_environment(), "--into", layer / "assets"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def put_stripped(function: str, bootstrap: Path) -> None:
    """Puts a function's built binary there, without its symbols, which are a third of it."""
    subprocess.run(["strip", "-o", bootstrap, binaries() / function], check=True)


def lay_out(directory: Path, port: int, put_binary: Callable[[str, Path], object] = put_stripped) -> Path:
    """Puts templates and binaries into `directory` as they lie in the repository after a build; returns the root template.

    What an emulator on `port` wants otherwise is worked into the templates. The layer is the one of a fresh clone.
    """
    templates = directory / "infra" / "templates"
    templates.mkdir(parents=True)
    layer = directory / "infra" / LAYER.name
    shutil.copytree(LAYER, layer, ignore=shutil.ignore_patterns("assets"))
    for source in sorted(TEMPLATES.glob("*.json")):
        template = json.loads(source.read_text())
        for transform in TRANSFORMS:
            transform(template, port)
        layers_lie_on_this_machine(template, layer)
        (templates / source.name).write_text(json.dumps(template, indent=2))
        for function in built(template):
            bootstrap = directory / "target" / "lambda" / function / "bootstrap"
            bootstrap.parent.mkdir(parents=True)
            put_binary(function, bootstrap)
    return templates / ROOT


@dataclass
class Emulator:
    """A running emulator: where it answers, and the environment in which tools and SDKs reach it."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        path = f"{TOOLS}:{os.environ['PATH']}"
        return os.environ | credentials() | {"AWS_ENDPOINT_URL": self.url, "SAM_CLI_TELEMETRY": "0", "PATH": path}

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def credentials() -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}


def path_with_node() -> str:
    """Returns the PATH on which Node is, which runs the functions at the edge: that of the browser's driver."""
    return f"{Path(compute_driver_executable()[0]).parent}:{os.environ['PATH']}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Emulator]:
    """Runs the emulator, with a bucket for artefacts; it holds functions to their roles."""
    port = free_port()
    log = directory / "emulator.log"
    environment = os.environ | credentials() | {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "AUTH": "true",
        "IOT_MTLS_ENABLED": "false",
        "SFTP_ENABLED": "false",
        "TMPDIR": str(directory),
        "PATH": path_with_node(),
        # Handed on to the functions, which must not look for AWS.
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }
    with log.open("wb") as output:
        process = subprocess.Popen([TOOLS / "ministack"], env=environment, stdout=output, stderr=subprocess.STDOUT)
    emulator = Emulator(process, port, log)
    try:
        wait_until_ready(emulator)
        client(emulator, "s3").create_bucket(Bucket=BUCKET)
        yield emulator
    finally:
        emulator.stop()


def wait_until_ready(emulator: Emulator, timeout_seconds: float = 60) -> None:
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline and emulator.process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{emulator.url}/_ministack/health", timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(emulator.log.read_text(errors="replace")[-4000:])


def run(emulator: Emulator, *command: str | Path, directory: Path | None = None, **variables: str) -> str:
    """Runs a tool against the emulator; returns what it wrote."""
    done = subprocess.run(
        [str(part) for part in command], cwd=directory,
        env=emulator.environment | variables,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command}\n{done.stdout[-4000:]}\n{emulator.log.read_text(errors='replace')[-4000:]}")
    return done.stdout


def deploy(emulator: Emulator, root: Path, **parameters: str) -> dict[str, str]:
    """Deploys with `sam deploy`, as in the cloud; returns the stack's outputs."""
    chosen = {"Stage": "local", "Architecture": "x86_64"} | parameters
    run(
        emulator, TOOLS / "sam", "deploy", "--template-file", root, "--stack-name", STACK, "--s3-bucket", BUCKET,
        "--region", REGION, "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-fail-on-empty-changeset",
        "--no-progressbar", "--parameter-overrides", *(f"{name}={value}" for name, value in chosen.items()),
    )
    return outputs(emulator)


def documented(text: str) -> str:
    """Returns the commands of infra/README.md among which is `text`."""
    blocks = re.findall(r"^```\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    [found] = [block for block in blocks if text in block]
    return found


def upload_page(emulator: Emulator, directory: Path) -> str:
    """Makes and uploads the page's files by the commands of infra/README.md, in `directory`; returns what they wrote."""
    commands = documented("create-invalidation").replace("cargo run --release --", str(binaries() / "proctor"))
    commands = commands.replace("--stack-name NAME", f"--stack-name {STACK}")
    # The package is that of this machine, and no wheel is fetched.
    path = f"{prefect_environment() / 'bin'}:{emulator.environment['PATH']}"
    return run(emulator, "bash", "-euo", "pipefail", "-c", commands, directory=directory, PATH=path)


def client(emulator: Emulator, service: str):
    """Returns a boto3 client that reaches the emulator."""
    return boto3.client(
        service, endpoint_url=emulator.url, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test"
    )


def outputs(emulator: Emulator) -> dict[str, str]:
    stack = client(emulator, "cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}


def origin_value(emulator: Emulator, outputs: dict[str, str]) -> str:
    """Returns what CloudFront shows to the APIs, without which they answer nobody."""
    secrets = client(emulator, "secretsmanager")
    return secrets.get_secret_value(SecretId=outputs["OriginSecretArn"])["SecretString"]


def api_url(emulator: Emulator, outputs: dict[str, str]) -> str:
    """Puts one address in front of both APIs, as CloudFront does; returns the PREFECT_API_URL on this machine.

    The emulator's CloudFront serves no websockets, and no name resolves to the emulator here.
    """
    http = outputs["HttpApiUrl"].removeprefix("https://").split(".")[0]
    websocket, stage = re.match(r"wss://([^.]+)[^/]+/(.+)", outputs["WebsocketUrl"]).groups()
    port, behind = free_port(), ("127.0.0.1", emulator.port)
    header = (ORIGIN_HEADER, origin_value(emulator, outputs))
    listening = threading.Event()

    async def serve() -> None:
        server = await front.start(port, behind, behind, f"/_aws/execute-api/{websocket}/{stage}", header)
        listening.set()
        await server.serve_forever()

    threading.Thread(target=asyncio.run, args=[serve()], daemon=True).start()
    listening.wait()
    return f"http://127.0.0.1:{port}/_aws/execute-api/{http}/api"


def make_key(emulator: Emulator, outputs: dict[str, str]) -> str:
    """Makes an administrator's API key in the deployed table, by the admin command."""
    command = [binaries() / "proctor", "keys", "create", "--table", outputs["TableName"], "--role", "admin", "--name", "me"]
    return re.search(r"proctor_\S{40,}", run(emulator, *command))[0]


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="proctor-emulator-") as directory, running(Path(directory)) as emulator:
        print(f"The emulator is at {emulator.url}, its log is {emulator.log}", flush=True)
        started = time.monotonic()
        root = lay_out(Path(directory), emulator.port)
        if prefect_environment().is_dir():
            put_assets(root.parent.parent / LAYER.name)
        made = deploy(emulator, root)
        if prefect_environment().is_dir():
            upload_page(emulator, Path(directory))
        print(f"Deployed in {time.monotonic() - started:.0f} s. Point the client at it:")
        print(f"export PREFECT_API_AUTH_STRING={make_key(emulator, made)}")
        print(f"export PREFECT_API_URL={api_url(emulator, made)}", flush=True)
        emulator.process.wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
