"""What every provider's adapter promises. An implementation binds it with fixtures `rig` (requests end before
their dispatch is answered) and `slow_rig` (they take their time); see test_providers.py.
"""

from __future__ import annotations

import httpx
import pytest

from service.domain.errors import Reason
from service.domain.exchange import Accepted, CancelAnswer, Ended, Refused, Stage, Unclear
from service.domain.failure import ProviderDenied, ProviderUnavailable
from tests.providers.rig import Rig

DOUBTFUL_STATUSES = (408, 409, 425, 499, 500, 502, 503, 504)


class ProviderContract:
    """The promises of `service.ports.Provider`."""

    async def test_a_dispatch_is_one_post_and_gives_the_providers_id(self, rig: Rig) -> None:
        """One order, one POST, and an id under which the request can be followed."""
        answer = await rig.send()
        assert isinstance(answer, Accepted)
        assert (1, 1) == rig.counts
        assert Stage.ENDED is (await rig.provider.poll(rig.endpoint, answer.provider_id)).stage

    async def test_a_late_dispatch_sends_nothing(self, rig: Rig) -> None:
        """When `send_before` has come, the answer is None and the provider has seen no POST."""
        assert await rig.send(seconds_left=0.0) is None
        assert (0, 0) == rig.counts

    @pytest.mark.parametrize(
        "fault",
        [
            ("drop_before_accept", {}),
            ("drop_after_accept", {}),
            ("nginx_502", {"accept": True}),
            ("redirect_307", {"accept": True}),
            ("no_id", {"accept": True}),
            ("foreign_body", {"accept": True}),
            *(
                ("status", {"code": code, "accept": True})
                for code in (408, 409, 425, 499, 500, 502, 503, 504)
            ),
        ],
        ids=lambda fault: "-".join([fault[0], *(str(value) for value in fault[1].values())]),
    )
    async def test_doubt_is_said_and_never_sent_twice(
        self, rig: Rig, fault: tuple[str, dict[str, int]]
    ) -> None:
        """Whatever does not prove a refusal is Unclear, after exactly one POST."""
        rig.fault(fault[0], **fault[1])
        assert isinstance(await rig.send(), Unclear)
        assert 1 == rig.counts[0]

    async def test_a_refusal_in_the_providers_own_shape_is_definite(self, rig: Rig) -> None:
        """A 422 of the provider itself is Refused: nothing was accepted."""
        rig.fault("refuse_input")
        answer = await rig.send()
        assert isinstance(answer, Refused)
        assert answer.failure.reason in (Reason.CONTENT_REJECTED, Reason.PROVIDER_REJECTED_INPUT)
        assert (1, 0) == rig.counts

    async def test_an_empty_account_is_refused_without_a_word_of_the_provider(self, rig: Rig) -> None:
        """A locked or unpaid account is account_blocked, an operator's matter, and no text of it is kept."""
        rig.fault("exhausted_balance")
        answer = await rig.send()
        assert isinstance(answer, Refused)
        assert ("account_blocked", Reason.PROVIDER_ACCOUNT_BLOCKED) == (answer.kind, answer.failure.reason)
        assert "" == answer.failure.provider_message
        assert "balance" not in answer.failure.message
        assert "credit" not in answer.failure.message

    @pytest.mark.parametrize("header", [True, False])
    async def test_a_throttle_says_how_long(self, rig: Rig, header: bool) -> None:
        """A 429 is rate_limited, with the seconds of the header or of the body."""
        rig.fault("rate_limited", retry_after=7, header=header)
        answer = await rig.send()
        assert isinstance(answer, Refused)
        assert ("rate_limited", 7.0) == (answer.kind, answer.retry_after_seconds)

    async def test_a_wrong_key_is_a_refusal_on_dispatch_and_a_denial_afterwards(self, rig: Rig) -> None:
        """401 refuses a dispatch; while following a request it is ProviderDenied, never an end."""
        provider_id = await rig.accepted()
        rig.provider, good = rig.denied, rig.provider
        answer = await rig.send()
        assert isinstance(answer, Refused)
        assert "unauthorized" == answer.kind
        for look in (rig.denied.poll, rig.denied.result, rig.denied.cancel):
            with pytest.raises(ProviderDenied):
                await look(rig.endpoint, provider_id)
        assert Ended.SUCCEEDED is (await good.result(rig.endpoint, provider_id)).ended

    async def test_reads_are_idempotent(self, rig: Rig) -> None:
        """Looking twice shows the same."""
        provider_id = await rig.accepted()
        assert await rig.provider.poll(rig.endpoint, provider_id) == await rig.provider.poll(
            rig.endpoint, provider_id
        )
        first, second = [await rig.provider.result(rig.endpoint, provider_id) for _ in range(2)]
        assert first == second
        assert 1 == len(first.outputs)

    async def test_an_unknown_id_is_gone(self, rig: Rig) -> None:
        """A 404 of the provider is GONE, and a cancel of it UNKNOWN_ID."""
        assert Stage.GONE is (await rig.provider.poll(rig.endpoint, "bogus")).stage
        assert CancelAnswer.UNKNOWN_ID is await rig.provider.cancel(rig.endpoint, "bogus")

    async def test_a_read_that_fails_may_be_repeated(self, rig: Rig) -> None:
        """503 is ProviderUnavailable; the next look sees the request."""
        rig.fault("status", code=503, on="poll", count=1)
        provider_id = await rig.accepted()
        with pytest.raises(ProviderUnavailable):
            await rig.provider.poll(rig.endpoint, provider_id)
        assert Stage.ENDED is (await rig.provider.poll(rig.endpoint, provider_id)).stage

    async def test_a_word_nobody_knows_is_no_end(self, rig: Rig) -> None:
        """An unknown status counts as RUNNING, and the next look tells the truth."""
        rig.fault("status_unknown_word", word="PREPARING", count=2)
        provider_id = await rig.accepted()
        stages = [(await rig.provider.poll(rig.endpoint, provider_id)).stage for _ in range(3)]
        assert (Stage.RUNNING, Stage.ENDED) == (stages[0], stages[-1])

    async def test_a_failed_run_is_a_result_not_an_exception(self, rig: Rig) -> None:
        """A request that failed at the provider is FAILED, says why, and that it costs nothing."""
        rig.fault("fail_run", code=500)
        result = await rig.provider.result(rig.endpoint, await rig.accepted())
        assert (Ended.FAILED, True) == (result.ended, result.surely_unbilled)
        assert result.failure is not None
        assert Reason.PROVIDER_FAILED is result.failure.reason

    async def test_a_running_request_has_no_result(self, slow_rig: Rig) -> None:
        """Asked too early, `result` says ProviderUnavailable and nothing is lost."""
        slow_rig.fault("stuck")
        provider_id = await slow_rig.accepted()
        assert Stage.QUEUED is (await slow_rig.provider.poll(slow_rig.endpoint, provider_id)).stage
        with pytest.raises(ProviderUnavailable):
            await slow_rig.provider.result(slow_rig.endpoint, provider_id)

    async def test_a_cancel_may_be_repeated(self, slow_rig: Rig) -> None:
        """A queued request is cancelled; asking again never raises, and its result says so."""
        slow_rig.fault("stuck")
        provider_id = await slow_rig.accepted()
        assert CancelAnswer.CANCELLED is await slow_rig.provider.cancel(slow_rig.endpoint, provider_id)
        again = await slow_rig.provider.cancel(slow_rig.endpoint, provider_id)
        assert again in (CancelAnswer.CANCELLED, CancelAnswer.TOO_LATE)
        result = await slow_rig.provider.result(slow_rig.endpoint, provider_id)
        assert result.ended in (Ended.CANCELLED, Ended.ABORTED)

    async def test_what_was_cancelled_before_it_ran_costs_nothing(self, slow_rig: Rig) -> None:
        """Taken out of the queue, it is surely unbilled, and the provider's book agrees."""
        slow_rig.fault("stuck")
        provider_id = await slow_rig.accepted()
        await slow_rig.provider.cancel(slow_rig.endpoint, provider_id)
        assert (await slow_rig.provider.result(slow_rig.endpoint, provider_id)).surely_unbilled
        assert 0 == slow_rig.sandbox.world.book.totals[slow_rig.provider.name].billed_nanos

    async def test_what_was_cancelled_while_it_ran_may_cost(self, slow_rig: Rig) -> None:
        """Stopped under way, nothing proves that it is free."""
        slow_rig.fault("canceled")
        provider_id = await slow_rig.accepted()
        while Stage.ENDED is not (await slow_rig.provider.poll(slow_rig.endpoint, provider_id)).stage:
            slow_rig.sandbox.world.clock.advance(1)
        result = await slow_rig.provider.result(slow_rig.endpoint, provider_id)
        assert (Ended.CANCELLED, False) == (result.ended, result.surely_unbilled)

    async def test_an_upload_can_be_read_by_the_providers_models(self, rig: Rig) -> None:
        """The address of an upload gives its bytes back."""
        url = await rig.provider.upload(b"\x89PNG picture", "image/png")
        upload = rig.sandbox.world.uploads.by_url(url)
        assert upload is not None
        assert (b"\x89PNG picture", "image/png") == (upload.data, upload.content_type)

    async def test_an_upload_that_fails_is_a_domain_error(self, rig: Rig) -> None:
        """A 500, an array as error body, a body that is no JSON: ProviderUnavailable."""
        for body in (None, ["broken"], "<html>"):
            rig.fault("status", code=500, on="upload", body=body)
            with pytest.raises(ProviderUnavailable):
                await rig.provider.upload(b"x", "image/png")
        with pytest.raises(ProviderDenied):
            await rig.denied.upload(b"x", "image/png")

    async def test_closing_twice_is_legal(self, rig: Rig) -> None:
        """`close` frees the sockets, also when they are free already."""
        await rig.accepted()
        await rig.provider.close()
        await rig.provider.close()

    async def test_outputs_are_addresses_that_anybody_may_fetch(self, rig: Rig) -> None:
        """An output's URL answers without our key."""
        result = await rig.provider.result(rig.endpoint, await rig.accepted())
        async with httpx.AsyncClient(trust_env=False) as stranger:
            assert 200 == (await stranger.get(result.outputs[0].url)).status_code
