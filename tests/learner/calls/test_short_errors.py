"""A slip in the arguments shows the user's line and the sentence; every other exception keeps its frames."""

import inspect
import traceback
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from fastai.callback.core import Callback
from fastai.learner import Learner
from fastai.optimizer import SGD

from fastai_clr.all import CircularLR, CLRCallback, StopAtCycleEnd
from fastai_clr.learner.calls import short_errors
from helpers import make_learner, state_of


def frames(error):
    """The files of the frames between the call in this module and the `raise`."""
    files = [Path(frame.filename) for frame in traceback.extract_tb(error.tb)]
    return files[1:]


SLIPS = {
    "swapped": lambda o: o.fit(3, 1e-2, use_clr=(32, 5)),
    "misspelt": lambda o: o.fit(1e-2, 1, cycle_len=1, use_crl=(32, 5)),
    "misspelt in fastai's style": lambda o: o.fit(1, lr_max=1e-2),
    "out of range": lambda o: o.fit(1e-2, 1, cycle_len=1, use_clr=(32, 0)),
    "gone": lambda o: o.fit(1e-2, 1, cycle_len=1, use_swa=True),
    "one rate too many": lambda o: o.fit([1e-3, 1e-2], 1, cycle_len=1),
    "no momentum": lambda o: o.fit(1e-2, 1, cycle_len=1, use_clr=(20, 10, 0.95, 0.85)),
    "a fit of fastai's own": lambda o: o.fit(1, 1e-2, cbs=CLRCallback(CircularLR(20, 10, 0.95, 0.85))),
    "a callback": lambda o: o.fit(1, 1e-2, cbs=StopAtCycleEnd()),
    "fit_clr": lambda o: o.fit_clr(1, 1e-2, div=0),
    "plot_schedule": lambda o: o.plot_schedule(1e-2, 1, cycle_len=0),
    "suggest_clr": lambda o: o.suggest_clr(0),
    "compare_schedules": lambda o: o.compare_schedules(1, schedules=["no such"]),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_shows_one_frame_between_the_users_line_and_the_sentence(tmp_path, slip):
    learn = make_learner(tmp_path, 4, opt_func=SGD)
    with pytest.raises((TypeError, ValueError)) as error:
        SLIPS[slip](learn)
    assert frames(error)[0] == Path(__file__) and frames(error)[1:] == [Path(short_errors.__file__)]
    assert error.value.__cause__ is None and error.value.__context__ is None


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda o: o.fit(1e-2, 1, cycle_len=3, clr=(32, 5)), "fit has no argument 'clr': did you mean use_clr?"),
        (lambda o: o.fit(3.0, 1e-2), "the rate comes first, try learn.fit(0.01, 3)"),
        (lambda o: o.fit_clr(1e-2, 3), "n_epoch should be an integer, but given 0.01: try learn.fit_clr(3, 0.01)"),
        (lambda o: o.fit_clr(3, 1e-2, (32, 5)), "div should be a number, but given (32, 5): try div=32, cut_div=5"),
        (lambda o: o.fit(3, 1e-2, cbs=StopAtCycleEnd()), "or leave it out of cbs="),
    ],
)
def test_a_slip_is_told_what_to_type(tmp_path, call, words):
    with pytest.raises((TypeError, ValueError)) as error:
        call(make_learner(tmp_path, 4))
    assert words in str(error.value)


def fails_in_a_callback(learn):
    class Fails(Callback):
        def before_batch(self):
            raise ValueError("theirs")

    learn.fit(1e-2, 1, cycle_len=1, use_clr=(32, 5), cbs=Fails())


def fails_in_the_splitter(learn):
    learn.opt, learn.splitter = None, lambda model: [float(["theirs"])]
    learn.fit(1e-2, 1, cycle_len=1, use_clr=(32, 5))


def fails_in_the_model(learn):
    learn.model[-1] = torch.nn.Linear(7, 7)
    learn.fit_clr(1)


