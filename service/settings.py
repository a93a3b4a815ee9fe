"""What can be chosen from outside: environment variables, one of which names the file of `service.rules`.

The only place that reads the environment. Everything is checked before anything starts, and a mistake is
named by the variable or the place in the file, never with a secret in it. Without any setting the service
runs on its embedded defaults, on loopback, against the sandbox.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from service.domain import limits
from service.rules import CONFIG_BYTES_MAX, PREFIX, Rules, SettingsInvalid, read_rules, sentence

__all__ = [
    "CONFIG_BYTES_MAX",
    "Address",
    "Bucket",
    "Configuration",
    "Rules",
    "Settings",
    "SettingsInvalid",
    "load",
]

_PORT_MAX: Final = 65_535
_DAYS_MAX: Final = 36_500
_URL_SECONDS_MAX: Final = 604_800  # S3 and R2 sign nothing for longer
# Variables with our prefix that the client, its command line and the tests read.
_READ_BY_OTHERS: Final = frozenset(
    f"{PREFIX}{name}" for name in ("ADDRESS", "API_KEY", "PROJECT", "REQUIRE_ALL")
)


# ---------------------------------------------------------------- values


@dataclass(frozen=True, slots=True)
class Address:
    """Where a door listens; port 0 asks the system for a free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        """`host:port`, as it is written in a setting."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def host_of(url: str) -> Address:
    """The host of an address on the web, to be asked whether it is this machine."""
    return Address(urlsplit(url).hostname or "", 0)


def _address(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[^\s:/\[\]]+)):(?P<port>\d{1,5})", value)
    if match is None or int(match["port"]) > _PORT_MAX:
        raise ValueError("write host:port, for example 127.0.0.1:50051")
    return Address(match["six"] or match["host"], int(match["port"]))


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("write an address such as https://pictures.example.com")
    return value.rstrip("/")


def _database_url(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    for short in ("postgres://", "postgresql://"):
        if url.startswith(short):
            url = "postgresql+psycopg://" + url.removeprefix(short)
    if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise ValueError("write sqlite:///path/to/file.db or postgresql://user:password@host/database")
    return SecretStr(url)


def _jobs_days(days: int) -> int:
    if days and not limits.retention_jobs_days_min <= days <= _DAYS_MAX:
        raise ValueError(
            f"write 0, or {limits.retention_jobs_days_min} to {_DAYS_MAX}: a request_id is kept as long as its job"
        )
    return days


BoundAddress = Annotated[Address, NoDecode, BeforeValidator(_address)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
AccountId = Annotated[str, Field(pattern=r"^[0-9a-zA-Z]+$")]


# ---------------------------------------------------------------- the environment


class Settings(BaseSettings):
    """The environment variables, `LIGHTMETER_` before each name but for the ones that others gave a name."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore", hide_input_in_errors=True
    )

    data_dir: Path = Path("var")
    """Where the embedded defaults keep database and pictures."""
    database_url: Annotated[SecretStr, AfterValidator(_database_url)] | None = None
    grpc_address: BoundAddress = Address("127.0.0.1", 50051)
    http_address: BoundAddress = Address("127.0.0.1", 8080)
    public_url: HttpUrl | None = None
    """How the outside reaches the HTTP door: for webhooks and local pictures. None: polling alone, and loopback."""
    allow_open: bool = False
    config: Path | None = None
    """The YAML file."""
    replica_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")] | None = None
    drain_seconds: Annotated[float, Field(ge=0, le=600)] = 20.0
    retention_content_days: Annotated[int, Field(ge=0, le=_DAYS_MAX)] = limits.retention_content_days_default
    """0 keeps for ever, here and in the next two."""
    retention_events_days: Annotated[int, Field(ge=0, le=_DAYS_MAX)] = limits.retention_events_days_default
    retention_jobs_days: Annotated[int, AfterValidator(_jobs_days)] = limits.retention_jobs_days_default
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["auto", "json", "text"] = "auto"
    log_secret: SecretStr | None = None
    """Key of the fingerprint tags in the log; equal on all replicas whose logs are read together."""
    url_seconds: Annotated[int, Field(ge=60, le=_URL_SECONDS_MAX)] = 24 * 3600
    """Life of a presigned picture address."""

    sandbox: Literal["auto", "on", "off"] = "auto"
    sandbox_url: HttpUrl | None = None  # one that runs already; None: this process starts its own
    sandbox_instant: bool = False
    sandbox_speed: Annotated[float, Field(gt=0, le=1000)] = 1.0
    fal_queue_url: HttpUrl | None = None
    fal_rest_url: HttpUrl | None = None
    fal_cdn_url: HttpUrl | None = None
    fal_api_url: HttpUrl | None = None
    replicate_url: HttpUrl | None = None

    fal_key: SecretStr | None = Field(None, validation_alias="FAL_KEY")
    fal_admin_key: SecretStr | None = Field(None, validation_alias="FAL_ADMIN_KEY")
    """For billing events, which an API key may not read. None: `fal_key`, where that is an ADMIN key."""
    replicate_api_token: SecretStr | None = Field(None, validation_alias="REPLICATE_API_TOKEN")
    r2_account_id: AccountId | None = Field(None, validation_alias="R2_ACCOUNT_ID")
    r2_endpoint_url: HttpUrl | None = Field(None, validation_alias="R2_ENDPOINT_URL")
    r2_access_key_id: str | None = Field(None, validation_alias="R2_ACCESS_KEY_ID")
    r2_secret_access_key: SecretStr | None = Field(None, validation_alias="R2_SECRET_ACCESS_KEY")
    r2_bucket: str | None = Field(None, validation_alias="R2_BUCKET")
    r2_public_base_url: HttpUrl | None = Field(None, validation_alias="R2_PUBLIC_BASE_URL")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 -- pydantic calls it by these names
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- the same
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- the same
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Nothing but what `load` hands in."""
        return (init_settings,)

    @property
    def database(self) -> str:
        """The database's address; by default a file below `data_dir`."""
        if self.database_url is None:
            return f"sqlite:///{self.data_dir / 'lightmeter.db'}"
        return self.database_url.get_secret_value()

    @property
    def fal_sandboxed(self) -> bool:
        """Whether the sandbox plays fal."""
        return self.sandbox == "on" or (self.sandbox == "auto" and self.fal_key is None)

    @property
    def replicate_sandboxed(self) -> bool:
        """Whether the sandbox plays Replicate."""
        return self.sandbox == "on" or (self.sandbox == "auto" and self.replicate_api_token is None)

    @property
    def providers(self) -> tuple[str, ...]:
        """Which providers are offered: all that have a key or are played by the sandbox."""
        fal = self.fal_sandboxed or self.fal_key is not None
        replicate = self.replicate_sandboxed or self.replicate_api_token is not None
        return ("fal",) * fal + ("replicate",) * replicate

    @property
    def bucket(self) -> Bucket | None:
        """Where pictures are kept, or None: then in a folder below `data_dir`."""
        if self.r2_bucket is None or self.r2_access_key_id is None or self.r2_secret_access_key is None:
            return None
        endpoint = self.r2_endpoint_url or f"https://{self.r2_account_id}.r2.cloudflarestorage.com"
        return Bucket(
            endpoint,
            self.r2_bucket,
            self.r2_access_key_id,
            self.r2_secret_access_key,
            self.r2_public_base_url,
        )


