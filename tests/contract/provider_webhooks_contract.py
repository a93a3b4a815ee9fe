"""What every check of webhooks promises. An implementation binds it with a fixture `books`; see test_provider_records.py."""

from __future__ import annotations

import pytest

from service.domain.failure import ProviderUnavailable, WebhookForged
from service.domain.limits import webhook_age_seconds_max, webhook_keys_pace_seconds, webhook_keys_seconds
from tests.providers.books_rig import BooksRig

KEYS = {"fal": "jwks", "replicate": "webhook-secret"}
SIGNATURES = {"fal": "x-fal-webhook-signature", "replicate": "webhook-signature"}
TIMES = {"fal": "x-fal-webhook-timestamp", "replicate": "webhook-timestamp"}


class WebhookContract:
    """The promises of `service.ports.WebhookCheck`."""

    async def forged(self, books: BooksRig, headers: dict[str, str], body: bytes) -> str:
        """The kind with which it is refused."""
        with pytest.raises(WebhookForged) as refused:
            await books.check.check(headers, body)
        return refused.value.kind

    async def test_an_authentic_webhook_names_the_request(self, books: BooksRig) -> None:
        """Signed by the provider, now: the id is the one that the dispatch was given."""
        came = await books.delivered()
        notice = await books.check.check(came.headers, came.body)
        assert (books.entries[0].id, ()) == (notice.provider_id, notice.aliases)

    async def test_a_failed_request_is_told_like_a_drawn_one(self, books: BooksRig) -> None:
        """The notice says which request, never how it ended."""
        came = await books.delivered("fail_run")
        assert books.entries[0].id == (await books.check.check(came.headers, came.body)).provider_id

    async def test_a_repeated_webhook_is_authentic_each_time(self, books: BooksRig) -> None:
        """Whether it is news is for the books to say."""
        books.fault("repeat_webhook", copies=2)
        await books.rig.accepted()
        seen = [await books.receiver.next() for _ in range(3)]
        assert 1 == len({(await books.check.check(one.headers, one.body)).provider_id for one in seen})

    async def test_a_wrong_signature_is_refused(self, books: BooksRig) -> None:
        """Forged, or of another body: bad_signature."""
        came = await books.delivered("forge_webhook")
        assert "bad_signature" == await self.forged(books, came.headers, came.body)
        right = await books.receiver.next()
        assert "bad_signature" == await self.forged(books, right.headers, right.body + b" ")
        assert books.entries[0].id == (await books.check.check(right.headers, right.body)).provider_id

    async def test_every_signed_header_is_needed(self, books: BooksRig) -> None:
        """Without one of them, or with an empty one: missing_header."""
        came = await books.delivered()
        signed = [name for name in came.headers if "webhook-" in name]
        assert len(signed) >= 3
        for name in signed:
            rest = {key: value for key, value in came.headers.items() if key != name}
            assert "missing_header" == await self.forged(books, rest, came.body)
            assert "missing_header" == await self.forged(books, {**rest, name: ""}, came.body)

    @pytest.mark.parametrize("text", ["soon", "-5", "1e9", "12.5", "9" * 30, "\u0664\u0662", "1\n2"])
    async def test_a_time_that_is_none_is_refused(self, books: BooksRig, text: str) -> None:
        """Anything but a few digits: malformed_header."""
        came = await books.delivered()
        odd = {**came.headers, TIMES[books.rig.provider.name]: text}
        assert "malformed_header" == await self.forged(books, odd, came.body)

    async def test_an_old_webhook_is_refused_and_a_fresh_one_taken(self, books: BooksRig) -> None:
        """Five minutes either way: replayed later, or dated ahead, it is stale."""
        came = await books.delivered()
        books.clock.advance(webhook_age_seconds_max - 2)
        await books.check.check(came.headers, came.body)
        books.clock.advance(4)
        assert "stale" == await self.forged(books, came.headers, came.body)
        ahead = await books.delivered("stale_webhook", seconds=-2 * webhook_age_seconds_max - 60)
        assert "stale" == await self.forged(books, ahead.headers, ahead.body)

    async def test_a_truncated_webhook_is_refused(self, books: BooksRig) -> None:
        """Signed whole and cut: bad_signature. Signed as it is: malformed_body."""
        cut = await books.delivered("truncate_webhook", signed=False, only=True)
        assert "bad_signature" == await self.forged(books, cut.headers, cut.body)
        half = await books.delivered("truncate_webhook", signed=True, only=True)
        assert "malformed_body" == await self.forged(books, half.headers, half.body)

    @pytest.mark.parametrize(
        "body",
        [b"", b"[]", b"null", b'"text"', b"{}", b'{"id":7,"request_id":7}', b'{"id":"a/b","request_id":"a/b"}',
         b"\xff\xfe{}", b"[" * 100_000, b'{"id":' * 50_000],
        ids=["empty", "list", "null", "text", "no-id", "number", "slash", "latin", "deep-list", "deep-object"],
    )  # fmt: skip
    async def test_a_body_without_a_usable_id_is_refused(self, books: BooksRig, body: bytes) -> None:
        """However it is broken, and however well it is signed: malformed_body."""
        name = books.rig.provider.name
        headers = books.rig.sandbox.world.webhooks.sign(name, "id", body)  # type: ignore[arg-type]  # a Literal there
        lower = {key.lower(): value for key, value in headers.items()}
        assert "malformed_body" == await self.forged(books, lower, body)

    async def test_ten_megabytes_are_checked_like_any_other(self, books: BooksRig) -> None:
        """Whether they are too many is for the door to say, before they come here."""
        came = await books.delivered("huge_webhook", only=True)
        assert len(came.body) >= 10 * 1024 * 1024
        assert books.entries[0].id == (await books.check.check(came.headers, came.body)).provider_id

    async def test_about_an_unknown_request_it_is_authentic(self, books: BooksRig) -> None:
        """Who knows the request is not asked here."""
        came = await books.delivered("stray_webhook")
        notice = await books.check.check(came.headers, came.body)
        assert books.entries[0].id != notice.provider_id

    async def test_changed_keys_are_fetched_at_a_bounded_pace(self, books: BooksRig) -> None:
        """A signature that fits no key asks the provider anew, once a minute at most."""
        first = await books.delivered()
        await books.check.check(first.headers, first.body)
        books.rig.sandbox.world.webhooks.rotate()
        came = await books.delivered()
        assert "bad_signature" == await self.forged(books, came.headers, came.body)
        books.clock.advance(webhook_keys_pace_seconds + 1)
        books.trouble(KEYS[books.rig.provider.name], times=1)
        with pytest.raises(ProviderUnavailable):
            await books.check.check(came.headers, came.body)
        books.clock.advance(6)
        assert books.entries[1].id == (await books.check.check(came.headers, came.body)).provider_id

    async def test_without_keys_there_is_no_verdict(self, books: BooksRig) -> None:
        """Unavailable, not forged; asked again at once it does not even knock."""
        came = await books.delivered()
        books.trouble(KEYS[books.rig.provider.name], times=1)
        for _ in range(3):
            with pytest.raises(ProviderUnavailable):
                await books.check.check(came.headers, came.body)
        books.clock.advance(6)
        await books.check.check(came.headers, came.body)

    async def test_keys_are_kept_for_a_day(self, books: BooksRig) -> None:
        """Fetched once for many webhooks, and again when they are a day old."""
        came = await books.delivered()
        await books.check.check(came.headers, came.body)
        books.trouble(KEYS[books.rig.provider.name], times=10)
        await books.check.check(came.headers, came.body)
        books.clock.advance(webhook_keys_seconds - 100)
        later = await books.delivered("stale_webhook", seconds=100 - webhook_keys_seconds)
        await books.check.check(later.headers, later.body)
        books.clock.advance(200)
        with pytest.raises(ProviderUnavailable):
            await books.check.check(later.headers, later.body)

    async def test_closing_twice_is_legal(self, books: BooksRig) -> None:
        """`close` frees the sockets, also when they are free already."""
        came = await books.delivered()
        await books.check.check(came.headers, came.body)
        await books.check.close()
        await books.check.close()
