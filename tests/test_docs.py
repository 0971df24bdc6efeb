"""What the pages in docs/ show is what happens, and no link of theirs is dead.

A page is a row of sections, each under a heading; the code blocks of a section are one program:

- A `python` block runs, in virtual time on asyncio. It goes on from the blocks above it in its
  section; those above the first section open every section of the page. It may `await` at the top
  level, as in `python -m asyncio`.
- A `text` block right below it is what it prints; without one, it prints nothing. A line of three
  dots stands for lines that are left out: those of a traceback.
- Nobody has set up `logging`, as in a program of its own.
- One whose first line is `# 1.x` shows how it was, and is only compiled.
- One whose first line is `# name.py` is that file, whole: `python name.py` runs it, in real time.
  So processes find what is in it. The folder that it is in is left out of what it prints.

What goes wrong is told with the page and the line of it.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import logging
import re
import subprocess
import sys
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from support.forgetting import forgotten
from support.leaks import no_asyncio_errors
from tukio._model.state import diagram
from tukio.testing.clock import new_loop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextvars import Context

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))

OLD = "# 1.x\n"

LOGGERS = ("", "tukio", "tukio.run", "tukio.engine", "tukio.broker", "tukio.watchdog")
"""The loggers that a page may set up; the first is the root."""

BLOCK = re.compile(r"^```(?P<language>.*)\n(?P<code>(?:(?!```).*\n)*)```$", re.MULTILINE)
FILE = re.compile(r"# (?P<name>\w+\.py)\n")
LEFT_OUT = re.compile(r"^ *\.\.\.\n", re.MULTILINE)
FENCE = re.compile(r"^ *(?:```|~~~)", re.MULTILINE)
ALIAS = re.compile(r"py(?!thon$)")
HEADING = re.compile(r"^#+ +(?P<title>.+)$", re.MULTILINE)
SECTION = re.compile(r"^##+ ", re.MULTILINE)
LINK = re.compile(r"\]\((?P<inline>[^)\s]+)|^\[[^\]]+\]: *(?P<below>\S+)", re.MULTILINE)
SHOWN = re.compile(r"`[^`\n]+`")


@dataclass
class Block:
    """A code block of a page.

    Attributes:
        page: Its page.
        line: The line that opens it.
        section: Number of its section; 0 is above the first one.
        language: What it says it is.
        code: What is in it.
        output: What the page shows right below it.
    """

    page: Path
    line: int
    section: int
    language: str
    code: str
    output: str = ""

    @property
    def runs(self) -> bool:
        """Whether it is a program of today."""
        return self.language == "python" and not self.code.startswith(OLD)

    @property
    def file(self) -> str:
        """The name of the file that it is; empty for one that is a part of its section."""
        match = FILE.match(self.code) if self.runs else None
        return match["name"] if match is not None else ""

    def __str__(self) -> str:
        return place(self.page, self.line)


def place(page: Path, line: int) -> str:
    """Return where something is, as `page:line`."""
    return f"{page.relative_to(ROOT) if page.is_relative_to(ROOT) else page}:{line}"


def line_at(text: str, position: int) -> int:
    """Return the number of the line that a position in a text is in."""
    return text.count("\n", 0, position) + 1


def read(page: Path) -> list[Block]:
    """Return the code blocks of a page."""
    text, blocks = page.read_text(), list[Block]()
    section = end = 0
    for match in BLOCK.finditer(text):
        between, end = text[end : match.start()], match.end()
        section += len(SECTION.findall(between))
        if blocks and match["language"] == "text" and not between.strip():
            blocks[-1].output = match["code"]
        line = line_at(text, match.start())
        blocks.append(Block(page, line, section, match["language"], match["code"]))
    return blocks


def unseen(page: Path) -> list[str]:
    """Return the places of code blocks that `read` does not know as such, or not as python."""
    text = prose(page)
    found = [place(page, line_at(text, match.start())) for match in FENCE.finditer(text)]
    return found + [str(block) for block in read(page) if ALIAS.match(block.language)]


def prose(page: Path) -> str:
    """Return a page without its code: its lines are where they were."""
    text = BLOCK.sub(lambda match: "\n" * match[0].count("\n"), page.read_text())
    return SHOWN.sub("code", text)


def compiled(block: Block) -> Any:
    """Return the code of a block; it has the lines of its page, and may await."""
    source, flags = "\n" * block.line + block.code, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return compile(source, str(block.page), "exec", flags=flags, dont_inherit=True)


class Program:
    """Runs blocks one after the other, in one namespace and one event loop."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner = asyncio.Runner()
        self._names: dict[str, Any] = {"__name__": "__main__"}
        self._context: Context = copy_context()

    def run(self, block: Block) -> None:
        """Run a block."""
        result = self._context.run(eval, compiled(block), self._names)
        if inspect.iscoroutine(result):
            self._runner.run(result, context=self._context)

    def close(self) -> None:
        """Close the event loop."""
        self._runner.close()


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    """Give a program in virtual time; what it registers is forgotten afterwards."""
    new = partial(new_loop, "asyncio")
    monkeypatch.setattr(asyncio.events, "new_event_loop", new)
    monkeypatch.setattr(asyncio, "new_event_loop", new)
    with no_asyncio_errors():
        program = Program()
        with forgotten():
            yield program
        program.close()


