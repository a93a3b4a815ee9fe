"""From a request to what is decided about it before any money moves: the effective drawing, its fingerprint, its routes."""

from __future__ import annotations

from hashlib import sha256

from service.core.kept import Kept
from service.core.pricing import Catalogs
from service.core.requests import InputSource, Submission
from service.domain.catalog import Model
from service.domain.drawing import Drawing
from service.domain.errors import LightmeterError, MaxCostExceeded, PriceUnknown
from service.domain.fingerprint import canonical, content, fingerprint
from service.domain.limits import requests_kept_bytes_max, requests_kept_count_max
from service.domain.routing import PlannedRoute, effective, refusal, survey
from service.domain.value import value


@value(frozen=True, slots=True)
class Prepared:
    """What Accept needs to know about a drawing."""

    model: Model
    drawing: Drawing
    fingerprint: str
    content: str
    routes: tuple[PlannedRoute, ...]
    refusal: LightmeterError | None
    """Why no route may be paid for this request; the cache may still answer it for nothing."""


_Key = tuple[bytes, int | None]


class Preparer:
    """Prepares requests; equal bytes are prepared once, because most requests of a busy service were made before."""

    def __init__(self, catalogs: Catalogs) -> None:
        self._catalogs = catalogs
        self._priced_by = catalogs.today()
        self._prepared: Kept[_Key, Prepared] = Kept(requests_kept_count_max)
        self._digests: Kept[tuple[object, ...], str] = Kept(requests_kept_count_max)

    def prepare(self, submission: Submission, drawing: Drawing) -> Prepared:
        """Raises ModelNotFound, RouteNotFound, NoEligibleRoute or ParameterUnsupported.

        `drawing` is the submission's with its measured inputs. Only small requests without inputs are remembered.
        """
        # All that a preparation knows of its project.
        key = (submission.request_bytes, self._catalogs.unpriced_nanos(submission.project))
        if self._catalogs.today() is not self._priced_by:
            self._priced_by = self._catalogs.today()
            self._prepared = Kept(requests_kept_count_max)
        if drawing.inputs is not None or not _is_kept(submission.request_bytes):
            return self._prepare(submission, drawing)
        return self._prepared.get(key) or self._prepared.put(key, self._prepare(submission, drawing))

    def digest(self, submission: Submission) -> str:
        """Its `request_digest`, remembered like a preparation."""
        if submission.images or submission.mask is not None or not _is_kept(submission.request_bytes):
            return request_digest(submission)
        key = (
            submission.request_bytes,
            submission.cache_mode,
            submission.cache_max_age_seconds,
            submission.job_timeout_seconds,
        )
        return self._digests.get(key) or self._digests.put(key, request_digest(submission))

    def model(self, name: str) -> Model:
        """The model of a name or alias; ModelNotFound."""
        return self._catalogs.today().resolve(name)

    def _prepare(self, submission: Submission, drawing: Drawing) -> Prepared:
        model = self._catalogs.today().resolve(drawing.model)
        drawn = effective(model, drawing)
        plan = survey(
            model,
            drawn,
            pin_provider=submission.pin_provider,
            pin_route=submission.pin_route,
            policy=submission.policy,
            max_cost_nanos=submission.max_cost_nanos,
            unpriced_nanos=self._catalogs.unpriced_nanos(submission.project),
        )
        refused = None if plan.routes else refusal(plan, drawn, submission.max_cost_nanos)
        if refused is not None and not isinstance(refused, MaxCostExceeded | PriceUnknown):
            raise refused
        pin = submission.pin_provider
        return Prepared(
            model=model,
            drawing=drawn,
            fingerprint=fingerprint(canonical(drawn, revision=model.revision, pin_provider=pin)),
            content=content(drawn, revision=model.revision, pin_provider=pin),
            routes=plan.routes,
            refusal=refused,
        )


def _is_kept(request_bytes: bytes) -> bool:
    return 0 < len(request_bytes) <= requests_kept_bytes_max


def request_digest(submission: Submission) -> str:
    """What a request_id stands for: `drawing.inputs.options`, each a shortened SHA-256 of the request as it was sent."""
    drawing = submission.drawing
    options = (
        submission.cache_mode.value,
        submission.cache_max_age_seconds,
        submission.policy,
        submission.pin_provider,
        submission.pin_route,
        submission.max_cost_nanos,
        submission.job_timeout_seconds,
    )
    sources = [_reference(one) for one in submission.images]
    mask = _reference(submission.mask) if submission.mask else ""
    inputs = (sources, mask, str(submission.strength), submission.expansion)
    drawn = canonical(drawing, revision="", pin_provider=None) + str(drawing.size_given)
    return ".".join(sha256(text.encode()).hexdigest()[:32] for text in (drawn, repr(inputs), repr(options)))


def _reference(source: InputSource) -> str:
    if source.content is not None:
        return sha256(source.content).hexdigest()
    return source.sha256 or source.url or ""
