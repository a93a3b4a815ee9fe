"""A catalog file that a caller sends: its faults as the fields of a request."""

from __future__ import annotations

from service.catalog import loader
from service.domain.catalog import Catalog
from service.domain.errors import FieldInvalid, Violation

_FIELD = "change.catalog_yaml"


def amended(catalog: Catalog, text: str) -> Catalog:
    """The catalog with the models of the file in place of its own. Raises FieldInvalid with every fault of the file."""
    try:
        return loader.amended(catalog, text)
    except loader.CatalogInvalid as error:
        violations = [Violation(_FIELD, problem) for problem in error.problems]
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        raise FieldInvalid(
            f"{_FIELD}: {violations[0].text}{more}", metadata={"field": _FIELD}, violations=violations
        ) from None
