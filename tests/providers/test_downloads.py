"""Downloads: what is fetched from where, how much, how long, and what the caller of a bad address learns."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from service.domain.errors import InputImageTooLarge, InputUrlRefused, InputUrlUnreachable, LightmeterError
from service.domain.failure import DownloadFailed
from service.providers.downloads import REFUSED_TEXT, HttpDownloads
from tests.providers.rig import FAL_ENDPOINT, REPLICATE_ENDPOINT, Rig, tls
from tests.providers.wire_server import WireServer, http

PUBLIC = "93.184.216.34"


class Names:
    """A resolver with its own answers, which remembers what it was asked."""

    def __init__(self, **answers: Sequence[str]) -> None:
        self.answers = {name.replace("_", "."): found for name, found in answers.items()}
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        if host not in self.answers:
            raise OSError("no such name")
        return self.answers[host]


class Internet(httpx.AsyncBaseTransport):
    """Answers by path, in the place of the internet, and remembers requests."""

    def __init__(self, **pages: httpx.Response | Exception) -> None:
        self.pages = pages
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        page = self.pages.get(request.url.path.strip("/"), httpx.Response(404))
        if isinstance(page, Exception):
            raise page
        return page


@pytest.fixture
async def local() -> AsyncIterator[HttpDownloads]:
    """Downloads that may come from loopback, with small bounds."""
    downloads = HttpDownloads(
        allow_loopback=True,
        tls=tls(),
        result_bytes_max=10_000,
        input_bytes_max=10_000,
        result_seconds_max=0.3,
        input_seconds_max=0.3,
    )
    yield downloads
    await downloads.close()
    await downloads.close()


def strict(internet: Internet, names: Names | None = None) -> HttpDownloads:
    """Downloads as they are in production, but for the internet."""
    return HttpDownloads(transport=internet, resolve=names or Names(pictures_test=[PUBLIC]))


# ---------------------------------------------------------------- results


@pytest.mark.parametrize("name", ["fal", "replicate"])
async def test_results_of_the_sandbox_are_fetched(name: str, fal: Rig, replicate: Rig) -> None:
    """The outputs that an adapter names can be downloaded without a key."""
    rig, endpoint = (fal, FAL_ENDPOINT) if name == "fal" else (replicate, REPLICATE_ENDPOINT)
    result = await rig.provider.result(endpoint, await rig.accepted())
    downloads = HttpDownloads(allow_loopback=True, tls=tls())
    content = await downloads.fetch_result(name, result.outputs[0].url)
    await downloads.close()
    assert content.startswith((b"\xff\xd8\xff", b"RIFF"))


@pytest.mark.parametrize(
    ("fault", "args", "final"),
    [
        ("lost_files", {}, True),
        ("foreign_host_url", {}, True),
        ("truncated_image", {}, False),
        ("status", {"code": 503, "on": "download"}, False),
        ("status", {"code": 429, "on": "download"}, False),
        ("status", {"code": 403, "on": "download"}, False),
    ],
)
async def test_failed_downloads_say_whether_to_repeat(
    fal: Rig, fault: str, args: dict[str, object], final: bool
) -> None:
    """Gone or foreign is final; cut, throttled or refused for now is not."""
    fal.fault(fault, **args)
    result = await fal.provider.result(FAL_ENDPOINT, await fal.accepted())
    downloads = HttpDownloads(allow_loopback=True, tls=tls())
    with pytest.raises(DownloadFailed) as caught:
        await downloads.fetch_result("fal", result.outputs[0].url)
    await downloads.close()
    assert final is caught.value.final


@pytest.mark.parametrize(
    ("provider", "url", "allowed"),
    [
        ("fal", "https://v3.fal.media/files/a.png", True),
        ("fal", "https://fal.media/a", True),
        ("fal", "https://V3B.FAL.media/a", True),
        ("replicate", "https://replicate.delivery/a", True),
        ("replicate", "https://pbxt.replicate.delivery/a", True),
        ("replicate", "https://v3.fal.media/a", False),
        ("fal", "http://v3.fal.media/a", False),
        ("fal", "https://v3.fal.media:8443/a", False),
        ("fal", "https://user:pw@v3.fal.media/a", False),
        ("fal", "https://evilfal.media/a", False),
        ("fal", "https://fal.media.evil.test/a", False),
        ("fal", "https://127.0.0.1/a", False),
        ("fal", "http://localhost/a", False),
        ("fal", "file:///etc/passwd", False),
        ("fal", "nonsense", False),
        ("fal", "https://[broken/a", False),
        ("other", "https://v3.fal.media/a", False),
    ],
)
async def test_results_come_from_the_providers_own_hosts(provider: str, url: str, allowed: bool) -> None:
    """https, the usual port, a host on the provider's list; anything else is final, and nobody is asked."""
    internet = Internet(a=httpx.Response(200, content=b"picture"))
    internet.pages["files/a.png"] = httpx.Response(200, content=b"picture")
    downloads = strict(internet)
    if allowed:
        assert b"picture" == await downloads.fetch_result(provider, url)
        assert "authorization" not in internet.requests[0].headers
    else:
        with pytest.raises(DownloadFailed) as caught:
            await downloads.fetch_result(provider, url)
        assert (True, []) == (caught.value.final, internet.requests)


