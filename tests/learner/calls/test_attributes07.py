"""0.7's `learn.crit`, `learn.opt_fn` and `learn.reg_fn`: other names for fastai 2's, or refused where they are set."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fastai.callback.core import Callback
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.metrics import accuracy
from fastai.optimizer import SGD, Adam, OptimWrapper
from fastai.text.learner import TextLearner
from fastcore.basics import store_attr
from torch import nn

from fastai_clr.learner.calls.attributes07 import ATTRIBUTES, check_left_over
from forked import run_forked
from helpers import WITHOUT_THE_PLUGIN, make_learner, make_tabular, state_of

FITS = {
    "fit in 0.7's style": lambda learn: learn.fit(1e-2, 1, cycle_len=1, use_clr=(10, 5)),
    "fit_clr": lambda learn: learn.fit_clr(1, 1e-2),
    "fit": lambda learn: learn.fit(1, 1e-2),
    "fit_one_cycle": lambda learn: learn.fit_one_cycle(1, 1e-2),
    "lr_find": lambda learn: learn.lr_find(num_it=5, show_plot=False, suggest_funcs=None),
}


class Counting(nn.Module):
    """A loss that counts its calls."""

    def __init__(self):
        super().__init__()
        self.n_calls = 0

    def forward(self, outputs, targets):
        self.n_calls += 1
        return F.cross_entropy(outputs, targets)


# -- crit ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", FITS)
def test_every_fit_trains_on_the_crit_that_was_set(learn, how):
    learn.crit = loss = Counting()
    assert learn.crit is loss and learn.loss_func is loss and "crit" not in vars(learn)
    FITS[how](learn)
    assert loss.n_calls >= 5


def test_crit_follows_loss_func(learn):
    assert learn.crit is learn.loss_func
    learn.loss_func = Counting()
    assert learn.crit is learn.loss_func and isinstance(learn.crit, Counting)


# -- opt_fn -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", FITS)
def test_every_fit_trains_with_the_opt_fn_that_was_set(learn, how):
    learn.fit(1, 1e-2)  # there is an optimizer
    learn.opt_fn = partial(torch.optim.SGD, momentum=0.75)
    assert learn.opt is None and learn.opt_fn is learn.opt_func and "opt_fn" not in vars(learn)
    FITS[how](learn)
    assert isinstance(learn.opt, OptimWrapper) and type(learn.opt.opt) is torch.optim.SGD
    assert how == "fit_one_cycle" or learn.opt.hypers[-1]["mom"] == 0.75  # which leaves a momentum of its own


class NotFlattened(partial):
    """A partial that another one around it keeps."""


@pytest.mark.parametrize(
    "opt_fn, kind, hypers",
    [
        (torch.optim.Adam, torch.optim.Adam, {"mom": 0.9}),
        (partial(torch.optim.Adam, betas=(0.8, 0.99)), torch.optim.Adam, {"mom": 0.8, "sqr_mom": 0.99}),
        (partial(partial(torch.optim.SGD, momentum=0.5), nesterov=True), torch.optim.SGD, {"mom": 0.5, "nesterov": True}),
        (partial(NotFlattened(torch.optim.SGD, momentum=0.5, dampening=0.25), momentum=0.75), torch.optim.SGD,
         {"mom": 0.75, "dampening": 0.25}),
        (type("Mine", (torch.optim.AdamW,), {}), torch.optim.AdamW, {"mom": 0.9}),
    ],
)  # fmt: skip
def test_an_optimizer_class_of_torch_is_wrapped(learn, opt_fn, kind, hypers):
    learn.opt_fn = opt_fn
    learn.fit_clr(1, 1e-2)
    assert isinstance(learn.opt.opt, kind)
    assert {name: learn.opt.hypers[0][name] for name in hypers} == hypers


def test_the_rate_of_the_optimizer_is_the_learners_as_in_fastais_own_opt_func(learn):
    learn.opt_fn = partial(torch.optim.Adam, lr=0.02)
    learn.fit_clr(1)
    assert learn.lr == 0.02 and max(learn.sched.lrs) == 0.02


@pytest.mark.parametrize(
    "opt_fn",
    [
        Adam, partial(SGD, mom=0.9), partial(OptimWrapper, opt=torch.optim.SGD), lambda params, lr: Adam(params, lr),
        partial(torch.optim.SGD, [nn.Parameter(torch.zeros(1))]), OptimWrapper(opt=torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.1)),
    ],
)  # fmt: skip
def test_a_function_that_makes_an_optimizer_is_taken_as_it_is(learn, opt_fn):
    learn.opt_fn = opt_fn
    assert learn.opt_func is opt_fn and learn.opt_fn is opt_fn and learn.opt is None


@pytest.mark.parametrize("bad", [None, 0.1, "adam", torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.1)])
def test_what_cannot_make_an_optimizer_is_refused_and_changes_nothing(learn, bad):
    learn.create_opt()
    opt_func, opt = learn.opt_func, learn.opt
    with pytest.raises(TypeError, match=r"learn.opt_fn should be a function .* but given"):
        learn.opt_fn = bad
    assert learn.opt_func is opt_func and learn.opt is opt


def test_the_lines_of_the_lessons(learn):
    learner, opt_fn = learn, partial(torch.optim.Adam, betas=(0.7, 0.99))
    learner.opt_fn = opt_fn
    learner.clip = 25.0
    learner.metrics = [accuracy]
    learner.crit = F.cross_entropy
    learner.fit(3e-3, 1, wds=1e-6, cycle_len=1, use_clr=(32, 5))
    assert type(learner.opt.opt) is torch.optim.Adam and learner.opt.hypers[0]["mom"] == 0.7
    expected = F.cross_entropy(*learner.get_preds())
    np.testing.assert_allclose(learner.sched.val_losses[-1], expected, atol=1e-6)


# -- reg_fn -------------------------------------------------------------------------------------------------------------


def test_reg_fn_is_refused_where_it_is_set(learn):
    with pytest.raises(
        TypeError, match="learn.reg_fn has no counterpart in fastai 2: .*text learners .*delete the line"
    ):
        learn.reg_fn = partial(len, 2)
    assert not hasattr(learn, "reg_fn") and "reg_fn" not in vars(learn)
    learn.reg_fn = None  # 0.7's own value
    learn.fit(1e-2, 1)


# -- names that others use ----------------------------------------------------------------------------------------------


class Takes(Learner):
    def __init__(self, *args, crit=None, opt_fn=None, reg_fn=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.crit, self.opt_fn, self.reg_fn = crit, opt_fn, reg_fn


class Keeps(Learner):
    def __init__(self, *args, crit=None, opt_fn=None, reg_fn=None, **kwargs):
        super().__init__(*args, **kwargs)
        store_attr("crit,opt_fn,reg_fn")


class BelowTakes(Keeps):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, crit=len, opt_fn=len, reg_fn=len, **kwargs)


class Assigns(Learner):
    def prepare(self):
        self.crit = self.opt_fn = self.reg_fn = len


class Defines(Learner):
    crit = opt_fn = reg_fn = len


class HasProperties(Learner):
    @property
    def crit(self):
        return self.__dict__.get("kept")

    @crit.setter
    def crit(self, value):
        self.__dict__["kept"] = value

    opt_fn = reg_fn = crit


class Mixin:
    crit = opt_fn = reg_fn = len


class WithMixin(Learner, Mixin):
    pass


def of_class(cls):
    def make(path):
        learn = make_learner(path, 2)
        learn.__class__ = cls
        return learn

    return make


def of_init(cls):
    def make(path):
        learn = make_learner(path, 2)
        return cls(learn.dls, learn.model, loss_func=learn.loss_func, path=path)

    return make


def of_model(path):
    learn = make_learner(path, 2)
    for name in ATTRIBUTES:
        setattr(learn.model, name, len)
    return learn


OTHERS = {
    **{cls.__name__: of_class(cls) for cls in (Takes, Keeps, BelowTakes, Assigns, Defines, HasProperties, WithMixin)},
    "made by Takes": of_init(Takes), "made by Keeps": of_init(Keeps),
    "made by BelowTakes": of_init(BelowTakes), "the model": of_model,
}  # fmt: skip


@pytest.mark.parametrize("name", ATTRIBUTES)
@pytest.mark.parametrize("whose", OTHERS)
def test_a_name_that_the_class_or_the_model_uses_is_left_alone(tmp_path, whose, name):
    learn = OTHERS[whose](tmp_path)
    before, opt_func, opt = learn.loss_func, learn.opt_func, learn.opt
    if whose in ("Defines", "WithMixin", "made by BelowTakes"):
        assert getattr(learn, name) is len
    if whose == "the model":
        assert getattr(learn, name) is getattr(learn.model, name)
    value = nn.L1Loss()
    setattr(learn, name, value)
    assert getattr(learn, name) is value
    assert (learn.loss_func, learn.opt_func, learn.opt) == (before, opt_func, opt)
    check_left_over(learn)
    learn.fit(1e-2, 1)
    learn.fit(1, 1e-2)


def test_a_class_that_only_reads_the_names_has_the_aliases(learn):
    class Reads(Learner):
        def look(self):
            return self.crit, self.opt_fn

    learn.__class__ = Reads
    learn.crit, learn.opt_fn = loss, opt_func = Counting(), partial(SGD, mom=0.5)
    assert learn.look() == (loss, opt_func) == (learn.loss_func, learn.opt_func)


def test_fastais_own_classes_have_the_aliases(learn):
    for cls in [Learner, TextLearner]:
        learn.__class__ = cls
        learn.crit = loss = Counting()
        assert learn.loss_func is loss


def test_models_and_data_are_not_touched(learn):
    learn.models = learn.data = value = object()
    assert learn.models is value and learn.data is value
    learn.fit(1, 1e-2)


@pytest.mark.parametrize("class_name", ["Crit", "CritCallback", "OptFn", "RegFn"])
def test_a_callback_of_that_name_is_no_loss(learn, class_name):
    cb = type(class_name, (Callback,), {"after_batch": lambda self: None})()
    before = vars(learn).copy()
    learn.fit(1, 1e-2, cbs=cb)
    learn.add_cb(cb)
    assert getattr(learn, cb.name) is cb
    check_left_over(learn)
    learn.remove_cb(cb)
    learn.remove_cb(type(cb)())  # one that is not there, as fastai allows it
    assert {k: vars(learn)[k] for k in ("loss_func", "opt_func")} == {k: before[k] for k in ("loss_func", "opt_func")}
    assert cb.name not in vars(learn)


# -- values that are there already --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_a_value_from_before_the_import_is_read_as_it_is_and_refused(learn, name):
    vars(learn)[name] = value = Counting()
    assert getattr(learn, name) is value and learn.loss_func is not value
    with pytest.raises(TypeError, match=rf"no fit of fastai 2 uses learn.{name}.*`del learn.{name}`"):
        check_left_over(learn)
    before = state_of(learn)
    for train in (lambda: learn.fit(1e-2, 1), lambda: learn.fit_clr(1, 1e-2)):
        with pytest.raises(TypeError, match=rf"no fit of fastai 2 uses learn.{name}.*`del learn.{name}`"):
            train()
    assert state_of(learn) == before
    learn.fit(1, 1e-2)  # fastai 2's own does not know it
    delattr(learn, name)
    learn.fit(1e-2, 1)


def test_a_value_from_before_the_import_is_taken_by_setting_it(learn):
    vars(learn).update(crit=Counting(), opt_fn=torch.optim.SGD)
    loss = learn.crit
    learn.crit, learn.opt_fn = learn.crit, learn.opt_fn
    check_left_over(learn)
    assert learn.loss_func is learn.crit is loss and not {"crit", "opt_fn"} & set(vars(learn))
    learn.fit_clr(1, 1e-2)
    assert loss.n_calls and type(learn.opt.opt) is torch.optim.SGD


def test_none_from_before_the_import_is_nothing(learn):
    vars(learn).update(crit=None, opt_fn=None, reg_fn=None)
    check_left_over(learn)


# -- copies, pickles, exports -------------------------------------------------------------------------------------------


def reading_and_setting(learn):
    """What a copy should be able to do."""
    assert learn.crit is learn.loss_func and learn.opt_fn is learn.opt_func
    learn.crit, learn.opt_fn = F.cross_entropy, torch.optim.SGD
    learn.fit(1e-2, 1)
    assert learn.loss_func is F.cross_entropy and type(learn.opt.opt) is torch.optim.SGD


@pytest.mark.parametrize("twin_of", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["copy", "pickle"])
def test_copies_and_pickles_have_the_aliases(learn, twin_of):
    learn.crit, learn.opt_fn = loss, _ = CrossEntropyLossFlat(), partial(torch.optim.Adam, betas=(0.8, 0.99))
    twin = twin_of(learn)
    assert set(vars(twin)) == set(vars(learn)) and not set(ATTRIBUTES) & set(vars(twin))
    assert twin.opt_func.keywords == learn.opt_func.keywords
    reading_and_setting(twin)
    assert learn.crit is loss


def test_what_a_shallow_copy_sets_is_its_own(learn):
    loss_func, opt_func, twin = learn.loss_func, learn.opt_func, copy.copy(learn)
    twin.crit, twin.opt_fn = F.cross_entropy, torch.optim.SGD
    assert (learn.crit, learn.opt_fn) == (loss_func, opt_func) != (twin.crit, twin.opt_fn)


@pytest.mark.slow
def test_an_exported_learner_loads_without_the_plugin(tmp_path):
    learn, df = make_tabular(tmp_path)
    learn.crit, learn.opt_fn = CrossEntropyLossFlat(), partial(torch.optim.Adam, betas=(0.8, 0.99))
    learn.fit(1e-2, 1, cycle_len=1, use_clr=(10, 5))
    expected = learn.get_preds()[0]
    learn.export("model.pkl")
    assert type(learn.opt.opt) is torch.optim.Adam
    df.to_pickle(tmp_path / "rows.pkl")
    code = WITHOUT_THE_PLUGIN + (
        "import pandas as pd, numpy as np\n"
        "from fastai.tabular.all import load_learner\n"
        "learn = load_learner(sys.argv[1])\n"
        "assert not hasattr(learn, 'crit') and not hasattr(learn, 'opt_fn'), vars(learn)\n"
        "dl = learn.dls.test_dl(pd.read_pickle(sys.argv[2]).iloc[160:])\n"
        "print(*learn.get_preds(dl=dl)[0].flatten().tolist())\n"
    )
    preds = run_forked(code, tmp_path / "model.pkl", tmp_path / "rows.pkl")
    np.testing.assert_allclose(list(map(float, preds.split())), expected.flatten(), atol=1e-6)


def test_an_experiment_trains_with_what_was_set(learn):
    made, losses = [], []

    class Spy(torch.optim.SGD):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            made.append(self.param_groups[0]["momentum"])

    class Listed(nn.CrossEntropyLoss):
        def forward(self, *args):
            loss = super().forward(*args)
            losses.append(loss.item())
            return loss

    learn.crit, learn.opt_fn = loss, _ = Listed(), partial(Spy, momentum=0.875)
    opt_func = learn.opt_func
    learn.compare_schedules(1, 1e-2, ["constant"], seeds=2)
    assert 0.875 in made and set(made) == {0.875} and len(losses) >= 40
    assert learn.loss_func is loss and learn.opt_func is opt_func and learn.opt is None


@pytest.mark.slow
def test_another_librarys_attribute_on_the_class_stays():
    run_forked(
        "from fastai.learner import Learner\n"
        "Learner.crit = theirs = property(lambda self: 'theirs')\n"
        "import fastai_clr.all\n"
        "assert vars(Learner)['crit'] is theirs and 'opt_fn' in vars(Learner)\n"
    )


def test_help_says_what_the_names_are():
    assert "learn.loss_func" in Learner.crit.__doc__ and "learn.opt_func" in Learner.opt_fn.__doc__
