"""Taking a request in, from the doors' values to an answered Accept."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from service.core.inputs import Gathered, Inputs
from service.core.prepare import Prepared, Preparer
from service.core.requests import Submission, Submitted
from service.core.runner import Runner
from service.core.switches import SwitchBoard
from service.domain.commands import (
    Accept,
    CacheMode,
    Existing,
    Hit,
    Joined,
    MarkGone,
    MarkSeen,
    NeedsCheck,
    New,
)
from service.domain.errors import (
    LabelRequired,
    LightmeterError,
    Overloaded,
    RequestIdRequired,
    RequestIdReused,
)
from service.domain.limits import MICROS_PER_SECOND, cache_seconds_default
from service.metrics import Metrics
from service.ports import Blobs, Dice, JobReader, Store

_CHECKS_MAX = 3


@dataclass(frozen=True, slots=True)
class SubmitRules:
    """What the configuration says about requests."""

    cache_seconds: int = cache_seconds_default
    required_labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Project → keys of labels that every request must have."""


class Submissions:
    """The use case of Generate and Edit."""

    def __init__(
        self,
        *,
        store: Store,
        jobs: JobReader,
        preparer: Preparer,
        switches: SwitchBoard,
        inputs: Inputs,
        blobs: Blobs,
        runner: Runner,
        dice: Dice,
        metrics: Metrics,
        replica_id: str,
        rules: SubmitRules,
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._preparer = preparer
        self._switches = switches
        self._inputs = inputs
        self._blobs = blobs
        self._runner = runner
        self._dice = dice
        self._metrics = metrics
        self._replica_id = replica_id
        self._rules = rules

    async def submit(self, submission: Submission) -> Submitted:
        """Answer the job: an old one for a known request_id, a final one from the cache, else one that waits.

        Raises the members of LightmeterError that refuse a request; then nothing was written or charged.
        """
        digest = self._preparer.digest(submission)
        if submission.images:
            # Inputs may have to be fetched, which a repeated request must not do again.
            known = await self._known(submission, digest)
            if known is not None:
                return known
        try:
            gathered = await self._gather(submission)
            prepared = self._prepare(submission, gathered)
        except LightmeterError:
            # What was accepted once stays accepted, whatever the rules say now.
            known = await self._known(submission, digest)
            if known is not None:
                return known
            raise
        return await self._accept(self._command(submission, digest, prepared, gathered))

    async def _known(self, submission: Submission, digest: str) -> Submitted | None:
        if submission.request_id is None:
            return None
        view = await self._jobs.view_by_request(submission.project, submission.request_id)
        if view is None:
            return None
        if view.job.request_digest != digest:
            raise RequestIdReused.of(view.job.id, view.job.request_digest, digest)
        return Submitted(view, replayed=True)

    async def _gather(self, submission: Submission) -> Gathered | None:
        self._check_labels(submission)
        if submission.cache_mode is not CacheMode.USE and submission.request_id is None:
            raise RequestIdRequired(
                f"cache_mode {submission.cache_mode.value} needs a request_id",
                metadata={"field": "options.request_id"},
            )
        if not submission.images:
            return None
        self._preparer.model(submission.drawing.model)
        return await self._inputs.gather(submission)

    def _check_labels(self, submission: Submission) -> None:
        for key in self._rules.required_labels.get(submission.project, ()):
            if all(key != given for given, _ in submission.labels):
                raise LabelRequired(f"this project must send the label {key!r}", metadata={"labelKey": key})

    def _prepare(self, submission: Submission, gathered: Gathered | None) -> Prepared:
        return self._preparer.prepare(submission, gathered.drawing if gathered else submission.drawing)

    def _command(
        self, submission: Submission, digest: str, prepared: Prepared, gathered: Gathered | None
    ) -> Accept:
        dice = self._dice
        drawing = prepared.drawing
        # Each time anew: what is remembered of a request knows nothing of switches.
        plan, refusal = self._switches.narrow(submission.project, prepared.routes, prepared.refusal)
        max_age, timeout = submission.cache_max_age_seconds, submission.job_timeout_seconds
        return Accept(
            job_id=dice.new_id(),
            render_id=dice.new_id(),
            attempt_id=dice.new_id(),
            token=dice.new_token(),
            project=submission.project,
            request_id=submission.request_id or dice.new_id(),
            request_digest=digest,
            fingerprint=prepared.fingerprint,
            scope=submission.project,
            cache_mode=submission.cache_mode,
            cache_max_age_micros=None if max_age is None else int(max_age * MICROS_PER_SECOND),
            operation=drawing.operation.value,
            model=drawing.model,
            content=prepared.content,
            image_count=drawing.image_count,
            plan=plan,
            refusal=refusal,
            fresh_micros=None if drawing.seed is not None else self._rules.cache_seconds * MICROS_PER_SECOND,
            owner=self._replica_id,
            labels=submission.labels,
            options=_options(submission),
            inputs=gathered.positions if gathered else (),
            input_assets=gathered.assets if gathered else (),
            max_cost_nanos=submission.max_cost_nanos,
            job_timeout_micros=None if timeout is None else int(timeout * MICROS_PER_SECOND),
            input_seconds=gathered.seconds if gathered else None,
        )

    async def _accept(self, command: Accept) -> Submitted:
        self._runner.check_room()
        for _ in range(_CHECKS_MAX):
            # Not shielded: a render whose caller went away before it was begun is found by the recovery.
            outcome = await self._store.execute(command)
            if not isinstance(outcome, NeedsCheck):
                return self._answer(command, outcome)
            command = await self._check(command, outcome)
        raise Overloaded("the pictures of this request change too quickly", retry_after_seconds=1.0)

    async def _check(self, command: Accept, needed: NeedsCheck) -> Accept:
        """Look at cached pictures before they are promised again."""
        seen: list[str] = []
        gone: list[str] = []
        for asset in needed.assets:
            info = await self._blobs.head(asset.key)
            (gone if info is None else seen).append(asset.sha256)
        if seen:
            await self._store.execute(MarkSeen(tuple(seen)))
        if gone:
            await self._store.execute(MarkGone(tuple(gone)))
        return replace(command, checked=command.checked | frozenset(seen))

    def _answer(self, command: Accept, outcome: Existing | Hit | Joined | New) -> Submitted:
        view = outcome.view
        if isinstance(outcome, Existing):
            return Submitted(view, replayed=True)
        mine = view.render is not None and view.render.owner == self._replica_id
        if isinstance(outcome, New) and mine:
            # The outcome of an earlier try may be told now, when another replica has the render already.
            self._runner.begin(view)
        job = view.job
        self._metrics.jobs.accepted.labels(job.project, job.model, job.operation, job.origin.value).inc()
        lookup = (
            "bypass" if not command.has_flight else {Hit: "hit", Joined: "join", New: "miss"}[type(outcome)]
        )
        self._metrics.jobs.cache_lookups.labels(job.model, lookup).inc()
        return Submitted(view, replayed=False)


def _options(submission: Submission) -> str:
    """How the request was to be answered, as JSON, for whoever reads the job later; only what differs from the defaults."""
    if submission.cache_mode is CacheMode.USE and not (submission.pin_provider or submission.policy):
        return "{}"
    options = {
        "cache_mode": submission.cache_mode.value,
        "policy": submission.policy,
        "pin_provider": submission.pin_provider,
        "pin_route": submission.pin_route,
    }
    return json.dumps({name: value for name, value in options.items() if value})
