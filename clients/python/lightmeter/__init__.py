"""Lightmeter's Python client: pictures from fal and Replicate, never paid twice, each with its exact bill.

    async with lightmeter.AsyncClient() as lm:
        ask = lightmeter.Drawing(model="gpt-image-2", prompt="a fox", size="1024x1536", quality="high")
        job = await lm.generate(ask, max_cost="0.20")
        print(job.receipt.charged, job.origin)
        await job.assets[0].save("fox.png")

Lives here: AsyncClient and the blocking Client, the values that they take and return, the tree of errors, the
command line (`lightmeter.cli`), and the generated stubs (`lightmeter.v1`). Never: anything of the service, a
decision about money or state (the service decides, the client reports), a dependency beyond gRPC and protobuf
outside the command line. May come in: every program that wants pictures; the service takes the stubs only.
"""

from lightmeter.async_client import AsyncClient
from lightmeter.catalog import Exclusion, Model, Quote, QuotedBudget, QuotedRoute, Route
from lightmeter.client import Client
from lightmeter.drawing import AspectRatio, AutoSize, Drawing, Expansion, Preset, Size, parse_size
from lightmeter.errors import (
    AssetCorrupt,
    BudgetExceeded,
    Conflict,
    ContentRejected,
    CostRefused,
    FieldInvalid,
    InputRefused,
    InternalError,
    JobCancelled,
    JobFailed,
    LightmeterError,
    LimitReached,
    NoEligibleRoute,
    NotAllowed,
    NotFound,
    Paused,
    Refused,
    RequestIdReused,
    TransportError,
    Unavailable,
    Unsupported,
    Violation,
    WaitTimeout,
)
from lightmeter.finance import Budget, Discrepancy, FocusFile, Reconciliation, Statement, StatementRow
from lightmeter.job import (
    Asset,
    Cancellation,
    Failure,
    Job,
    JobEvent,
    JobRoute,
    LogLine,
    Notice,
    Preview,
    Progress,
    Timing,
)
from lightmeter.ledger import (
    AttemptReceipt,
    CostFigures,
    CostReport,
    CostRow,
    Latency,
    PriceLine,
    Receipt,
    Transfer,
)
from lightmeter.money import Money, usd
from lightmeter.oversight import Attempt, AuditEvent, Switch
from lightmeter.pictures import Picture
from lightmeter.retry import NO_RETRY, RetryPolicy
from lightmeter.whatif import WhatIfCause, WhatIfFigures, WhatIfReport, WhatIfRow

__all__ = [
    "NO_RETRY",
    "AspectRatio",
    "Asset",
    "AssetCorrupt",
    "AsyncClient",
    "Attempt",
    "AttemptReceipt",
    "AuditEvent",
    "AutoSize",
    "Budget",
    "BudgetExceeded",
    "Cancellation",
    "Client",
    "Conflict",
    "ContentRejected",
    "CostFigures",
    "CostRefused",
    "CostReport",
    "CostRow",
    "Discrepancy",
    "Drawing",
    "Exclusion",
    "Expansion",
    "Failure",
    "FieldInvalid",
    "FocusFile",
    "InputRefused",
    "InternalError",
    "Job",
    "JobCancelled",
    "JobEvent",
    "JobFailed",
    "JobRoute",
    "Latency",
    "LightmeterError",
    "LimitReached",
    "LogLine",
    "Model",
    "Money",
    "NoEligibleRoute",
    "NotAllowed",
    "NotFound",
    "Notice",
    "Paused",
    "Picture",
    "Preset",
    "Preview",
    "PriceLine",
    "Progress",
    "Quote",
    "QuotedBudget",
    "QuotedRoute",
    "Receipt",
    "Reconciliation",
    "Refused",
    "RequestIdReused",
    "RetryPolicy",
    "Route",
    "Size",
    "Statement",
    "StatementRow",
    "Switch",
    "Timing",
    "Transfer",
    "TransportError",
    "Unavailable",
    "Unsupported",
    "Violation",
    "WaitTimeout",
    "WhatIfCause",
    "WhatIfFigures",
    "WhatIfReport",
    "WhatIfRow",
    "parse_size",
    "usd",
]
