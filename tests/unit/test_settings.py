"""What may be chosen from outside, and how a mistake is named before anything starts."""

from pathlib import Path

import pytest

from service.app.accounts import webhook_base_url
from service.settings import CONFIG_BYTES_MAX, Address, SettingsInvalid, load

R2 = {
    "R2_ACCOUNT_ID": "0123abc",
    "R2_ACCESS_KEY_ID": "access",
    "R2_SECRET_ACCESS_KEY": "s3cr3t",
    "R2_BUCKET": "pictures",
}


def mistakes(environment: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsInvalid) as refusal:
        load(environment)
    return refusal.value.lines


def rules_file(folder: Path, text: str) -> dict[str, str]:
    path = folder / "lightmeter.yaml"
    path.write_text(text)
    return {"LIGHTMETER_CONFIG": str(path)}


# ---------------------------------------------------------------- the environment


def test_without_settings_everything_is_embedded() -> None:
    """No variable at all: SQLite and pictures below `var`, loopback, both providers played, no budget."""
    configuration = load({})
    settings = configuration.settings
    assert "sqlite:///var/lightmeter.db" == settings.database
    assert (Address("127.0.0.1", 50051), Address("127.0.0.1", 8080)) == (
        settings.grpc_address,
        settings.http_address,
    )
    assert (True, True, ("fal", "replicate")) == (
        settings.fal_sandboxed,
        settings.replicate_sandboxed,
        settings.providers,
    )
    assert settings.bucket is None
    assert ((), 30 * 24 * 3600, ()) == (
        configuration.rules.budgets,
        configuration.rules.cache_ttl_seconds,
        configuration.remarks,
    )


def test_retention_has_ages_in_days_and_zero_keeps_for_ever() -> None:
    """Thirty days for texts, ninety for events, four hundred for jobs, unless something else is said."""

    def ages(environment: dict[str, str]) -> tuple[int, int, int]:
        settings = load(environment).settings
        return settings.retention_content_days, settings.retention_events_days, settings.retention_jobs_days

    names = [f"LIGHTMETER_RETENTION_{kind}_DAYS" for kind in ("CONTENT", "EVENTS", "JOBS")]
    assert (30, 90, 400) == ages({})
    assert (0, 0, 0) == ages(dict.fromkeys(names, "0"))
    assert (1, 2, 30) == ages(dict(zip(names, ("1", "2", "30"), strict=True)))


def test_empty_variables_are_as_if_not_set() -> None:
    """A compose file passes variables on that nobody filled in: they change nothing."""
    empty = dict.fromkeys([*R2, "FAL_KEY", "REPLICATE_API_TOKEN", "LIGHTMETER_DATABASE_URL"], "")
    assert load({}) == load(empty)


def test_each_key_makes_its_own_provider_real() -> None:
    """A provider with a key is asked itself, one without is played."""
    settings = load({"FAL_KEY": "k"}).settings
    assert (False, True) == (settings.fal_sandboxed, settings.replicate_sandboxed)
    settings = load({"REPLICATE_API_TOKEN": "t"}).settings
    assert (True, False) == (settings.fal_sandboxed, settings.replicate_sandboxed)


def test_the_sandbox_can_be_forced_and_forbidden() -> None:
    """`on` spends nothing although keys are there; `off` offers only providers with a key."""
    settings = load({"FAL_KEY": "k", "LIGHTMETER_SANDBOX": "on"}).settings
    assert (True, True) == (settings.fal_sandboxed, settings.replicate_sandboxed)
    settings = load({"FAL_KEY": "k", "LIGHTMETER_SANDBOX": "off"}).settings
    assert (("fal",), False) == (settings.providers, settings.fal_sandboxed)


def test_a_whole_set_of_r2_variables_is_a_bucket() -> None:
    """The account names the endpoint; an explicit endpoint wins; the public domain is passed on."""
    bucket = load({**R2, "R2_PUBLIC_BASE_URL": "https://pictures.example/"}).settings.bucket
    assert bucket is not None
    assert ("https://0123abc.r2.cloudflarestorage.com", "pictures", "https://pictures.example") == (
        bucket.endpoint_url,
        bucket.name,
        bucket.public_base_url,
    )
    other = load({**R2, "R2_ENDPOINT_URL": "http://127.0.0.1:8333"}).settings.bucket
    assert other is not None
    assert "http://127.0.0.1:8333" == other.endpoint_url