def slips_in_a_fit_inside_a_fit(learn):
    class Inner(Callback):
        def after_epoch(self):
            self.learn.fit(1e-2, 0)

    learn.fit(1e-2, 1, cycle_len=1, use_clr=(32, 5), cbs=Inner())


def loses_its_optimizer_in_the_middle(learn):
    class Drops(Callback):
        def before_batch(self):
            if self.iter == 2:
                self.learn.opt = None

    learn.fit(1e-2, 1, cycle_len=1, use_clr=(32, 5), cbs=Drops())


@pytest.mark.parametrize(
    "fit, file",
    [
        (fails_in_a_callback, __file__),
        (fails_in_the_splitter, __file__),
        (fails_in_the_model, torch.nn.modules.linear.__file__),
        (slips_in_a_fit_inside_a_fit, short_errors.__file__),
        (loses_its_optimizer_in_the_middle, "fastai_clr"),
    ],
    ids=lambda o: getattr(o, "__name__", ""),
)
def test_every_other_exception_keeps_its_frames(tmp_path, fit, file):
    learn = make_learner(tmp_path, 4)
    with pytest.raises(Exception) as error:
        fit(learn)
    assert len(frames(error)) > 4 and str(file) in str(frames(error)[-1])


def test_an_error_in_a_function_of_the_users_stays_its_cause(tmp_path):
    def mine(position):
        return {}["typo"]

    with pytest.raises(TypeError, match="'mine'. should be a schedule") as error:
        make_learner(tmp_path, 4).compare_schedules(1, 1e-2, {"mine": mine, "flat": "constant"}, seeds=1)
    assert isinstance(error.value.__cause__, KeyError) and len(frames(error)) > 2


def test_the_exception_that_the_user_handles_meanwhile_is_shown_too(tmp_path):
    with pytest.raises(TypeError) as error:
        try:
            raise FileNotFoundError("theirs")
        except FileNotFoundError:
            SLIPS["swapped"](make_learner(tmp_path, 4))
    assert isinstance(error.value.__context__, FileNotFoundError) and not error.value.__suppress_context__


@pytest.mark.parametrize("slip", SLIPS)
def test_a_report_of_a_bug_can_have_all_frames(tmp_path, slip, monkeypatch):
    monkeypatch.setenv("FASTAI_CLR_FULL_TRACEBACK", "1")
    learn = make_learner(tmp_path, 4, opt_func=SGD)
    with pytest.raises((TypeError, ValueError)) as error:
        SLIPS[slip](learn)
    assert len(frames(error)) > 2 and frames(error)[-1] != Path(short_errors.__file__)


@dataclass(frozen=True, repr=False)
class Unfinished(CircularLR):
    def factor(self, i, cycle):
        raise ValueError("theirs")


def set_on_a_callback(learn):
    callback = CLRCallback(CircularLR())
    callback.schedule = Unfinished()
    learn.fit(2, 1e-2, cbs=callback)


@pytest.mark.parametrize(
    "call",
    [
        lambda o: o.fit(1e-2, 1, cycle_len=1, use_clr=Unfinished()),
        lambda o: o.fit(1, 1e-2, cbs=CLRCallback(Unfinished())),
        lambda o: o.plot_schedule(1e-2, 1, cycle_len=1, use_clr=Unfinished()),
        set_on_a_callback,
    ],
)
def test_an_error_in_a_schedule_of_the_users_comes_from_the_call_with_its_frame(tmp_path, call):
    learn = make_learner(tmp_path, 4)
    before = state_of(learn)
    with pytest.raises(ValueError, match="^theirs$") as error:
        call(learn)
    assert frames(error)[-1] == Path(__file__) and state_of(learn) == before


def test_the_help_and_the_source_are_those_of_the_method():
    assert inspect.unwrap(Learner.fit_clr).__name__ == "fit_clr"
    assert "call07.plan_of_07" in inspect.getsource(Learner.fit)
