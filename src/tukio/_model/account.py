"""Errors as data: what a report tells of an exception, and how it is read again.

Owns:   the form of errors in reports, and its limits. An error has a `type` and a `message`. An
        exception group also has `leaves`, each with the `path` of the groups that it was in, and
        `more`, the number of leaves that are not told. An error that was raised from another one
        has that as its `cause`.

The exceptions are the users' own: what their methods raise ends nothing, and what they hold may be
of any size.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from .changes import exact
from .display import bounded, name_of, text_of
from .errors import WorkflowError
from .expect import expect_list, expect_text
from .guard import exceptions_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import CodeType, TracebackType

MOST_TOLD: Final = 50
"""The largest number of exceptions that one account tells of: leaves, and causes."""

LONGEST_CHAIN: Final = 8
"""The largest number of causes, each of the one before."""

LONGEST_PATH: Final = 8
"""The largest number of groups in the path of a leaf; those in the middle are left out."""

LONGEST_STEP: Final = 200
"""The largest number of characters of the message of a group in a path."""

ErrorFact: TypeAlias = tuple[Any, ...]
"""An error as facts have it: its type and its message, and a dict with the rest if there is any."""


def described(error: BaseException) -> dict[str, Any]:
    """Return an error in the form of reports."""
    return _Account().of(error)


def as_fact(account: Mapping[str, Any]) -> ErrorFact:
    """Return an account of an error in the form of facts."""
    rest = {key: value for key, value in account.items() if key not in {"type", "message"}}
    pair = account["type"], account["message"]
    return (*pair, rest) if rest else pair


def read_account(data: Any) -> dict[str, Any]:
    """Return the account that a report has of an error; all of it is new.

    Raises:
        KeyError, TypeError, ValueError: It is no such account.
    """
    return _Reader().read(data, 0)


class RecordedError(WorkflowError):
    """Stands for the exception of a task before its run was rescued: the part that a report keeps.

    Args:
        kind: The name of the exception's type.
        message: The message of the exception.
        details: What else the report has of it: `leaves`, `more`, `path` and `cause`.

    Attributes:
        kind: The name of the exception's type.
        message: The message of the exception.
        leaves: For an exception group: the exceptions in it that were no groups themselves.
        path: For one of these: the messages of the groups that it was in, from the outermost on.
        more: The number of leaves that were not kept.
    """

    def __init__(self, kind: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        # Not by `super()`, so that a subclass may have another kind of error as its second base.
        Exception.__init__(self, kind, message, *([details] if details else ()))
        self.kind: str = kind
        self.message: str = message
        details = details or {}
        self.leaves: tuple[RecordedError, ...] = tuple(
            RecordedError.of(leaf) for leaf in details.get("leaves", ())
        )
        self.path: tuple[str, ...] = tuple(details.get("path", ()))
        self.more: int = details.get("more", 0)
        cause = details.get("cause")
        if cause is not None:
            self.__cause__: BaseException | None = RecordedError.of(cause)

    @classmethod
    def of(cls, account: Mapping[str, Any]) -> RecordedError:
        """Return the error that a report tells of."""
        return cls(*as_fact(account))

    def as_dict(self) -> dict[str, Any]:
        """Return the error in the form of reports; changing it changes nothing here."""
        account: dict[str, Any] = {"type": self.kind, "message": self.message}
        # Not `__cause__`, which others may set.
        details: Mapping[str, Any] = self.args[2] if len(self.args) > 2 else {}  # noqa: PLR2004
        return account | deepcopy(dict(details))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args, vars(self)  # which has the notes, too

    def __str__(self) -> str:
        told = [f"  {' > '.join([*leaf.path, leaf.kind])}: {leaf.message}" for leaf in self.leaves]
        more = [f"  and {self.more:,} more"] if self.more else []
        return "\n".join([f"{self.kind}: {self.message}", *told, *more])


class _Account:
    """An account of one error, with a limit for the number of exceptions in it."""

    def __init__(self) -> None:
        self._left: int = MOST_TOLD

    def of(
        self, error: BaseException, length: int = 0, path: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """Tell of an exception, of its leaves and its causes.

        Args:
            error: The exception.
            length: The number of exceptions that it is the cause of.
            path: The groups that it was in, from the outermost one on.
        """
        self._left -= 1
        told: dict[str, Any]
        if isinstance(error, RecordedError):
            told = error.as_dict()
        else:
            told = {"type": name_of(error), "message": text_of(error)}
            cause = _cause_of(error)
            if cause is not None and length < LONGEST_CHAIN and self._left > 0:
                told["cause"] = self.of(cause, length + 1)
            if isinstance(error, BaseExceptionGroup):
                self._tell_leaves(error, told, length)
        return told | {"path": _shortened(path)} if path else told

    def _tell_leaves(self, group: BaseExceptionGroup[Any], told: Any, length: int) -> None:
        leaves, more = [], 0
        for leaf, path in _leaves(group):
            if self._left <= 0:
                more += 1
                continue
            account = self.of(leaf, length + 1, path)
            if isinstance(leaf, RecordedError) and "leaves" in account:
                # It was a group before the run was rescued: the paths in it begin with that.
                more += account.pop("more", 0)
                step = bounded(leaf.message, LONGEST_STEP)
                for inner in account.pop("leaves"):
                    whole = _shortened((*path, *(inner.get("path") or (step,))))
                    leaves.append(inner | {"path": whole})
            else:
                leaves.append(account)
        told["leaves"] = leaves[:MOST_TOLD]
        more += len(leaves[MOST_TOLD:])
        if more:
            told["more"] = more


class _Reader:
    """Reads one account, with a limit for the number of exceptions in it."""

    def __init__(self) -> None:
        self._left: int = 2 * MOST_TOLD

    def read(self, data: Any, depth: int) -> dict[str, Any]:
        self._left -= 1
        if self._left < 0 or depth > 2 * LONGEST_CHAIN:
            msg = "an error with too many others in it"
            raise ValueError(msg)
        account: dict[str, Any] = {
            "type": bounded(expect_text(data["type"]), LONGEST_STEP),
            "message": bounded(expect_text(data["message"])),
        }
        if data.get("cause") is not None:
            account["cause"] = self.read(data["cause"], depth + 1)
        if data.get("leaves") is not None:
            account["leaves"] = [self.read(leaf, depth + 1) for leaf in expect_list(data["leaves"])]
        if data.get("more"):
            account["more"] = int(data["more"])
        if data.get("path") is not None:
            steps = [bounded(expect_text(step), LONGEST_STEP) for step in expect_list(data["path"])]
            account["path"] = _shortened(tuple(steps))
        return account


def _leaves(group: BaseExceptionGroup[Any]) -> list[tuple[BaseException, tuple[str, ...]]]:
    """Return the exceptions of a group that are no groups, each once, with its path."""
    found: list[tuple[BaseException, tuple[str, ...]]] = []
    known: set[int] = set()  # a group may be in others many times
    waiting: list[tuple[BaseException, tuple[str, ...]]] = [(group, ())]
    while waiting:
        error, path = waiting.pop()
        if id(error) in known:
            continue
        known.add(id(error))
        if isinstance(error, BaseExceptionGroup):
            # Not `error.message`, which a subclass may have redefined; the same for the others.
            step = bounded(exact(_MESSAGE(error)), LONGEST_STEP)
            # Never longer, so that a group in a group in a group costs what its size says.
            inner = (*path, step) if len(path) <= LONGEST_PATH else (*path[:-1], step)
            waiting += [(part, inner) for part in reversed(exceptions_in(error))]
        else:
            found.append((error, path))
    return found


_MESSAGE: Final[Any] = vars(BaseExceptionGroup)["message"].__get__
_CAUSE: Final[Any] = vars(BaseException)["__cause__"].__get__
_SET_CAUSE: Final[Any] = vars(BaseException)["__cause__"].__set__


def add_cause(error: BaseException, cause: BaseException) -> None:
    """Make an exception the last cause of another one, unless it is among its causes already."""
    known: set[int] = set()
    last: BaseException | None = error
    while last is not None and last is not cause and id(last) not in known:
        known.add(id(last))
        error, last = last, _cause_of(last)
    if last is None:
        _SET_CAUSE(error, cause)


def _cause_of(error: BaseException) -> BaseException | None:
    cause: BaseException | None = _CAUSE(error)
    return cause


def _shortened(path: tuple[str, ...]) -> list[str]:
    """Return a path without its middle, if it is long."""
    if len(path) <= LONGEST_PATH:
        return list(path)
    return [*path[: LONGEST_PATH - 2], "...", path[-1]]


def before_looks(error: BaseException, look: CodeType, owner: object) -> TracebackType | None:
    """Return the traceback that an exception had before it was raised to those who looked at it.

    Each `raise` adds the frames of whoever it passes. Without this, a traceback would grow with
    each look, and keep alive what the frames hold.

    Args:
        error: The exception.
        look: The code of the method that raises it to those who look.
        owner: The object whose method it is.
    """
    traceback = whole = error.__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code is look and frame.f_locals.get("self") is owner:
            return traceback.tb_next
        traceback = traceback.tb_next
    return whole