@pytest.mark.parametrize("missing", sorted(R2))
def test_half_a_bucket_is_a_mistake(missing: str) -> None:
    """One missing R2_ variable is named; pictures do not quietly go to a folder."""
    (line,) = mistakes({name: value for name, value in R2.items() if name != missing})
    assert line.startswith(missing)
    assert "missing" in line


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("postgres://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql+psycopg://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("sqlite:////data/x.db", "sqlite:////data/x.db"),
    ],
)
def test_database_addresses_as_people_write_them(given: str, meant: str) -> None:
    """The usual spellings of a PostgreSQL address are understood."""
    assert meant == load({"LIGHTMETER_DATABASE_URL": given}).settings.database


def test_the_data_folder_moves_the_default_database() -> None:
    """Everything embedded lies below the one folder."""
    settings = load({"LIGHTMETER_DATA_DIR": "/data"}).settings
    assert "sqlite:////data/lightmeter.db" == settings.database


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("LIGHTMETER_DATABASE_URL", "mysql://u:s3cr3t@h/d", "sqlite:///"),
        ("LIGHTMETER_GRPC_ADDRESS", "50051", "host:port"),
        ("LIGHTMETER_GRPC_ADDRESS", "127.0.0.1:99999", "host:port"),
        ("LIGHTMETER_HTTP_ADDRESS", "http://127.0.0.1:8080", "host:port"),
        ("LIGHTMETER_PUBLIC_URL", "lightmeter.example", "https://"),
        ("LIGHTMETER_PUBLIC_URL", "ftp://lightmeter.example", "https://"),
        ("LIGHTMETER_SANDBOX", "maybe", "'auto', 'on' or 'off'"),
        ("LIGHTMETER_SANDBOX_SPEED", "0", "greater than 0"),
        ("LIGHTMETER_SANDBOX_SPEED", "fast", "number"),
        ("LIGHTMETER_DRAIN_SECONDS", "-1", "greater than or equal to 0"),
        ("LIGHTMETER_RETENTION_CONTENT_DAYS", "-1", "greater than or equal to 0"),
        ("LIGHTMETER_RETENTION_EVENTS_DAYS", "40000", "less than or equal to 36500"),
        ("LIGHTMETER_RETENTION_JOBS_DAYS", "29", "a request_id is kept as long as its job"),
        ("LIGHTMETER_RETENTION_JOBS_DAYS", "-1", "a request_id is kept as long as its job"),
        ("LIGHTMETER_LOG_LEVEL", "loud", "'INFO'"),
        ("LIGHTMETER_REPLICA_ID", "a b", "pattern"),
        ("LIGHTMETER_URL_SECONDS", "700000", "604800"),
        ("LIGHTMETER_ALLOW_OPEN", "perhaps", "boolean"),
        ("LIGHTMETER_FAL_QUEUE_URL", "queue.fal.run", "https://"),
        ("R2_ENDPOINT_URL", "//x", "https://"),
        ("R2_ACCOUNT_ID", "../other", "pattern"),
    ],
)
def test_a_wrong_value_is_named_by_its_variable(name: str, value: str, word: str) -> None:
    """The line begins with the variable, says what is taken, and does not repeat what was given."""
    (line,) = mistakes({name: value})
    assert line.startswith(f"{name}: ")
    assert word in line
    assert "s3cr3t" not in line


def test_all_mistakes_are_named_at_once() -> None:
    """Two wrong values are two lines, so that nobody starts three times."""
    lines = mistakes({"LIGHTMETER_LOG_LEVEL": "loud", "LIGHTMETER_SANDBOX": "maybe"})
    assert ["LIGHTMETER_LOG_LEVEL", "LIGHTMETER_SANDBOX"] == [line.partition(":")[0] for line in lines]


def test_no_provider_left_is_a_mistake() -> None:
    """Without sandbox and keys nothing could be drawn."""
    (line,) = mistakes({"LIGHTMETER_SANDBOX": "off"})
    assert line.startswith("LIGHTMETER_SANDBOX: off")


