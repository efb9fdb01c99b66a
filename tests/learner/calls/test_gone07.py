"""What 0.7 had and fastai 2 does not: it is refused by name, and the advice that the message gives runs."""

import inspect
import re

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.metrics import accuracy

from fastai_clr.learner.calls import gone07
from fastai_clr.record import record
from helpers import DEVICE, make_learner

STAR_IMPORTS = {}
exec("from fastai.vision.all import *\nfrom fastai.text.all import *\nfrom fastai_clr.all import *", STAR_IMPORTS)
ADVICE = {
    **{f"fit({name}=)": instead for name, (_, instead) in gone07.REFUSED.items()},
    **{f"learn.{name}": instead for name, instead in gone07.METHODS.items()},
    **{f"lr_find({name}=)": instead for name, instead in gone07.LR_FIND_ARGUMENTS.items()},
    **{f"learn.sched.{name}": instead for name, instead in record._GONE.items()},
    "predict()": gone07.PREDICT,
}
WORDS_ALONE = ["fit(norm_wds=)", "fit(all_val=)", "fit(reg_fn=)", "fit(validate_skip=)", "fit(seq_first=)"]


@pytest.fixture
def image_learn(tmp_path):
    """A learner on drawn digits, with transforms that turn them a little."""
    names = {**STAR_IMPORTS, "path": tmp_path, "device": DEVICE}
    exec(
        "files = []\n"
        "for i in range(24):\n"
        "    files.append(path / f'{i}.png')\n"
        "    Image.fromarray(np.full((8, 8), 10 * i, dtype=np.uint8)).save(files[-1])\n"
        "dls = ImageDataLoaders.from_lists(path, files, [i % 3 for i in range(24)], bs=4, item_tfms=Resize(8),\n"
        "                                  batch_tfms=aug_transforms(size=8), y_block=CategoryBlock, device=device)\n"
        "learn = Learner(dls, nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), metrics=accuracy, path=path)\n",
        names,
    )
    return names["learn"]


@pytest.mark.parametrize("name", ADVICE)
def test_what_a_message_advises_runs(learner, name, tmp_path, monkeypatch, request):
    monkeypatch.chdir(tmp_path)
    if "tta" in ADVICE[name]:
        learn = request.getfixturevalue("image_learn")  # with the transforms that it needs
    else:
        learn = learner(5, n_groups=3, metrics=[accuracy])
    learn.freeze_to(-1)
    learn.fit(1e-2, 1, cycle_len=1, use_clr=(10, 5))
    names = {**STAR_IMPORTS, "learn": learn}
    names["dls"] = learn.dls
    code = re.findall(r"`(.+?)`", ADVICE[name])
    assert bool(code) is (name not in WORDS_ALONE)
    for line in code:
        if line.startswith("cbs="):
            cb = eval(line[4:], names)
            assert isinstance(cb, Callback)
            if "'lr'" not in line:
                learn.fit(1, 1e-3, cbs=cb)
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
    torch.testing.assert_close(names["swa"].module[0].weight, mean, atol=1e-5, rtol=0)


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


@pytest.mark.parametrize("line", ["preds, targs = learn.tta()", "preds, targs = learn.get_preds()"])
def test_predictions_are_probabilities_as_the_hints_say(image_learn, line):
    hint = gone07.METHODS["TTA"] if "tta" in line else gone07.PREDICT
    assert f"`{line}`" in hint and "leave " in hint
    names = {"learn": image_learn}
    exec(line, names)
    assert names["preds"].shape == (len(names["targs"]), 3)
    np.testing.assert_allclose(names["preds"].sum(1), 1, atol=1e-5)


@pytest.mark.parametrize(
    "given", [((), {}), ((True,), {}), ((False,), {}), ((), {"is_test": True}), ((), {"use_swa": True})]
)
def test_predict_without_an_item_says_what_gives_the_predictions(learn, given):
    args, kwargs = given
    with pytest.raises(TypeError, match=r"predict takes an item in fastai 2: `preds, targs = learn.get_preds\(\)`"):
        learn.predict(*args, **kwargs)


def test_predict_of_an_item_is_fastais_own(image_learn):
    file = image_learn.dls.valid_ds.items[0]
    expected = image_learn.get_preds(dl=image_learn.dls.test_dl([file]))[0][0]
    for _, index, probabilities in (image_learn.predict(file), image_learn.predict(item=file)):
        assert torch.allclose(probabilities, expected) and int(index) == int(expected.argmax())
    assert list(inspect.signature(Learner.predict).parameters) == ["self", "item", "rm_type_tfms", "with_input"]


def test_new_data_loaders_are_used(learn):
    names = {"learn": learn, "dls": DataLoaders(learn.dls.train.new(bs=8), learn.dls.valid)}
    exec(re.search("`(.+?)`", gone07.METHODS["set_data"])[1], names)
    learn.fit(1e-2, 1)
    assert len(learn.sched.lrs) == 10


@pytest.mark.parametrize("name", gone07.LR_FIND_ARGUMENTS)
def test_lr_find_says_what_became_of_its_arguments(learn, name):
    with pytest.raises(TypeError, match=f"lr_find has no argument {name}: .*learn"):
        learn.lr_find(**{name: True})


@pytest.mark.parametrize(
    "args, kwargs, names",
    [
        ((1e-5, 10), dict(wds=1e-4, linear=True), ["wds", "linear"]),
        ((1e-5, 10, 1e-4, True), {}, ["wds"]),  # 0.7's order
        ((1e-5,), dict(linear=False, stop_dv=False, num_it=10), ["linear", "stop_dv"]),
        ((1e-5, 10, np.array([0, 1e-4])), dict(linear=True), ["wds", "linear"]),
    ],
)
def test_lr_find_says_it_of_all_arguments_at_once(learn, args, kwargs, names):
    with pytest.raises(TypeError) as error:
        learn.lr_find(*args, **kwargs)
    assert [name for name in gone07.LR_FIND_ARGUMENTS if f"no argument {name}: " in str(error.value)] == names


def test_lr_find_with_arguments_of_its_own_runs(learn):
    learn.lr_find(1e-5, 1, 5, False, show_plot=False, suggest_funcs=None)
    assert len(learn.recorder.lrs) == 6  # one more than asked for, as fastai does


def test_load_cycle_loads_the_end_of_a_cycle(tmp_path):
    learn, weights = make_learner(tmp_path, 5), []

    class Keep(Callback):
        def after_epoch(self):
            weights.append(self.learn.model[0].weight.detach().clone())

    learn.fit(1e-2, 2, cycle_len=1, use_clr=(10, 5), cycle_save_name="x", cbs=Keep())
    for cycle in (0, 1):
        assert learn.load_cycle("x", cycle) is learn
        assert torch.equal(learn.model[0].weight, weights[cycle])
