"""Names of schedules: 'one_cycle', 'clr(32,5)', and the names in a dict or list of schedules."""

import re
from typing import Any

from .schedule import Schedule
from .shapes import CircularLR, CircularLRBeta, Constant, Cooldown, CosAnneal

_WITHOUT_NUMBERS: dict[str, Schedule] = {
    "constant": Constant(),
    "cosine": CosAnneal(slow_start=False),
    "cosine_07": CosAnneal(),
    "one_cycle": CircularLR(25, 4, 0.95, 0.85, cosine=True, div_final=1e5),
}
_WITH_NUMBERS: dict[str, Any] = {"clr": CircularLR, "clr_beta": CircularLRBeta, "cooldown": Cooldown}
_FORM = re.compile(rf"(?:use_)?({'|'.join(_WITH_NUMBERS)})\s*=?\s*\(([^()]*)\)")


def by_name(name: str) -> Schedule:
    """The schedule with this name.

    Parameters
    ----------
    name
        'constant'; 'cosine', half a cosine down from the peak; 'cosine_07', 0.7's `cycle_len` without `use_clr`;
        'one_cycle', fastai 2's `fit_one_cycle`; 'clr(32,5)', `use_clr=(32, 5)`; 'clr_beta(10,10)', `use_clr_beta`. Four
        numbers cycle momentum, too: 'clr(20,10,.95,.85)'; 'cooldown(10)', a linear fall to a tenth.

    Returns
    -------
    The schedule.

    Raises
    ------
    TypeError
        If the name is not a str.
    ValueError
        If no schedule has this name.

    Examples
    --------
    >>> by_name("clr(32,5)")
    CircularLR(div=32, cut_div=5)
    """
    if not isinstance(name, str):
        raise TypeError(f"name should be a str such as 'clr(32,5)', but given {name!r}")
    if name.strip() in _WITHOUT_NUMBERS:
        return _WITHOUT_NUMBERS[name.strip()]
    if form := _FORM.fullmatch(name.strip()):
        try:
            numbers = [float(o) if re.search(r"[.e]", o) else int(o) for o in form[2].split(",")]
        except ValueError:
            pass
        else:
            return _WITH_NUMBERS[form[1]](*numbers)
    usual, example = ", ".join(map(repr, _WITHOUT_NUMBERS)), "'clr(32,5)' or 'clr_beta(10,10)'"
    raise ValueError(f"a schedule by name should be {usual}, {example}, but given {name!r}")


def named_schedules(schedules: Any, resolve: bool = True) -> dict[str, Any]:
    """A dict of the schedules by their names in legends and tables.

    Parameters
    ----------
    schedules
        A dict by name; a list or tuple, whose items are the names; or one schedule.
    resolve
        Whether to replace a name such as 'one_cycle' by its schedule.

    Raises
    ------
    TypeError, ValueError
        If there is no schedule, or if two have the same name.

    Examples
    --------
    >>> named_schedules(["constant"])
    {'constant': Constant()}
    """
    if isinstance(schedules, (str, Schedule)):
        schedules = [schedules]
    if not isinstance(schedules, (dict, list, tuple)):
        raise TypeError(f"schedules should be a dict or a list of schedules, but given {schedules!r}")
    if not isinstance(schedules, dict):
        names = [o if isinstance(o, str) else repr(o) for o in schedules]
        if twice := {o for o in names if names.count(o) > 1}:
            raise ValueError(
                f"schedules in a list should differ in their names, but given {twice.pop()} twice: give a dict"
            )
        schedules = dict(zip(names, schedules))
    if not schedules:
        raise ValueError(f"schedules should hold at least 1 schedule, but given {schedules!r}")
    return {str(name): by_name(o) if resolve and isinstance(o, str) else o for name, o in schedules.items()}
