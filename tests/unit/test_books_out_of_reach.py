"""Whose books the service's own command line may read, and with which key: never the real ones for what the sandbox drew."""

from collections.abc import Mapping

import pytest
from pydantic import SecretStr

from service.app.accounts import SANDBOX_FAL_KEY, accounts
from service.app.finance import _readable
from service.clock import SystemClock
from service.providers.fal_records import FalRecords
from service.providers.sandbox_process import SandboxAddress
from service.settings import load

REAL = {"FAL_KEY": "id:api", "REPLICATE_API_TOKEN": "r8"}
PLAYED = {"LIGHTMETER_SANDBOX_URL": "http://127.0.0.1:9"}


async def keys_of(environment: Mapping[str, str], sandbox: SandboxAddress | None) -> tuple[str, str]:
    """With which keys fal's request list and its bills are read."""
    known = accounts(load(environment).settings, SystemClock(), sandbox)
    try:
        records = known["fal"].records
        assert isinstance(records, FalRecords)
        return records._caller.client.headers["Authorization"], records._admin["Authorization"]
    finally:
        for one in known.values():
            await one.close()


async def test_bills_are_read_with_the_admin_key() -> None:
    """It goes nowhere else; without one the API key has to do, and the sandbox never sees either."""
    assert ("Key id:api", "Key id:admin") == await keys_of({**REAL, "FAL_ADMIN_KEY": "id:admin"}, None)
    assert ("Key id:api", "Key id:api") == await keys_of(REAL, None)
    played = SandboxAddress("http://127.0.0.1:9", "http://127.0.0.1:9/fal", "http://127.0.0.1:9/replicate")
    environment = {**REAL, "FAL_ADMIN_KEY": "id:admin", "LIGHTMETER_SANDBOX": "on"}
    assert (f"Key {SANDBOX_FAL_KEY}",) * 2 == await keys_of(environment, played)


def test_keys_are_shown_nowhere() -> None:
    """Settings that are printed keep the admin key to themselves."""
    settings = load({"FAL_ADMIN_KEY": "id:admin"}).settings
    assert isinstance(settings.fal_admin_key, SecretStr)
    assert "id:admin" not in repr(settings)


@pytest.mark.parametrize(
    ("environment", "readable"),
    [
        ({}, set()),
        (REAL, {"fal", "replicate"}),
        ({"FAL_KEY": "id:api"}, {"fal"}),
        (PLAYED, {"fal", "replicate"}),
        ({**REAL, **PLAYED, "LIGHTMETER_SANDBOX": "on"}, {"fal", "replicate"}),
        ({**REAL, "LIGHTMETER_SANDBOX": "on"}, set()),
    ],
)
async def test_a_sandbox_of_another_process_is_out_of_reach(
    environment: dict[str, str], readable: set[str]
) -> None:
    """What it drew is not compared with the real account either, though its key is there."""
    known = _readable(load(environment).settings)
    try:
        assert readable == set(known)
    finally:
        for one in known.values():
            await one.close()
