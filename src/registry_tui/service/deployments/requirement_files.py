"""The requirements of a model as pip reads them: nested files, constraints, hashes, archives next to the model.

They are flattened into lines for uv, so that an environment's requirements can be compared, named and refused.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from registry_tui.contracts import file_paths
from registry_tui.service.errors import InvalidInput

#: Files that may include each other.
_MAX_FILES = 50
#: An archive's name or path, as in pip's requirements.
_ARCHIVE = re.compile(r"[^@;]+\.(whl|zip|tgz|tar\.gz|tar\.bz2)", re.IGNORECASE)
_VCS = ("git+", "hg+", "svn+", "bzr+")
#: URL schemes that are allowed; every other scheme could name a file of this machine.
_FETCHED = ("http", "https", "ssh", "git")
_SHORT = {"-r": "--requirement", "-c": "--constraint", "-i": "--index-url", "-f": "--find-links", "-e": "--editable"}
#: Options that uv reads in a requirements file, too.
_PASSED_ON = ("--pre", "--no-binary", "--only-binary")
#: Options without effect here: uv compares given hashes in any case, and prefers wheels.
_NEEDLESS = ("--prefer-binary", "--require-hashes", "--use-pep517", "--trusted-host")
_COMMENT = re.compile(r"(^|\s+)#.*$")
_HASH = re.compile(r"\s--hash[=\s]\s*(\S+)")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True)
class Required:
    """One requirement or constraint: as the model wrote it, its name if known, and its archive or address."""

    text: str
    #: Canonical; empty where only its archive or address knows it.
    name: str = ""
    plain: Requirement | None = None
    #: An archive next to the model.
    archive: Path | None = None
    #: An address that it is fetched from.
    url: str = ""
    hashes: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The line of a requirements file for uv."""
        wanted = self.archive.absolute().as_uri() if self.archive is not None else self.text
        return " ".join([wanted, *(f"--hash={each}" for each in self.hashes)])


@dataclass
class Requirements:
    """Everything that a model's requirements name."""

    required: list[Required] = field(default_factory=list)
    constraints: list[Required] = field(default_factory=list)
    #: Addresses of package indexes, and of pages with links to archives.
    indexes: list[str] = field(default_factory=list)
    #: Folders of archives next to the model.
    folders: list[Path] = field(default_factory=list)
    options: list[str] = field(default_factory=list)


def read(path: Path, root: Path) -> Requirements:
    """The requirements in a file of the model in `root`, with the files that it includes. Raises InvalidInput."""
    found = Requirements()
    _File(found, root, path.parent, []).include(path, constraint=False)
    return found


def of_lines(lines: Iterable[str], root: Path) -> Requirements:
    """The same of entries in another file, such as conda.yaml. Raises InvalidInput."""
    found = Requirements()
    # An entry of a YAML file may hold line breaks.
    _File(found, root, root, []).lines(logical_lines("\n".join(lines)), constraint=False)
    return found


def logical_lines(text: str) -> Iterator[str]:
    """Lines without comments; those that end with a backslash are joined with the next one."""
    parts: list[str] = []
    for line in text.splitlines():
        comment = _COMMENT.match(line) is not None
        if line.endswith("\\") and not comment:
            parts.append(line[:-1])
            continue
        whole = _COMMENT.sub("", "".join([*parts, f" {line}" if comment else line])).strip()
        parts = []
        if whole:
            yield whole
    if rest := _COMMENT.sub("", "".join(parts)).strip():
        yield rest


