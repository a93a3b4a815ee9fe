"""Models, routes and quotes on the wire, over the shipped catalog."""

from dataclasses import replace

from google.protobuf.json_format import MessageToDict
from lightmeter.v1 import drawing_pb2, errors_pb2
from lightmeter.v1 import image_service_pb2 as images_pb
from lightmeter.v1 import model_service_pb2 as pb

from service.core.pricing import Catalogs
from service.core.quote import Quotes
from service.core.requests import Quote
from service.domain.exchange import Health
from service.domain.queries import BudgetState
from service.domain.records import Budget, Period, Window
from service.rpc.submission_in import read_generate
from tests.rpc import samples
from tests.rpc.rig import CATALOG, CATALOGS, Rig, refused
from tests.support.clock import FakeClock

DAY = 86_400 * samples.SECOND


def quote_request(model: str = "flux-1.1-pro", **drawing: object) -> pb.QuoteRequest:
    """A quote of a generation."""
    drawn = drawing_pb2.Drawing(model=model, prompt="a fox", **drawing)
    return pb.QuoteRequest(generate=images_pb.GenerateRequest(drawing=drawn))


async def quoted(rig: Rig, request: pb.QuoteRequest) -> pb.QuoteResponse:
    """What the core's own Quotes say, over the wire."""
    rig.quotes.quote = Quotes(CATALOGS, rig.jobs, rig.ledger, rig.switches, FakeClock()).quote
    return await rig.models.Quote(request, timeout=5)


async def test_every_model_of_the_catalog_can_be_shown(rig: Rig) -> None:
    """Each has a title, operations, and routes with a name, a provider, limits and a price."""
    page = await rig.models.ListModels(pb.ListModelsRequest(page_size=500), timeout=5)
    assert sorted(CATALOG.models) == [one.name for one in page.models]
    assert CATALOG.version == page.catalog_version
    for model in page.models:
        assert model.operations, model.name
        for route in model.routes:
            assert route.name, model.name
            assert route.limits.accepted_fields, route.name
            assert route.price.kind, route.name


async def test_an_alias_finds_its_model(rig: Rig) -> None:
    """The answer has the model's own name; an unknown name suggests one."""
    answer = await rig.models.GetModel(pb.GetModelRequest(name="flux-pro-1.1"), timeout=5)
    assert "flux-1.1-pro" == answer.model.name
    refusal = await refused(rig.models.GetModel(pb.GetModelRequest(name="flux-1.1-por"), timeout=5))
    assert ("NOT_FOUND", "ERROR_REASON_MODEL_NOT_FOUND") == (refusal.code, refusal.reason)
    assert "flux-1.1-pro" == refusal.metadata["suggestion"]
    nameless = await refused(rig.models.GetModel(pb.GetModelRequest(), timeout=5))
    assert ("ERROR_REASON_FIELD_INVALID", ["name"]) == (nameless.reason, nameless.fields)


async def test_the_limits_of_a_route_are_those_of_the_catalog(rig: Rig) -> None:
    """Grid, presets, formats and the schema of `extra` can be read before asking."""
    model = (await rig.models.GetModel(pb.GetModelRequest(name="flux-1.1-pro"), timeout=5)).model
    limits = next(one for one in model.routes if one.provider == "fal").limits
    sizes = limits.dimension_limits
    assert (32, 256, 1440) == (sizes.multiple_px, sizes.width_min_px, sizes.height_max_px)
    assert drawing_pb2.SIZE_PRESET_SQUARE_HD in limits.presets
    assert {drawing_pb2.IMAGE_FORMAT_JPEG, drawing_pb2.IMAGE_FORMAT_PNG} == set(limits.formats)
    assert "boolean" == MessageToDict(limits.extra_schema)["properties"]["enhance_prompt"]["type"]
    assert [] == list(limits.dimensions)


async def test_the_health_of_a_route_is_that_of_this_moment(rig: Rig) -> None:
    """It changes between two calls, and is unspecified where no provider is set up."""
    request = pb.GetModelRequest(name="flux-1.1-pro")

    async def health() -> dict[str, int]:
        model = (await rig.models.GetModel(request, timeout=5)).model
        return {one.provider: one.health for one in model.routes}

    assert {"fal": pb.ROUTE_HEALTH_OK, "replicate": pb.ROUTE_HEALTH_UNSPECIFIED} == await health()
    rig.health.by_endpoint["fal-ai/flux-pro/v1.1"] = Health.ACCOUNT_BLOCKED
    assert pb.ROUTE_HEALTH_ACCOUNT_BLOCKED == (await health())["fal"]


