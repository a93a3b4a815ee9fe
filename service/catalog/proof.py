"""What a catalog file must hold true beyond its shape: words for every limit, sizes that exist, examples that
come out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum

from service.catalog.build import price_ask
from service.catalog.schema import ModelFile, PriceEntry, RouteEntry
from service.domain.catalog import Model, Route, RouteLimits, SizeForm, SizeWording, ValueForm, Wording
from service.domain.drawing import Drawing, EditInputs, InputPicture, Operation, Size
from service.domain.honour import check
from service.domain.price import Certainty, PriceSnapshot
from service.domain.shape import FIELDS


def faults(entry: ModelFile, model: Model) -> Iterator[str]:
    """Every fault of a model, as `path: what is wrong`."""
    names = [(route.provider, route.name) for route in model.routes]
    for index, route in enumerate(model.routes):
        where = f"routes.{index}"
        if names.count(names[index]) > 1:
            yield f"{where}.name: {route.name} stands twice at {route.provider}"
        for fault in (
            *_word_faults(route.limits, route.wording),
            *_size_faults(route.limits, route.wording.size),
            *_route_faults(route),
            *_price_faults(entry.routes[index], route),
        ):
            yield f"{where}.{fault}"
    yield from _default_faults(model)


def _word_faults(limits: RouteLimits, wording: Wording) -> Iterator[str]:
    """A limit without a word could not be sent; a word without a limit would never be used."""
    for name in wording.fields:
        if name not in FIELDS:
            yield f"wording.fields.{name}: there is no such word; known are {', '.join(FIELDS)}"
    needed = {
        "prompt": True,
        "image_count": limits.image_count_max > 1,
        **{name: name in limits.accepted_fields for name in FIELDS if name not in {"prompt", "image_count"}},
    }
    for name, is_needed in needed.items():
        if is_needed and name not in wording.fields:
            yield f"wording.fields.{name}: missing, though the limits accept it"
        if name in wording.fields and not is_needed:
            yield f"wording.fields.{name}: a word for what the limits don't accept"
    choices: tuple[tuple[str, Sequence[Enum]], ...] = (
        ("quality", limits.qualities),
        ("format", limits.formats),
        ("background", limits.backgrounds),
    )
    for name, accepted in choices:
        word = wording.fields.get(name)
        if word is not None and word.form is not ValueForm.WORDS:
            yield f"wording.fields.{name}.form: must be words"
        for choice in accepted:
            if word is not None and choice.value not in word.words:
                yield f"wording.fields.{name}.words: no word for {choice.value}"
    images = wording.fields.get("images")
    if images is not None and images.form not in {ValueForm.ONE, ValueForm.LIST}:
        yield "wording.fields.images.form: must be one or list"
    if images is not None and images.form is ValueForm.ONE and limits.input_count_max > 1:
        yield "wording.fields.images.form: one, though the limits accept several"
    sent = [word.name for word in wording.fields.values()]
    for key in (*limits.extra, *wording.always):
        if key in sent or not key.isascii():
            yield f"limits.extra.{key}: the route has this field for something else, or it is not ASCII"


def _size_faults(limits: RouteLimits, words: SizeWording) -> Iterator[str]:
    if (words.form in {SizeForm.NONE, SizeForm.EDGES}) == bool(words.name):
        yield "wording.size.name: needed for every form but none and edges"
    if words.form is SizeForm.EDGES and (limits.ratio_sizes or limits.auto_size):
        yield "limits: only exact sizes where only edges can be said"
    if words.form is SizeForm.NONE and (limits.size_range or limits.exact_sizes or limits.ratio_sizes):
        yield "wording.size.form: none, though the limits accept sizes"
    if words.form is SizeForm.IMAGE_SIZE and any(one.dimensions is None for one in limits.ratio_sizes):
        yield "limits.ratio_sizes: every ratio needs its exact size here"
    if words.form is SizeForm.RATIO and (limits.size_range or limits.exact_sizes):
        yield "limits: exact sizes follow from ratio_sizes where only ratios can be said"
    if limits.resolutions_named and words.form is SizeForm.RATIO and not words.resolution_field:
        yield "wording.size.resolution_field: missing, though callers may name a resolution"
    if words.resolution_field:
        for one in {entry.resolution for entry in limits.ratio_sizes} - set(words.resolution_words):
            yield f"wording.size.resolution_words: no word for {one.value}"
    if limits.auto_follows_input and not limits.auto_size:
        yield "limits.auto_follows_input: needs auto_size"


def _route_faults(route: Route) -> Iterator[str]:
    edits = Operation.EDIT in route.operations
    if edits != (route.limits.input_count_max > 0):
        yield "limits.input_count_max: above 0 exactly where EDIT is offered"
    if route.images_max < route.limits.image_count_max:
        yield "images_max: less than image_count_max"
    if route.limits.images_factor_key and route.limits.images_factor_key not in route.limits.extra:
        yield f"limits.images_factor_key: {route.limits.images_factor_key} is no key of extra"
    if route.provider == "fal" and route.price is not None and route.price.billed_unit is None:
        yield "price.billed_unit: needed at fal, which bills in units"


def _price_faults(entry: RouteEntry, route: Route) -> Iterator[str]:
    """Every worked example of every version must come out to the nano-dollar."""
    if entry.price is None:
        return
    if entry.price.read_on < entry.price.effective_on:
        yield "price.read_on: before effective_on; an announced price belongs to other_prices"
    named = {one.price.effective_on: one.price for one in route.price_versions}
    places = [("price", entry.price)]
    places += [(f"other_prices.{index}", one) for index, one in enumerate(entry.other_prices)]
    for where, price in places:
        rule = named[price.effective_on.isoformat()]
        yield from (f"{where}.{fault}" for fault in _version_faults(price, rule, entry.run_seconds_max))


def _version_faults(entry: PriceEntry, price: PriceSnapshot, run_seconds_max: int) -> Iterator[str]:
    for index, example in enumerate(entry.examples):
        where = f"examples.{index}"
        estimate = price.estimate(price_ask(example.ask, run_seconds_max))
        known = estimate.certainty in {Certainty.EXACT, Certainty.ESTIMATE}
        expected = estimate.expected_nanos if known else None
        if expected != example.expected_nanos:
            yield f"{where}.expected_nanos: {example.expected_nanos}, but the rule says {expected}"
        if estimate.ceiling_nanos != example.ceiling_nanos:
            said = estimate.ceiling_nanos
            yield f"{where}.ceiling_nanos: {example.ceiling_nanos}, but the rule says {said}"


def _default_faults(model: Model) -> Iterator[str]:
    """A request that says nothing but a prompt must have a route for each operation of the model."""
    picture = InputPicture("0" * 64, "image/png", 1, 1024, 1024)
    for operation in sorted(model.operations, key=lambda one: one.value):
        plain = Drawing(
            model=model.name,
            prompt="a",
            operation=operation,
            size=model.default_sizes.get(operation, Size()),
            size_given=True,
            inputs=EditInputs((picture,)) if operation is Operation.EDIT else None,
        )
        if all(check(route, plain) for route in model.routes):
            yield f"default_sizes.{operation.value}: no route can draw the default size"
    for operation in model.default_sizes.keys() - model.operations:
        yield f"default_sizes.{operation.value}: no route does this"
