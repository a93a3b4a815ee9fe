"""The promised names and labels, and exact text for exact money."""

from decimal import Decimal

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from service.domain.money import usd_from_nanos
from service.metrics import Family, Metrics, expose_families

# The public surface: family -> labels, the name as Prometheus shows it.
PROMISED = {
    "grpc_server_started_total": ("grpc_service", "grpc_method"),
    "grpc_server_handled_total": ("grpc_service", "grpc_method", "grpc_code"),
    "grpc_server_handling_seconds": ("grpc_service", "grpc_method", "grpc_code"),
    "lightmeter_refusals_total": ("reason",),
    "lightmeter_budget_refusals_total": ("project", "budget"),
    "lightmeter_jobs_accepted_total": ("project", "model", "operation", "origin"),
    "lightmeter_jobs_finished_total": (
        "project",
        "model",
        "provider",
        "operation",
        "origin",
        "outcome",
        "fault",
    ),
    "lightmeter_job_seconds": ("model", "provider", "origin"),
    "lightmeter_job_phase_seconds": ("model", "provider", "phase"),
    "lightmeter_added_seconds": ("origin",),
    "lightmeter_dispatches_total": ("provider", "route", "outcome"),
    "lightmeter_provider_errors_total": ("provider", "route", "kind"),
    "lightmeter_failovers_total": ("from", "to", "cause"),
    "lightmeter_double_dispatches_total": ("provider", "route"),
    "lightmeter_breaker_open": ("provider", "route"),
    "lightmeter_provider_account_ok": ("provider",),
    "lightmeter_polls_total": ("provider", "outcome"),
    "lightmeter_webhooks_total": ("provider", "outcome"),
    "lightmeter_cache_lookups_total": ("model", "outcome"),
    "lightmeter_download_seconds": (),
    "lightmeter_blob_seconds": (),
    "lightmeter_watches_open": (),
    "lightmeter_watch_delivery_seconds": (),
    "lightmeter_store_batch_commands": (),
    "lightmeter_store_commit_seconds": (),
    "lightmeter_store_queue_seconds": (),
    "lightmeter_store_replays_total": ("cause",),
    "lightmeter_lease_takeovers_total": (),
    "lightmeter_event_loop_lag_seconds": (),
    "lightmeter_build_info": ("version", "python"),
    "lightmeter_catalog_info": ("version",),
    "lightmeter_ledger_verify_ok": (),
    "lightmeter_hold_use_ratio": ("model", "provider"),
}


def _offered(metrics: Metrics) -> dict[str, tuple[str, ...]]:
    offered = {}
    groups = [group for group in vars(metrics).values() if type(group).__module__ == "service.metrics"]
    for metric in (metric for group in groups for metric in vars(group).values()):
        suffix = "_total" if metric._type == "counter" else ""
        offered[metric._name + suffix] = tuple(metric._labelnames)
    return offered


def test_names_and_labels_are_the_promised_ones() -> None:
    """Every metric has the name and labels that dashboards rely on, and there is no other."""
    assert PROMISED == _offered(Metrics(CollectorRegistry()))


def test_two_replicas_of_one_process_count_apart() -> None:
    """Metrics belong to the registry they are given: nothing is shared between two instances."""
    first, second = Metrics(CollectorRegistry()), Metrics(CollectorRegistry())
    first.calls.refusals.labels("FIELD_INVALID").inc()
    assert b'lightmeter_refusals_total{reason="FIELD_INVALID"} 1.0' in first.expose()
    assert b"FIELD_INVALID" not in second.expose()


def test_counters_have_no_second_series_of_birth_dates() -> None:
    """The exposition carries no `_created` series, which would double its cost."""
    metrics = Metrics(CollectorRegistry())
    metrics.calls.handling_seconds.labels("s", "m", "OK").observe(0.2)
    assert b"_created" not in metrics.expose()


def test_the_catalog_shown_is_the_loaded_one() -> None:
    """A newly loaded catalog replaces the one before; the build names version and Python."""
    metrics = Metrics(CollectorRegistry())
    metrics.replica.set_build("0.1.0")
    metrics.replica.set_catalog("old")
    metrics.replica.set_catalog("new")
    text = metrics.expose()
    assert b'lightmeter_catalog_info{version="new"} 1.0' in text
    assert b'"old"' not in text
    assert b'lightmeter_build_info{python="3.' in text


def test_process_figures_are_shown_when_asked_for() -> None:
    """`watch_process` adds CPU time of the process."""
    metrics = Metrics(CollectorRegistry())
    assert b"process_cpu_seconds_total" not in metrics.expose()
    metrics.watch_process()
    assert b"process_cpu_seconds_total" in metrics.expose()


@pytest.mark.parametrize(
    ("amount_nanos", "text"),
    [
        (0, "0.000000000"),
        (1, "0.000000001"),
        (8_388_607_999_999_999, "8388607.999999999"),
        (-5, "-0.000000005"),
    ],
)
def test_money_is_written_exactly_to_the_nano(amount_nanos: int, text: str) -> None:
    """Dollars are written in full, without rounding or exponent, and read back to the same nano."""
    family = Family("lightmeter_ledger_held_usd", "Held.", (), [((), usd_from_nanos(amount_nanos))])
    line = expose_families([family]).decode().splitlines()[-1]
    assert f"lightmeter_ledger_held_usd {text}" == line
    assert amount_nanos == round(float(text) * 1e9)


def test_labels_survive_quotes_and_line_breaks() -> None:
    """Any label value is read back by Prometheus' own parser as it was."""
    nasty = 'a "quoted"\nback\\slash'
    family = Family(
        "lightmeter_ledger_jobs_total", "Jobs.\nAll.", ("project",), [((nasty,), Decimal(3))], counter=True
    )
    (parsed,) = text_string_to_metric_families(expose_families([family]).decode())
    assert ("counter", {"project": nasty}, 3.0) == (
        parsed.type,
        parsed.samples[0].labels,
        parsed.samples[0].value,
    )


def test_a_sample_without_a_label_is_a_mistake() -> None:
    """Label names and values must pair up."""
    with pytest.raises(ValueError, match="shorter"):
        expose_families([Family("x", "X.", ("a", "b"), [(("1",), 1)])])


def test_a_series_is_found_again() -> None:
    """Values lead to one series, however they are handed in."""
    metrics = Metrics(CollectorRegistry())
    for _ in range(2):
        metrics.jobs.cache_lookups.labels("house", "hit").inc()
    metrics.jobs.cache_lookups.labels(model="house", outcome="hit").inc()
    assert 'lightmeter_cache_lookups_total{model="house",outcome="hit"} 3.0' in metrics.expose().decode()