async def test_a_quote_tells_price_and_order(rig: Rig) -> None:
    """The first eligible route's ceiling is the quote's, and nothing is cached yet."""
    answer = await quoted(rig, quote_request())
    first = answer.routes[0]
    assert (pb.QUOTE_CACHE_MISS, 1, True) == (answer.cache, first.rank, first.eligible)
    assert answer.ceiling == first.ceiling
    assert answer.due == answer.expected
    assert sum(line.amount.amount_nanos for line in first.lines) == first.expected.amount_nanos
    assert ("flux-1.1-pro", 1024, 64) == (
        answer.effective_drawing.model, answer.effective_drawing.size.dimensions.width_px, len(answer.fingerprint),
    )  # fmt: skip
    assert "cheapest" == answer.policy


async def test_a_quote_that_no_route_takes_tells_the_obstacles(rig: Rig) -> None:
    """It is an answer, not an error: no ceiling, and per route what stands in the way."""
    request = quote_request()
    request.generate.drawing.size.dimensions.width_px = 1001
    request.generate.drawing.size.dimensions.height_px = 1001
    answer = await quoted(rig, request)
    assert not answer.HasField("ceiling")
    assert not answer.HasField("due")
    assert {(0, False)} == {(one.rank, one.eligible) for one in answer.routes}
    assert all(one.exclusions[0].field.startswith("drawing.size") for one in answer.routes)
    assert {5} == {cause.reason for one in answer.routes for cause in one.exclusions}


async def test_a_quote_refuses_what_generate_would_refuse(rig: Rig) -> None:
    """Malformed fields and unknown models are errors here too, and an empty request is one."""
    for request, reason in (
        (quote_request(image_count=11), "ERROR_REASON_FIELD_INVALID"),
        (quote_request("unknown"), "ERROR_REASON_MODEL_NOT_FOUND"),
        (pb.QuoteRequest(), "ERROR_REASON_FIELD_INVALID"),
    ):
        rig.quotes.quote = Quotes(CATALOGS, rig.jobs, rig.ledger, rig.switches, FakeClock()).quote
        assert reason == (await refused(rig.models.Quote(request, timeout=5))).reason


def edit_request(*images: drawing_pb2.InputImage) -> pb.QuoteRequest:
    """A quote of an edit."""
    request = images_pb.EditRequest()
    request.drawing.model, request.drawing.prompt = "flux-kontext-pro", "add a hat"
    request.inputs.images.extend(images)
    return pb.QuoteRequest(edit=request)


async def test_the_inputs_of_a_quote_are_measured_and_not_stored(rig: Rig) -> None:
    """Assets and inline pictures are known; the fingerprint is that of the request."""
    rig.jobs.assets = {(samples.SHA, "default"): samples.ASSET}
    request = edit_request(drawing_pb2.InputImage(asset_sha256=samples.SHA))
    assert 64 == len((await quoted(rig, request)).fingerprint)
    assert 64 == len((await quoted(rig, edit_request(drawing_pb2.InputImage(content=b"png")))).fingerprint)
    assert {} == rig.blobs.content


async def test_a_url_is_not_fetched_for_a_quote(rig: Rig) -> None:
    """Its price stands at the ceiling, and the fingerprint is not known."""
    answer = await quoted(rig, edit_request(drawing_pb2.InputImage(url="https://example.com/a.png")))
    assert (pb.QUOTE_CACHE_MISS, "") == (answer.cache, answer.fingerprint)
    assert answer.HasField("ceiling")


async def test_a_bad_input_of_a_quote_is_refused_by_name(rig: Rig) -> None:
    """As an edit would be."""
    for image, reason in (
        (drawing_pb2.InputImage(content=b"broken"), "ERROR_REASON_INPUT_IMAGE_INVALID"),
        (drawing_pb2.InputImage(content=b"huge"), "ERROR_REASON_INPUT_IMAGE_TOO_LARGE"),
        (drawing_pb2.InputImage(asset_sha256="ef" * 32), "ERROR_REASON_ASSET_NOT_FOUND"),
    ):
        answer = await refused(rig.models.Quote(edit_request(image), timeout=5))
        assert (reason, "inputs.images[0]") == (answer.reason, answer.metadata["field"])


