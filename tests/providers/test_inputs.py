"""Downloads of callers' inputs: which addresses are asked, and what the caller of a bad one learns."""

from __future__ import annotations

import asyncio
import ipaddress
from pathlib import Path

import httpx
import pytest

from service.domain.errors import InputImageTooLarge, InputUrlRefused, InputUrlUnreachable, LightmeterError
from service.providers.downloads import REFUSED_TEXT, HttpDownloads
from tests.providers.internet import PUBLIC, Internet, Names, certificate_for, strict
from tests.providers.rig import tls
from tests.providers.wire_server import WireServer, http


@pytest.mark.parametrize(
    "url",
    [
        "http://pictures.test/a",
        "https://pictures.test:8443/a",
        "https://user:pw@pictures.test/a",
        "ftp://pictures.test/a",
        "https:///a",
        "//pictures.test/a",
        "pictures.test/a",
        "data:image/png;base64,AAAA",
        "file:///etc/passwd",
        "https://pictures.test/\x00",
        "https://pictures.test/" + "a" * 9_000,
        "https://127.0.0.1/a",
        "https://[::1]/a",
        "https://[::ffff:169.254.169.254]/a",
        "https://10.0.0.1/a",
        "https://inside.test/a",
        "https://mixed.test/a",
        "https://short.test/a",
    ],
)
async def test_inputs_from_anywhere_else_are_refused(url: str) -> None:
    """Not https, another port, credentials, a private address behind the name (one of several is enough):
    nobody is asked, and the text is always the same.
    """
    internet = Internet(a=httpx.Response(200, content=b"picture"))
    names = Names(
        pictures_test=[PUBLIC],
        inside_test=["169.254.169.254"],
        mixed_test=[PUBLIC, "10.0.0.1"],
        short_test=["not numeric"],
    )
    with pytest.raises(InputUrlRefused) as caught:
        await strict(internet, names).fetch_input(url)
    assert (REFUSED_TEXT, []) == (caught.value.text, internet.requests)


async def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    """One resolution per host; the request goes to its answer, under the host's own name and certificate
    name.
    """
    internet = Internet(a=httpx.Response(200, content=b"picture"))
    names = Names(pictures_test=[PUBLIC])
    assert b"picture" == await strict(internet, names).fetch_input("https://Pictures.test/a?b=c")
    [request] = internet.requests
    assert [("pictures.test", 443)] == names.asked
    assert (PUBLIC, "pictures.test", "pictures.test") == (
        request.url.host,
        request.headers["host"],
        request.extensions["sni_hostname"],
    )
    assert b"/a?b=c" == request.url.raw_path
    assert "authorization" not in request.headers


async def test_another_address_is_tried_when_one_does_not_answer() -> None:
    """IPv6 first and down: the next checked address is asked; at most three are."""

    class HalfDown(Internet):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.host != PUBLIC:
                self.requests.append(request)
                raise httpx.ConnectError("down")
            return await super().handle_async_request(request)

    internet = HalfDown(a=httpx.Response(200, content=b"picture"))
    names = Names(pictures_test=["2606:4700::1111", PUBLIC], dead_test=[f"1.1.1.{n}" for n in range(1, 9)])
    assert b"picture" == await strict(internet, names).fetch_input("https://pictures.test/a")
    assert ["2606:4700::1111", PUBLIC] == [request.url.host for request in internet.requests]
    internet.requests.clear()
    with pytest.raises(InputUrlUnreachable):
        await strict(internet, names).fetch_input("https://dead.test/a")
    assert 3 == len(internet.requests)


async def test_each_hop_of_a_redirect_is_checked() -> None:
    """A public address that redirects inside is refused; three hops are followed, a fourth is not."""
    internet = Internet(
        one=httpx.Response(302, headers={"Location": "/two"}),
        two=httpx.Response(307, headers={"Location": "https://other.test/three"}),
        three=httpx.Response(301, headers={"Location": "/a"}),
        a=httpx.Response(200, content=b"picture"),
        zero=httpx.Response(302, headers={"Location": "/one"}),
        inside=httpx.Response(302, headers={"Location": "https://inside.test/a"}),
        plain=httpx.Response(302, headers={"Location": "http://pictures.test/a"}),
        metadata=httpx.Response(302, headers={"Location": "https://169.254.169.254/latest"}),
    )
    names = Names(pictures_test=[PUBLIC], other_test=[PUBLIC], inside_test=["10.0.0.1"])
    downloads = strict(internet, names)
    assert b"picture" == await downloads.fetch_input("https://pictures.test/one")
    with pytest.raises(InputUrlUnreachable):
        await downloads.fetch_input("https://pictures.test/zero")
    for path in ("inside", "plain", "metadata"):
        with pytest.raises(InputUrlRefused):
            await downloads.fetch_input(f"https://pictures.test/{path}")


