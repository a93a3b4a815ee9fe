"""Generate the Python stubs of the protos, or check that the committed ones are up to date.

Run `python proto/generate.py` to write `clients/python/lightmeter/v1/*_pb2.py`, `*_pb2.pyi` and
`*_pb2_grpc.py`. Run `python proto/generate.py --check` to regenerate into a temporary folder and compare:
it writes nothing and exits with 1 if a stub is missing, differs, or has no proto any more. Exits with the
compiler's own code if a proto can't be compiled. It needs grpcio-tools at the locked version, because the
output depends on it.
"""

import argparse
import difflib
import subprocess
import sys
import tempfile
from pathlib import Path

PROTO_ROOT = Path(__file__).resolve().parent
STUB_ROOT = PROTO_ROOT.parent / "clients" / "python"
STUB_PATTERNS = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py")
COMPILE_SECONDS_MAX = 120
DIFF_LINES_MAX = 20


def compile_protos(target: Path) -> int:
    """Compile every proto below PROTO_ROOT into `target` and return the compiler's exit code."""
    protos = sorted(path.relative_to(PROTO_ROOT).as_posix() for path in PROTO_ROOT.rglob("*.proto"))
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"--proto_path={PROTO_ROOT}",
        f"--python_out={target}",
        f"--pyi_out={target}",
        f"--grpc_python_out={target}",
        *protos,
    ]
    return subprocess.run(command, check=False, timeout=COMPILE_SECONDS_MAX).returncode


def read_stubs(root: Path) -> dict[str, str]:
    """Return the text of every generated stub below `root` by its relative path."""
    return {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for pattern in STUB_PATTERNS
        for path in root.rglob(pattern)
    }


def describe_differences(committed: dict[str, str], fresh: dict[str, str]) -> list[str]:
    """Return one entry per stub that is missing, stale or superfluous; empty if all agree."""
    entries = []
    for name in sorted(committed.keys() | fresh.keys()):
        if name not in committed:
            entries.append(f"missing: {name}")
        elif name not in fresh:
            entries.append(f"no proto any more: {name}")
        elif committed[name] != fresh[name]:
            lines = list(
                difflib.unified_diff(
                    committed[name].splitlines(),
                    fresh[name].splitlines(),
                    "committed",
                    "fresh",
                    lineterm="",
                    n=0,
                )
            )
            # Generated lines hold whole descriptors: their beginnings are enough to see what changed.
            shown = "\n".join(f"    {line[:160]}" for line in lines[:DIFF_LINES_MAX])
            entries.append(f"stale: {name}\n{shown}")
    return entries


def check() -> int:
    """Compare the committed stubs with fresh ones; return 0 if they agree, else 1."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder)
        code = compile_protos(target)
        if code:
            return code
        differences = describe_differences(read_stubs(STUB_ROOT), read_stubs(target))
    if differences:
        sys.stderr.write("\n".join([*differences, "Run: python proto/generate.py", ""]))
        return 1
    return 0


def write() -> int:
    """Write fresh stubs, remove those without a proto, and return the compiler's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder)
        code = compile_protos(target)
        if code:
            return code
        fresh = read_stubs(target)
    for name in read_stubs(STUB_ROOT).keys() - fresh.keys():
        (STUB_ROOT / name).unlink()
    for name, text in fresh.items():
        path = STUB_ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


def main() -> int:
    """Parse the arguments and run; return the exit code."""
    parser = argparse.ArgumentParser(description="Generate the Python stubs of the protos.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the stubs are stale")
    return check() if parser.parse_args().check else write()


if __name__ == "__main__":
    sys.exit(main())