async def test_redirects_of_a_result_stay_on_the_list() -> None:
    """A redirect is followed to a host of the provider, at most three times, and to no other."""
    internet = Internet(
        near=httpx.Response(302, headers={"Location": "https://v3b.fal.media/there"}),
        there=httpx.Response(200, content=b"picture"),
        far=httpx.Response(302, headers={"Location": "https://evil.test/there"}),
        down=httpx.Response(302, headers={"Location": "http://v3.fal.media/there"}),
        round=httpx.Response(302, headers={"Location": "/round"}),
    )
    downloads = strict(internet)
    assert b"picture" == await downloads.fetch_result("fal", "https://v3.fal.media/near")
    for path in ("far", "down", "round"):
        internet.requests.clear()
        with pytest.raises(DownloadFailed) as caught:
            await downloads.fetch_result("fal", f"https://v3.fal.media/{path}")
        assert caught.value.final
        assert (4 if path == "round" else 1) == len(internet.requests)
        assert {"v3.fal.media"} == {request.url.host for request in internet.requests}


async def test_results_are_bounded_in_bytes_and_time(local: HttpDownloads) -> None:
    """Too large is final, announced or not; too slow is not."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx")
        await writer.drain()
        await reader.read()

    large = http("200 OK", b"x" * 10_001)
    unannounced = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 10_001
    async with WireServer({"/large": large, "/unannounced": unannounced}) as server:
        for path in server.answers:
            with pytest.raises(DownloadFailed, match="too large") as caught:
                await local.fetch_result("fal", server.url + path)
            assert caught.value.final
    async with WireServer(play=drip) as server:
        with pytest.raises(DownloadFailed) as caught:
            await local.fetch_result("fal", server.url)
        assert not caught.value.final


@pytest.mark.parametrize(
    ("url", "content"),
    [
        ("data:image/png;base64," + base64.b64encode(b"picture").decode(), b"picture"),
        ("data:,a%20b", b"a b"),
        ("data:image/png;base64,####", None),
        ("data:image/png;base64", None),
        ("data:;base64," + "A" * 20_000, None),
        ("data:," + "A" * 40_000, None),
    ],
)
async def test_inline_results_are_decoded_and_bounded(
    local: HttpDownloads, url: str, content: bytes | None
) -> None:
    """data: URIs need no network; damaged or too large ones are final."""
    if content is not None:
        assert content == await local.fetch_result("fal", url)
    else:
        with pytest.raises(DownloadFailed) as caught:
            await local.fetch_result("fal", url)
        assert caught.value.final


async def test_cookies_are_neither_kept_nor_sent(local: HttpDownloads) -> None:
    """What a host wants to be remembered is forgotten."""
    async with WireServer({"*": http("200 OK", b"x", "Set-Cookie: a=b; Path=/")}) as server:
        for _ in range(2):
            await local.fetch_result("fal", server.url)
        assert all("cookie" not in head.lower() for head in server.heads)


# ---------------------------------------------------------------- inputs


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


def certificate_for(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's TLS for this name, and a client's that believes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(pem + secret)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "both.pem")
    return server, ssl.create_default_context(cadata=pem.decode())


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
