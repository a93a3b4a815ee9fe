"""A FOCUS export as Parquet, made from the CSV file after it has arrived whole. Needs the extra `parquet` (pyarrow).

FOCUS 1.2 types: decimals are decimal128(38, 9), to the nano-dollar; times are UTC timestamps in microseconds; `Tags` stays the
JSON text of its key-value format; everything else is text, and an empty cell is null.
"""

from __future__ import annotations

import importlib
import os
from typing import Any, Final

BLOCK_BYTES: Final = 1 << 20
"""How much of the CSV is held in memory at once; a row is far shorter."""

_DECIMALS: Final = (
    "BilledCost",
    "CommitmentDiscountQuantity",
    "ConsumedQuantity",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "ListCost",
    "ListUnitPrice",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice",
    "PricingQuantity",
)
_TIMES: Final = ("BillingPeriodEnd", "BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart")
_COUNTS: Final = ("x_AttemptNumber", "x_TransferOrdinal")


def require_parquet() -> Any:
    """pyarrow. Raises ModuleNotFoundError with what to install where it is missing."""
    try:
        return importlib.import_module("pyarrow")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pyarrow":
            raise
        text = 'pyarrow is missing; run: pip install "lightmeter[parquet]"'
        raise ModuleNotFoundError(text, name="pyarrow") from None


def write_parquet(source: os.PathLike[str], target: os.PathLike[str], columns: tuple[str, ...]) -> None:
    """Write the rows of a CSV file with these columns as a Parquet file. Raises ValueError for a cell that is not of its type."""
    arrow = require_parquet()
    reading = importlib.import_module("pyarrow.csv")
    writing = importlib.import_module("pyarrow.parquet")
    schema = arrow.schema([(name, _type(arrow, name)) for name in columns])
    with (
        reading.open_csv(
            source,
            read_options=reading.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
            parse_options=reading.ParseOptions(newlines_in_values=True),
            convert_options=reading.ConvertOptions(
                column_types=schema,
                strings_can_be_null=True,
                null_values=[""],
                quoted_strings_can_be_null=True,
            ),
        ) as batches,
        writing.ParquetWriter(target, schema) as file,
    ):
        for batch in batches:
            file.write_batch(batch)


def _type(arrow: Any, column: str) -> Any:
    if column in _DECIMALS:
        return arrow.decimal128(38, 9)
    if column in _TIMES:
        return arrow.timestamp("us", tz="UTC")
    return arrow.int64() if column in _COUNTS else arrow.string()
