"""Every public name says what it is, and what each of its parameters is."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

MODULES = [
    "kvevict",
    "kvevict.simple_evict",
    "kvevict.results",
    "kvevict.plot",
    "kvevict.transformers",
    "kvevict.lm_eval",
    "kvevict.llama",
]


def is_ours(object_: Any) -> bool:
    return (getattr(object_, "__module__", None) or "").startswith(("kvevict", "evict"))


def members(class_: type) -> Iterator[tuple[str, Any]]:
    """What a class has itself, but for what it has from a class of others, which say it there."""
    others = [c for c in class_.__mro__[1:] if not is_ours(c)]
    for name, member in vars(class_).items():
        is_documented = callable(member) or isinstance(member, property) or hasattr(member, "__get__")
        if not name.startswith("_") and is_documented and not any(hasattr(c, name) for c in others):
            yield f"{class_.__name__}.{name}", member


def public(module: Any) -> Iterator[tuple[str, Any]]:
    for name in module.__all__:
        object_ = getattr(module, name)
        if callable(object_):
            yield name, object_
        if inspect.isclass(object_):
            yield from members(object_)


def compiled_parameters(doc: str) -> list[str]:
    """Of a function of C++, whose docstring begins with its signature."""
    arguments = ast.parse(f"def {doc.splitlines()[0]}: ...").body[0].args  # type: ignore[attr-defined]
    return [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


def said(object_: Any) -> tuple[str, list[str]]:
    """What a name says, and the parameters or fields that it has to speak of."""
    doc = object_.__doc__ or ""
    if inspect.isclass(object_):
        if dataclasses.is_dataclass(object_):
            return doc, [f.name for f in dataclasses.fields(object_)]
        made = vars(object_).get("__init__")
        if inspect.isfunction(made):
            return doc, list(inspect.signature(made).parameters)
        return doc, compiled_parameters(made.__doc__) if type(made).__name__ == "nb_method" else []
    if inspect.isfunction(object_):
        return doc, list(inspect.signature(object_).parameters)
    if type(object_).__name__ in ("nb_func", "nb_method"):
        return doc.partition("\n\n")[2], compiled_parameters(doc)
    return doc, []


@pytest.mark.parametrize("name", MODULES)
def test_public_names_say_what_they_are(name):
    pytest.importorskip({"kvevict.plot": "matplotlib", "kvevict.transformers": "transformers"}.get(name, "numpy"))
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        pytest.skip(str(error))
    for public_name, object_ in public(module):
        doc, parameters = said(object_)
        assert doc.strip(), f"{public_name} says nothing"
        unsaid = [p for p in parameters if p != "self" and not re.search(rf"\b{p}\b", doc)]
        assert not unsaid, f"{public_name} does not say what {unsaid} are"
