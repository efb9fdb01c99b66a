"""A training process killed in the middle of a cycle goes on in another one as if it had never stopped."""

import hashlib
import multiprocessing
import signal

import pytest
import torch
from training_process import FITS, train

PROCESSES = multiprocessing.get_context("forkserver")  # processes of their own that share one import of fastai
PROCESSES.set_forkserver_preload(["sklearn.datasets", "matplotlib", "fastai.tabular.all", "fastai_clr.all"])


def in_a_new_process(*args, **kwargs):
    process = PROCESSES.Process(target=train, args=args, kwargs=kwargs)
    process.start()
    process.join(60)
    return process.exitcode


def files(path):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (path / "models").iterdir()}


CASES = [(fit, "fastai Adam") for fit in FITS]
CASES += [("use_clr", optimizer) for optimizer in ("fastai SGD", "torch SGD", "torch AdamW")]


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