@pytest.mark.parametrize("name", ["LIGHTMETER_GRPC_ADDRESS", "LIGHTMETER_HTTP_ADDRESS"])
@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "192.168.1.5", "lightmeter.internal"])
def test_an_open_door_is_refused_with_its_reason(name: str, host: str) -> None:
    """Whoever can reach the service can spend: an address beyond loopback needs ALLOW_OPEN, and the line
    says why.
    """
    address = {name: f"{host}:7000"}
    (line,) = mistakes(address)
    assert line.startswith(f"{name}: {host}:7000")
    assert "no key" in line
    assert "LIGHTMETER_ALLOW_OPEN=1" in line
    assert load({**address, "LIGHTMETER_ALLOW_OPEN": "1"}).settings.allow_open is True


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "[::1]", "localhost"])
def test_loopback_needs_no_leave(host: str) -> None:
    """Every spelling of this machine alone is taken, with any port."""
    address = load({"LIGHTMETER_GRPC_ADDRESS": f"{host}:0"}).settings.grpc_address
    assert (0, True, f"{host}:0") == (address.port, address.is_loopback, str(address))


def test_secrets_do_not_show() -> None:
    """Printing the settings shows no key, no token and no password."""
    secrets = {
        **R2,
        "FAL_KEY": "s3cr3t",
        "REPLICATE_API_TOKEN": "s3cr3t",
        "LIGHTMETER_DATABASE_URL": "postgresql://u:s3cr3t@h/d",
        "LIGHTMETER_LOG_SECRET": "s3cr3t",
    }
    configuration = load(secrets)
    assert "s3cr3t" not in f"{configuration!r} {configuration.settings} {configuration.settings.bucket!r}"
    assert configuration.settings.fal_key is not None
    assert "s3cr3t" == configuration.settings.fal_key.get_secret_value()


def test_a_misspelt_variable_is_remarked_on() -> None:
    """A variable with our prefix that nobody reads is named with its likely meaning; the client's own are
    not.
    """
    remarks = load({"LIGHTMETER_DATABSE_URL": "x", "LIGHTMETER_ADDRESS": "y", "PATH": "z"}).remarks
    assert ("LIGHTMETER_DATABSE_URL: nothing reads it; did you mean LIGHTMETER_DATABASE_URL?",) == remarks


# ---------------------------------------------------------------- the file


def test_the_file_sets_budgets_and_rules(tmp_path: Path) -> None:
    """Every part of the file arrives, amounts exact to the nano-dollar."""
    text = """
budgets:
  - {project: growth, window: month, limit_usd: "25.00"}
  - project: growth
    label: {key: team, value: ads}
    window: day
    limit_usd: "0.000000001"
    enforcement: soft
    alert_percents: [90]
required_labels: {growth: [team]}
reporting_labels: {growth: [team, campaign]}
cache_ttl_seconds: 3600
unpriced: {growth: "0.50"}
"""
    rules = load(rules_file(tmp_path, text)).rules
    first, second = rules.budgets
    assert ("growth", None, "month", 25_000_000_000, "hard", (50, 80, 100)) == (
        first.project,
        first.label,
        first.window,
        first.limit_nanos,
        first.enforcement,
        first.alert_percents,
    )
    assert second.label is not None
    assert ("team", "ads", 1, "soft", (90,)) == (
        second.label.key,
        second.label.value,
        second.limit_nanos,
        second.enforcement,
        second.alert_percents,
    )
    assert {"growth": ("team",)} == rules.required_labels
    assert {"growth": ("team", "campaign")} == rules.reporting_labels
    assert (3600, {"growth": 500_000_000}) == (rules.cache_ttl_seconds, rules.unpriced)


def test_the_example_in_deploy_is_a_file_without_mistakes() -> None:
    """Whoever copies it starts with something that works, and it shows every part."""
    example = Path(__file__).parents[2] / "deploy" / "lightmeter.example.yaml"
    rules = load({"LIGHTMETER_CONFIG": str(example)}).rules
    assert set(type(rules).model_fields) - {"storage"} <= rules.model_fields_set


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    """A file of comments is as good as none."""
    assert load({}).rules == load(rules_file(tmp_path, "# later\n")).rules