def budget(**changes: object) -> Budget:
    """A hard budget of one dollar a day."""
    return replace(
        Budget(
            id="b1", project="default", label_key="", label_value="", period=Period.DAY,
            limit_nanos=1_000_000_000, hard=True, alert_percents=(), revision=1, live=True,
            updated_at=samples.T0, updated_by="file",
        ),
        **changes,
    )  # fmt: skip


async def test_a_quote_shows_whether_budgets_have_room(rig: Rig) -> None:
    """The window of today counts; one of an earlier day does not; a hit needs no room."""
    now = FakeClock().now()
    today = now - now % DAY
    spent = Window("b1", today, 990_000_000, 5_000_000, 0, 0)
    plain = await Quotes(CATALOGS, rig.jobs, rig.ledger, rig.switches, FakeClock()).quote(
        _submission(quote_request().generate), None
    )
    old = Window("b1", 0, 990_000_000, 5_000_000, 0, 0)
    for window, cache, left, fits in (
        (spent, "MISS", 5_000_000 - plain.ceiling_nanos, False),
        (spent, "HIT", 5_000_000, True),
        (old, "MISS", 1_000_000_000 - plain.ceiling_nanos, True),
        (None, "MISS", 1_000_000_000 - plain.ceiling_nanos, True),
    ):
        rig.quotes.answer = _with(plain, cache, BudgetState(budget(), _of_today(window, rig)))
        answer = await rig.models.Quote(quote_request(), timeout=5)
        [shown] = answer.budgets
        assert ("default/day", left, fits) == (shown.budget, shown.left_after.amount_nanos, shown.fits)
        assert 0 == shown.window_end_time.ToMicroseconds() % DAY


def _submission(request: images_pb.GenerateRequest) -> object:
    return read_generate("default", request).submission


def _with(quote: Quote, cache: str, state: BudgetState) -> Quote:
    return replace(quote, cache=cache, due_nanos=0 if cache == "HIT" else quote.due_nanos, budgets=(state,))


def _of_today(window: Window | None, rig: Rig) -> Window | None:
    """The same window, but of the real day where it was of the fake clock's."""
    if window is None or window.window_start == 0:
        return window
    now = rig.clock.now()
    return replace(window, window_start=now - now % DAY)


async def test_a_quote_of_a_route_without_a_price_says_what_would_be_held(rig: Rig) -> None:
    """Eligible for the project that allows it, with nothing but a ceiling, and a price that has no date; else refused."""
    model = CATALOG.resolve("flux-1.1-pro")
    fal = replace(model.routes[0], price=None, price_versions=())
    catalog = replace(CATALOG, models={model.name: replace(model, routes=(fal,))})
    found = {}
    for allowed in ({}, {"default": 500_000_000}):
        rig.quotes.quote = Quotes(
            Catalogs(catalog, FakeClock(), allowed), rig.jobs, rig.ledger, rig.switches, FakeClock()
        ).quote
        found[len(allowed)] = (await rig.models.Quote(quote_request(), timeout=5)).routes[0]
    refused_one, one = found[0], found[1]
    assert (False, pb.PRICE_CERTAINTY_UNKNOWN, ["ERROR_REASON_PRICE_UNKNOWN"]) == (
        refused_one.eligible,
        refused_one.certainty,
        [errors_pb2.ErrorReason.Name(cause.reason) for cause in refused_one.exclusions],
    )
    assert not refused_one.HasField("ceiling")
    assert (True, 1, pb.PRICE_CERTAINTY_CEILING_ONLY, 500_000_000) == (
        one.eligible,
        one.rank,
        one.certainty,
        one.ceiling.amount_nanos,
    )
    assert ("fal/flux-1.1-pro", "unpriced", False, False) == (
        one.price.rule_id,
        one.price.version,
        one.price.HasField("effective_time"),
        one.HasField("expected"),
    )
    assert "no price is known" in one.explanation
