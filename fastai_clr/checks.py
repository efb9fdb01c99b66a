"""The errors of the arguments: one sentence that names the argument, what it should be and what was given."""

from math import isfinite
from numbers import Integral, Real

__all__ = ["check_bool", "check_number", "set_number"]


def check_number(name: str, value, *, least=None, above=None, below=None, most=None, integer=False):
    """`value` as a plain Python number, or an error of one sentence that names the argument and its range."""
    number = value.item() if getattr(value, "ndim", None) == 0 else value
    kind, a_kind = (Integral, "an integer") if integer else (Real, "a number")
    if not isinstance(number, kind) or isinstance(number, bool):
        raise TypeError(f"{name} should be {a_kind}, but given {value!r}")
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


def _is_finite(number):
    try:
        return isfinite(number)
    except OverflowError:  # an integer beyond what a float can hold
        return False


def set_number(o, name, **ranges):
    """Replace the field `name` of a frozen dataclass by its checked value."""
    object.__setattr__(o, name, check_number(name, getattr(o, name), **ranges))  # the way into a frozen dataclass


def check_bool(name, value):
    """Raise TypeError for what is not True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} should be True or False, but given {value!r}")
