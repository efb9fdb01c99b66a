"""What reference.ipynb shows beside its examples: signatures and docstrings as the code has them, and errors."""

import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import fill
from typing import Any

from IPython.display import Markdown
from numpydoc.docscrape import NumpyDocString  # fastcore's loses what a class takes and what a function raises

__all__ = ["show_doc", "shows_error"]

WIDTH = 90  # characters


def show_doc(name: str, o: Any) -> Markdown:
    """The signature and docstring of `o` as markdown, without the examples, which the notebook runs.

    The name is what users call it; a class under a lower-case name is the type of an attribute, say `learn.sched`.
    """
    doc = NumpyDocString(inspect.getdoc(o) or "")
    types = {p.name: _in_words(p.annotation) for p in inspect.signature(o).parameters.values()} if callable(o) else {}
    parts = [f"```python\n{_signature(name, o)}\n```", *_texts(doc["Summary"]), *_texts(doc["Extended Summary"])]
    if not _is_attribute(name, o):
        parts += _bullets(doc["Parameters"], types)
    if doc["Attributes"]:
        parts += ["Attributes:", *_bullets(doc["Attributes"], types)]
    parts += [f"Returns {_lowered([kind, *text])}" for _, kind, text in doc["Returns"]]
    parts += [f"Raises {kind} {_lowered(text)}" for _, kind, text in doc["Raises"]]
    parts += _texts(doc["Notes"])
    parts += [f"Source: {text}" for text in _texts(doc["References"])]
    return Markdown("\n\n".join(parts) + "\n")


@contextmanager
def shows_error() -> Iterator[None]:
    """Print the type and the sentence of the error that the code inside raises; it has to raise one."""
    try:
        yield
    except Exception as e:
        print(fill(f"{type(e).__name__}: {e}", WIDTH))
    else:
        raise AssertionError("this should raise an error")


def _is_attribute(name: str, o: Any) -> bool:
    return inspect.isclass(o) and name.rpartition(".")[2].islower()


def _signature(name: str, o: Any) -> str:
    """The call with its defaults; of an attribute, its type."""
    if getter := getattr(o, "fget", None) or getattr(o, "func", None):  # a property, or a cached one
        return f"{name}: {_in_words(inspect.signature(getter).return_annotation)}"
    if _is_attribute(name, o):
        return f"{name}: {o.__name__}"
    signature = inspect.signature(o)
    names = [p.replace(annotation=p.empty) for p in signature.parameters.values() if p.name != "self"]
    call = f"{name}{signature.replace(parameters=names, return_annotation=signature.empty)}"
    result = "" if inspect.isclass(o) else _in_words(signature.return_annotation)
    line = call if result in ("", "None") else f"{call} -> {result}"
    return fill(line, WIDTH, subsequent_indent=" " * (len(name) + 1), break_long_words=False)


def _in_words(kind: Any) -> str:
    """A type as it was typed, without modules; empty if there is none."""
    if kind is inspect.Parameter.empty:
        return ""
    return re.sub(
        r"\b[A-Za-z_]\w*\.(?=[A-Za-z_])", "", kind if isinstance(kind, str) else inspect.formatannotation(kind)
    )


def _bullets(entries: list[tuple[str, str, list[str]]], types: dict[str, str]) -> list[str]:
    """A list with an item for each entry: a name, or several that one text is about; empty if there is none."""
    items = []
    for names, _, text in entries:
        shown, kind = ", ".join(f"`{name}`" for name in names.split(", ")), types.get(names.lstrip("*"))
        items.append(f"- {shown}{f' ({kind})' if kind else ''}: {' '.join(text)}")
    return ["\n".join(items)] if items else []


def _lowered(lines: list[str]) -> str:
    words = " ".join(lines)
    return words[0].lower() + words[1:]


def _texts(lines: list[str]) -> list[str]:
    """The paragraphs and lists of a section."""
    return "\n".join(lines).split("\n\n") if any(lines) else []
