"""The names in documents for developers exist: paths, names in modules, targets of make; and the picture is true."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = ["docs/architecture.md", "CONTRIBUTING.md", "tests/README.md", "bench/README.md", "README.md"]
#: Folders whose files the documents name; paths in the documents may leave out how they begin.
FOLDERS = ["src", "tests", "bench", "docs", "requirements", "examples"]
#: Endings of files that are in the repository; all other files that are named belong to a platform's home.
ENDINGS = (".py", ".md", ".tcss", ".toml", ".mako")
#: Names with dots that are not ours: of MLflow, Python and events.
OTHERS = {"mlflow.register_model", "mlflow.server.auth", "sys.path", "registry.create", "deployment.roll"}
#: The folder of a model's files in an archive.
ARCHIVED = "files/"
#: Words of programs and formats that the code does not contain.
FOREIGN = {"Authorization", "MLmodel"}
CODE = re.compile(r"`([^`\n]+)`")
BLOCK = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
PATH = re.compile(r"(?<![\w<>*…/.-])[\w.-]+(?:/[\w.-]+)*(?:/|\.[a-z]+)(?![\w<>*…/-])")
NAME_IN = re.compile(r"(\S+\.py): ?([\w.]+)")
DOTTED = re.compile(r"[A-Za-z_]\w+(?:\.[A-Za-z_]\w*)+")
IDENTIFIER = re.compile(r"(?=\w*[a-z])(?=\w*(?:_|[A-Z][a-z]))[A-Za-z]\w*|[A-Z]{2,}[A-Z_]*")


def spans(document: str) -> list[str]:
    """The texts in backquotes outside blocks of code."""
    return list(dict.fromkeys(CODE.findall(BLOCK.sub("", (ROOT / document).read_text(encoding="utf-8")))))


@cache
def files() -> list[str]:
    """Every file of the repository that is a source or a document, with `/` before its path."""
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    found += list(ROOT.iterdir())
    return [f"/{path.relative_to(ROOT)}" for path in found if path.is_file() and "__pycache__" not in path.parts]


@cache
def sources() -> str:
    """The text of everything that names are looked up in."""
    paths = [ROOT / path[1:] for path in files() if path.endswith((".py", "/Makefile", "/pyproject.toml"))]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths if path != Path(__file__))


def named(path: str) -> list[str]:
    """The files that a path may mean: whole, or without how it begins."""
    return [file for file in files() if file.endswith(f"/{path}")]


def defined(tree: ast.AST) -> Iterator[str]:
    """The names that the body of a module or class gives to something."""
    for node in getattr(tree, "body", []):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                attributes = (each for each in ast.walk(node) if isinstance(each, ast.Attribute))
                yield from (each.attr for each in attributes if isinstance(each.ctx, ast.Store))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.If | ast.Try):
            yield from defined(node)


@cache
def contents() -> dict[str, list[set[str]]]:
    """The definitions in modules, packages and classes of each name."""
    found: dict[str, list[set[str]]] = defaultdict(list)
    for file in files():
        if not file.endswith(".py"):
            continue
        path = ROOT / file[1:]
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = set(defined(tree))
        if path.name == "__init__.py":
            names |= {each.stem for each in path.parent.iterdir() if each.suffix == ".py" or each.is_dir()}
        found[path.parent.name if path.name == "__init__.py" else path.stem].append(names)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found[node.name.lower()].append(set(defined(node)))
    return found


def names_in(file: str) -> set[str]:
    """The names that a file's module and its classes define."""
    tree = ast.parse((ROOT / file[1:]).read_text(encoding="utf-8"))
    classes = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]
    return {name for each in classes for name in defined(each)}


def leads_somewhere(dotted: str) -> bool:
    """Whether each name is defined in the module, package or class that is named before it, perhaps as an object."""
    names = dotted.split(".")
    return all(any(name in known for known in contents()[owner.lower()]) for owner, name in pairwise(names))


def paths_in(document: str) -> list[str]:
    """The paths of the repository's own files and folders that a document names."""
    found = [path for span in spans(document) if "://" not in span for path in PATH.findall(span)]
    return [path for path in found if path.endswith(("/", *ENDINGS))]


