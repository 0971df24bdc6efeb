"""What users see: names that exist, each with a docstring and with types."""

from __future__ import annotations

import importlib
import importlib.resources
import inspect
import pkgutil
from typing import TYPE_CHECKING

import pytest

import tukio

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

MODULES = ["tukio", *(module.name for module in pkgutil.walk_packages(tukio.__path__, "tukio."))]

MOST_NAMES = 46

every_module = pytest.mark.parametrize("name", MODULES)


def is_public(name: str) -> bool:
    """Say whether a name is for users."""
    return not name.startswith("_")


def own(module: ModuleType) -> dict[str, object]:
    """Return the public classes and functions that a module defines itself."""
    return {
        name: thing
        for name, thing in vars(module).items()
        if is_public(name)
        and (inspect.isclass(thing) or inspect.isfunction(thing))
        and thing.__module__ == module.__name__
    }


def members(kind: type) -> Iterator[tuple[str, object]]:
    """Yield the public methods and properties that a class defines itself, as functions."""
    for name, member in vars(kind).items():
        function = member
        if isinstance(member, property):
            function = member.fget
        elif isinstance(member, classmethod | staticmethod):
            function = member.__func__
        if is_public(name) and inspect.isfunction(function):
            yield name, function


def functions(module: ModuleType) -> Iterator[tuple[str, object]]:
    """Yield all public functions and methods of a module, with `__init__` for its classes."""
    for name, thing in own(module).items():
        if not inspect.isclass(thing):
            yield name, thing
            continue
        for inner, member in members(thing):
            yield f"{name}.{inner}", member
        init = vars(thing).get("__init__")
        # Not the one that `Protocol` puts there.
        if inspect.isfunction(init) and init.__module__.startswith("tukio"):
            yield f"{name}.__init__", init


@every_module
def test_every_name_of_all_exists_once(name: str) -> None:
    """`from tukio... import *` works, and a renamed thing leaves no name behind."""
    module = importlib.import_module(name)
    names = getattr(module, "__all__", [])
    assert [missing for missing in names if not hasattr(module, missing)] == []
    assert len(names) == len(set(names))
    assert all(is_public(public) for public in names)


def test_the_names_at_the_top_are_few() -> None:
    """Those of daily use, and those that 1.x had there; whoever lists sixty lists none."""
    assert len(tukio.__all__) <= MOST_NAMES


ROOFS = (
    tukio.errors,
    tukio.event,
    tukio.dag,
    tukio.broker,
    tukio.engine,
    tukio.workflow,
    tukio.task,
    tukio.utils,
)


@pytest.mark.parametrize("roof", ROOFS, ids=lambda roof: roof.__name__)
def test_what_is_public_shows_the_path_that_users_import_it_from(roof: ModuleType) -> None:
    """In tracebacks and pickles: whatever file it is in, that file may move."""
    for name in roof.__all__:
        thing = getattr(roof, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            home = importlib.import_module(thing.__module__)
            assert not any(part.startswith("_") for part in thing.__module__.split("."))
            assert getattr(home, name) is thing


def test_a_name_of_the_top_that_no_roof_has_shows_the_package() -> None:
    """So do names that came after 1.x."""
    assert tukio.EventStream.__module__ == tukio.Refusal.__module__ == "tukio"
    assert tukio.Engine.__module__ == "tukio.engine"


def test_the_names_at_the_top_are_all_there_is() -> None:
    """What can be imported from the top is either promised, or a module."""
    public = {
        name
        for name, thing in vars(tukio).items()
        if is_public(name)
        and not inspect.ismodule(thing)
        and name not in {"annotations", "TYPE_CHECKING"}
    }
    assert public == set(tukio.__all__)


@every_module
def test_everything_public_has_a_docstring(name: str) -> None:
    """Modules, classes, functions; a method may have that of the method it overrides."""
    module = importlib.import_module(name)
    silent: list[str] = [] if module.__doc__ else [name]
    for own_name, thing in own(module).items():
        # What `dataclass` writes, for want of anything else, begins with the signature.
        if not thing.__doc__ or thing.__doc__.startswith(f"{own_name}("):
            silent.append(own_name)
        if inspect.isclass(thing):
            silent += [
                f"{own_name}.{member}"
                for member, _ in members(thing)
                if not inspect.getdoc(getattr(thing, member))
            ]
    assert silent == []


@every_module
def test_everything_public_has_types(name: str) -> None:
    """Every parameter and every result: the package is typed for its users."""
    untyped: list[str] = []
    for function, thing in functions(importlib.import_module(name)):
        assert callable(thing)
        signature = inspect.signature(thing)
        untyped += [
            f"{function}({parameter.name})"
            for place, parameter in enumerate(signature.parameters.values())
            if parameter.annotation is inspect.Parameter.empty
            and not (place == 0 and parameter.name in {"self", "cls"})
        ]
        if signature.return_annotation is inspect.Signature.empty:
            untyped.append(f"{function} -> ?")
    assert untyped == []


def test_the_package_says_that_it_is_typed() -> None:
    """Type checkers look for this file."""
    assert importlib.resources.files("tukio").joinpath("py.typed").is_file()


def test_the_search_finds_methods_of_every_kind() -> None:
    """Otherwise the tests above would be content with nothing."""
    names = {name for name, _ in functions(importlib.import_module("tukio.task"))}
    assert {
        "TaskTemplate.as_dict",
        "TaskTemplate.from_dict",
        "TaskTemplate.listen",
    } <= names
    assert {"register", "TaskRegistry.get"} <= {
        name for name, _ in functions(importlib.import_module("tukio.task"))
    }
