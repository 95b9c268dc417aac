"""Which packages a model's requirements allow, read from the files of its archive; nothing is installed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from registry_tui.contracts import bounded_yaml
from registry_tui.contracts.bounded_yaml import InvalidYaml

#: Requirements files that may include each other.
_MAX_FILES = 50
_COMMENT = re.compile(r"(^|\s+)#.*$")
_OPTION = re.compile(r"\s--(hash|config-settings|global-option)[=\s].*$")
_INCLUDES = re.compile(r"(?:-r|--requirement)[=\s]*(\S+)")
_CONSTRAINS = re.compile(r"(?:-c|--constraint)[=\s]*(\S+)")
_EDITABLE = re.compile(r"(?:-e|--editable)[=\s]+(\S.*)")
_EGG = re.compile(r"#egg=([A-Za-z0-9._-]+)")

#: Returns the content of a model's file by path; None if it does not exist.
Read = Callable[[str], bytes | None]


@dataclass(frozen=True)
class Wanted:
    """One requirement: its text, its package's canonical name if known, and the versions that it allows."""

    text: str
    name: str | None
    #: None where it is fetched from an address, so that its version is not known.
    versions: SpecifierSet | None


def read(read_file: Read) -> list[Wanted] | None:
    """All requirements of a model; None if it declares none."""
    found: list[Wanted] = []
    limits: dict[str, SpecifierSet] = {}
    if read_file("requirements.txt") is not None:
        _read_into(found, limits, read_file, "requirements.txt", constraints=False, seen=set())
    else:
        lines = _listed(read_file)
        if lines is None:
            return None
        found.extend(each for line in lines if (each := _wanted(line)) is not None)
    return [_limited(each, limits) for each in found]


def allowed(wanted: Iterable[Wanted], denied: str) -> str | None:
    """Why requirements allow a denied package, such as `numpy<2`; None when they do not."""
    ban = Requirement(denied)
    name = canonicalize_name(ban.name)
    for each in wanted:
        if each.name is None:
            return f"{each.text[:200]!r} does not say which package it is"
        if each.name != name:
            continue
        if each.versions is None:
            return f"{each.text[:200]!r} comes from an address, so that its version is not known"
        if overlap(each.versions, ban.specifier):
            return f"{each.text[:200]!r} allows {denied}"
    return None


def overlap(one: SpecifierSet, other: SpecifierSet) -> bool:
    """Whether some version fulfils both.

    Versions between bounds are alike, so the bounds and their neighbours represent all of them.
    """
    pinned = next((each for each in one if each.operator == "==" and not each.version.endswith(".*")), None)
    if pinned is not None:  # nothing else fulfils it, so that no bounds are tried
        return one.contains(pinned.version, prereleases=True) and other.contains(pinned.version, prereleases=True)
    bounds: set[Version] = {Version("0"), Version("999999999")}
    for each in (*one, *other):
        try:
            version = Version(each.version.removesuffix(".*"))
        except InvalidVersion:  # `===` takes any text
            continue
        bounds.update(_neighbours(version))
    return any(one.contains(each, prereleases=True) and other.contains(each, prereleases=True) for each in bounds)


def _neighbours(version: Version) -> Iterator[Version]:
    yield version
    yield Version(version.base_version)
    release = [*version.release, *[0] * (3 - len(version.release))]
    epoch = f"{version.epoch}!" if version.epoch else ""
    for place, part in enumerate(release):
        yield _version(epoch, [*release[:place], part + 1])
        if part:
            yield _version(epoch, [*release[:place], part - 1, 999_999])
    yield _version(epoch, [*version.release, 1])


def _version(epoch: str, release: Iterable[int]) -> Version:
    return Version(epoch + ".".join(map(str, release)))


def _limited(wanted: Wanted, limits: dict[str, SpecifierSet]) -> Wanted:
    if wanted.name is None or wanted.versions is None or wanted.name not in limits:
        return wanted
    return Wanted(wanted.text, wanted.name, wanted.versions & limits[wanted.name])


def _listed(read_file: Read) -> list[str] | None:
    """The lines that conda.yaml or python_env.yaml give pip."""
    for path in ("conda.yaml", "python_env.yaml"):
        content = read_file(path)
        if content is None:
            continue
        try:
            values = bounded_yaml.load(content)
        except InvalidYaml:
            continue
        entries = values.get("dependencies") if isinstance(values, dict) else None
        if not isinstance(entries, list):
            continue
        if path == "python_env.yaml":
            return [each for each in entries if isinstance(each, str)]
        for each in entries:
            if isinstance(each, dict) and isinstance(each.get("pip"), list):
                return [str(line) for line in each["pip"]]
    return None


def _read_into(
    found: list[Wanted],
    limits: dict[str, SpecifierSet],
    read_file: Read,
    path: str,
    *,
    constraints: bool,
    seen: set[str],
) -> None:
    if path in seen or len(seen) >= _MAX_FILES:
        return
    seen.add(path)
    content = read_file(path)
    if content is None:
        found.append(Wanted(f"-r {path}", None, None))
        return
    text = content.decode("utf-8-sig", errors="replace").replace("\\\n", " ").replace("\\\r\n", " ")
    for raw in text.splitlines():
        line = _OPTION.sub("", _COMMENT.sub("", raw)).strip()
        if not line:
            continue
        if included := _INCLUDES.fullmatch(line):
            _read_into(found, limits, read_file, _beside(path, included[1]), constraints=constraints, seen=seen)
        elif named := _CONSTRAINS.fullmatch(line):
            _read_into(found, limits, read_file, _beside(path, named[1]), constraints=True, seen=seen)
        elif (each := _wanted(line)) is not None:
            if not constraints:
                found.append(each)
            elif each.name is not None and each.versions is not None:
                limits[each.name] = limits.get(each.name, SpecifierSet()) & each.versions


def _beside(path: str, other: str) -> str:
    folder, _, _ = path.rpartition("/")
    return f"{folder}/{other}" if folder else other


def _wanted(line: str) -> Wanted | None:
    """A requirement; None for options and for requirements whose marker excludes this system or Python."""
    line = line.strip()
    if edited := _EDITABLE.fullmatch(line):
        egg = _EGG.search(edited[1])
        return Wanted(line, canonicalize_name(egg[1]) if egg else None, None)
    if not line or line.startswith("-"):
        return None
    try:
        plain = Requirement(line)
    except InvalidRequirement:
        egg = _EGG.search(line)
        name = canonicalize_name(egg[1]) if egg else _named_by_wheel(line)
        return Wanted(line, name, None)
    if plain.marker is not None and not plain.marker.evaluate():
        return None
    return Wanted(line, canonicalize_name(plain.name), None if plain.url else plain.specifier)


def _named_by_wheel(line: str) -> str | None:
    try:
        return canonicalize_name(parse_wheel_filename(line.split("#")[0].rpartition("/")[2])[0])
    except InvalidWheelFilename:
        return None
