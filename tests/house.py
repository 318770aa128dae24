"""What the modules of a package import and name, read from their source.

Imports count wherever they stand: at the top, inside functions, and for type checkers alone. Each
function here takes the directory of a package, so that tests can plant violations in another one.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

PACKAGE = "romancal_forcedphot"


def sources(root: Path) -> dict[str, Path]:
    """Files by the full names of their modules; a package is its ``__init__``."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        found[".".join([PACKAGE, *parts])] = path
    return found


def tree_of(path: Path) -> ast.Module:
    """Syntax tree of a module."""
    return _parsed(path.read_text())


@functools.cache
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


def room_of(name: str) -> str:
    """First part of a module's name below the package, '' for the package itself."""
    return name.split(".")[1] if "." in name else ""


def names_imported(name: str, path: Path) -> set[str]:
    """Full names that a module imports anywhere, of modules or of what is in them."""
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    return set(_imported_in(package, path.read_text()))


@functools.cache
def _imported_in(package: str, text: str) -> set[str]:
    names = set()
    for node in ast.walk(_parsed(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            start = parts[: len(parts) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


def is_ours(name: str) -> bool:
    return name.split(".")[0] == PACKAGE


def ancestors(name: str) -> set[str]:
    """Packages that a module lies in."""
    parts = name.split(".")
    return {".".join(parts[:n]) for n in range(1, len(parts))}


def module_graph(root: Path) -> dict[str, set[str]]:
    """Modules of ours that run when each module, and what it defines, runs.

    To import ``a.b`` runs ``a`` as well, unless the importing module lies in ``a`` itself, which
    has begun to run then.
    """
    files = sources(root)
    graph = {}
    for name, path in files.items():
        targets = set()
        for imported in filter(is_ours, names_imported(name, path)):
            module = imported if imported in files else imported.rpartition(".")[0]
            targets |= ({module} | (ancestors(module) - ancestors(name) - {name})) & files.keys()
        graph[name] = targets
    return graph


def arrows(root: Path) -> dict[str, set[str]]:
    """Rooms that each room imports; '' for names of the package's own front door."""
    files = sources(root)
    rooms = set(map(room_of, files))
    found: dict[str, set[str]] = {}
    for name, path in files.items():
        targets = {room_of(imported) for imported in filter(is_ours, names_imported(name, path))}
        targets = {target if target in rooms else "" for target in targets}
        found.setdefault(room_of(name), set()).update(targets - {room_of(name)})
    found.pop("", None)
    return found


def third_party(root: Path) -> dict[str, set[str]]:
    """Rooms that import each third-party package."""
    found: dict[str, set[str]] = {}
    for name, path in sources(root).items():
        for imported in names_imported(name, path):
            top = imported.split(".")[0]
            if top not in sys.stdlib_module_names and top != PACKAGE:
                found.setdefault(top, set()).add(room_of(name))
    return found


def circle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """One circle in a graph, from a node back to itself; empty where there is none."""
    done: set[str] = set()

    def follow(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for target in sorted(graph.get(node, ())):
            if found := follow(target, [*path, node]):
                return found
        done.add(node)
        return []

    return next((found for node in sorted(graph) if (found := follow(node, []))), [])


def reached(root: Path, room: str) -> dict[str, list[str]]:
    """Names of all that a room reaches by any chain of imports, each with its chain.

    Third-party packages are named by themselves, modules of ours by their full names.
    """
    files, graph = sources(root), module_graph(root)
    chains = {name: [name] for name in files if room_of(name) == room}
    pending = list(chains)
    while pending:
        name = pending.pop()
        outside = {n.split(".")[0] for n in names_imported(name, files[name]) if not is_ours(n)}
        for target in sorted(graph[name] | outside):
            if target not in chains:
                chains[target] = [*chains[name], target]
                if target in files:
                    pending.append(target)
    return chains


# --- what is in the source ---------------------------------------------------------------------


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda]:
    """Functions of a module, at any depth."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, kinds))


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> list[ast.arg]:
    """Return all parameters of a function."""
    found = function.args
    starred = [arg for arg in (found.vararg, found.kwarg) if arg]
    return [*found.posonlyargs, *found.args, *found.kwonlyargs, *starred]


def takes_a_step(path: Path) -> list[str]:
    """Names of functions, or fields of classes, that are handed a step by name or by type.

    A number may be called so: it is the step of a grid.
    """
    found = []
    for function in functions(path):
        handed = [arg.arg for arg in parameters(function) if _is_step(arg.arg, arg.annotation)]
        found += [f"{getattr(function, 'name', 'lambda')}({name})" for name in handed]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ClassDef):
            for field in node.body:
                if isinstance(field, ast.AnnAssign):
                    name = ast.unparse(field.target)
                    found += [f"{node.name}.{name}"] if _is_step(name, field.annotation) else []
    return found


def _is_step(name: str, annotation: ast.expr | None) -> bool:
    """Whether something is a step, by its name or by a class of steps in its annotation."""
    kind = "" if annotation is None else ast.unparse(annotation)
    return (name == "step" and kind not in ("int", "float")) or bool(
        re.search(r"\b\w*Step\b", kind)
    )


def lines_with_meta(path: Path) -> list[int]:
    """Lines that look into the ``meta`` of something."""
    found = []
    for node in ast.walk(tree_of(path)):
        is_attribute = isinstance(node, ast.Attribute) and node.attr == "meta"
        if is_attribute or (isinstance(node, ast.Constant) and node.value == "meta"):
            found.append(node.lineno)
    return found


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Lines and texts of all string literals, docstrings and parts of f-strings among them."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def lines_with_options(path: Path) -> list[int]:
    """Lines of literals that name an option of a command line."""
    return [line for line, text in texts(path) if re.search(r"--[a-z]", text)]


def private_names(path: Path) -> list[str]:
    """Names of the package that a module uses although they begin with an underscore."""
    tree = tree_of(path)
    found, aliases = [], set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [(alias.name, alias.asname or alias.name.split(".")[0]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [(f"{node.module}.{a.name}", a.asname or a.name) for a in node.names]
        else:
            continue
        for name, alias in names:
            if is_ours(name):
                aliases.add(alias)
                found += [name] if _is_private(name) else []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            start = node.value
            while isinstance(start, ast.Attribute):
                start = start.value
            ours = isinstance(start, ast.Name) and start.id in aliases
            found += [ast.unparse(node)] if ours and _is_private(node.attr) else []
    for _, text in texts(path):
        dotted = re.findall(rf"\b{PACKAGE}(?:\.\w+)+", text)
        found += [name for name in dotted if _is_private(name)]
    return found


def _is_private(name: str) -> bool:
    """Whether a part of a dotted name is private; the module of entry points is not."""
    parts = name.removeprefix(f"{PACKAGE}._integration").split(".")
    return any(part.startswith("_") and not part.startswith("__") for part in parts)
