"""The pictures: exact, repeatable, legible, and drawn only when somebody looks."""

from __future__ import annotations

import io
from dataclasses import replace

import httpx
import pytest
from PIL import Image, ImageChops

from sandbox import Sandbox
from sandbox.catalog import Format
from sandbox.drawing import Painter, Recipe, encode

RECIPE = Recipe("a fox in snow", "fal-ai/flux/schnell", 7, 256, 192, 0, 1, "jpeg")


@pytest.mark.parametrize(("kind", "name"), [("jpeg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")])
@pytest.mark.parametrize("size", [(1024, 768), (17, 400), (1, 1)])
def test_size_and_format_are_exact(kind: Format, name: str, size: tuple[int, int]) -> None:
    """Any size, in the three formats."""
    data = Painter().paint(replace(RECIPE, width_px=size[0], height_px=size[1], format=kind))
    picture = Image.open(io.BytesIO(data))
    picture.load()
    assert (size, name) == (picture.size, picture.format)


def test_a_recipe_decides_every_byte() -> None:
    """The same recipe gives the same bytes; another prompt, seed or index another picture."""
    painter = Painter()
    first = painter.paint(RECIPE)
    assert first == Painter().paint(RECIPE)
    others = [replace(RECIPE, prompt="a wolf"), replace(RECIPE, seed=8), replace(RECIPE, index=1, count=2)]
    assert 4 == len({first, *(painter.paint(one) for one in others)})


def test_an_edit_shows_its_input() -> None:
    """The upper part of an edit carries the input picture, tinted but recognisable."""
    red = encode(Image.new("RGB", (64, 64), (255, 0, 0)), "jpeg")
    painter = Painter()
    plain, edit = painter.draw(RECIPE), painter.draw(replace(RECIPE, thumbnail=red))
    assert ImageChops.difference(plain, edit).getbbox() is not None
    pixel = edit.getpixel((RECIPE.width_px // 2, RECIPE.height_px // 3))
    assert isinstance(pixel, tuple)
    assert pixel[0] > 180
    assert pixel[0] > 2 * max(pixel[1:])


def test_the_request_is_written_on_it() -> None:
    """Light ink stands in the lower part, and changes with the words."""
    painter = Painter()
    recipe, lower = replace(RECIPE, width_px=1024, height_px=768), (0, 600, 1024, 768)
    first = painter.draw(recipe).crop(lower)
    other = painter.draw(replace(recipe, model="fal-ai/flux/devil")).crop(lower)
    assert sum(first.convert("L").histogram()[200:]) > 500
    assert ImageChops.difference(first, other).getbbox() is not None


async def test_pictures_are_drawn_when_downloaded_and_kept_a_while(
    instant: Sandbox, http: httpx.AsyncClient
) -> None:
    """A request draws nothing; the second download of a picture is the first one's bytes."""
    made = await http.post(
        f"{instant.fal_url}/queue/fal-ai/flux/schnell",
        json={"prompt": "x"},
        headers={"Authorization": "Key a:b"},
    )
    assert 0 == instant.world.pictures.drawn_count
    url = f"{instant.fal_url}/files/b/{made.json()['request_id']}/0.jpg"
    first, second = await http.get(url), await http.get(url)
    assert (first.content, first.headers["etag"]) == (second.content, second.headers["etag"])
    assert 1 == instant.world.pictures.drawn_count
