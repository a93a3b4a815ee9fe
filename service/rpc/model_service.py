"""ModelService: what can be drawn, by which route, and at what price."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

from lightmeter.v1 import model_service_pb2 as pb
from lightmeter.v1 import model_service_pb2_grpc

from service.core.pricing import Catalogs
from service.core.requests import Quote, Submission
from service.domain.catalog import Catalog
from service.domain.drawing import EditInputs
from service.domain.errors import FieldInvalid
from service.ports import Clock
from service.rpc.identity import Callers
from service.rpc.model_out import Healths, SwitchedOff, model_message, put_health
from service.rpc.paging import Cursor
from service.rpc.quote_inputs import QuoteInputs
from service.rpc.quote_out import quote_message
from service.rpc.submission_in import read_edit, read_generate


class QuotesRequests(Protocol):
    """The use case of Quote; see `service.core.quote`."""

    async def quote(self, submission: Submission, inputs: EditInputs | None = None) -> Quote:
        """MUST NOT hold, count or keep anything. `inputs` are the measured ones of an edit."""
        ...


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """The servicer. Messages are made once; they change with the prices of the day only.

    `healths` is what this replica has met of each provider, by the provider's name.
    """

    def __init__(
        self,
        *,
        callers: Callers,
        catalogs: Catalogs,
        quotes: QuotesRequests,
        inputs: QuoteInputs,
        healths: Healths,
        switched_off: SwitchedOff,
        clock: Clock,
    ) -> None:
        self._callers = callers
        self._catalogs = catalogs
        self._shown = catalogs.today()
        self._quotes = quotes
        self._inputs = inputs
        self._healths = healths
        self._switched_off = switched_off
        self._clock = clock
        self._models = _messages(self._shown)

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:
        """A page of models, by name."""
        caller = self._callers.identify(context)
        cursor = Cursor(caller.project, request, request.page_size)
        after = cursor.after(request.page_token, (str,))
        self._follow_prices()
        names = [name for name in self._models if after is None or name > after[0]]
        shown = names[: cursor.size]
        response = pb.ListModelsResponse(catalog_version=self._shown.version)
        for name in shown:
            put_health(self._models[name], self._healths, self._switched_off)
            response.models.append(self._models[name])
        if len(names) > cursor.size:
            response.next_page_token = cursor.token([shown[-1]])
        return response

    async def GetModel(self, request: pb.GetModelRequest, context: Any) -> pb.GetModelResponse:
        """One model, by its name or an alias."""
        self._callers.identify(context)
        if not request.name:
            raise FieldInvalid.of("name", "must not be empty", limit=1, actual=0)
        self._follow_prices()
        message = self._models[self._shown.resolve(request.name, "name").name]
        model = put_health(message, self._healths, self._switched_off)
        return pb.GetModelResponse(model=model, catalog_version=self._shown.version)

    def _follow_prices(self) -> None:
        """Make the messages anew where a price has changed since."""
        if self._catalogs.today() is not self._shown:
            self._shown = self._catalogs.today()
            self._models = _messages(self._shown)

    async def Quote(self, request: pb.QuoteRequest, context: Any) -> pb.QuoteResponse:
        """What a request would cost if it were sent now."""
        caller = self._callers.identify(context)
        kind = request.WhichOneof("request")
        if kind is None:
            raise FieldInvalid.of("request", "needs one of generate and edit")
        if kind == "generate":
            submission = read_generate(caller.project, request.generate).submission
            quote = await self._quotes.quote(submission)
        else:
            submission = read_edit(caller.project, request.edit).submission
            self._catalogs.today().resolve(submission.drawing.model)
            measured = await self._inputs.measure(submission)
            quote = await self._quotes.quote(submission, measured.inputs)
            if not measured.complete:
                # What was looked up is the fingerprint of pictures that nobody has seen.
                unseen = "BYPASSED" if quote.cache == "BYPASSED" else "MISS"
                quote = replace(quote, fingerprint="", cache=unseen)
        model = self._catalogs.today().resolve(quote.effective.model)
        return quote_message(submission, quote, model, self._healths, self._clock.now())


def _messages(catalog: Catalog) -> dict[str, pb.Model]:
    return {name: model_message(model) for name, model in sorted(catalog.models.items())}
