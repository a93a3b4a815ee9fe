"""Sameness: the canonical text is RFC 8785, says all that is drawn and nothing else, and can be read back."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from service.domain.drawing import (
    AspectRatio,
    Background,
    Dimensions,
    Drawing,
    EditInputs,
    Expansion,
    ImageFormat,
    InputPicture,
    Operation,
    Quality,
    Resolution,
    Size,
)
from service.domain.errors import ParameterUnsupported
from service.domain.fingerprint import canonical, content, drawing_from_canonical, fingerprint, normalise_text

FOX = Drawing(model="flux-dev", prompt="A fox", size=Size(dimensions=Dimensions(1024, 768)), size_given=True)
PICTURE = InputPicture("ab" * 32, "image/png", 1234, 640, 480)
MASK = InputPicture("cd" * 32, "image/png", 99, 640, 480)
EDIT = replace(
    FOX,
    model="gpt-image-2",
    operation=Operation.EDIT,
    prompt="Make it „snow“\nin Łódź",
    size=Size(aspect_ratio=AspectRatio(16, 9), resolution=Resolution.TWO_K),
    negative_prompt="blur",
    image_count=2,
    seed=0,
    variation=3,
    quality=Quality.HIGH,
    format=ImageFormat.PNG,
    background=Background.TRANSPARENT,
    guidance=Decimal("3.50"),
    steps=28,
    safety_tolerance=2,
    extra={"b": True, "n": 7, "d": Decimal("0.5"), "t": "#7", "l": [None, "x"], "o": {"k": -1}},
    inputs=EditInputs((PICTURE,), MASK, Decimal("0.8"), Expansion(1, 2, 3, 4)),
)

GOLDEN = [
    (
        FOX,
        None,
        (
            '{"image_count":"1","model":"flux-dev","operation":"GENERATE","prompt":"A fox","revision":"1",'
            '"size":"1024x768","v":"1"}'
        ),
        "59528405c8547bb0b2e79f2347d1a3f82746860ba8d3b5b71154ad3e8ea0e442",
    ),
    (
        EDIT,
        "fal",
        (
            '{"background":"TRANSPARENT","extra":{"b":true,"d":"#0.5","l":[null,"x"],"n":"#7","o":{"k":"#-1"},'
            '"t":"##7"},"format":"PNG","guidance":"3.5","image_count":"2","inputs":{"expansion":["1","2","3","4"],'
            f'"images":["{"ab" * 32}"],"mask":"{"cd" * 32}","strength":"0.8"}},"model":"gpt-image-2",'
            '"negative_prompt":"blur","operation":"EDIT","pin_provider":"fal",'
            '"prompt":"Make it „snow“\\nin Łódź","quality":"HIGH","resolution":"TWO_K","revision":"1",'
            '"safety_tolerance":"2","seed":"0","size":"16:9","steps":"28","v":"1","variation":"3"}'
        ),
        "cb9849cb2bb622bca0e576f9fb7c6712c2e0e05e33962da6b9a13a13bc189b29",
    ),
]


@pytest.mark.parametrize(("drawing", "pin", "text", "digest"), GOLDEN)
def test_golden_vectors_never_change(drawing: Drawing, pin: str | None, text: str, digest: str) -> None:
    """A new form is a new version: these texts and hashes are in databases."""
    assert text == canonical(drawing, revision="1", pin_provider=pin)
    assert digest == fingerprint(text)


@pytest.mark.parametrize(
    "same",
    [
        replace(FOX, prompt="  A fox\n"),
        replace(FOX, prompt="A  \t fox"),
        replace(FOX, size_given=False),
        replace(FOX, extra={}),
    ],
)
def test_spelling_does_not_make_another_request(same: Drawing) -> None:
    """What draws the same picture has the same text."""
    assert canonical(FOX, revision="1") == canonical(same, revision="1")


def test_unicode_and_numbers_are_normalised() -> None:
    """Composed and decomposed letters are one letter, 3.5 and 3.50 one number, CRLF and LF one line end."""
    composed = "Caf\u00e9\nau lait"
    one = replace(FOX, prompt=composed, guidance=Decimal("3.5"), extra={"x": Decimal("2.0")})
    two = replace(FOX, prompt="Cafe\u0301\r\nau lait", guidance=Decimal("3.50"), extra={"x": 2})
    assert canonical(one, revision="1") == canonical(two, revision="1")


DIFFERENT: list[Drawing] = [
    FOX,
    replace(FOX, prompt="a fox"),
    replace(FOX, prompt="A\nfox"),
    replace(FOX, model="flux-schnell"),
    replace(FOX, negative_prompt="x"),
    replace(FOX, size=Size()),
    replace(FOX, size=Size(dimensions=Dimensions(768, 1024))),
    replace(FOX, size=Size(aspect_ratio=AspectRatio(4, 3))),
    replace(FOX, size=Size(aspect_ratio=AspectRatio(4, 3), resolution=Resolution.ONE_K)),
    replace(FOX, image_count=2),
    replace(FOX, seed=0),
    replace(FOX, seed=1),
    replace(FOX, variation=1),
    replace(FOX, quality=Quality.LOW),
    replace(FOX, format=ImageFormat.PNG),
    replace(FOX, background=Background.OPAQUE),
    replace(FOX, guidance=Decimal(0)),
    replace(FOX, steps=4),
    replace(FOX, safety_tolerance=4),
    replace(FOX, extra={"a": 1}),
    replace(FOX, extra={"a": "1"}),
    replace(FOX, extra={"a": "#1"}),
    replace(FOX, extra={"a": True}),
    replace(FOX, extra={"a": None}),
    replace(FOX, extra={"a": [1]}),
    replace(FOX, operation=Operation.EDIT, inputs=EditInputs((PICTURE,))),
    replace(FOX, operation=Operation.EDIT, inputs=EditInputs((MASK,))),
    replace(FOX, operation=Operation.EDIT, inputs=EditInputs((PICTURE, MASK))),
    replace(FOX, operation=Operation.EDIT, inputs=EditInputs((MASK, PICTURE))),
    replace(FOX, operation=Operation.EDIT, inputs=EditInputs((PICTURE,), MASK)),
    replace(FOX, operation=Operation.EDIT, inputs=EditInputs((PICTURE,), strength=Decimal(0))),
    replace(FOX, operation=Operation.EDIT, inputs=EditInputs((PICTURE,), expansion=Expansion(1))),
]


def test_everything_that_is_drawn_is_in_the_fingerprint() -> None:
    """Drawings that differ in one thing differ in the fingerprint; so do revisions and pinned providers."""
    texts = [canonical(one, revision="1") for one in DIFFERENT]
    texts += [canonical(FOX, revision="2"), canonical(FOX, revision="1", pin_provider="fal")]
    assert len(texts) == len({fingerprint(text) for text in texts})


def test_measurements_are_stored_and_not_hashed() -> None:
    """The stored text is the hashed one with what we measured beside it."""
    stored = json.loads(content(EDIT, revision="1", pin_provider="fal"))
    measured = stored.pop("measured")
    assert json.loads(canonical(EDIT, revision="1", pin_provider="fal")) == stored
    assert {PICTURE.sha256: ["image/png", "1234", "640", "480"]}.items() <= measured.items()
    assert content(FOX, revision="1") == canonical(FOX, revision="1")


def test_inputs_are_read_back_only_with_their_measurements() -> None:
    """The hashed text alone does not say how large the inputs are, and nobody makes that up."""
    with pytest.raises(ValueError, match="no measurements"):
        drawing_from_canonical(canonical(EDIT, revision="1"))


def test_text_of_another_version_is_not_read() -> None:
    """A form that we don't know is refused."""
    with pytest.raises(ValueError, match="version"):
        drawing_from_canonical(canonical(FOX, revision="1").replace('"v":"1"', '"v":"2"'))