@pytest.fixture(scope="module")
def home() -> set[str]:
    """The files and folders of a platform's home, as they are named below it."""
    from registry_tui.platform.paths import Home

    its = Home(Path("/home"))
    kept = [getattr(its, name) for name, kind in vars(Home).items() if isinstance(kind, property)]
    paths = [each.relative_to("/home") for each in kept if isinstance(each, Path) and each.is_relative_to("/home")]
    return {str(path) for path in paths} | {f"{folder}/" for path in paths for folder in (path, *path.parents)}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_that_is_named_exists(document: str, home: set[str]) -> None:
    folders = {f"{file.rpartition('/')[0]}/" for file in files()}
    folders |= {folder[: folder.rindex("/", 0, -1) + 1] for folder in folders if folder.count("/") > 1}

    ignored = {f"{line.strip('/')}/" for line in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()}

    def exists(path: str) -> bool:
        if not path.endswith("/"):
            return path in home or bool(named(path))
        if (
            path == ARCHIVED
            or path in ignored
            or path in home
            or any(folder.endswith(f"/{path}") for folder in folders)
        ):
            return True
        # A folder that a part makes in its own folder of the home.
        above, _, name = path.removesuffix("/").rpartition("/")
        return f"{above}/" in home and f'"{name}"' in sources()

    assert [path for path in paths_in(document) if not exists(path)] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_path_with_folders_means_one_file(document: str) -> None:
    paths = [path for path in paths_in(document) if "/" in path and path.endswith(".py")]
    assert {path: named(path) for path in paths if len(named(path)) > 1} == {}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_name_in_a_module_is_defined_there(document: str) -> None:
    pairs = [found.groups() for span in spans(document) if (found := NAME_IN.fullmatch(span))]
    missing = [
        f"{path}: {name}"
        for path, name in pairs
        if not any(set(name.split(".")) <= names_in(file) for file in named(path))
    ]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_dotted_name_leads_somewhere(document: str) -> None:
    dotted = [found[0] for span in spans(document) if not PATH.match(span) and (found := DOTTED.match(span))]
    dotted = [each for each in dotted if each not in OTHERS and not each.startswith("self.")]
    assert [each for each in dotted if not leads_somewhere(each)] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_name_is_in_the_code(document: str) -> None:
    words = [found[0] for span in spans(document) if (found := re.match(r"\w+(?=$|\()", span))]
    names = {each for each in words if IDENTIFIER.fullmatch(each)} - FOREIGN
    assert sorted(name for name in names if not re.search(rf"\b{name}\b", sources())) == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_target_and_command_exists(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / document).parent.joinpath(link).exists()] == []
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"^`*make ([a-z-]+)|`make ([a-z-]+)", text, re.MULTILINE)) <= {
        pair for target in targets for pair in ((target, ""), ("", target))
    }


# -- the picture ----------------------------------------------------------------------------------------


def in_picture(text: str) -> dict[str, list[list[str]]]:
    """The layers that the picture shows, read from its lines alone."""
    found: dict[str, list[list[str]]] = {}
    boxes: list[str] = []
    for line in text.splitlines():
        # Each box is five columns further to the right than the one around it.
        own = line[5 * max(0, len(boxes) - 1) :]
        if own.startswith("└"):
            boxes.pop()
        elif (opened := re.match(r"┌ (\w+) ", own)) or (opened := re.match(r"│ (?:..) ┌ (\w+) ", own)):
            if boxes:
                found[boxes[-1]].append([opened[1]])
            boxes.append(".".join([*boxes[-1:], opened[1]]))
            found[boxes[-1]] = []
        elif member := re.match(r"│ (..) (\w+) ", own):
            if member[1].strip():
                found[boxes[-1]].append([])
            found[boxes[-1]][-1].append(member[2])
    assert boxes == []
    return found


def test_the_picture_shows_the_layers_of_the_contracts() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = {
        container: [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]
        for contract in contracts["contracts"]
        if contract["type"] == "layers"
        for container in contract["containers"]
    }
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    picture = next(block for block in BLOCK.findall(text) if "┌ registry_tui " in block)
    assert in_picture("\n".join(picture.splitlines()[1:-1])) == layers


def test_the_picture_is_made_from_the_code() -> None:
    code = "import layers; print(layers.picture(), end='')"
    made = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "docs", capture_output=True, text=True, timeout=300, check=True
    )
    assert made.stdout in (ROOT / "docs/architecture.md").read_text(encoding="utf-8"), "run `python docs/layers.py`"
