"""The one place through which the package logs.

Owns:   what becomes of the arguments of a message, and of what logging itself raises.

Filters, handlers and record factories are code of users. What they raise is counted and holds up
nobody: whoever logs here is in the middle of something that others wait for.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from .display import logged
from .guard import program_end

if TYPE_CHECKING:
    from collections.abc import Mapping

INFO, WARNING = logging.INFO, logging.WARNING

DEPTH = 3
"""The number of frames from the search for a caller to who logs."""


class Log:
    """One logger of the package.

    A message is a constant with `%s` and the like in it. Each argument, and each value of `extra`,
    goes through `logged`, so a message is one short line without any data in it.

    Args:
        name: The name of the logger.

    Attributes:
        known: Level -> whether it is wanted, as far as the logger knows; it forgets all when any
            level is changed. Empty for ever if a logger keeps nothing. To read from only.
        lost: The number of messages that nobody got, because logging itself raised something.
    """

    __slots__ = ("_logger", "known", "lost")

    def __init__(self, name: str) -> None:
        self._logger: logging.Logger = logging.getLogger(name)
        self.known: dict[int, bool] = getattr(self._logger, "_cache", {})
        self.lost: int = 0

    def tells(self, level: int) -> bool:
        """Return whether anybody wants messages of a level, before working out what they tell."""
        try:
            return self._logger.isEnabledFor(level)
        except BaseException as exc:  # noqa: ASYNC103 - nothing here awaits
            if program_end(exc) is not None:
                raise
            return False  # noqa: ASYNC104 - likewise

    def debug(self, message: str, *args: object, **more: Any) -> None:
        """Log what helps to look into something."""
        self._log(logging.DEBUG, message, args, **more)

    def info(self, message: str, *args: object, **more: Any) -> None:
        """Log what is as it should be."""
        self._log(logging.INFO, message, args, **more)

    def warning(self, message: str, *args: object, **more: Any) -> None:
        """Log what somebody should look at; see `_log` for `more`."""
        self._log(logging.WARNING, message, args, **more)

    def error(self, message: str, *args: object, **more: Any) -> None:
        """Log what has failed."""
        self._log(logging.ERROR, message, args, **more)

    def exception(self, message: str, *args: object, **more: Any) -> None:
        """Log what has failed, with the exception that is being handled."""
        self._log(logging.ERROR, message, args, exc_info=sys.exception(), **more)

    def _log(
        self,
        level: int,
        message: str,
        args: tuple[object, ...],
        *,
        exc_info: BaseException | None = None,
        extra: Mapping[str, object] | None = None,
        stack: str | None = None,
    ) -> None:
        """Hand a record to the logger, if anybody wants to have it.

        Args:
            level: The level.
            message: The message.
            args: Its arguments.
            exc_info: An exception, which is shown as it is: it is the user's own.
            extra: Further fields of the record.
            stack: Where something is, shown below the message.
        """
        logger = self._logger
        try:
            if not logger.isEnabledFor(level):
                return
            path, line, function, _ = logger.findCaller(stacklevel=DEPTH)
            error = exc_info
            raised = None if error is None else (type(error), error, error.__traceback__)
            shown = tuple(map(logged, args))
            fields = {name: logged(value) for name, value in (extra or {}).items()}
            record = logger.makeRecord(
                logger.name, level, path, line, message, shown, raised, function, fields, stack
            )
            logger.handle(record)
        except BaseException as exc:  # noqa: ASYNC103 - nothing here awaits
            self.lost += 1
            if program_end(exc) is not None:
                raise
