"""notebooks/reference.ipynb names all that users can type, says what the code says, and runs from top to bottom."""

import re
from typing import Any

import pytest
from fastai.learner import Learner, Recorder

import fastai_clr.all
from fastai_clr.learner.patches import PATCHES
from fastai_clr.lr_scheduler import CLRScheduler
from fastai_clr.record import Record
from fastai_clr.report import Comparison, Suggestion
from fastai_clr.schedules import Cycles, Schedule, by_name
from helpers import NOTEBOOKS, outputs
from show_doc import show_doc, shows_error

NAME = "reference"
SHOWN = re.compile(r'^show_doc\("([\w.]+)", ([\w.]+)\)$', re.M)
N_ERRORS = 10


def text(nb, cell_type):
    return "\n".join(o.source for o in nb.cells if o.cell_type == cell_type)


def shown(nb):
    """For each name that `show_doc` shows: the expression for its object, and the markdown."""
    found = {}
    for cell in nb.cells:
        if call := SHOWN.search(cell.source):
            found[call[1]] = call[2], cell.outputs[-1].data["text/markdown"]
    return found


def members(cls):
    """What our own classes among its bases define without an underscore: methods, properties, attributes."""
    ours = [o for o in cls.__mro__ if o.__module__.startswith("fastai_clr")]
    names = {name for o in ours for name in [*vars(o), *vars(o).get("__annotations__", ())]}
    return {name for name in names if not name.startswith("_")}


def public_names():
    """What users can type: the star import, what the plugin puts on fastai's classes, and the members of both."""
    names = set(fastai_clr.all.__all__)
    names |= {f"learn.{name}" for name in PATCHES[Learner] if not name.startswith("_")}
    names |= {f"learn.recorder.{name}" for name in PATCHES[Recorder]}
    names |= {f"learn.sched.{name}" for name in dir(Record()) if not name.startswith("_")}
    return names | {
        f"{o.__name__}.{m}" for o in (Schedule, Cycles, Comparison, Suggestion, CLRScheduler) for m in members(o)
    }


def test_no_public_name_is_missing(committed):
    named = set(re.findall(r"^\| `(learn\.\w+)` \|", text(committed, "markdown"), re.M))
    for name, (expression, words) in shown(committed).items():
        named |= {name, expression} | {f"{name}.{o}" for o in re.findall(r"`(\w+)`", words)}
    assert sorted(public_names() - named) == []


def explained(words):
    """The parameters and attributes that a text of `show_doc` has an item for."""
    return {
        name for names in re.findall(r"^- (`.*?`)(?: \(.*?\))?: ", words, re.M) for name in re.findall(r"\w+", names)
    }


def test_no_parameter_is_missing_and_none_is_gone(committed):
    """If one is: `python notebooks/run.py reference --write`. Other words in a docstring need no new run."""
    names = {**vars(fastai_clr.all), "Learner": Learner, "Recorder": Recorder, "by_name": by_name}
    for name, (expression, words) in shown(committed).items():
        assert explained(words) == explained(show_doc(name, eval(expression, names)).data), name


def test_the_contents_list_leads_to_headings(committed):
    words = text(committed, "markdown")
    headings = {o.replace(" ", "-") for o in re.findall(r"^#+ (.*)$", words, re.M)}
    links = re.findall(r"\]\((.*?)\)", words)
    assert len(links) > 20
    assert all(o[1:] in headings if o[0] == "#" else (NOTEBOOKS / o).exists() for o in links)


GONE = [
    "ImageClassifierData", "ConvLearner.pretrained(", "precompute", "learn.predict()", "learn.TTA()", "set_data(", "accuracy_np(",
    "bn_freeze", "opt_fn=optim.Adam", "[CosAnneal(", "TrainingPhase(", "reg_fn", "def on_batch_end(",
]  # fmt: skip
UNCHANGED = [
    "learn.fit(lr, 1)",
    "learn.opt_fn = ",
    "learn.crit = ",
    "learn.clip = ",
    "learn.freeze_to(-1)",
    "callbacks=[",
]


def test_the_first_hour_has_the_lines_of_2018_as_comments_and_those_of_today_as_code(committed):
    section = text(committed, "code").partition("def get_data(")[2].partition("show_doc(")[0]
    comments = "\n".join(re.findall(r"^ *# 0.7: .*$", section, re.M))
    typed = re.sub(r"^ *# .*$", "", section, flags=re.M)
    assert [line for line in GONE if line not in comments] == []
    assert [line for line in UNCHANGED if line not in typed] == []


def test_every_cell_ran_and_left_no_warning(nb):
    assert not [o for o in outputs(nb) if o.output_type == "error" or o.get("name") == "stderr"]


def test_every_plot_is_there(nb):
    plots = [o for o in nb.cells if o.cell_type == "code" and re.search(r"(plot\w*|\))\(.*\);$", o.source, re.S)]
    assert len(plots) > 10
    for cell in plots:
        assert any("image/png" in o.get("data", {}) for o in cell.outputs), cell.source


def test_ten_errors_are_raised_for_real(nb):
    troubles = re.findall(r"^\*\*\d+\. ", text(nb, "markdown"), re.M)
    cells = [o for o in nb.cells if "with shows_error" in o.source]
    said = ["".join(o.text for o in cell.outputs if o.output_type == "stream") for cell in cells]
    assert len(troubles) == len(said) == N_ERRORS
    assert all(re.match(r"(Type|Value)Error: ", o) for o in said)


def documented(lr: "Rates | None", *, div: float = 10, cut_div: float | None = None, **gone) -> list[Any]:  # noqa: F821
    """Do something.

    At once.

    Parameters
    ----------
    lr
        The peak: a number or
        a slice.
    div, cut_div
        Two numbers.
    **gone
        A catch-all.

    Returns
    -------
    What was done.

    Raises
    ------
    TypeError
        For any.

    Notes
    -----
    `a = b`.

    References
    ----------
    Nobody 2018.

    Examples
    --------
    >>> documented(1)
    """


def test_show_doc_shows_the_signature_and_each_section_but_the_examples():
    assert show_doc("learn.do", documented).data.split("\n\n") == [
        "```python\nlearn.do(lr, *, div=10, cut_div=None, **gone) -> list[Any]\n```",
        "Do something.",
        "At once.",
        "- `lr` (Rates | None): The peak: a number or a slice.\n- `div`, `cut_div`: Two numbers.\n- `**gone`: A catch-all.",
        "Returns what was done.",
        "Raises TypeError for any.",
        "`a = b`.",
        "Source: Nobody 2018.\n",
    ]


def test_show_doc_knows_attributes_and_properties():
    assert show_doc("learn.sched", Record).data.startswith("```python\nlearn.sched: Record\n```\n")
    assert show_doc("Cycles.n_batches", Cycles.n_batches).data.startswith("```python\nCycles.n_batches: int\n```\n")


def test_shows_error_prints_the_sentence_and_wants_one(capsys):
    with shows_error():
        raise ValueError("lr should be above 0")
    assert capsys.readouterr().out == "ValueError: lr should be above 0\n"
    with pytest.raises(AssertionError, match="should raise"), shows_error():
        pass
