"""The shipped catalog: complete, proved, and in the words that the providers understand."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.catalog_fal import fal_models
from sandbox.catalog_replicate import replicate_models
from service.catalog.loader import FOLDER, CatalogInvalid, load_catalog
from service.domain.catalog import Model, Route, extra_schema
from service.domain.errors import ModelNotFound

CATALOG = load_catalog(sandbox=True)
PLAYED = {"fal": fal_models(), "replicate": replicate_models()}
TESTS = {"test-ok", "test-slow", "test-rejected", "test-overrun", "test-lost-reply", "test-fails"}
REAL = {
    "flux-schnell",
    "flux-dev",
    "flux-1.1-pro",
    "flux-2-pro",
    "flux-dev-img2img",
    "flux-kontext-pro",
    "gpt-image-2",
    "nano-banana-2",
    "sdxl",
    "seedream-4",
}


def routes() -> Iterator[tuple[Model, Route]]:
    for model in CATALOG.models.values():
        for route in model.routes:
            yield model, route


def test_the_catalog_offers_what_it_should() -> None:
    """Ten models, all but one at both providers, and the test models only beside the sandbox."""
    assert TESTS | REAL == set(CATALOG.models)
    assert set(load_catalog(sandbox=False).models) == REAL
    assert all(
        {"fal", "replicate"} == {one.provider for one in model.routes}
        for model in CATALOG.models.values()
        if model.name != "sdxl"
    )
    with pytest.raises(ModelNotFound):
        load_catalog(sandbox=False).resolve("test-ok")


def test_every_route_has_a_price_with_source_date_and_examples() -> None:
    """No price is made up, and none is missing."""
    for model, route in routes():
        assert route.price is not None, route.name
        assert route.price.source_uri.startswith("https://"), route.name
        assert route.price.effective_on == "2026-11-21", route.name
        assert route.price.version.startswith("2026-11-21-"), route.name
        assert route.cost_examples, route.name
        assert route.price_summary, route.name
        assert model.description, model.name
        assert route.time_priced == (":" in route.endpoint), (
            "only versions of public models are paid by the second"
        )


def test_the_version_is_that_of_the_content() -> None:
    """The same files have the same version, whatever is offered of them."""
    assert CATALOG.version == load_catalog(sandbox=False).version


def test_accepted_fields_are_those_of_the_proto() -> None:
    """What a caller may set, by name."""
    route = CATALOG.resolve("flux-kontext-pro").routes[0]
    assert (
        "prompt",
        "size",
        "image_count",
        "seed",
        "variation",
        "format",
        "guidance",
        "safety_tolerance",
        "extra",
        "images",
    ) == route.limits.accepted_fields


def test_the_schema_of_extra_says_what_the_route_takes() -> None:
    """A JSON Schema, closed to anything else."""
    route = CATALOG.resolve("flux-dev").routes[1]
    assert {
        "type": "object",
        "properties": {
            "go_fast": {"type": "boolean", "description": "Run the faster, quantized variant."},
            "output_quality": {
                "type": "integer",
                "description": "JPEG and WebP quality.",
                "minimum": 0,
                "maximum": 100,
            },
        },
        "additionalProperties": False,
    } == extra_schema(route.limits.extra)
    assert {} == extra_schema({})


# ------------------------------------------------------------------ faults in files

FAULTS: list[tuple[str, str, str, str]] = [
    (
        "flux-dev.yaml",
        'revision: "1"',
        'revision: "1"\ncolour: red',
        "colour: Extra inputs are not permitted",
    ),
    ("flux-dev.yaml", 'revision: "1"', "revision: 1", "revision: Input should be a valid string"),
    ("flux-dev.yaml", "title:", "titel:", "title: Field required"),
    ("flux-dev.yaml", "model: flux-dev", "model: Flux Dev", "model: String should match pattern"),
    (
        "flux-dev.yaml",
        'price_usd: "0.025", rounding',
        "price_usd: 0.025, rounding",
        "0.025 is a float; write decimal numbers as quoted text",
    ),
    (
        "flux-dev.yaml",
        'least: "0", most: "10"',
        'least: 0, most: "10"',
        "limits.guidance.least: Value error, 0: write",
    ),
    ("flux-dev.yaml", "kind: per_image\n", "kind: per_picture\n", "routes.1.price.rule: no per_picture rule"),
    ("flux-dev.yaml", "UP_BINARY", "UPWARDS", "routes.0.price.rule: no per_megapixel rule: 'UPWARDS'"),
    (
        "flux-dev.yaml",
        '{price_usd: "0.025"}',
        '{price_eur: "0.025"}',
        "routes.1.price.rule: no per_image rule: unknown: price_eur",
    ),
    ("flux-dev.yaml", '{price_usd: "0.025"}', "{}", "routes.1.price.rule: no per_image rule"),
    (
        "flux-dev.yaml",
        '{price_usd: "0.025"}',
        '{price_usd: "cheap"}',
        "routes.1.price.rule: no per_image rule",
    ),
    (
        "flux-dev.yaml",
        "expected_nanos: 50000000",
        "expected_nanos: 25000000",
        "routes.0.price.examples.1.expected_nanos: 25000000, but the rule says 50000000",
    ),
    (
        "flux-dev.yaml",
        "ceiling_nanos: 100000000",
        "ceiling_nanos: 1",
        "ceiling_nanos: 1, but the rule says 100000000",
    ),
    ("flux-dev.yaml", "kind: per_image\n", "kind: unpriced\n", "no unpriced rule: leave the price out"),
    ("flux-dev.yaml", "currency: USD", "currency: EUR", "routes.0.price.currency: Input should be 'USD'"),
    (
        "flux-dev.yaml",
        "read_on: 2026-11-21",
        "read_on: 2026-11-20",
        "routes.0.price.read_on: before effective_on",
    ),
    (
        "flux-dev.yaml",
        "provider: fal",
        "provider: fall",
        "routes.0.provider: Input should be 'fal' or 'replicate'",
    ),
    ("flux-dev.yaml", "provider: replicate", "provider: fal", "routes.1.name: flux-dev stands twice at fal"),
    (
        "flux-dev.yaml",
        "operations: [GENERATE]",
        "operations: [PAINT]",
        "routes.0.operations.0: Input should be",
    ),
    (
        "flux-dev.yaml",
        "operations: [GENERATE]",
        "operations: [EDIT]",
        "routes.0.limits.input_count_max: above 0 exactly",
    ),
    (
        "flux-dev.yaml",
        "guidance: {name: guidance_scale}",
        "gui: {name: x}",
        "wording.fields.gui: there is no such word",
    ),
    (
        "flux-dev.yaml",
        "guidance: {name: guidance_scale}",
        "seed: {name: x}",
        "line 49: key 'seed' stands twice",
    ),
    (
        "flux-dev.yaml",
        "        steps: {name: num_inference_steps}\n",
        "",
        "wording.fields.steps: missing, though",
    ),
    (
        "flux-dev.yaml",
        "prompt: {name: prompt}",
        "prompt: {name: prompt}\n        mask: {name: mask}",
        "wording.fields.mask: a word for what",
    ),
    (
        "flux-dev.yaml",
        "{JPEG: jpeg, PNG: png}",
        "{JPEG: jpeg}",
        "wording.fields.format.words: no word for PNG",
    ),
    ("flux-dev.yaml", "form: words", "form: shout", "wording.fields.format.form: Input should be"),
    (
        "flux-dev.yaml",
        "form: image_size",
        "form: none",
        "wording.size.form: none, though the limits accept sizes",
    ),
    ("flux-dev.yaml", 'HALF_K: "0.25"', 'TWO_K: "0.25"', "wording.size.resolution_words: no word for HALF_K"),
    (
        "flux-dev.yaml",
        'GENERATE: "1024x1024"',
        'GENERATE: "1000x1000"',
        "default_sizes.GENERATE: no route can draw",
    ),
    ("flux-dev.yaml", 'GENERATE: "1024x1024"', 'GENERATE: "big"', "default_sizes.GENERATE"),
    (
        "flux-dev.yaml",
        'GENERATE: "1024x1024"',
        'GENERATE: "1024x1024", EDIT: auto',
        "default_sizes.EDIT: no route does this",
    ),
    ("flux-dev.yaml", '"1:1": "1024x1024"', '1:1: "1024x1024"', "limits.ratio_sizes"),
    (
        "flux-dev.yaml",
        '"1:1": "1024x1024"',
        '"1:1": ',
        "limits.ratio_sizes: every ratio needs its exact size",
    ),
    ("flux-dev.yaml", "images_max: 4", "images_max: 2", "routes.0.images_max: less than image_count_max"),
    (
        "flux-dev.yaml",
        'billed_unit: {name: megapixels, unit_price: "0.025"}',
        "",
        "routes.0.price.billed_unit: needed at fal",
    ),
    (
        "flux-dev.yaml",
        "acceleration: {type: string",
        "seed: {type: string",
        "limits.extra.seed: the route has this field",
    ),
    (
        "flux-dev.yaml",
        "aliases: [flux-1-dev]",
        "aliases: [flux-schnell]",
        "flux-dev: aliases: flux-schnell already means flux-schnell",
    ),
    (
        "flux-dev.yaml",
        "model: flux-dev\n",
        "model: flux-schnell\n",
        "model: flux-schnell is in another file too",
    ),
    (
        "flux-dev.yaml",
        "terms_uri",
        "replacement: flux-9\nterms_uri",
        "flux-dev: replacement: there is no model flux-9",
    ),
    ("flux-dev.yaml", "model: flux-dev", "model: [flux-dev", "flux-dev.yaml: while parsing"),
    (
        "flux-kontext-pro.yaml",
        "form: one}",
        "form: plain}",
        "wording.fields.images.form: must be one or list",
    ),
    (
        "gpt-image-2.yaml",
        "{name: input_images, form: list}",
        "{name: input_images, form: one}",
        "form: one, though the limits accept several",
    ),
    (
        "gpt-image-2.yaml",
        'quality: HIGH, price_usd: "0.211"',
        'quality: HIGH, price_usd: "0.210"',
        "but the rule says 210000000",
    ),
    ("flux-dev-img2img.yaml", "      auto_size: true\n", "", "limits.auto_follows_input: needs auto_size"),
]


@pytest.mark.parametrize(("name", "old", "new", "problem"), FAULTS)
def test_a_fault_keeps_the_catalog_from_loading_and_is_named(
    tmp_path: Path, name: str, old: str, new: str, problem: str
) -> None:
    """File, path and what is wrong, for every kind of fault."""
    for file in {name, "flux-schnell.yaml"}:
        shutil.copy(FOLDER / file, tmp_path)
    text = (tmp_path / name).read_text()
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new, 1))
    with pytest.raises(CatalogInvalid) as caught:
        load_catalog(sandbox=True, folder=tmp_path)
    assert any(problem in one for one in caught.value.problems), caught.value.problems


def test_all_faults_of_all_files_are_named_at_once(tmp_path: Path) -> None:
    """Whoever repairs a catalog does it in one go."""
    for file in FOLDER.glob("*.yaml"):
        (tmp_path / file.name).write_text(file.read_text().replace('revision: "1"', "revision: 1"))
    with pytest.raises(CatalogInvalid) as caught:
        load_catalog(sandbox=True, folder=tmp_path)
    assert {file.name for file in FOLDER.glob("*.yaml")} == {
        one.split(":")[0] for one in caught.value.problems
    }


def test_an_empty_folder_is_no_catalog(tmp_path: Path) -> None:
    """A wrong path does not start a service that can draw nothing."""
    with pytest.raises(CatalogInvalid, match="no catalog file"):
        load_catalog(sandbox=True, folder=tmp_path)


def test_a_changed_price_is_a_new_version_of_catalog_and_price(tmp_path: Path) -> None:
    """Versions come from the content, so that no one forgets to count them up."""
    for file in FOLDER.glob("*.yaml"):
        shutil.copy(file, tmp_path)
    path = tmp_path / "flux-kontext-pro.yaml"
    text = path.read_text().replace('"0.04"', '"0.05"').replace(" 40000000", " 50000000")
    path.write_text(text.replace("160000000", "200000000"))
    changed = load_catalog(sandbox=True, folder=tmp_path)
    assert CATALOG.version != changed.version
    before, after = (one.resolve("flux-kontext-pro").routes[0].price for one in (CATALOG, changed))
    assert before is not None
    assert after is not None
    assert (before.rule_id, False) == (after.rule_id, before.version == after.version)
