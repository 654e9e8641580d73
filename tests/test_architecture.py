"""The house stands as it is drawn: arrows one way, no circles, short modules and functions.

What is proved is read from the source with ``ast``, imports inside of functions included, so that
nothing has to be loaded.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# The rooms from the ground up: a room may know those before it, and no other. A module of a room
# stands for itself where it is named, such as what strategies are handed of a run.
FLOORS = (
    ("errors", "quiet"),
    ("checks",),
    ("layers",),
    ("graph",),
    ("domain",),
    ("files", "effort"),
    ("plan", "zoo"),
    ("criteria", "synthetic"),
    ("bounds",),
    ("pruning.locks",),
    ("pruning.settings",),
    ("pruning.context",),
    ("compensation", "strategies"),
    ("evaluation",),
    ("pruning",),
    ("deploy",),
    ("plot",),
    ("cli",),
    ("__main__",),
)
# A name that is only written in an annotation is no arrow: nothing is loaded for it. Even so, only
# these look up, each for a reason.
LOOKS_UP = {
    ("synthetic", "pruning.context"): "what drawing is handed: the graph, the boxes, the settings",
    ("pruning.context", "compensation"): "the types of what a run keeps for its parts",
}
MOST_LINES = 400
MOST_FUNCTION_LINES = 60
# Who calls what a user would call, after ``import paoding``.
BY_THE_FRONT_DOOR = {
    "cli": "the program does what its user could do in Python",
    "deploy": "so does a worker that computes one run of a sweep",
    "evaluation": "the page of a run shows the version",
    "pruning": "a budget in milliseconds is measured in a runtime, which deploy knows",
}
# Longer functions, each with the reason why it is not cut.
LONG_FUNCTIONS: dict[str, str] = {}
# The words by which objects of ours go: what is called so has a type of its own.
OURS = re.compile(
    r"(graph|group|state|run|context|settings|result|report|evaluation|certificate|primitive"
    r"|program|box|boxes|pruner|scorer|linear|removals?|decisions|member|consumer)"
)
# Tests of no room: they prove something of the whole house.
WHOLE_HOUSE = {
    "test_architecture.py",
    "test_docs.py",
    "test_extensions.py",
    "test_faults.py",
    "test_readme.py",
    "test_stop.py",
    "test_support.py",
}
# What Keras keeps private is touched in one package.
PRIVATE = "paoding/graph/keras_internals/"


@dataclass(frozen=True)
class Arrow:
    """One import: who, whom, in which line, and whether only for annotations."""

    source: str
    target: str
    line: int
    only_types: bool


@cache
def modules() -> dict[str, Path]:
    """Dotted name without ``paoding.`` -> file, of every module of the library."""
    found = {}
    for path in sorted((ROOT / "paoding").rglob("*.py")):
        parts = path.relative_to(ROOT / "paoding").with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def python_files() -> list[Path]:
    return [
        p for room in ("paoding", "paoding_widgets") for p in sorted((ROOT / room).rglob("*.py"))
    ]


def arrows(name: str, path: Path) -> Iterator[Arrow]:
    """Every import of another module of the library, wherever it stands."""
    types: set[int] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            types.update(map(id, ast.walk(node)))
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are written out"
            targets = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        else:
            continue
        for target in targets:
            if target.split(".")[0] != "paoding":
                continue
            short = target.removeprefix("paoding").removeprefix(".")
            if short not in modules():
                short = short.rpartition(".")[0]
            yield Arrow(name, short, node.lineno, id(node) in types)


@cache
def all_arrows() -> tuple[Arrow, ...]:
    return tuple(a for name, path in modules().items() for a in arrows(name, path))


def place(module: str) -> tuple[int, str]:
    """The floor of a module and the room as it is named there."""
    for floor, rooms in enumerate(FLOORS):
        if module in rooms:
            return floor, module
    for floor, rooms in enumerate(FLOORS):
        if module.split(".")[0] in rooms:
            return floor, module.split(".")[0]
    raise AssertionError(f"paoding.{module} stands in no room: name it in FLOORS")


def test_every_module_stands_in_a_room_and_every_room_is_there() -> None:
    named = {place(module)[1] for module in modules() if module}
    assert named <= {room for rooms in FLOORS for room in rooms}


def test_arrows_run_one_way_between_the_rooms() -> None:
    wrong = []
    for arrow in all_arrows():
        # The front door names its rooms in words, and opens them when they are asked for.
        if not arrow.source or not arrow.target:
            continue
        (low, source), (high, target) = place(arrow.source), place(arrow.target)
        if source == target or high < low:
            continue
        if arrow.only_types and (source, target) in LOOKS_UP:
            continue
        if arrow.only_types and source.split(".")[0] == target.split(".")[0]:
            continue
        wrong.append(f"{arrow.source}:{arrow.line} -> {arrow.target}")
    assert not wrong


def test_who_comes_in_by_the_front_door_has_a_reason() -> None:
    """``import paoding`` opens every room, so that a room which came in there could be a circle."""
    users = {a.source.split(".")[0] for a in all_arrows() if not a.target and a.source}
    assert users == set(BY_THE_FRONT_DOOR)


def test_there_is_no_circle_of_imports() -> None:
    onward: dict[str, set[str]] = {}
    for arrow in all_arrows():
        if arrow.source and arrow.target and not arrow.only_types:
            onward.setdefault(arrow.source, set()).add(arrow.target)
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for target in sorted(onward.get(module, ())):
                visit(target, (*path, module))
            done.add(module)

    for module in sorted(onward):
        visit(module, ())


@pytest.mark.parametrize("package", ["paoding", "paoding_widgets"])
def test_every_module_says_in_its_first_sentence_what_it_is_for(package: str) -> None:
    for path in sorted((ROOT / package).rglob("*.py")):
        doc = ast.get_docstring(tree(path)) or ""
        assert re.match(r"\S.*[.:]$", doc.partition("\n")[0]), f"{path}: {doc[:80]!r}"


def test_no_module_is_longer_than_400_lines_without_a_reason() -> None:
    long = {
        name
        for name, path in modules().items()
        if len(path.read_text("utf-8").splitlines()) > MOST_LINES
    }
    assert not long


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef):
            yield node


def length(function: ast.FunctionDef) -> int:
    """Lines of what a function does: its signature and its docstring are for its readers."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0  # type: ignore[operator]


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{f.name}"
        for path in python_files()
        for f in functions(path)
        if length(f) > MOST_FUNCTION_LINES
    }
    assert long == set(LONG_FUNCTIONS)