@dataclass(frozen=True, slots=True)
class Bucket:
    """A whole set of R2_ variables."""

    endpoint_url: str
    name: str
    access_key_id: str
    secret_access_key: SecretStr
    public_base_url: str | None


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that was chosen. `remarks` are worth a warning in the log: they name variables that nobody
    reads.
    """

    settings: Settings
    rules: Rules
    remarks: tuple[str, ...] = ()


def load(environment: Mapping[str, str] | None = None) -> Configuration:
    """Read and check everything; the process's own environment by default. Raises SettingsInvalid with all
    mistakes.
    """
    environment = os.environ if environment is None else environment
    try:
        settings = Settings(**_Environment(environment)())
    except ValidationError as error:
        raise SettingsInvalid(_variable_lines(error)) from None
    mistakes = [
        *_bucket_mistakes(settings),
        *_provider_mistakes(settings),
        *_public_mistakes(settings),
        *_open_doors(settings),
    ]
    if mistakes:
        raise SettingsInvalid(mistakes)
    rules = Rules() if settings.config is None else read_rules(settings.config)
    return Configuration(settings, rules, tuple(_unread(environment)))


class _Environment(EnvSettingsSource):
    """pydantic's reader of variables, over a mapping that it is given."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        super().__init__(Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._environment.items() if value.strip()}


