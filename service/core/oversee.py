"""What operators do by hand: turn switches, and decide the fate of attempts that nobody can tell about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from service.core.pokes import poke_key
from service.core.switches import SWITCHES_KEY, SwitchBoard
from service.domain.absence import AbsenceRule, search_until
from service.domain.catalog import Catalog, suggestion
from service.domain.commands import ResolveByHand, SetSwitch
from service.domain.errors import FieldInvalid, JobNotFound, RouteNotFound, StoreUnavailable
from service.domain.limits import switches_count_max
from service.domain.oversight import Switch, SwitchScope, SwitchState
from service.domain.queries import OpenAttempt
from service.domain.records import Attempt, AttemptState
from service.ports import Dice, Hints, OperatorReader, Store


@dataclass(frozen=True, slots=True)
class Resolution:
    """What an operator found out about an attempt: exactly one of the three. `version` is the one that was seen, if any was."""

    attempt_id: str
    reason: str
    version: int | None = None
    adopt_provider_id: str | None = None
    not_accepted: bool = False
    amount_nanos: int | None = None


class Oversight:
    """The use cases of SetSwitch and ResolveAttempt. Raises StoreUnavailable and Overloaded like its ports."""

    def __init__(
        self,
        *,
        store: Store,
        reader: OperatorReader,
        board: SwitchBoard,
        hints: Hints,
        catalog: Catalog,
        absences: Mapping[str, AbsenceRule],
        dice: Dice,
    ) -> None:
        self._store = store
        self._reader = reader
        self._board = board
        self._hints = hints
        self._catalog = catalog
        self._absences = absences
        self._dice = dice

    async def set_switch(
        self,
        scope: SwitchScope,
        target: str,
        state: SwitchState,
        expires_at: int | None,
        *,
        reason: str,
        by: str,
    ) -> Switch:
        """Set it; this replica acts on it before the answer.

        Raises RouteNotFound for what the catalog does not have, FieldInvalid when too many switches are set.
        """
        if state is not SwitchState.ON:
            # A misspelt name would look like an emergency stop and stop nothing; an old switch can always be removed.
            self._check(scope, target)
            await self._check_room(scope, target)
        switch: Switch = await self._store.execute(
            SetSwitch(
                event_id=self._dice.new_id(),
                scope=scope,
                target=target,
                state=state,
                expires_at=expires_at,
                reason=reason,
                by=by,
            )
        )
        self._hints.publish((SWITCHES_KEY,))
        # It is set, whether or not this read succeeds; the board reads again within a second.
        with suppress(StoreUnavailable):
            await self._board.refresh()
        return switch

    def _check(self, scope: SwitchScope, target: str) -> None:
        routes = [route for model in self._catalog.models.values() for route in model.routes]
        if scope is SwitchScope.PROVIDER:
            known = sorted({route.provider for route in routes})
        elif scope is SwitchScope.ROUTE:
            known = sorted({f"{route.provider}/{route.name}" for route in routes})
        else:
            return
        if target not in known:
            metadata = {"field": f"switch.{scope.value.lower()}", **suggestion(target[:100], known)}
            raise RouteNotFound(
                f"the catalog has no {scope.value.lower()} {target[:100]!r}", metadata=metadata
            )

    async def _check_room(self, scope: SwitchScope, target: str) -> None:
        keys = {(one.scope, one.target) for one in await self._reader.switches()}
        if len(keys - {(scope, target)}) >= switches_count_max:
            raise FieldInvalid.of(
                "switch", f"at most {switches_count_max} switches can be set", limit=switches_count_max
            )

    async def resolve(self, resolution: Resolution, *, by: str) -> OpenAttempt:
        """Decide the attempt's fate and wake whoever goes on with it.

        Raises JobNotFound, EtagMismatch when it is not UNKNOWN (any more) or not as it was seen, FieldInvalid for an id that
        belongs to another attempt.
        """
        before = await self._reader.attempt(resolution.attempt_id)
        if before is None:
            raise JobNotFound("there is no such attempt")
        attempt: Attempt = await self._store.execute(
            ResolveByHand(
                event_id=self._dice.new_id(),
                attempt_id=resolution.attempt_id,
                reason=resolution.reason,
                by=by,
                version=resolution.version,
                adopt_provider_id=resolution.adopt_provider_id,
                not_accepted=resolution.not_accepted,
                amount_nanos=resolution.amount_nanos,
            )
        )
        self._hints.publish((attempt.render_id, poke_key(attempt.render_id)))
        ids = before.provider_ids
        if resolution.adopt_provider_id is not None and resolution.adopt_provider_id not in ids:
            ids = (*ids, resolution.adopt_provider_id)
        return replace(before, attempt=attempt, provider_ids=ids)

    def search_ends_at(self, shown: OpenAttempt) -> int | None:
        """When (microseconds) the service stops looking for an UNKNOWN attempt; None for others, and where nothing tells."""
        attempt = shown.attempt
        rule = self._absences.get(attempt.provider)
        if attempt.state is not AttemptState.UNKNOWN or attempt.send_before is None or rule is None:
            return None
        limits = _limits(shown.render.plan, attempt)
        return None if limits is None else search_until(rule, attempt.send_before, *limits)


def _limits(plan: str, attempt: Attempt) -> tuple[int, int] | None:
    """Start timeout and run limit (seconds) of the attempt's route in its render's plan; None when it was pruned."""
    for route in json.loads(plan or "{}").get("routes", ()):
        if (route["provider"], route["route"]) == (attempt.provider, attempt.route):
            return int(route["start_timeout_seconds"]), int(route["run_seconds_max"])
    return None