BUDGET = "budgets: [{project: p, window: day, limit_usd: %s}]"


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        (BUDGET % "0.10", "budgets.0.limit_usd", "in quotes"),
        (BUDGET % "true", "budgets.0.limit_usd", "in quotes"),
        (BUDGET % '"0.0000000001"', "budgets.0.limit_usd", "nine decimals"),
        (BUDGET % '"-1"', "budgets.0.limit_usd", "dollars"),
        (BUDGET % '"1e3"', "budgets.0.limit_usd", "dollars"),
        (BUDGET % '"9999999999"', "budgets.0.limit_usd", "ledger"),
        ("budgets: [{project: p, window: week, limit_usd: 5}]", "budgets.0.window", "'month'"),
        ("budgets: [{project: p, window: day}]", "budgets.0.limit_usd", "required"),
        ("budgets: [{project: '', window: day, limit_usd: 5}]", "budgets.0.project", "should match"),
        ("budgets: [{project: p, window: day, limit_usd: 5, hard: yes}]", "budgets.0.hard", "not permitted"),
        (
            "budgets: [{project: p, window: day, limit_usd: 5, label: {key: Team, value: x}}]",
            "key",
            "pattern",
        ),
        ("budgets: [&b {project: p, window: day, limit_usd: 5}, *b]", "the file", "two budgets"),
        ("required_labels: {p: team}", "required_labels.p", "tuple"),
        ("budget: []", "budget", "not permitted"),
        ("cache_ttl_seconds: -1", "cache_ttl_seconds", "greater than"),
        ("unpriced: {p: 0.50}", "unpriced.p", "in quotes"),
        ("unpriced: {p: '0'}", "unpriced.p", "never 0"),
        ("unpriced: {'': '1'}", "unpriced", "should match"),
        ("[]", "the file", "dictionary"),
        ("budgets: [", "lightmeter.yaml", "not YAML"),
    ],
)
def test_a_mistake_in_the_file_is_named_by_its_place(
    tmp_path: Path, text: str, place: str, word: str
) -> None:
    """File, place and what is taken instead; nothing is guessed, least of all money."""
    lines = mistakes(rules_file(tmp_path, text))
    assert 1 == len(lines)
    assert lines[0].startswith(str(tmp_path / "lightmeter.yaml"))
    assert place in lines[0]
    assert word in lines[0]


def test_a_missing_or_huge_file_is_a_mistake(tmp_path: Path) -> None:
    """A path that leads nowhere is named by its variable; a file of megabytes is not read."""
    (line,) = mistakes({"LIGHTMETER_CONFIG": str(tmp_path / "nowhere.yaml")})
    assert line.startswith("LIGHTMETER_CONFIG: ")
    assert "No such file" in line
    (line,) = mistakes(rules_file(tmp_path, "#" * (CONFIG_BYTES_MAX + 1)))
    assert "larger than" in line


# ---------------------------------------------------------------- the public address


@pytest.mark.parametrize("key", [{"FAL_KEY": "k"}, {"REPLICATE_API_TOKEN": "t"}])
def test_a_real_provider_needs_a_public_address_with_tls(key: dict[str, str]) -> None:
    """Providers send webhooks to https only: with http the requests would wait for polls that hardly come."""
    (line,) = mistakes({**key, "LIGHTMETER_PUBLIC_URL": "http://lightmeter.example"})
    assert line.startswith("LIGHTMETER_PUBLIC_URL: ")
    assert next(iter(key)) in line
    load({**key, "LIGHTMETER_PUBLIC_URL": "https://lightmeter.example"})


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"FAL_KEY": "k", "LIGHTMETER_SANDBOX": "on"},
        {"FAL_KEY": "k", "LIGHTMETER_FAL_QUEUE_URL": "http://127.0.0.1:9"},
        {"REPLICATE_API_TOKEN": "t", "LIGHTMETER_REPLICATE_URL": "http://localhost:9"},
    ],
)
def test_a_played_provider_takes_any_public_address(environment: dict[str, str]) -> None:
    """Where the sandbox plays, nothing has to come through the internet."""
    load({**environment, "LIGHTMETER_PUBLIC_URL": "http://lightmeter.example"})


@pytest.mark.parametrize(
    ("public_url", "provider_url", "told"),
    [
        (None, "https://queue.fal.run", False),
        ("https://lightmeter.example", "https://queue.fal.run", True),
        ("http://127.0.0.1:8080", "https://queue.fal.run", False),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8090/fal/queue", True),
        ("http://localhost:8080", "http://[::1]:8090/fal/queue", True),
        ("https://lightmeter.example", "http://127.0.0.1:8090/fal/queue", False),
        ("http://lightmeter:8080", "http://sandbox:8090/fal/queue", True),
    ],
)
def test_webhooks_are_asked_for_where_they_get_through(
    public_url: str | None, provider_url: str, *, told: bool
) -> None:
    """A provider elsewhere is not given our loopback, nor one on loopback an address that it does not send to."""
    assert (public_url if told else None) == webhook_base_url(public_url, provider_url)