@pytest.mark.parametrize(
    "page",
    [
        httpx.Response(404),
        httpx.Response(500),
        httpx.Response(204),
        httpx.ConnectError(f"cannot connect to {PUBLIC}"),
        httpx.ReadTimeout(f"{PUBLIC} is slow"),
        httpx.RemoteProtocolError("cut"),
    ],
)
async def test_inputs_that_do_not_answer_are_unreachable_and_no_address_is_told(
    page: httpx.Response | Exception,
) -> None:
    """Whatever goes wrong there, the caller hears no address that we resolved."""
    with pytest.raises(InputUrlUnreachable) as caught:
        await strict(Internet(a=page)).fetch_input("https://pictures.test/a")
    assert PUBLIC not in str(caught.value)
    assert {} == caught.value.metadata


async def test_names_that_nobody_has_are_unreachable() -> None:
    """A resolver's error is no refusal; no answer is none either."""
    for host in ("nobody.test", "empty.test"):
        with pytest.raises(InputUrlUnreachable):
            await strict(Internet(), Names(empty_test=[])).fetch_input(f"https://{host}/a")


async def test_inputs_are_bounded_in_bytes_and_time(local: HttpDownloads) -> None:
    """Too large says the limit; too slow is unreachable."""
    async with WireServer({"*": http("200 OK", b"x" * 10_001)}) as server:
        with pytest.raises(InputImageTooLarge) as caught:
            await local.fetch_input(server.url)
        assert {"limit": "10000"} == caught.value.metadata
    stalled = asyncio.Event()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        stalled.set()
        await reader.read()

    async with WireServer(play=stall) as server:
        with pytest.raises(InputUrlUnreachable):
            await local.fetch_input(server.url)
        assert stalled.is_set()


async def test_loopback_is_fetched_only_where_it_was_allowed(local: HttpDownloads) -> None:
    """For the sandbox, inputs may come from loopback; other private addresses stay refused."""
    async with WireServer({"*": http("200 OK", b"picture")}) as server:
        assert b"picture" == await local.fetch_input(f"{server.url}/a")
        production = HttpDownloads(tls=tls())
        for refused in (production.fetch_input(server.url), local.fetch_input("http://10.0.0.1/a")):
            with pytest.raises(InputUrlRefused):
                await refused
        await production.close()
        assert 1 == server.connections_count


async def test_a_certificate_is_checked_against_the_name_not_the_address(tmp_path: Path) -> None:
    """The pinned address serves the name's certificate: fetched. Another name behind it: unreachable."""
    served, trusted = certificate_for("pictures.test", tmp_path)
    names = Names(pictures_test=["127.0.0.1"], other_test=["127.0.0.1"])
    downloads = HttpDownloads(allow_loopback=True, resolve=names, tls=trusted)
    async with WireServer({"*": http("200 OK", b"picture")}, tls=served) as server:
        assert b"picture" == await downloads.fetch_input(f"https://pictures.test:{server.port}/a")
        assert f"host: pictures.test:{server.port}" in server.heads[0].lower()
        with pytest.raises(InputUrlUnreachable):
            await downloads.fetch_input(f"https://other.test:{server.port}/a")
    await downloads.close()


async def test_only_errors_for_callers_come_out_of_an_input() -> None:
    """Addresses made of anything at all end in an error that a caller may read."""
    downloads = strict(Internet(), Names())
    for number in range(0x20, 0x17F):
        for url in (f"https://{chr(number)}/", f"https://a{chr(number)}b.test/", f"{chr(number)}https://a/"):
            with pytest.raises(LightmeterError):
                await downloads.fetch_input(url)
    assert ipaddress.ip_address(PUBLIC).is_global  # or these tests would prove nothing
