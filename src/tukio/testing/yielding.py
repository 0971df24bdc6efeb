"""An async fixture that yields: its set-up and its clean-up, as two calls of a run.

Owns:   when a clean-up is called: exactly if the set-up has come to its `yield`, whatever comes
        of that call, and the run still goes on.
Knows:  nothing of how pytest calls it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .._model.guard import program_end
from .calls import is_cancelled
from .remains import in_silence

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from .runner import Runner


class Yielding:
    """A fixture that yields.

    Args:
        runner: The run of the test.
        steps: What the fixture does.
        name: The name of the fixture.

    Attributes:
        name: The name of the fixture.
    """

    def __init__(self, runner: Runner, steps: AsyncGenerator[Any, None], name: str | None) -> None:
        self.name: str | None = name
        self._runner: Runner = runner
        # None when it is discarded.
        self._steps: AsyncGenerator[Any, None] | None = steps
        # What it has yielded, until that is passed on: one value at most.
        self._values: list[Any] = []

    def set_up(self) -> Any:
        """Set up the fixture, and return its value.

        Raises:
            BaseException: What the fixture raised. Or the call failed for something else, as by
                Ctrl-C that came to no `await`: then all is cleaned up, for pytest does not.
        """
        __tracebackhide__ = True
        assert self._steps is not None
        try:
            self._runner.call(self._first(self._steps), self._steps)
        except BaseException as error:
            if self._runner.is_broken:
                self._discard()
            elif self._values:
                self._clean_up_in_spite_of(error)
            raise
        return self._values.pop()

    def clean_up(self) -> None:
        """Clean up after the fixture.

        Raises:
            BaseException: What the fixture raised.
        """
        __tracebackhide__ = True
        if self._runner.is_broken:
            self._discard()
            reason = f"fixture {self.name!r} was not cleaned up: the run has broken off"
            pytest.fail(reason, pytrace=False)
        assert self._steps is not None
        self._runner.call(self._last(self._steps), self._steps, always=True)

    def _clean_up_in_spite_of(self, error: BaseException) -> None:
        """Clean up, and let a first error be the one that is told."""
        try:
            self.clean_up()
        # No loop runs here: what is cancelled has been.
        except BaseException as second:  # noqa: ASYNC103 - see above
            if program_end(second) is not None:
                raise
            error.add_note(f"The clean-up of fixture {self.name!r} failed, too: {second!r}")

    def _discard(self) -> None:
        """Destroy what is left of the fixture, whose run is gone."""
        with in_silence():
            # trio would complain wherever this comes later.
            self._steps = None

    async def _first(self, steps: AsyncGenerator[Any, None]) -> None:
        """Go on to the `yield`, and keep its value."""
        __tracebackhide__ = True
        async for value in steps:  # noqa: ASYNC119 - the clean-up is another call
            self._values.append(value)
            return
        msg = f"fixture {self.name!r} did not yield a value"
        raise ValueError(msg)

    async def _last(self, steps: AsyncGenerator[Any, None]) -> None:
        """Go on to the end."""
        __tracebackhide__ = True
        cancelled, was_cut = is_cancelled(), self._runner.was_cut
        async for _ in steps:
            await steps.aclose()
            pytest.fail(f"fixture {self.name!r} has more than one 'yield'", pytrace=False)
        if was_cut and cancelled and not is_cancelled():
            # Nothing was raised in there: the code behind a 'yield' goes on as after any test.
            msg = (
                f"a scope that fixture {self.name!r} has open was cancelled, or has reached its"
                " deadline"
            )
            raise RuntimeError(msg)