def decode(data: bytes) -> str:
    """A requirements file's text: in the encoding of its byte-order mark, else UTF-8."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="replace")
    return data.decode("utf-8", errors="replace")


@dataclass
class _File:
    found: Requirements
    root: Path
    folder: Path
    seen: list[tuple[Path, bool]]

    def include(self, path: Path, *, constraint: bool) -> None:
        if (path, constraint) in self.seen:
            return
        self.seen.append((path, constraint))
        if len(self.seen) > _MAX_FILES:
            raise _refused(f"The model's requirements include more than {_MAX_FILES} files")
        inner = _File(self.found, self.root, path.parent, self.seen)
        inner.lines(logical_lines(decode(path.read_bytes())), constraint=constraint)

    def lines(self, lines: Iterable[str], *, constraint: bool) -> None:
        for line in lines:
            if "${" in line:
                raise _refused(f"The requirement {_short(line)} holds an environment variable, which is not filled in")
            if line.startswith("-"):
                self._option(line, constraint)
                continue
            kept = self.found.constraints if constraint else self.found.required
            required = self._requirement(line)
            if constraint and required.plain is None:
                raise _refused(f"The constraint {_short(line)} is not a plain requirement")
            if required not in kept:
                kept.append(required)

    def _option(self, line: str, constraint: bool) -> None:
        name, value = _split_option(line)
        if name in ("--requirement", "--constraint"):
            included = constraint or name == "--constraint"
            self.include(self._beside(value, f"the file {_short(value)}"), constraint=included)
        elif name in ("--index-url", "--extra-index-url"):
            self.found.indexes.append(value)
        elif name == "--find-links":
            if urlsplit(value).scheme in ("http", "https"):
                self.found.indexes.append(value)
            else:
                self.found.folders.append(self._beside(value, f"the folder {_short(value)}", folder=True))
        elif name in _PASSED_ON and len(value.split()) <= (name != "--pre"):  # anything more is another option
            self.found.options.append(f"{name} {value}".strip())
        elif name == "--editable" and value.startswith(_VCS):
            self.found.required.append(self._requirement(value))
        elif name == "--editable":
            raise _refused(f"The requirement {_short(line)} is a folder of the machine that logged the model")
        elif name not in _NEEDLESS:
            raise _refused(f"The requirement {_short(line)} is an option of pip, which is not followed here")

    def _requirement(self, line: str) -> Required:
        hashes = tuple(_HASH.findall(line))
        text = _HASH.sub("", line).strip()
        if re.search(r"\s--\w", text):
            raise _refused(f"The requirement {_short(line)} has an option of pip, which is not followed here")
        scheme = _scheme(text)
        if text.startswith(_VCS) or (scheme in ("http", "https") and " " not in text):
            _require_fetched(text, text)
            return Required(text, url=text, hashes=hashes)
        if scheme == "file" or text.startswith(("/", "~")):
            raise _elsewhere(text)
        if text.startswith(".") or _ARCHIVE.fullmatch(text):
            return self._archive(text, hashes)
        try:
            plain = Requirement(text)
        except InvalidRequirement as error:
            raise _refused(f"The requirement {_short(text)} cannot be read: {str(error).splitlines()[0]}") from error
        if plain.url is not None:
            _require_fetched(plain.url, text)
        return Required(text, canonicalize_name(plain.name), plain, url=plain.url or "", hashes=hashes)

    def _archive(self, text: str, hashes: tuple[str, ...]) -> Required:
        path = self._beside(text, f"the package {_short(text)}")
        if path.suffix != ".whl":
            return Required(text, archive=path, hashes=hashes)
        try:
            name, version, _, _ = parse_wheel_filename(path.name)
        except InvalidWheelFilename as error:
            raise _refused(f"The file {_short(text)} does not have the name of a wheel") from error
        return Required(text, canonicalize_name(name), Requirement(f"{name}=={version}"), archive=path, hashes=hashes)

    def _beside(self, name: str, what: str, *, folder: bool = False) -> Path:
        """A file or folder of the model. Raises InvalidInput when it is missing or outside."""
        if urlsplit(name).scheme or not name:
            raise _refused(f"The model's requirements name {what}, which is not beside the model")
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise _refused(f"The model's requirements name {what}, which is not beside the model")
        if not (path.is_dir() if folder else path.is_file()):
            raise _refused(f"The model's requirements name {what}, which is missing in the model")
        return path


def _split_option(line: str) -> tuple[str, str]:
    if line.startswith("--"):
        name, value = (*re.split(r"[=\s]+", line, maxsplit=1), "")[:2]
    else:
        name, value = _SHORT.get(line[:2], line[:2]), line[2:].lstrip(" =")
    return name, value.strip().strip("\"'")


def _scheme(address: str) -> str:
    """The scheme of an address in lower case; empty for a path, and for invalid addresses."""
    try:
        return urlsplit(address).scheme
    except ValueError:
        return ""


def _require_fetched(address: str, text: str) -> None:
    """Raises InvalidInput for an address of a file of this machine, or a subdirectory outside the source."""
    if address.split() != [address]:
        raise _refused(f"The requirement {_short(text)} holds more than an address")
    try:
        parts = urlsplit(address)
        wanted = [value for key, value in parse_qsl(parts.fragment) if key.lower() == "subdirectory"]
    except ValueError as error:
        raise _refused(f"The requirement {_short(text)} cannot be read: {error}") from error
    scheme = parts.scheme.rpartition("+")[2]
    if scheme in ("", "file"):
        raise _elsewhere(text)
    if scheme not in _FETCHED or not parts.netloc:
        raise _refused(f"The requirement {_short(text)} has an address of a kind that is not followed here")
    if any(file_paths.problem(folder.removesuffix("/")) for folder in wanted):
        raise _refused(f"The requirement {_short(text)} names a folder outside of the fetched files")


def _elsewhere(text: str) -> InvalidInput:
    return _refused(f"The requirement {_short(text)} is a file of the machine that logged the model")


def _refused(problem: str) -> InvalidInput:
    return InvalidInput(problem, action="Log the model with requirements that can be installed here, as a new version")


def _short(text: str) -> str:
    return repr(text if len(text) <= 200 else f"{text[:200]}…")
