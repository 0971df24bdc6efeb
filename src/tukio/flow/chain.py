"""Chains: tasks that follow each other, as values.

Owns:   what `>>` means. `before >> after` lets each task that `before` ends with lead to each task
        that `after` begins with.

A chain belongs to no workflow. It never changes, so it can be a part of any number of others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Generic,
    NoReturn,
    Protocol,
    Self,
    TypeAlias,
    TypeVar,
    overload,
)

from .._model.candidate import place_of
from .._model.display import shown
from .._model.guard import attempt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._model.event import Event
    from .._model.registry import Registry

In = TypeVar("In", contravariant=True)  # noqa: PLC0105 - users see this name
"""What the first tasks of a chain take. An event, or a dict, takes what any task returns."""

Out = TypeVar("Out")
"""What the last tasks of a chain return. An event, or a dict, may be what any task takes."""

OutCo = TypeVar("OutCo", covariant=True)  # noqa: PLC0105 - as those above
Next = TypeVar("Next")
First = TypeVar("First")
Same = TypeVar("Same")

Data: TypeAlias = dict[str, Any]

MOST_SHOWN: Final = 20
"""The largest number of tasks that the `repr` of a chain names."""


@dataclass(frozen=True, slots=True)
class Node:
    """One task of a chain.

    Attributes:
        document: The task, as in the dict form of a template, with its `id` and `name`.
        registry: The registry of the task; None for one that is known by its name only.
        places: Where it was said, for messages: the function, and the call of `of` or `named`.
    """

    document: Data
    registry: Registry | None
    places: tuple[str, ...] = field(compare=False)

    @property
    def uid(self) -> str:
        """Its id."""
        uid: str = self.document["id"]
        return uid

    def is_like(self, other: Node) -> bool:
        """Return whether another one says the same; a task by its name may be one of a registry."""
        if self is other:
            return True
        registries = {id(one.registry) for one in (self, other) if one.registry is not None}
        # What cannot be compared is not known to be alike.
        same, _ = attempt(lambda: bool(self.document == other.document))
        return len(registries) < 2 and same is True  # noqa: PLR2004 - in two registries


class Chainable(Protocol):
    """What is no chain, and stands for one in a chain: a flow, for a task that runs it."""

    def _as_chain(self) -> Chain[Any, Any]:
        """Return the chain of that one task."""
        ...


class NoChain:
    """What type checkers see if tasks of one type lead to one that takes another: no chain."""


class Piece(Generic[In, OutCo]):
    """A chain, for what it leads to: that may take more than what the chain returns.

    Chains themselves are of two types if they return two: so type checkers see it when several
    lead to one.
    """

    __slots__ = ()


class Chain(Piece[In, Out], Generic[In, Out]):
    """Tasks that follow each other.

        fetch >> (count, index) >> show

    `>>` takes a chain, or a tuple or list of chains, which run beside each other, on either side.
    For what one chain cannot say, `flow` takes several.

    Type checkers compare what a task returns with what the next one takes. Of chains beside each
    other that return different types, the next task gets the data of all, and that is not compared.
    A task with an event or a dict for its argument takes anything, and what returns a dict may lead
    to anything.

    Attributes:
        heads: The tasks that the chain begins with.
        tails: The tasks that the chain ends with.
    """

    __slots__ = ("_after", "_before", "heads", "tails")

    heads: tuple[Node, ...]
    tails: tuple[Node, ...]
    _before: tuple[Chain[Any, Any], ...]
    _after: tuple[Chain[Any, Any], ...]

    def __init__(self, heads: tuple[Node, ...], tails: tuple[Node, ...]) -> None:
        put = object.__setattr__
        put(self, "heads", heads)
        put(self, "tails", tails)
        put(self, "_before", ())
        put(self, "_after", ())

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        msg = "a chain cannot be pickled - make a flow of it, and pickle that, or its as_dict()"
        raise TypeError(msg)

    def __setattr__(self, name: str, value: object) -> None:
        msg = f"a chain does not change: {name!r} cannot be set - make another one"
        raise AttributeError(msg)

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)

    @overload
    def __rshift__(
        self: Chain[In, Event] | Chain[In, Data], other: Chain[Any, Next]
    ) -> Chain[In, Next]: ...

    @overload
    def __rshift__(
        self, other: Chain[Out, Next] | Chain[Event, Next] | Chain[Data, Next]
    ) -> Chain[In, Next]: ...

    @overload
    def __rshift__(self, other: Sequence[Chain[Out, Next]]) -> Chain[In, Next]: ...

    @overload
    def __rshift__(
        self: Chain[In, Event] | Chain[In, Data], other: Sequence[Chain[Any, Next]]
    ) -> Chain[In, Next]: ...

    @overload
    def __rshift__(
        self, other: Sequence[Chain[Out, Next] | Chain[Event, Next] | Chain[Data, Next]]
    ) -> Chain[In, Next]: ...

    @overload
    def __rshift__(
        self: Chain[In, Event] | Chain[In, Data], other: Sequence[Chain[Any, Any]]
    ) -> Chain[In, Any]: ...

    @overload
    def __rshift__(
        self, other: Sequence[Chain[Out, Any] | Chain[Event, Any] | Chain[Data, Any]]
    ) -> Chain[In, Any]: ...

    @overload
    def __rshift__(self, other: Chainable | Sequence[Chainable]) -> Chain[In, Any]: ...

    def __rshift__(self, other: Any) -> Any:
        return _linked((self,), _chains(other))

    @overload
    def __rrshift__(self, other: Sequence[Piece[First, In]]) -> Chain[First, Out]: ...

    @overload
    def __rrshift__(
        self: Chain[Event, Out] | Chain[Data, Out], other: Sequence[Chain[First, Any]]
    ) -> Chain[First, Out]: ...

    # What this takes, the next one would say to be no chain: the order decides.
    @overload
    def __rrshift__(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
        self, other: Sequence[Chain[First, Event] | Chain[First, Data]]
    ) -> Chain[First, Out]: ...

    @overload
    def __rrshift__(self, other: Sequence[Chain[First, Same]]) -> NoChain: ...

    @overload
    def __rrshift__(self, other: Sequence[Chain[Any, Any]]) -> Chain[Any, Out]: ...

    @overload
    def __rrshift__(self, other: Sequence[Chainable]) -> Chain[Any, Out]: ...

    def __rrshift__(self, other: Any) -> Any:
        return _linked(_chains(other), (self,))

    def walk(self) -> Iterator[Node | tuple[Node, Node]]:
        """Yield each task of this chain, and each link as a pair, in the order they are written.

        A task may come more than once, also as several equal nodes.
        """
        # Not recursive, for a chain may be as long as a program makes it. What was met before is
        # not walked again, so a chain that is used twice does not double the work each time.
        met: set[int] = set()
        pending: list[Chain[Any, Any] | tuple[Node, Node]] = [self]
        while pending:
            one = pending.pop()
            if isinstance(one, tuple):
                yield one
            elif id(one) not in met:
                met.add(id(one))
                if not one._before:
                    yield from one.heads
                links = [
                    (tail, head)
                    for before in one._before
                    for tail in before.tails
                    for after in one._after
                    for head in after.heads
                ]
                pending += [*links[::-1], *one._after[::-1], *one._before[::-1]]

    def __repr__(self) -> str:
        ids = list(dict.fromkeys(one.uid for one in self.walk() if isinstance(one, Node)))
        more = ", ..." if ids[MOST_SHOWN:] else ""
        return f"<Chain of {', '.join(map(shown, ids[:MOST_SHOWN]))}{more}>"


def linked(before: Any, after: Any) -> Chain[Any, Any]:
    """Return what `before >> after` is, of chains, of what stands for one, or of several of these.

    Raises:
        TypeError: There is anything else, or nothing.
    """
    return _linked(_chains(before), _chains(after))


def as_chain(what: Any) -> Chain[Any, Any] | None:
    """Return a chain as it is, and what stands for one as a chain; None for anything else."""
    if isinstance(what, Chain):
        return what
    stands_for = getattr(type(what), "_as_chain", None)
    chain: Chain[Any, Any] | None = None if stands_for is None else stands_for(what)
    return chain


def _linked(
    before: tuple[Chain[Any, Any], ...], after: tuple[Chain[Any, Any], ...]
) -> Chain[Any, Any]:
    # Each once: a chain that is used twice would double them each time.
    heads = {id(node): node for one in before for node in one.heads}
    tails = {id(node): node for one in after for node in one.tails}
    chain: Chain[Any, Any] = Chain(tuple(heads.values()), tuple(tails.values()))
    object.__setattr__(chain, "_before", before)
    object.__setattr__(chain, "_after", after)
    return chain


def _chains(what: Any) -> tuple[Chain[Any, Any], ...]:
    """Return the chains on one side of `>>`.

    Raises:
        TypeError: There is anything else, or nothing.
    """
    alone = as_chain(what)
    if alone is not None:
        return (alone,)
    if not isinstance(what, Sequence) or isinstance(what, str | bytes):
        raise TypeError(_no_chain(what))
    if not what:
        msg = "an empty list of tasks leads nowhere - leave it out"
        raise TypeError(msg)
    found: list[Chain[Any, Any]] = []
    for one in what:
        chain = as_chain(one)
        if chain is None:
            raise TypeError(_no_chain(one))
        found.append(chain)
    return tuple(found)


def _no_chain(what: Any) -> str:
    if isinstance(what, str):
        return f"expected a task, not {shown(what)} - write named({shown(what)})"
    if isinstance(what, list | tuple):
        return "a list of tasks cannot have another one in it - write all tasks in one list"
    advice = "decorate it with @task" if callable(what) else "only tasks can follow each other"
    return f"expected a task, not {place_of(what)} - {advice}"
