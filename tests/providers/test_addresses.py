"""Which network addresses are public."""

from __future__ import annotations

import pytest

from service.providers.addresses import address_of, is_public, resolve_by_system


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.1",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a00:1",
        "64:ff9b:1::a00:1",
        "2001:0:0:0:0:0:f5ff:fffe",
        "2001:db8::1",
        "2002:a00:1::",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_private_addresses_are_not_public(text: str) -> None:
    """Private, loopback, link-local, shared, reserved, multicast, and IPv6 forms that carry such an IPv4
    address.
    """
    address = address_of(text)
    assert address is not None
    assert not is_public(address)


@pytest.mark.parametrize(
    "text", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "2002:101:101::"]
)
def test_public_addresses_are_public(text: str) -> None:
    """Addresses of the internet, also in the forms of IPv6 that carry an IPv4 address."""
    address = address_of(text)
    assert address is not None
    assert is_public(address)


@pytest.mark.parametrize("text", ["", "example.com", "127.1", "0x7f000001", "2130706433", "1.2.3.4.5"])
def test_only_numeric_addresses_are_addresses(text: str) -> None:
    """Names and the old short forms go to the resolver, whose answer is checked."""
    assert address_of(text) is None


async def test_the_resolver_answers_numeric_addresses_or_an_oserror() -> None:
    """Short forms come out as what they mean; what cannot be a name is an OSError."""
    assert ["127.0.0.1"] == await resolve_by_system("2130706433", 443)
    for wrong in ("a" * 64 + ".test", "a..b"):
        with pytest.raises(OSError):  # noqa: PT011  # its text is the system's
            await resolve_by_system(wrong, 443)
