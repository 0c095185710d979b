"""What results of this process are known again by."""

from __future__ import annotations

from attnmass.adapters.settled import number_of


class Model:
    """Anything of the caller's, which compares equal to all others."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model)

    __hash__ = None  # type: ignore[assignment]


class Bare:
    """What no weak reference can be made to."""

    __slots__ = ()


def test_an_object_has_one_number() -> None:
    """It stays the same as long as the object is there, and no other one has it."""
    one, other = Model(), Model()
    assert number_of(one) == number_of(one) != number_of(other)


def test_numbers_are_not_given_twice() -> None:
    """An object that has the address of one that is gone is another one."""
    known = [number_of(Model()) for _ in range(50)]  # each has the place of the one before
    assert len(set(known)) == 50


def test_what_cannot_be_followed_is_never_known() -> None:
    """It has a new number each time: better trimmed again than taken for another one's result."""
    bare = Bare()
    assert number_of(bare) != number_of(bare)
