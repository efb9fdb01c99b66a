"""What fastai 0.7 had and fastai 2 does not, and what to type instead. The tests run the code in backticks."""

from typing import Any

from ...schedules.checks import is_several

_AVERAGE = (
    "average the weights with `swa = torch.optim.swa_utils.AveragedModel(learn.model)` and "
    "`cbs=Callback(after_step=lambda cb: swa.update_parameters(cb.learn.model))`"
)
_STEPPER = "change the training step with a callback, say `cbs=Callback(before_step=lambda cb: print(cb.learn.loss))`"
REGULARISED = "fastai 2's text learners regularise already, by the RNNRegularizer that their alpha= and beta= set"
_PROBABILITIES = "probabilities if the loss is one of fastai's, so leave np.exp(...) out"
_SAMPLER = "give the sampler to a torch data loader in `learn.dls`"

REFUSED: dict[str, tuple[Any, str]] = {  # arguments of `fit`: the value for "off", and the fastai 2 way
    "norm_wds": (False, "scale the values of wds= yourself"),
    "wds_sched_mult": (None, "schedule weight decay with `cbs=ParamScheduler({'wd': SchedCos(0.1, 0.01)})`"),
    "use_swa": (False, _AVERAGE),
    "swa_start": (1, _AVERAGE),
    "swa_eval_freq": (5, _AVERAGE),
    "reg_fn": (None, f"leave it out, {REGULARISED}"),
    "stepper": (None, _STEPPER),
    "stepper_fn": (None, _STEPPER),
    "sampler": (None, _SAMPLER),
    "train_sampler": (None, _SAMPLER),
    "loss_scale": (1, "train in mixed precision with `learn.to_fp16()`"),
    "get_ep_vals": (False, "read the values of each epoch in `learn.recorder.values`"),
    "all_val": (False, "validate more often with a callback"),
    "only_validation": (False, "validate with `learn.validate()`"),
    "file": (None, "log to a file with `cbs=CSVLogger()`"),
    "save_path": (None, "save a figure with `plt.savefig('lr.png')` after `learn.sched.plot_lr()`"),
    "validate_skip": (0, "skip a validation by CancelValidException in before_validate of a callback"),
    "seq_first": (False, "leave it out, it does not change the training"),
    "visualize": (False, "draw the metrics with `learn.sched.plot_metrics()` after it"),
    "particle": (False, f"it was for a stepper of your own; {_STEPPER}"),
    "valid_func": (None, "measure with a metric, say `learn.metrics = [accuracy]`"),
}
METHODS = {  # methods and properties of 0.7's Learner: the error when one is read
    "data": "the data loaders are `learn.dls`",
    "models": "the model is `learn.model`",
    "get_cycle_end": "a fit saves its cycles: `learn.fit(1e-2, 1, cycle_len=1, cycle_save_name='x')`",
    "save_cycle": "a fit saves its cycles: `learn.fit(1e-2, 1, cycle_len=1, cycle_save_name='x')`",
    "set_data": "assign the new data loaders: `learn.dls = dls`",
    "bn_freeze": "keep batch norm frozen with `learn.add_cb(BnFreeze)`",
    "bn_unfreeze": "take the callback off again with `learn.remove_cb(BnFreeze)`",
    "get_layer_groups": "the parameter groups are `learn.opt.param_lists`, made by `learn.splitter`",
    "get_layer_opt": "the optimizer is `learn.opt`, made by `learn.create_opt()`",
    "fit_gen": "train with `learn.fit(1e-2, 1, cycle_len=1)`",
    "fit_opt_sched": "its phases are schedules, say `cbs=ParamScheduler({'lr': SchedCos(1e-2, 1e-4)})`",
    "warm_up": "start low with `learn.fit(1e-2, 1, cycle_len=1, use_clr=(32, 5))`",
    "lr_find2": "`learn.lr_find()` stops by itself and takes num_it=",
    "TTA": "`preds, targs = learn.tta()` gives the mean of probabilities if the loss is one of fastai's, so leave "
    "np.mean(np.exp(...), 0) out",
    "predict_with_targs": f"`preds, targs = learn.get_preds()` gives {_PROBABILITIES}",
    "predict_array": "`learn.model` takes a batch of tensors",
    "predict_dl": f"`preds, targs = learn.get_preds(dl=learn.dls.valid)` gives {_PROBABILITIES}",
    "swa_model": _AVERAGE,
    "set_bn_freeze": "keep batch norm frozen with `learn.add_cb(BnFreeze)`",
    "freeze_all_but": "freeze all groups but the last with `learn.freeze_to(-1)`",
    "unfreeze_groups": "unfreeze group by group with `learn.freeze_to(-1)`",
    "unfreeze_prev_layer": "unfreeze group by group with `learn.freeze_to(-1)`",
    "freeze_groups": "freeze with `learn.freeze_to(-1)`",
    "freeze_all": "freeze with `learn.freeze_to(-1)`",
    "delete_model_file": "the files lie in `learn.path`/`learn.model_dir`",
    "get_model_path": "the files lie in `learn.path`/`learn.model_dir`",
    "models_path": "the files lie in `learn.path`/`learn.model_dir`",
}
LR_FIND_ARGUMENTS = {
    "wds": "set weight decay before it with `learn.wd = 0.1`",
    "linear": "plot it on a linear axis with `learn.sched.plot(linear=True)` after it",
    "stop_dv": "its name is stop_div, say `learn.lr_find(stop_div=False)`",
}
PREDICT = (
    "`preds, targs = learn.get_preds()` is for the validation set, `learn.get_preds(dl=learn.dls.valid)` for any "
    f"loader; both give {_PROBABILITIES}"
)

EVENTS = {  # of a callback in 0.7 and in fastai 1: what fastai 2 calls at that moment
    "on_train_begin": "before_fit",
    "on_phase_begin": "before_fit",
    "on_epoch_begin": "before_epoch",
    "on_batch_begin": "before_batch",
    "on_loss_begin": "after_pred",
    "on_backward_begin": "before_backward",
    "on_backward_end": "before_step",
    "on_step_end": "after_step",
    "on_batch_end": "after_batch",
    "on_epoch_end": "after_epoch",
    "on_phase_end": "after_fit",
    "on_train_end": "after_fit",
}


def check_off(name: str, value: Any) -> None:
    """Raise TypeError unless `value` switches the 0.7 argument `name` off."""
    off, instead = REFUSED[name]
    is_off = value is None or (off is not None and not is_several(value) and value == off)
    if not is_off:
        raise TypeError(f"{name} has no counterpart in fastai 2: {instead} (given {value!r})")
