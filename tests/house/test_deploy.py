"""The deployment files fit the tree, and each other."""

import re
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from tests.house import tree


def _copied() -> list[str]:
    sources = []
    for line in tree.text("Dockerfile").splitlines():
        words = line.split()
        if words[:1] == ["COPY"] and not any(word.startswith("--from=") for word in words):
            sources += [word for word in words[1:-1] if not word.startswith("--")]
    return sources


def test_the_image_copies_what_exists() -> None:
    """Every COPY source of the Dockerfile is in the tree and is let through by .dockerignore."""
    sources = _copied()
    assert sources
    assert [] == [source for source in sources if not (tree.ROOT / source).exists()]
    let_through = {line[1:] for line in tree.text(".dockerignore").splitlines() if line.startswith("!")}
    assert set(sources) == let_through


def test_every_file_of_a_package_is_packaged() -> None:
    """A file below service/ or sandbox/ is a module of a package, or named in package-data."""
    data = tomllib.loads(tree.text("pyproject.toml"))["tool"]["setuptools"]["package-data"]
    faults = []
    for package in ("service", "sandbox"):
        for file in sorted((tree.ROOT / package).rglob("*")):
            inside = file.relative_to(tree.ROOT / package).as_posix()
            if file.is_dir() or "__pycache__" in file.parts:
                continue
            module = file.suffix == ".py" and (file.parent / "__init__.py").exists()
            patterns = [pattern.replace("**/*", "*") for pattern in data.get(package, [])]
            if not module and not any(fnmatch(inside, pattern) for pattern in patterns):
                faults.append(f"{package}/{inside}")
    assert [] == faults


def test_deployment_sets_only_what_settings_read() -> None:
    """A LIGHTMETER_ variable of the compose file or the Dockerfile is one that service/settings.py knows."""
    settings = "service/settings.py"
    if settings not in tree.files():
        return
    known = tree.text(settings).lower()
    names = set(re.findall(r"\bLIGHTMETER_(\w+)", tree.text("deploy/compose.yaml") + tree.text("Dockerfile")))
    assert [] == sorted(name for name in names if not re.search(rf"\b(lightmeter_)?{name.lower()}\b", known))


def test_the_compose_file_fits_together() -> None:
    """Volumes, dependencies and mounted files that the compose file names are there."""
    compose = yaml.safe_load(tree.text("deploy/compose.yaml"))
    faults = []
    for name, service in compose["services"].items():
        faults += [
            f"{name}: {other}" for other in service.get("depends_on", ()) if other not in compose["services"]
        ]
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                faults += [] if (tree.ROOT / "deploy" / source).exists() else [f"{name}: {source}"]
            elif source not in compose["volumes"]:
                faults.append(f"{name}: {source}")
    assert [] == faults


def test_prometheus_scrapes_the_ledger_once() -> None:
    """The ledger's totals come from one fixed target, the replicas' own metrics from all of them."""
    config = yaml.safe_load(tree.text("deploy/prometheus.yml"))
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert {"lightmeter": "/metrics", "lightmeter-ledger": "/metrics/ledger"} == {
        name: job["metrics_path"] for name, job in jobs.items()
    }
    ledger = [target for group in jobs["lightmeter-ledger"]["static_configs"] for target in group["targets"]]
    assert 1 == len(ledger)


@pytest.mark.debian("promtool")
def test_prometheus_accepts_its_configuration() -> None:
    """Prometheus' own checker finds nothing wrong."""
    command = ["promtool", "check", "config", str(Path(tree.ROOT, "deploy/prometheus.yml"))]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert 0 == result.returncode, result.stdout + result.stderr