@contextmanager
def plain_logging() -> Iterator[None]:
    """Let nobody have set up `logging`, and undo what is set up meanwhile."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(logger, logger.handlers, logger.level) for logger in loggers]
    for logger in loggers:
        # Another list: that of pytest is kept as it is.
        logger.handlers = []
        logger.setLevel(logging.NOTSET if logger.parent else logging.WARNING)
    try:
        yield
    finally:
        for logger, handlers, level in before:
            logger.handlers = handlers
            logger.setLevel(level)


def outcome(block: Block, program: Program, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a block after those that open its program, and return what it prints."""
    __tracebackhide__ = True
    if block.file:
        return printed_by(block)
    with plain_logging():
        for other in read(block.page):
            before = other.section in {0, block.section} and other.line < block.line
            if before and other.runs and not other.file:
                program.run(other)
        capsys.readouterr()
        program.run(block)
    return capsys.readouterr().out


def printed_by(block: Block) -> str:
    """Run a block as the file that it is, and return what it prints; it must not fail."""
    with TemporaryDirectory() as folder:
        (Path(folder) / block.file).write_text(block.code)
        command = [sys.executable, "-W", "error", block.file]
        result = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=60
        )
        # What the log says is there too, as for the other blocks.
        assert result.returncode == 0, result.stderr
        return result.stdout.replace(f"{Path(folder).resolve()}/", "")


def as_shown(printed: str, shown: str) -> str:
    """Return what a page shows, if that is printed but for what it leaves out; else all of it."""
    lines = r"(?:.*\n)+?".join(map(re.escape, LEFT_OUT.split(shown)))
    return shown if re.fullmatch(lines, printed) else printed


def slugs(page: Path) -> list[str]:
    """Return what `#...` may say to lead to a heading of a page."""
    found: list[str] = []
    text = BLOCK.sub("", page.read_text())
    for match in HEADING.finditer(text):
        slug = re.sub(r"[^\w\- ]", "", match["title"].lower()).strip().replace(" ", "-")
        found.append(f"{slug}-{found.count(slug)}" if slug in found else slug)
    return found


def dead_links(page: Path) -> list[str]:
    """Return the relative links of a page that lead nowhere, each with its place."""
    text, dead = prose(page), list[str]()
    for match in LINK.finditer(text):
        link = match["inline"] or match["below"]
        if re.match(r"[a-z]+:", link):
            continue
        path, _, slug = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (slug and slug not in slugs(target)):
            dead.append(f"{place(page, line_at(text, match.start()))}: {link}")
    return dead


