"""The commands of the store and what they answer.

A command carries the keys of every row that it may create, made before its first try: running it again after an unknown
commit answers the recorded outcome and writes nothing. The lane says which connection runs it. A file per kind of occasion;
whoever uses commands imports them from here.
"""

from service.domain.commands.accepting import (
    Accept,
    AcceptOutcome,
    CacheMode,
    Existing,
    Hit,
    Joined,
    MarkGone,
    MarkSeen,
    NeedsCheck,
    New,
)
from service.domain.commands.budgets import (
    DeleteBudget,
    SetBudget,
)
from service.domain.commands.command import (
    Command,
    Lane,
)
from service.domain.commands.evidence import (
    BindProviderId,
    Bound,
    Evidence,
    LateResult,
    NotSent,
    RecordResult,
    Reject,
)
from service.domain.commands.operating import (
    Prune,
    Pruned,
    ResolveByHand,
    SetSwitch,
    TellPrice,
)
from service.domain.commands.reconciling import Correct, RecordComparison
from service.domain.commands.rolling import RecordStored, RollDays
from service.domain.commands.running import (
    Dispatch,
    EndOverdue,
    Fail,
    Fenced,
    Finish,
    Heartbeat,
    MarkUnknown,
    NextAttempt,
    Progress,
    PutAgain,
    ResolveAbsent,
    ResolveUnconfirmed,
    RunOutcome,
    Send,
    TakeOver,
)
from service.domain.commands.storing import AccrueStorage
from service.domain.commands.watchers import (
    Cancel,
    Cancelled,
    CancelOutcome,
    ExpireJobs,
)

__all__ = [
    "Accept",
    "AcceptOutcome",
    "AccrueStorage",
    "BindProviderId",
    "Bound",
    "CacheMode",
    "Cancel",
    "CancelOutcome",
    "Cancelled",
    "Command",
    "Correct",
    "DeleteBudget",
    "Dispatch",
    "EndOverdue",
    "Evidence",
    "Existing",
    "ExpireJobs",
    "Fail",
    "Fenced",
    "Finish",
    "Heartbeat",
    "Hit",
    "Joined",
    "Lane",
    "LateResult",
    "MarkGone",
    "MarkSeen",
    "MarkUnknown",
    "NeedsCheck",
    "New",
    "NextAttempt",
    "NotSent",
    "Progress",
    "Prune",
    "Pruned",
    "PutAgain",
    "RecordComparison",
    "RecordResult",
    "RecordStored",
    "Reject",
    "ResolveAbsent",
    "ResolveByHand",
    "ResolveUnconfirmed",
    "RollDays",
    "RunOutcome",
    "Send",
    "SetBudget",
    "SetSwitch",
    "TakeOver",
    "TellPrice",
]
