"""Old spellings of 2.0.0a1: kept for one release, with a word of where the name is now."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tukio
from tukio import _moved

OLD_PICKLES: dict[bytes, object] = {
    b"ctukio.state\nFutureState\n(Vfinished\ntR.": tukio.FutureState.finished,
    b"ctukio.policy\nOverrunPolicy\n(Vskip\ntR.": tukio.OverrunPolicy.SKIP,
    b"ctukio.policy\nErrorPolicy\n(Vabort\ntR.": tukio.ErrorPolicy.ABORT,
    b"ctukio.refusal\nReason\n(Vthe engine is stopping\ntR.": tukio.Reason.STOPPING,
    b"ctukio.template\nListen\n(Vnothing\ntR.": tukio.utils.Listen.nothing,
}
"""As 2.0.0a1 made them."""

MODULES = [(old, home) for old, homes in _moved.MODULES.items() for home in homes]


@pytest.mark.parametrize("name", _moved.NAMES)
def test_a_name_that_moved_is_found_with_a_warning(name: str) -> None:
    """It is the very same thing, and the warning names the new place and this file."""
    with pytest.warns(DeprecationWarning, match=f"is now tukio\\.[a-z]+\\.{name};") as warned:
        found = getattr(tukio, name)
    assert found is getattr(_moved.NAMES[name], name)
    assert warned[0].filename == __file__
    assert name not in tukio.__all__


@pytest.mark.parametrize(
    ("old", "home"), MODULES, ids=lambda found: str(getattr(found, "__name__", found))
)
def test_a_module_that_is_no_more_can_be_imported(old: str, home: Any) -> None:
    """Each of its public classes and functions is there, with a warning that says where it is."""
    module = importlib.import_module(old)
    names = [
        name
        for name, thing in vars(home).items()
        if not name.startswith("_") and getattr(thing, "__module__", "").startswith("tukio")
    ]
    assert names
    for name in names:
        with pytest.warns(
            DeprecationWarning, match=f"{old}.{name} is (now tukio|no public name)"
        ) as warned:
            assert getattr(module, name) is vars(home)[name]
        assert warned[0].filename == __file__


def test_what_never_was_there_is_not_there() -> None:
    """Whoever asks a module for its file, as tools do, gets the usual answer."""
    with pytest.raises(AttributeError, match="module 'tukio' has no attribute 'nothing'"):
        _ = tukio.nothing  # type: ignore[attr-defined]
    old: Any = importlib.import_module("tukio.state")
    with pytest.raises(AttributeError, match=r"module 'tukio\.state' has no attribute 'nothing'"):
        _ = old.nothing
    assert not hasattr(old, "__file__")
    assert tukio.state is old  # type: ignore[attr-defined]


@pytest.mark.parametrize("old", OLD_PICKLES)
def test_a_pickle_of_then_still_loads(old: bytes) -> None:
    """A journal or a cache outlives a release."""
    with pytest.warns(DeprecationWarning, match="is now"):
        assert pickle.loads(old) is OLD_PICKLES[old]  # noqa: S301 - our own bytes


@pytest.mark.parametrize(
    "thing", [tukio.FutureState.finished, tukio.Refusal(tukio.Reason.SKIPPED, "w")]
)
def test_a_pickle_of_now_shows_public_paths(thing: object) -> None:
    """So that files can move."""
    text = pickle.dumps(thing, protocol=2)
    assert b"tukio" in text
    assert b"tukio._" not in text
    assert pickle.loads(text) == thing  # noqa: S301 - our own bytes


def test_nothing_of_ours_uses_an_old_spelling() -> None:
    """Importing all of it warns of nothing."""
    script = (
        "import importlib, pkgutil, tukio\n"
        "for module in pkgutil.walk_packages(tukio.__path__, 'tukio.'):\n"
        "    importlib.import_module(module.name)"
    )
    command = [sys.executable, "-W", "error::DeprecationWarning:tukio", "-c", script]
    path = str(Path(tukio.__file__).parent.parent)
    done = subprocess.run(
        command, env={"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