def annotated(node: ast.AST) -> Iterator[tuple[str, str, int]]:
    """Name, annotation and line of every argument and variable that has one."""
    if isinstance(node, ast.FunctionDef):  # not of ``**settings``, whose values are of any type
        for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            if one.annotation is not None:
                yield one.arg, ast.unparse(one.annotation), one.lineno
    if isinstance(node, ast.AnnAssign):
        yield ast.unparse(node.target), ast.unparse(node.annotation), node.lineno


def test_objects_of_ours_have_types_of_their_own() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} {name}: {annotation}"
        for path in modules().values()
        for node in ast.walk(tree(path))
        for name, annotation, line in annotated(node)
        if annotation in ("Any", "Any | None") and OURS.fullmatch(name.rpartition(".")[2])
    ]
    assert not wrong


def own_names() -> set[str]:
    """Every name with an underscore in front that this repository defines itself."""
    found = set()
    for path in python_files():
        if PRIVATE in path.as_posix():
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.attr if isinstance(node, ast.Attribute) else node.id)
            elif isinstance(node, ast.alias):
                found.add(node.asname or node.name)
    return found


def test_what_keras_keeps_private_is_touched_in_one_package() -> None:
    own, wrong = own_names(), []
    for path in python_files():
        if PRIVATE in path.as_posix():
            continue
        for node in ast.walk(tree(path)):
            name = node.attr if isinstance(node, ast.Attribute) else ""
            private = name.startswith("_") and not name.startswith("__") and name not in own
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            if private or module.startswith("keras.src"):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {name or module}")  # type: ignore[attr-defined]
    assert not wrong


def test_the_page_on_the_house_names_every_room() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rooms = {path.name for path in (ROOT / "paoding").iterdir() if (path / "__init__.py").exists()}
    assert not [room for room in sorted(rooms) if f"`{room}/`" not in page]


def test_tests_stand_in_the_rooms_that_they_prove() -> None:
    rooms = {path.name for path in (ROOT / "paoding").iterdir() if path.is_dir()}
    tests = {p.parent.name for p in (ROOT / "tests").glob("*/test_*.py")}
    assert tests - rooms <= {"widgets", "viewer", "extensions"}
    assert {p.name for p in (ROOT / "tests").glob("test_*.py")} <= WHOLE_HOUSE
