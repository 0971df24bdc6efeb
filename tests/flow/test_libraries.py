"""Records of attrs, pydantic and msgspec: the library itself says what fits."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID  # noqa: TC003 - pydantic reads it

import attrs
import msgspec
import pydantic
import pydantic.dataclasses
import pytest

import tukio
from tukio.errors import InvalidInput
from tukio.flow import flow, task
from tukio.flow.inputs import taker_of
from tukio.flow.outputs import dumped

from .converting import converted

if TYPE_CHECKING:
    from tukio.task import Registry


class Colour(enum.Enum):
    """An enum, by values."""

    RED = "red"


@attrs.define
class WithAttrs:
    """A class of attrs."""

    n: int
    _hidden: str = "x"
    many: list[int] = attrs.field(factory=list)
    text: str = attrs.field(default="a", converter=str)
    made: int = attrs.field(default=0, init=False)


class WithPydantic(pydantic.BaseModel):
    """A model of pydantic."""

    n: int
    hidden: str = pydantic.Field(default="x", alias="_hidden")
    many: list[int] = []
    colour: Colour = Colour.RED


@pydantic.dataclasses.dataclass
class WithPydanticToo:
    """A dataclass of pydantic."""

    n: int
    many: list[int] = pydantic.Field(default_factory=list)


class WithMsgspec(msgspec.Struct, rename={"hidden": "_hidden"}):
    """A struct of msgspec."""

    n: int
    hidden: str = "x"
    many: list[int] = []
    colour: Colour = Colour.RED
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)


class Tagged(msgspec.Struct, tag="t"):
    """A struct of msgspec that says what it is."""

    n: int


@dataclass
class Around:
    """A dataclass with records of libraries within."""

    a: WithAttrs
    b: WithPydantic
    c: WithMsgspec
    n: int = 0


KINDS: list[Any] = [WithAttrs, WithPydantic, WithPydanticToo, WithMsgspec, Tagged]


@pytest.mark.parametrize("kind", KINDS)
async def test_records_go_from_task_to_task(kind: Any, own: Registry) -> None:
    """As data, in which nothing of the library is left."""
    seen: list[Any] = []

    async def pass_on(it: Any) -> Any:
        seen.append(it)
        return it

    pass_on.__annotations__ |= {"it": kind, "return": kind}
    make = task(registry=own)(pass_on)
    template = flow("x", make >> make.of(id="again"))
    data = {"n": 1} | ({"type": "t"} if kind is Tagged else {})
    async with tukio.Engine(registry=own) as engine:
        run = await engine.start(template, data)
        await run.wait(check=True)
    assert [type(one) for one in seen] == [kind, kind]
    assert seen[0] == seen[1]
    assert run.output["again"].items() >= data.items()
    report = tukio.report_from_json(tukio.report_to_json(run.report()))
    assert {one["id"]: one["exec"]["outputs"] for one in report["tasks"]} == run.outputs


@pytest.mark.parametrize("kind", KINDS[:-1])
async def test_what_does_not_fit_is_told_with_its_path(kind: Any, own: Registry) -> None:
    """In the words of the library, without the values."""

    async def work(it: Any) -> None: ...

    work.__annotations__["it"] = kind
    template = flow("x", task(registry=own)(work))
    async with tukio.Engine(registry=own) as engine:
        run = await engine.start(template, {"n": 1, "many": [1, "secret"]})
        await run.wait()
        other = await engine.start(template, {})
        await other.wait()
    error = run.errors["work"]
    assert isinstance(error, InvalidInput)
    [misfit] = error.misfits
    assert misfit.path == "many[1]"
    assert "int" in misfit.problem
    assert error.__cause__ is None
    assert error.__context__ is None
    assert "secret" not in str(error)
    assert isinstance(other.errors["work"], InvalidInput)
    assert "missing" in str(other.errors["work"]) or "required" in str(other.errors["work"])


async def test_records_of_libraries_within_others(own: Registry) -> None:
    """Each is taken apart, and made again, as its library has it."""
    seen: list[Any] = []

    @task(registry=own)
    async def make(event: tukio.Event) -> Around:
        return Around(WithAttrs(1), WithPydantic(n=2), WithMsgspec(3))

    @task(registry=own)
    async def take(it: Around) -> None:
        seen.append(it)

    async with tukio.Engine(registry=own) as engine:
        run = await engine.start(flow("x", make >> take), {})
        await run.wait(check=True)
    [around] = seen
    assert around == Around(WithAttrs(1), WithPydantic(n=2), WithMsgspec(3))
    assert run.outputs["make"]["b"]["colour"] == "red"


# What a class of a library can read again


class Renamed(pydantic.BaseModel):
    """A model whose keys are others, in several ways."""

    a: int = pydantic.Field(1, serialization_alias="out")
    b: int = pydantic.Field(2, validation_alias="in")
    c: int = pydantic.Field(3, validation_alias=pydantic.AliasChoices("c1", "c2"))
    d: int = pydantic.Field(4, exclude=True)
    e: int = pydantic.Field(5, alias="e-e")
    f: int = pydantic.Field(
        6, validation_alias=pydantic.AliasChoices(pydantic.AliasPath("f", 0), "g")
    )


class Generated(pydantic.BaseModel):
    """A model whose keys are made of its names."""

    model_config = pydantic.ConfigDict(alias_generator=str.upper, extra="allow")
    n: int


class ByName(pydantic.BaseModel):
    """A model that is read by its names."""

    model_config = pydantic.ConfigDict(validate_by_name=True, validate_by_alias=False)
    n: int = pydantic.Field(alias="other")


class Computed(pydantic.BaseModel):
    """A model that has more than it takes."""

    model_config = pydantic.ConfigDict(extra="forbid")
    n: int
    url: pydantic.HttpUrl = pydantic.HttpUrl("http://a.example/")
    secret: pydantic.SecretStr = pydantic.SecretStr("x")

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        """Twice the number."""
        return 2 * self.n


class Root(pydantic.RootModel[dict[str, WithPydantic]]):
    """A model of a dict."""


@pydantic.dataclasses.dataclass
class Aliased:
    """A dataclass of pydantic with another key, and a field that is not given."""

    n: int = pydantic.Field(alias="m")
    made: int = pydantic.Field(default=3, init=False)


class Unset(msgspec.Struct):
    """A struct with a field that may not be there."""

    x: int | msgspec.UnsetType = msgspec.UNSET
    colours: dict[Colour, int] = {}


class InList(msgspec.Struct, array_like=True, tag="t"):
    """A struct that is a list."""

    n: int


class WithList(msgspec.Struct):
    """A struct with one that is a list."""

    it: InList


@dataclass
class Plain:
    """A dataclass with a struct that is a list, and one that is in a model."""

    it: InList
    other: Root


AGAIN: list[tuple[Any, dict[str, Any]]] = [
    (
        Renamed(a=7, **{"in": 8, "c2": 9, "d": 10, "e-e": 11, "g": 12}),
        {"a": 7, "in": 8, "c1": 9, "d": 10, "e-e": 11, "g": 12},
    ),
    (Generated.model_validate({"N": 1, "more": 2}), {"N": 1, "more": 2}),
    (ByName.model_validate({"n": 1}), {"n": 1}),
    (
        Computed(n=1),
        {"n": 1, "url": pydantic.HttpUrl("http://a.example/"), "secret": pydantic.SecretStr("x")},
    ),
    (
        Root({"a": WithPydantic(n=1)}),
        {"a": {"n": 1, "_hidden": "x", "many": [], "colour": "red"}},
    ),
    (Aliased(m=1), {"m": 1}),
    (Unset(), {"colours": {}}),
    (Unset(1, {Colour.RED: 1}), {"x": 1, "colours": {"red": 1}}),
    (WithList(InList(1)), {"it": ["t", 1]}),
    (Plain(InList(1), Root({})), {"it": ["t", 1], "other": {}}),
]


@pytest.mark.parametrize(("record", "data"), AGAIN, ids=[str(n) for n in range(len(AGAIN))])
def test_the_data_of_a_record_is_what_its_class_can_read(record: Any, data: Any) -> None:
    """Whatever the class says of its own serialization."""
    found = dumped(record)
    assert found == data
    assert converted(type(record), found) == record


def test_a_struct_that_is_a_list_is_no_argument(own: Registry) -> None:
    """For the data of an event is a dict."""

    async def work(it: InList) -> None: ...

    with pytest.raises(TypeError, match="its argument is of type InList"):
        task(registry=own)(work)


# What is said of data that does not fit


class Struct(msgspec.Struct, forbid_unknown_fields=True, tag="a"):
    """A struct that takes little."""

    colour: Colour = Colour.RED
    by_name: dict[str, int] = {}


@attrs.define
class Checked:
    """A class of attrs that checks its fields."""

    n: int = attrs.field(default=4, validator=attrs.validators.gt(3))
    one: str = attrs.field(default="a", validator=attrs.validators.in_(["a"]))
    text: str = attrs.field(default="a", validator=attrs.validators.matches_re("a+"))


class Cat(pydantic.BaseModel):
    """One of two."""

    kind: Literal["cat"]
    lives: dict[str, int] = {}


class Dog(pydantic.BaseModel):
    """The other one."""

    kind: Literal["dog"]


class Owner(pydantic.BaseModel):
    """A model that takes little."""

    model_config = pydantic.ConfigDict(extra="forbid")
    pet: Cat | Dog | None = pydantic.Field(None, discriminator="kind")
    by_name: dict[str, list[int]] = {}
    by_number: dict[int, int] = {}
    module: pydantic.ImportString[Any] = None
    id: UUID | None = None

    @pydantic.field_validator("by_number")
    @classmethod
    def few(cls, value: dict[int, int]) -> dict[int, int]:
        """Refuse many."""
        if len(value) > 1:
            raise ValueError("has\nmany")
        return value


FORGED = "SECRET\nERROR forged"
LEAKS: list[tuple[Any, Any, str]] = [
    (Struct, {"type": "a", "colour": FORGED}, "colour: is no value of the enum"),
    (Struct, {"type": FORGED}, "type: has a tag of no known class"),
    (Struct, {"type": "a", FORGED: 1}, "has a key that is no field"),
    (Struct, {"type": "a", f"x` - at `${FORGED}": 1}, "has a key that is no field"),
    (Struct, {"type": "a", "by_name": {FORGED: "x"}}, "by_name[...]: Expected `int`, got `str`"),
    (Owner, {FORGED: 1}, "[key 0]: Extra inputs are not permitted"),
    (Owner, {"pet": {"kind": FORGED}}, "pet: the tag 'kind' must be 'cat', 'dog'"),
    (
        Owner,
        {"pet": {"kind": "cat", "lives": {FORGED: None}}},
        "pet.cat.lives[key 0]: Input should be a valid integer",
    ),
    (
        Owner,
        {"by_name": {"a": [1], FORGED: [1, None]}},
        "by_name[key 1][1]: Input should be a valid integer",
    ),
    (Owner, {"by_name": {1: []}}, "by_name[key 0]: Input should be a valid string"),
    (Owner, {"by_number": {1: 1, 2: 2}}, r"by_number: Value error, has\nmany"),
    (Owner, {"module": "SECRET"}, "module: Invalid python path"),
    (Checked, {"n": 1}, "'n' must be > 3"),
    (Checked, {"one": FORGED}, "'one' must be in ['a']"),
    (Checked, {"text": FORGED}, "'text' must match regex 'a+'"),
    (Owner, {"id": FORGED}, "id: Input should be a valid UUID"),
]


@pytest.mark.parametrize(("kind", "data", "text"), LEAKS, ids=[str(n) for n in range(len(LEAKS))])
def test_no_word_of_the_data_is_told(kind: Any, data: Any, text: str) -> None:
    """No value, no key that is no field, and no line of its own in a log."""
    assert converted(kind, data) == [text]


def test_the_cause_of_an_error_has_no_value_either() -> None:
    """Where the words are those of a library, it is left out."""

    async def work(it: Checked) -> None: ...

    take = taker_of(work)
    assert take is not None
    with pytest.raises(InvalidInput) as caught:
        take(tukio.Event({"one": FORGED}))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_very_many_misfits_are_told_in_a_time_like_that_of_few() -> None:
    """The place of a key is not searched for each of them anew."""
    data = {"by_name": {str(n): None for n in range(50_000)}}
    misfits = converted(Owner, data)
    assert len(misfits) == 50_000
    assert misfits[-1] == "by_name[key 49999]: Input should be a valid list"


def test_a_model_or_another_type_of_which_the_data_is_neither() -> None:
    """It is told why it is not the one that it could be."""
    [problem] = converted(Cat | None, {"kind": "dog"})
    assert problem == "kind: Input should be 'cat'"
    assert converted(Cat | int, "secret") == ["must be Cat or int, not str"]