BLOCKS = [block for page in PAGES for block in read(page)]

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.runs], ids=str)
def test_a_block_prints_what_is_shown(
    block: Block, program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing else; what it does not show, it asserts."""
    printed = outcome(block, program, capsys)
    assert as_shown(printed, block.output) == block.output, f"{block} prints something else"


OLD_BLOCKS = [block for block in BLOCKS if block.code.startswith(OLD)]


@pytest.mark.parametrize("block", OLD_BLOCKS, ids=str)
def test_a_block_of_1_x_is_python(block: Block) -> None:
    """It is there to be compared with; tukio 1.x is not here to run it."""
    assert block.language == "python"
    compiled(block)


@every_page
def test_every_block_of_a_page_is_seen(page: Path) -> None:
    """None is indented, left open, or python by another name."""
    assert unseen(page) == []


# Their code is run by other tests, or is no Python.
OTHER_PAGES = [
    ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "examples/README.md")
]


@pytest.mark.parametrize(
    "page", [*OTHER_PAGES, *PAGES], ids=lambda page: str(page.relative_to(ROOT))
)
def test_no_link_of_a_page_is_dead(page: Path) -> None:
    """Neither to a file of the project nor to a heading."""
    assert dead_links(page) == []


# The map of the source ---------------------------------------------------------------------------

ARCHITECTURE = ROOT / "docs" / "architecture.md"
SOURCE = ROOT / "src" / "tukio"

PATH = re.compile(r"(?<![\w./-])[\w.-]+(?:/[\w.-]+)*(?:/|\.(?:py|md))(?![\w/])")
CODE = re.compile(r"`([^`\n]+)`")


def named_paths(page: Path) -> set[str]:
    """Return the paths in the prose and in the `text` blocks of a page."""
    text = page.read_text()
    code = [*CODE.findall(BLOCK.sub("", text))]
    code += [block.code for block in read(page) if block.language == "text"]
    return {path for each in code for path in PATH.findall(each)}


def find(path: str) -> Path | None:
    """Return what a path leads to, from the package or the repository; None if nothing."""
    return next((base / path for base in (SOURCE, ROOT) if (base / path).exists()), None)


def named_functions(page: Path) -> list[tuple[str, str]]:
    """Return the paths and functions in the tables of a page: a cell of each, side by side."""
    found: list[tuple[str, str]] = []
    for line in page.read_text().splitlines():
        cells = [CODE.findall(cell) for cell in line.split("|")]
        for path, functions in pairwise(cells):
            if path and path[0].endswith(".py"):
                found += [(path[0], function) for function in functions]
    return found


def functions_of(path: Path) -> set[str]:
    """Return the functions of a module, and the methods of its classes as `Class.method`."""
    functions: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        kinds = ast.FunctionDef | ast.AsyncFunctionDef
        functions |= {f"{prefix}{each.name}" for each in inner if isinstance(each, kinds)}
    return functions


def test_every_path_of_the_architecture_exists() -> None:
    """A file that moves takes the page along."""
    paths = named_paths(ARCHITECTURE)
    assert {"_run/driver.py", "_model/", "tests/test_architecture.py"} <= paths
    assert {path for path in paths if find(path) is None} == set()


def test_every_layer_is_in_the_tree_of_the_architecture() -> None:
    """As in the README: whoever adds a folder says what it is for."""
    layers = {path.name for path in SOURCE.iterdir() if path.is_dir()} - {"__pycache__"}
    for page in (ARCHITECTURE, ROOT / "README.md"):
        assert {f"{layer}/" for layer in layers} <= named_paths(page)


def test_every_function_of_the_architecture_is_where_it_is_said_to_be() -> None:
    """The trip of an event names them in order."""
    functions = named_functions(ARCHITECTURE)
    assert ("_run/driver.py", "_run_ready") in functions
    known = {path: functions_of(SOURCE / path) for path, _ in functions}
    assert [(path, name) for path, name in functions if name not in known[path]] == []


def test_the_phases_are_drawn_as_the_table_has_them() -> None:
    """By the function that draws them."""
    drawn = [block.code for block in read(ARCHITECTURE) if block.language == "mermaid"]
    assert drawn == [f"{diagram()}\n"]


# The tests of these tests -------------------------------------------------------------------------

PAGE = """\
# A page

```python
import asyncio
```

## One

```python
# 1.x
words = before(1)
```

```text
nobody looks
```

```python
words = ["one"]
await asyncio.sleep(60)
```

It goes on:

```python
print(*words)
```

```text
one
```

## Two

```python
print(asyncio.__name__)
words
```
"""


LOGS = """\
```python
import logging, sys
logging.basicConfig(stream=sys.stdout, format="%(message)s", level="ERROR")
logging.warning("not told")
log = logging.getLogger("tukio")
log.setLevel("DEBUG")
log.addHandler(logging.NullHandler())
log.debug("told")
```
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Give a page with two sections, the last of which does not work."""
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    return page


def test_blocks_are_read_with_their_lines_sections_and_outputs(page: Path) -> None:
    """So that a failure can be found, and a program is whole."""
    assert [(block.line, block.section, block.runs, block.output) for block in read(page)] == [
        (3, 0, True, ""),
        (9, 1, False, "nobody looks\n"),
        (14, 1, False, ""),
        (18, 1, True, ""),
        (25, 1, True, "one\n"),
        (29, 1, False, ""),
        (35, 2, True, ""),
    ]
    assert [str(block) for block in read(page)][:1] == [f"{page}:3"]


def test_a_block_goes_on_from_those_above_it_in_its_section(
    page: Path, program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only what it prints itself is its output."""
    assert outcome(read(page)[4], program, capsys) == "one\n"


def test_a_block_knows_nothing_of_other_sections_and_where_it_failed(
    page: Path, program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    """The traceback leads to the line of the page."""
    with pytest.raises(NameError, match="words") as error:
        outcome(read(page)[6], program, capsys)
    last = error.traceback[-1]
    assert (last.path, last.lineno + 1) == (page, 37)


FILES = """\
```python
words = ["one"]
```

```python
# words.py
import sys
print(__name__, __file__, "words" in globals(), *sys.argv)
```

```python
print(*words, "sys" in globals())
```
"""


def test_a_block_may_be_a_file(
    page: Path, program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is run by itself, and the other blocks do not know it; where it is, is not shown."""
    page.write_text(FILES)
    blocks = read(page)
    assert [block.file for block in blocks] == ["", "words.py", ""]
    shown = ["", "__main__ words.py False words.py\n", "one False\n"]
    assert [outcome(block, program, capsys) for block in blocks] == shown


def test_a_file_must_not_fail(
    page: Path, program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    """The traceback is told."""
    page.write_text("```python\n# fails.py\nprint(1 / 0)\n```\n")
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        outcome(read(page)[0], program, capsys)


def test_what_a_page_sets_up_for_logging_is_undone(
    page: Path, program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that a page may show what the log says, as a program of its own does."""
    root, own = logging.getLogger(), logging.getLogger("tukio")
    before = (root.level, [*root.handlers], own.level, [*own.handlers])
    page.write_text(LOGS)
    assert outcome(read(page)[0], program, capsys) == "told\n"
    assert (root.level, [*root.handlers], own.level, [*own.handlers]) == before


def test_lines_may_be_left_out() -> None:
    """One or more, where a page has a line of three dots, and nowhere else."""
    printed = "Traceback:\n  File\n    a.b\nError\n"
    for shown in ("Traceback:\n  ...\nError\n", "...\nError\n", "Traceback:\n...\n", printed):
        assert as_shown(printed, shown) == shown
    for shown in ("Traceback:\n  ...\nerror\n", "...\n  ...\n...\n  ...\nError\n", "..."):
        assert as_shown(printed, shown) == printed


def test_a_syntax_error_has_its_line(page: Path) -> None:
    """Of the page, not of the block."""
    page.write_text(PAGE.replace("before(1)", "before(1"))
    with pytest.raises(SyntaxError) as error:
        compiled(read(page)[1])
    assert (error.value.filename, error.value.lineno) == (str(page), 11)


@pytest.mark.parametrize(
    ("wrong", "lines"),
    [
        ("  ```python\n  1 / 0\n  ```\n", [40, 42]),
        ("~~~python\n1 / 0\n~~~\n", [40, 42]),
        ("```python\n1 / 0\n", [40]),
        ("```text\n\n```python\n1 / 0\n```\n", [40]),
        ("```py\n1 / 0\n```\n", [40]),
        ("```python no-run\n1 / 0\n```\n", [40]),
        ("`python` is not\n`~~~` or ` ```py `\n", []),
    ],
)
def test_a_block_that_would_not_be_run_is_told(page: Path, wrong: str, lines: list[int]) -> None:
    """A block that nobody sees can say anything."""
    page.write_text(f"{PAGE}\n{wrong}")
    assert unseen(page) == [f"{page}:{line}" for line in lines]


def test_dead_links_are_told(page: Path) -> None:
    """By their places; what is in code or leads out of the project is not looked at."""
    links = [
        "[a](page.md) [b](#two) [c](page.md#a-page 'title') [d](https://x.example/nowhere)",
        "[e](gone.md) `[f](code.md)` [g](#three)",
        "",
        "[h]: page.md#three",
        "## Calls of `do_it()`, again",
        "[i](#calls-of-do_it-again)",
    ]
    page.write_text("\n".join([PAGE, *links]))
    dead = ["41: gone.md", "41: #three", "43: page.md#three"]
    assert dead_links(page) == [f"{page}:{link}" for link in dead]


def test_what_a_page_says_of_the_source_is_found(page: Path) -> None:
    """Paths in code and in `text` blocks; functions in the cell beside a path."""
    page.write_text(
        "In `_run/driver.py`, not driver.py, `run.is_empty()` and `_gone/`.\n"
        "| 1 | `_run/run.py` | `Run.start`, `Run.begun` | starts `it` |\n"
        "```text\ntukio/\n  _model/   see gone.py\n```\n"
    )
    assert named_paths(page) == {
        "_run/driver.py", "_gone/", "_run/run.py", "tukio/", "_model/", "gone.py"
    }  # fmt: skip
    assert [find(path) for path in ("_gone/", "gone.py", "_model/")] == [
        None,
        None,
        SOURCE / "_model",
    ]
    assert named_functions(page) == [("_run/run.py", "Run.start"), ("_run/run.py", "Run.begun")]
    assert {"Run.start", "Run.begun"} & functions_of(SOURCE / "_run" / "run.py") == {"Run.start"}
