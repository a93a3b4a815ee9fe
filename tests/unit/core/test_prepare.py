"""What is remembered of requests."""

from dataclasses import replace

import pytest

from service.catalog.loader import load_catalog
from service.core.prepare import Preparer, request_digest
from service.core.requests import Submission
from service.domain.commands import CacheMode
from service.domain.drawing import Drawing, Operation

PLAIN = Submission(
    project="growth",
    request_id="r-1",
    drawing=Drawing(model="flux-schnell", prompt="a lighthouse", operation=Operation.GENERATE),
    request_bytes=b"a lighthouse by flux-schnell",
)


@pytest.mark.parametrize(
    "other",
    [
        replace(PLAIN, cache_mode=CacheMode.REFRESH),
        replace(PLAIN, cache_max_age_seconds=60.0),
        replace(PLAIN, job_timeout_seconds=60.0),
    ],
    ids=["cache mode", "cache age", "timeout"],
)
def test_a_remembered_digest_is_the_digest(other: Submission) -> None:
    """Whatever enters the digest beside the request's bytes tells two requests apart, asked in any order."""
    preparer = Preparer(load_catalog(sandbox=True))
    for submission in (PLAIN, other, PLAIN, other):
        assert request_digest(submission) == preparer.digest(submission)
    assert preparer.digest(PLAIN) != preparer.digest(other)


def test_equal_bytes_are_prepared_once() -> None:
    """Two requests with equal bytes share a preparation; large ones are prepared each time, with an equal result."""
    preparer = Preparer(load_catalog(sandbox=True))
    assert preparer.prepare(PLAIN, PLAIN.drawing) is preparer.prepare(PLAIN, PLAIN.drawing)
    large = replace(PLAIN, request_bytes=b"x" * 10_000)
    assert preparer.prepare(large, large.drawing) is not preparer.prepare(large, large.drawing)
    assert preparer.prepare(large, large.drawing) == preparer.prepare(PLAIN, PLAIN.drawing)
