"""What 0.7 had and fastai 2 does not: it is refused by name, and the advice that the message gives runs."""

import re

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from fastai.learner import Learner

from fastai_clr.learner import gone07
from fastai_clr.record import record
from helpers import make_learner

STAR_IMPORTS = {}
exec("from fastai.vision.all import *\nfrom fastai.text.all import *\nfrom fastai_clr.all import *", STAR_IMPORTS)
ADVICE = {
    **{f"fit({name}=)": instead for name, (_, instead) in gone07.REFUSED.items()},
    **{f"learn.{name}": instead for name, instead in gone07.METHODS.items()},
    **{f"lr_find({name}=)": instead for name, instead in gone07.LR_FIND_ARGUMENTS.items()},
    **{f"learn.sched.{name}": instead for name, instead in record._GONE.items()},
}


@pytest.mark.parametrize("name", ADVICE)
def test_what_a_message_advises_runs(learn, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    learn.freeze_to(-1)
    learn.fit(1e-2, 1, cycle_len=1, use_clr=(10, 5))
    names = {**STAR_IMPORTS, "learn": learn}
    code = re.findall(r"`(.+?)`", ADVICE[name])
    assert code or name in ("fit(norm_wds=)", "fit(all_val=)", "fit(reg_fn=)")  # words alone
    for line in code:
        if line.startswith("cbs="):
            cb = eval(line[4:], names)
            assert isinstance(cb, Callback)
            if "RNN" not in line and "'lr'" not in line:
                learn.fit(1, 1e-3, cbs=cb)
        elif line == "learn.tta()":
            assert callable(learn.tta)  # it needs fastai's image transforms
        else:
            exec(line, names)


def test_averaged_weights_are_the_mean_of_those_of_the_steps(learn):
    names, seen = {**STAR_IMPORTS, "learn": learn}, []

    class Keep(Callback):
        order = 99

        def after_step(self):
            seen.append(self.learn.model[0].weight.detach().clone())

    average, callback = re.findall(r"`(.+?)`", gone07.REFUSED["use_swa"][1])
    exec(average, names)
    learn.fit(1e-2, 1, cycle_len=1, cbs=[eval(callback[4:], names), Keep()])
    mean = torch.stack(seen).mean(0)
    np.testing.assert_allclose(names["swa"].module[0].weight.detach(), mean, atol=1e-5)


@pytest.mark.parametrize("name", gone07.METHODS)
def test_a_method_of_07_says_the_fastai_2_way(learn, name):
    before = set(dir(learn))
    with pytest.raises(AttributeError, match=f"learn.{name} was fastai 0.7's: .*learn|cbs="):
        getattr(learn, name)
    assert not hasattr(learn, name) and set(dir(learn)) == before


def test_a_method_of_the_model_or_of_another_plugin_goes_first(learn, monkeypatch):
    learn.model.TTA = lambda: "the model's"
    monkeypatch.setattr(Learner, "warm_up", lambda self: "the plugin's", raising=False)
    assert learn.TTA() == "the model's" and learn.warm_up() == "the plugin's"


def test_an_attribute_that_nobody_has_ends_in_fastais_own_error(learn):
    with pytest.raises(AttributeError, match="'Sequential' object has no attribute 'nothing'"):
        learn.nothing  # noqa: B018


@pytest.mark.parametrize("name", gone07.LR_FIND_ARGUMENTS)
def test_lr_find_says_what_became_of_its_arguments(learn, name):
    with pytest.raises(TypeError, match=f"lr_find has no argument '{name}': .*learn"):
        learn.lr_find(**{name: True})


def test_load_cycle_loads_the_end_of_a_cycle(tmp_path):
    learn, weights = make_learner(tmp_path, 5), []

    class Keep(Callback):
        def after_epoch(self):
            weights.append(self.learn.model[0].weight.detach().clone())

    learn.fit(1e-2, 2, cycle_len=1, use_clr=(10, 5), cycle_save_name="x", cbs=Keep())
    for cycle in (0, 1):
        assert learn.load_cycle("x", cycle) is learn
        assert torch.equal(learn.model[0].weight, weights[cycle])
