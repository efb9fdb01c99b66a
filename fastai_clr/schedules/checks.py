"""Checks of arguments. An error is one sentence: the argument's name, what it should be and what was given."""

from collections.abc import Sequence
from math import isfinite
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np

PerGroup: TypeAlias = float | Sequence[float] | np.ndarray  # one for all parameter groups, or one for each


def check_number(
    name: str,
    value: Any,
    *,
    least: float | None = None,
    above: float | None = None,
    below: float | None = None,
    most: float | None = None,
    integer: bool = False,
) -> Any:
    """Check the kind and range of a number; returns it as a plain Python int or float.

    Parameters
    ----------
    name
        The argument's name, for the message.
    value
        What the user gave; arrays and tensors with one value are accepted.
    least, above
        Lower limits; `least` is allowed itself, `above` is not.
    below, most
        Upper limits; `most` is allowed itself, `below` is not.
    integer
        Whether to require an integer.

    Raises
    ------
    TypeError
        If the value is of the wrong kind.
    ValueError
        If it is out of range.

    Examples
    --------
    >>> check_number("div", 32, least=1)
    32
    """
    number: Any = value.item() if getattr(value, "ndim", None) == 0 else value
    if not _is_of_kind(number, integer):
        raise TypeError(f"{name} should be {'an integer' if integer else 'a number'}, but given {value!r}")
    ranges = [
        ("finite", _is_finite(number)),
        (f"at least {least}", least is None or number >= least),
        (f"greater than {above}", above is None or number > above),
        (f"less than {below}", below is None or number < below),
        (f"at most {most}", most is None or number <= most),
    ]
    for should_be, holds in ranges:
        if not holds:
            raise ValueError(f"{name} should be {should_be}, but given {value!r}")
    return int(number) if isinstance(number, Integral) else float(number)


def _is_of_kind(number: Any, integer: bool) -> bool:
    return isinstance(number, Integral if integer else Real) and not isinstance(number, bool)


def _is_finite(number: Any) -> bool:
    try:
        return isfinite(number)
    except OverflowError:  # an integer too large for a float
        return False


def set_number(o: object, name: str, **ranges: Any) -> None:
    """Replace the field `name` of the frozen dataclass `o` by its checked value; ranges as in `check_number`."""
    object.__setattr__(o, name, check_number(name, getattr(o, name), **ranges))  # a frozen dataclass refuses `setattr`


def check_bool(name: str, value: Any) -> None:
    """Raise TypeError if `value` is not True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} should be True or False, but given {value!r}")


def rate_of(lr: Any) -> Any:
    """The learning rate of a suggestion; anything else is returned unchanged."""
    return lr._stands_for_lr if hasattr(type(lr), "_stands_for_lr") else lr


def is_several(o: Any) -> bool:
    """Whether `o` is a list, a tuple or an array, rather than one value."""
    return (
        hasattr(o, "__getitem__")
        and hasattr(o, "__len__")
        and not isinstance(o, (str, bytes, dict))
        and rate_of(o) is o
        and getattr(o, "ndim", 1) > 0
    )


def as_list(o: Any) -> list[Any]:
    """`o` as a new list: empty for None, the items of a list, tuple or array, else one item.

    Examples
    --------
    >>> as_list(None), as_list(3), as_list((3, 4))
    ([], [3], [3, 4])
    """
    return [] if o is None else list(o) if is_several(o) else [o]


def check_peaks(lr: Any) -> list[float]:
    """Peak learning rates as a list: one number, or one per parameter group; a group at 0 is not trained.

    Raises TypeError or ValueError for a rate of the wrong kind, below 0 or not finite, and if none is above 0.
    """
    lr = rate_of(lr)
    given = list(lr) if is_several(lr) else [lr]
    if not given:
        raise ValueError(f"lr should have at least 1 value, but given {lr!r}")
    if len(given) == 1:
        return [check_number("lr", given[0], above=0)]
    peaks = [check_number("lr", o, least=0) for o in given]
    if not any(peaks):
        raise ValueError(f"lr should have at least 1 value that is greater than 0, but given {lr!r}")
    return peaks