@pytest.mark.parametrize("extra", [{"schlüssel": 1}, {"a": {"ключ": 1}}, {"a": [{"é": 1}]}])
def test_keys_that_are_not_ascii_are_refused(extra: dict[str, Any]) -> None:
    """RFC 8785 sorts by UTF-16 and Python by code point; with ASCII keys there is no difference."""
    with pytest.raises(ParameterUnsupported):
        canonical(replace(FOX, extra=extra), revision="1")


# ------------------------------------------------------------------ properties

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
keys = st.text(st.characters(min_codepoint=0, max_codepoint=127), max_size=8)
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-1000, max_value=1000)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | decimals | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
shas = st.integers(0, 2**256 - 1).map(lambda number: f"{number:064x}")
pictures = st.builds(
    InputPicture, shas, st.sampled_from(["image/png", "image/jpeg"]), *[st.integers(1, 10**6)] * 3
)


def _one_picture_per_hash(inputs: EditInputs) -> bool:
    every = [*inputs.images, *([inputs.mask] if inputs.mask else [])]
    return len({one.sha256 for one in every}) == len(every)


inputs = st.builds(
    EditInputs,
    st.lists(pictures, min_size=1, max_size=3).map(tuple),
    st.none() | pictures,
    st.none() | decimals,
    st.none() | st.builds(Expansion, *[st.integers(0, 99)] * 4),
).filter(_one_picture_per_hash)
sizes = st.builds(Size, st.builds(Dimensions, st.integers(1, 9999), st.integers(1, 9999))) | st.builds(
    Size,
    st.none(),
    st.none() | st.builds(AspectRatio, st.integers(1, 99), st.integers(1, 99)),
    st.none() | st.sampled_from(Resolution),
)
drawings = st.builds(
    Drawing,
    model=st.sampled_from(["flux-dev", "gpt-image-2"]),
    prompt=texts.map(normalise_text),
    operation=st.sampled_from(Operation),
    negative_prompt=texts.map(normalise_text),
    size=sizes,
    size_given=st.just(True),
    image_count=st.integers(1, 10),
    seed=st.none() | st.integers(0, 2**53),
    variation=st.integers(0, 10**6),
    quality=st.none() | st.sampled_from(Quality),
    format=st.none() | st.sampled_from(ImageFormat),
    background=st.none() | st.sampled_from(Background),
    guidance=st.none() | decimals,
    steps=st.none() | st.integers(1, 500),
    safety_tolerance=st.none() | st.integers(0, 6),
    extra=st.dictionaries(keys, values, max_size=4),
    inputs=st.none() | inputs,
)


@given(drawings, st.none() | st.sampled_from(["fal", "replicate"]))
def test_both_texts_are_rfc_8785(drawing: Drawing, pin: str | None) -> None:
    """An independent implementation of RFC 8785 writes the same bytes."""
    for write in (canonical, content):
        text = write(drawing, revision="7", pin_provider=pin)
        assert rfc8785.dumps(json.loads(text)) == text.encode()


@given(drawings)
def test_what_is_sent_is_what_was_hashed(drawing: Drawing) -> None:
    """The stored text gives back the drawing, and the drawing the same text."""
    text = content(drawing, revision="7")
    again = drawing_from_canonical(text)
    assert drawing == again
    assert text == content(again, revision="7")


@given(texts)
def test_normalising_twice_changes_nothing(text: str) -> None:
    """Normal text is normal."""
    once = normalise_text(text)
    assert once == normalise_text(once)
