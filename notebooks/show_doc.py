"""What reference.ipynb shows beside its examples: signatures and docstrings as the code has them, and errors."""

import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import fill, indent
from typing import Any

from IPython.display import Markdown
from numpy.typing import ArrayLike

__all__ = ["shows_error", "show_doc"]

WIDTH = 90  # characters
NAME = r"\w+(?: \(or \w+\))?"
NAMES = re.compile(rf"(?:^|(?<=[.):] ))({NAME}(?:, {NAME})*): ")  # where a docstring begins to explain arguments


def show_doc(name: str, o: Any) -> Markdown:
    """The signature and docstring of `o` as markdown, without the examples, which the notebook runs.

    name: what users call it. A class under a lower-case name is the type of an attribute, say `learn.sched`.
    """
    words = _as_markdown(inspect.getdoc(o) or "", _arguments(o))
    return Markdown(f"```python\n{_signature(name, o)}\n```\n\n{words}")


@contextmanager
def shows_error() -> Iterator[None]:
    """Print the type and the sentence of the error that the code inside raises; it has to raise one."""
    try:
        yield
    except Exception as e:
        print(fill(f"{type(e).__name__}: {e}", WIDTH))
    else:
        raise AssertionError("this should raise an error")


def _signature(name: str, o: Any) -> str:
    if getter := getattr(o, "fget", None) or getattr(o, "func", None):  # a property, or a cached one
        return f"{name}: {_annotation(inspect.signature(getter).return_annotation)}"
    if inspect.isclass(o) and name.rpartition(".")[2].islower():
        return f"{name}: {o.__name__}"
    signature = inspect.signature(o)
    explained = inspect.getdoc(o) or ""  # a `**gone` that it does not explain takes slips, to say what to type
    parameters = [
        p
        for p in signature.parameters.values()
        if p.name != "self" and (p.kind is not p.VAR_KEYWORD or p.name in explained)
    ]
    result = "" if inspect.isclass(o) else _annotation(signature.return_annotation)
    end = f" -> {result}" if result not in ("", "Any", "None") else ""
    words = [_parameter(p) for p in parameters]
    for i, p in enumerate(parameters):
        if p.kind is p.KEYWORD_ONLY and not any(o.kind in (o.KEYWORD_ONLY, o.VAR_POSITIONAL) for o in parameters[:i]):
            words.insert(i, "*")
    line = f"{name}({', '.join(words)}){end}"
    if len(line) <= WIDTH:
        return line
    lines = fill(", ".join(o.replace(" ", "\0") for o in words), WIDTH - 4).replace("\0", " ")  # no break inside one
    return f"{name}(\n{indent(lines, '    ')},\n){end}"


def _parameter(p: inspect.Parameter) -> str:
    return _without_modules(str(p.replace(annotation=p.empty) if p.annotation in (Any, ArrayLike) else p))


def _annotation(kind: Any) -> str:
    """A type in words; empty if there is none."""
    if kind is inspect.Parameter.empty:
        return ""
    return _without_modules(kind if isinstance(kind, str) else inspect.formatannotation(kind))


def _without_modules(types: str) -> str:
    return re.sub(r"\b[A-Za-z_]\w*\.(?=[A-Za-z_])", "", types)


def _arguments(o: Any) -> set[str] | None:
    """The names that the docstring of `o` may explain: arguments, what a class has; None for a table: its columns."""
    if "DataFrame" in str(getattr(getattr(o, "fget", o), "__annotations__", {}).get("return", "")):
        return None
    names = set(inspect.signature(o).parameters) if callable(o) else set()
    if inspect.isclass(o):
        names |= set(dir(o)).union(*(vars(base).get("__annotations__", ()) for base in o.__mro__))
    return names


def _as_markdown(doc: str, arguments: set[str] | None) -> str:
    """A docstring as markdown: a bullet for each argument that it explains."""
    blocks = []
    for paragraph in re.split(r"\n\n|\s(?=Source: )|(?<=\.)\s(?=Raises \w+Error)", doc):
        if not paragraph.startswith(">>>"):
            blocks += _explained(" ".join(paragraph.split()), arguments)
    return re.sub(r"(\n- .*\n)\n(?=- )", r"\1", "\n".join(blocks))  # one list, not two


def _explained(text: str, arguments: set[str] | None) -> list[str]:
    """The parts of a paragraph: 'lr: the peak. div, cut_div: two numbers.' are two bullets."""
    starts = [
        o
        for o in NAMES.finditer(text)
        if arguments is None or {part.split()[0] for part in o[1].split(", ")} <= arguments
    ]
    if not starts:
        return [text + "\n"]
    before, ends = text[: starts[0].start()].strip(), [o.start() for o in starts[1:]] + [len(text)]
    bullets = []
    for o, end in zip(starts, ends):
        names = re.sub(r"\b(?!or\b)\w+", r"`\g<0>`", o[1])
        bullets.append(f"- {names}: {text[o.end() : end].strip()}")
    return [*([f"{before}\n"] if before else []), *bullets[:-1], f"{bullets[-1]}\n"]
