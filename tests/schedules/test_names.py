"""The names of schedules: which there are, and what is said of another."""

import pytest

from fastai_clr import CircularLR, CircularLRBeta, Constant, Cooldown, CosAnneal
from fastai_clr.schedules import by_name
from fastai_clr.schedules.names import named_schedules


@pytest.mark.parametrize(
    "name, schedule",
    [
        ("constant", Constant()),
        ("cosine", CosAnneal(slow_start=False)),
        ("cosine_07", CosAnneal()),
        ("one_cycle", CircularLR(25, 4, 0.95, 0.85, cosine=True, div_final=1e5)),
        ("clr(32,5)", CircularLR(32, 5)),
        ("clr(32, 5)", CircularLR(32, 5)),
        ("use_clr(20, 10, .95, .85)", CircularLR(20, 10, 0.95, 0.85)),
        ("clr_beta(10,10)", CircularLRBeta(10, 10)),
        ("cooldown(10)", Cooldown(10)),
        ("use_clr_beta(1e1,10)", CircularLRBeta(10.0, 10)),
        ("use_clr=(32, 5)", CircularLR(32, 5)),
    ],
)
def test_by_name(name, schedule):
    assert by_name(name) == schedule


@pytest.mark.parametrize("name", ["", "clr", "clr()", "clr(32,five)", "clr(32", "CLR 32 5", "onecycle"])
def test_another_name_is_refused(name):
    with pytest.raises(ValueError, match="a schedule by name should be 'constant', .* or 'clr_beta.10,10.', but given"):
        by_name(name)


def test_the_numbers_in_a_name_are_checked():
    with pytest.raises(ValueError, match="div should be at least 1, but given 0"):
        by_name("clr(0,5)")
    with pytest.raises(ValueError, match="should be 2 or 4 numbers|mom_a and mom_b should be given both"):
        by_name("clr(32,5,.9)")


def test_a_name_is_a_str():
    with pytest.raises(TypeError, match=r"name should be a str such as 'clr\(32,5\)', but given 32"):
        by_name(32)


def of_position(position):
    return position


@pytest.mark.parametrize(
    "schedules, named",
    [
        ("constant", {"constant": Constant()}),
        (CircularLR(32, 5), {"CircularLR(div=32, cut_div=5)": CircularLR(32, 5)}),
        (["constant", CosAnneal()], {"constant": Constant(), "CosAnneal()": CosAnneal()}),
        (("clr(32,5)",), {"clr(32,5)": CircularLR(32, 5)}),
        ({"flat": "constant", "clr": CircularLR(32, 5)}, {"flat": Constant(), "clr": CircularLR(32, 5)}),
        ({5: "constant"}, {"5": Constant()}),
        ({"fastai": of_position}, {"fastai": of_position}),  # what is no name stays as it is
        ([of_position], {repr(of_position): of_position}),
    ],
)  # fmt: skip
def test_what_schedules_are_called(schedules, named):
    assert list(named_schedules(schedules).items()) == list(named.items())


def test_names_may_stay_as_they_are():
    assert named_schedules(["one_cycle"], resolve=False) == {"one_cycle": "one_cycle"}


@pytest.mark.parametrize(
    "schedules, error, match",
    [
        (None, TypeError, "schedules should be a dict or a list of schedules, but given None"),
        (of_position, TypeError, "schedules should be a dict or a list of schedules, but given <function"),
        ({"constant"}, TypeError, "schedules should be a dict or a list of schedules, but given {'constant'}"),
        ([], ValueError, "schedules should hold at least 1 schedule, but given {}"),
        ({}, ValueError, "schedules should hold at least 1 schedule, but given {}"),
        ([CosAnneal(), CosAnneal()], ValueError, r"should differ in their names, but given CosAnneal\(\) twice: give a dict"),
        (["sgdr"], ValueError, "a schedule by name should be 'constant', .*, but given 'sgdr'"),
    ],
)  # fmt: skip
def test_what_has_no_names_is_refused(schedules, error, match):
    with pytest.raises(error, match=match):
        named_schedules(schedules)
