"""Reads the catalog files and makes `Catalog` of them, or names everything that is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from service.catalog.build import build_model
from service.catalog.proof import faults
from service.catalog.schema import ModelFile
from service.domain.catalog import Catalog, Model
from service.domain.limits import catalog_file_bytes_max, catalog_nodes_max

FOLDER: Final = Path(__file__).parent
_SUFFIX: Final = "*.yaml"
_GIVEN: Final = "the file"


class CatalogInvalid(Exception):
    """The catalog can't be used. `problems` has a line per fault: file, path and what is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("the catalog is wrong:\n" + "\n".join(f"  {one}" for one in problems))
        self.problems = tuple(problems)


class _StrictLoader(yaml.SafeLoader):
    """Refuses keys that stand twice, of which YAML would let the last one win, numbers with a point, which
    are floats, and files that aliases blow up.
    """

    def get_single_node(self) -> Any:
        """The whole file as nodes, unless aliases make it too large or endless."""
        node = super().get_single_node()
        if node is not None and _written_out(node) > catalog_nodes_max:
            raise yaml.YAMLError(f"has more than {catalog_nodes_max} values, with aliases written out")
        return node


def _written_out(root: yaml.Node) -> int:
    """How many nodes there are when each alias is replaced by what it stands for."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> int:
        if id(node) in open_nodes:
            raise yaml.YAMLError(f"line {node.start_mark.line + 1}: an alias to itself")
        if id(node) not in sizes:
            open_nodes.add(id(node))
            sizes[id(node)] = 1 + sum(size(one) for one in _children(node))
            open_nodes.remove(id(node))
        return sizes[id(node)]

    return size(root)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
        if key is None or key in seen:
            raise yaml.YAMLError(
                f"line {key_node.start_mark.line + 1}: key {key!r} stands twice, or is no text"
            )
        seen.add(key)
    loader.flatten_mapping(node)
    return {
        loader.construct_object(key, deep=True): loader.construct_object(value, deep=True)
        for key, value in node.value
    }


def _float(_: _StrictLoader, node: yaml.ScalarNode) -> Any:
    line = node.start_mark.line + 1
    raise yaml.YAMLError(f"line {line}: {node.value} is a float; write decimal numbers as quoted text")


_StrictLoader.add_constructor("tag:yaml.org,2002:map", _mapping)
_StrictLoader.add_constructor("tag:yaml.org,2002:float", _float)


def load_catalog(*, sandbox: bool, folder: Path | None = None) -> Catalog:
    """The catalog of a folder (the shipped one by default); the test models only with the sandbox.

    Raises CatalogInvalid with every fault of every file.
    """
    files = sorted((folder or FOLDER).glob(_SUFFIX))
    problems: list[str] = []
    models: dict[str, Model] = {}
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode() + content)
        for model in _read(path.name, content, problems):
            if model.name in models:
                problems.append(f"{path.name}: model: {model.name} is in another file too")
            models[model.name] = model
    if not files:
        problems.append(f"{folder or FOLDER}: there is no catalog file")
    problems += _clashes(models)
    if problems:
        raise CatalogInvalid(problems)
    offered = {name: model for name, model in sorted(models.items()) if sandbox or not model.test}
    return Catalog(version=digest.hexdigest(), models=offered)


def amended(catalog: Catalog, text: str) -> Catalog:
    """The catalog with the models of one file in place of its own, or beside them; of the file's prices the newest versions
    count. Raises CatalogInvalid.
    """
    content = text.encode()
    problems: list[str] = []
    if len(content) > catalog_file_bytes_max:
        raise CatalogInvalid([f"{_GIVEN}: at most {catalog_file_bytes_max} bytes"])
    models = {model.name: model for model in _read(_GIVEN, content, problems)}
    merged = {**catalog.models, **models}
    problems += [] if problems else _clashes(merged)
    if problems:
        raise CatalogInvalid(problems)
    version = hashlib.sha256(catalog.version.encode() + content).hexdigest()
    return Catalog(version=version, models=dict(sorted(merged.items())))


def price_readings(folder: Path | None = None) -> dict[str, date]:
    """When the price of each route (`fal/flux-dev`) was last read at its source. For a catalog that `load_catalog` takes."""
    read_on = {}
    for path in sorted((folder or FOLDER).glob(_SUFFIX)):
        entry = ModelFile.model_validate(yaml.load(path.read_bytes(), _StrictLoader))  # noqa: S506  # see below
        for route in entry.routes:
            if route.price is not None:
                read_on[f"{route.provider}/{route.name}"] = route.price.read_on
    return read_on


def _read(name: str, content: bytes, problems: list[str]) -> Iterator[Model]:
    """The models of a file; its faults go to `problems`."""
    try:
        data = yaml.load(content, _StrictLoader)  # noqa: S506  # a SafeLoader with more checks
    except yaml.YAMLError as error:
        problems.append(f"{name}: {' '.join(str(error).split())}".replace('in "<byte string>", ', ""))
        return
    except RecursionError:
        problems.append(f"{name}: is nested too deeply")
        return
    try:
        entry = ModelFile.model_validate(data)
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_context=False, include_input=False):
            where = ".".join(str(step) for step in fault["loc"]) or "file"
            problems.append(f"{name}: {where}: {fault['msg']}")
        return
    for model_name, description in {entry.model: entry.description, **entry.variants}.items():
        try:
            model = build_model(entry, model_name, description)
        except ValueError as error:
            problems.append(f"{name}: {error}")
            return
        problems.extend(f"{name}: {fault}" for fault in faults(entry, model))
        yield model


def _clashes(models: Mapping[str, Model]) -> Iterator[str]:
    """Names that mean two models."""
    owners = {name: name for name in models}
    for model in models.values():
        for alias in model.aliases:
            if alias in owners:
                yield f"{model.name}: aliases: {alias} already means {owners[alias]}"
            owners[alias] = model.name
    for model in models.values():
        if model.replacement and model.replacement not in models:
            yield f"{model.name}: replacement: there is no model {model.replacement}"
