"""What is kept for the next request like it."""

from service.core.kept import Kept


def test_the_longest_unused_goes_first() -> None:
    """Beyond the count the result goes that was neither put nor asked for the longest."""
    kept: Kept[str, int] = Kept(2)
    assert 1 == kept.put("a", 1)
    kept.put("b", 2)
    assert 1 == kept.get("a")
    kept.put("c", 3)
    assert [1, None, 3] == [kept.get(key) for key in "abc"]
