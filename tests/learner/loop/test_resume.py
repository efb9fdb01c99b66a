"""A training process killed in the middle of a cycle, and a finished fit, go on as if they had never stopped."""

import hashlib
import signal

import pytest
import torch
from training_process import FITS, train

from forked import PROCESSES
from helpers import OPTIMIZERS


def in_a_new_process(*args, **kwargs):
    process = PROCESSES.Process(target=train, args=args, kwargs=kwargs)
    process.start()
    process.join(60)
    return process.exitcode


def files(path):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (path / "models").iterdir()}


CASES = [(fit, "fastai Adam") for fit in FITS]
CASES += [("use_clr", optimizer) for optimizer in ("fastai SGD", "torch SGD", "torch AdamW")]


@pytest.mark.slow
@pytest.mark.parametrize("fit, optimizer", CASES)
def test_killed_and_resumed_is_the_uninterrupted_run(tmp_path, fit, optimizer):
    (tmp_path / "whole").mkdir()
    assert in_a_new_process(tmp_path / "whole", fit, optimizer) == 0
    whole_lrs, whole_moms, whole_wds, whole_weights, left = torch.load(tmp_path / "whole" / "end.pt")
    assert left[0][0] == left[1][0] == 0.9  # the optimizer's own momentum, after the fit

    assert in_a_new_process(tmp_path, fit, optimizer, killed_at=(2, 3)) == -signal.SIGKILL
    written = files(tmp_path)
    assert sorted(written) == ["model_0.pth", "model_1.pth"] and not (tmp_path / "end.pt").exists()
    if optimizer.startswith("torch"):  # an OptimWrapper's checkpoint is plain tensors and numbers
        torch.load(tmp_path / "models" / "model_1.pth", weights_only=True)

    assert in_a_new_process(tmp_path, fit, optimizer, start_epoch=2) == 0
    lrs, moms, wds, weights, left_after = torch.load(tmp_path / "end.pt")
    assert lrs == whole_lrs[20:] and moms == whole_moms[20:] and wds == whole_wds[20:]
    assert all(torch.equal(a, b) for a, b in zip(weights, whole_weights))
    assert left_after == left
    overwritten = {name for name, before in written.items() if files(tmp_path)[name] != before}
    assert overwritten == ({"model_0.pth", "model_1.pth"} if fit == "native" else set())  # as fastai's fit does


# -- a finished fit, extended --------------------------------------------------------------------------------------------


def weights(learn):
    return torch.cat([p.detach().flatten() for p in learn.model.parameters()])


@pytest.mark.parametrize("momentums", [(), (0.95, 0.85)], ids=["", "cyclical momentum"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_finished_fit_extended_by_a_cycle_is_a_fit_of_one_cycle_more(learner, optimizer, momentums):
    fit = dict(use_clr=(10, 10, *momentums), wds=0.3)
    whole = learner(10, opt_func=OPTIMIZERS[optimizer], shuffle=False)
    whole.fit(1e-2, 2, cycle_len=3, **fit)
    learn = learner(10, opt_func=OPTIMIZERS[optimizer], shuffle=False)
    learn.create_opt()
    opt, own = learn.opt, [(h["mom"], h["wd"]) for h in learn.opt.hypers]
    learn.fit(1e-2, 1, cycle_len=3, **fit)
    assert [(h["mom"], h["wd"]) for h in learn.opt.hypers] == own
    learn.fit(1e-2, 1, cycle_len=3, **fit)  # as many epochs as before
    assert learn.opt is opt and [(h["mom"], h["wd"]) for h in opt.hypers] == own
    assert torch.equal(weights(learn), weights(whole))
    assert list(learn.sched.lrs) == list(whole.sched.lrs)[30:] and learn.sched.cycles.epochs.tolist() == [3]


def test_the_state_of_the_optimizer_is_what_carries_over(learner):
    fit, ends = dict(cycle_len=2, use_clr=(10, 10)), []
    for reset_opt in (False, True):
        learn = learner(10, shuffle=False)
        learn.fit(1e-2, 1, **fit)
        learn.fit(1e-2, 1, reset_opt=reset_opt, **fit)
        ends.append(weights(learn))
        assert {o["step"] for o in learn.opt.state.values()} == {20 if reset_opt else 40}
    assert not torch.equal(*ends)