def _variable_lines(error: ValidationError) -> Iterable[str]:
    for mistake in error.errors(include_input=False, include_url=False, include_context=False):
        name = str(mistake["loc"][0])
        variable = f"{PREFIX}{name.upper()}" if name in Settings.model_fields else name
        yield f"{variable}: {sentence(mistake['msg'])}"


def _bucket_mistakes(settings: Settings) -> Iterable[str]:
    given = {
        "R2_ACCESS_KEY_ID": settings.r2_access_key_id,
        "R2_SECRET_ACCESS_KEY": settings.r2_secret_access_key,
        "R2_BUCKET": settings.r2_bucket,
        "R2_ACCOUNT_ID or R2_ENDPOINT_URL": settings.r2_account_id or settings.r2_endpoint_url,
    }
    if any(given.values()) or settings.r2_public_base_url:
        for name in (name for name, value in given.items() if not value):
            yield f"{name}: is missing; pictures go to R2 only when all R2_ variables are set"


def _provider_mistakes(settings: Settings) -> Iterable[str]:
    if not settings.providers:
        yield f"{PREFIX}SANDBOX: off, and neither FAL_KEY nor REPLICATE_API_TOKEN is set: no provider is left"


def _public_mistakes(settings: Settings) -> Iterable[str]:
    """A real provider sends webhooks to https only; without them its requests would wait for the slow safety net."""
    url = settings.public_url
    if url is None or url.startswith("https://") or host_of(url).is_loopback:
        return
    for name, key, played, asked in (
        ("FAL_KEY", settings.fal_key, settings.fal_sandboxed, settings.fal_queue_url),
        (
            "REPLICATE_API_TOKEN",
            settings.replicate_api_token,
            settings.replicate_sandboxed,
            settings.replicate_url,
        ),
    ):
        if key is not None and not played and (asked is None or not host_of(asked).is_loopback):
            yield (
                f"{PREFIX}PUBLIC_URL: begins with http://, and {name} is set: providers send webhooks to https:// "
                f"addresses only. Put a proxy that ends TLS before the HTTP door, or leave it out to poll"
            )


def _open_doors(settings: Settings) -> Iterable[str]:
    if settings.allow_open:
        return
    for name, address in (("GRPC_ADDRESS", settings.grpc_address), ("HTTP_ADDRESS", settings.http_address)):
        if not address.is_loopback:
            yield (
                f"{PREFIX}{name}: {address} can be reached from other machines, and callers need no key yet: "
                f"whoever reaches it spends your money and reads every project. Listen on 127.0.0.1, or set "
                f"{PREFIX}ALLOW_OPEN=1 where the network keeps strangers out"
            )


def _unread(environment: Mapping[str, str]) -> Iterable[str]:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | _READ_BY_OTHERS
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            yield f"{name}: nothing reads it" + (f"; did you mean {near[0]}?" if near else "")
