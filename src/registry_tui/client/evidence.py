"""The folder with all evidence about a version, for an audit without access to the registry."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import RegistryError
from registry_tui.client.saving import Progress, Remote, archive_files
from registry_tui.contracts.event_chain import GENESIS, canonical
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.models import ModelVersion
from registry_tui.schemas.operations import Event
from registry_tui.schemas.promotion import Approval, StageEntry

#: The archive's files, if requested.
MODEL_FOLDER = "model"
#: Links requested at a time; and how far back the link before an event may be, as databases skip numbers.
_LINKS = 1000
_PAGE = {"page_size": 500}

VERIFY_EVENTS = '''\
"""Says whether chain.txt is one chain, and whether events.jsonl holds the events that the chain says.

Needs Python alone. Each line of chain.txt is an event's number, the SHA-256 of its line in events.jsonl, and the
SHA-256 of the hash before it, a space, that sum and a newline. The first line is the hash before these.
"""

import hashlib
import json
from datetime import UTC, datetime
import pathlib
import sys

here = pathlib.Path(__file__).parent
sha256 = lambda text: hashlib.sha256(text.encode()).hexdigest()
rows = [line.split() for line in (here / "chain.txt").read_text().splitlines()]
last, digests = rows[0][2], {}
for number, digest, kept in rows[1:]:
    if sha256(f"{last} {digest}\\n") != kept:
        sys.exit(f"chain.txt is broken at event {number}")
    last, digests[int(number)] = kept, digest
events = (here / "events.jsonl").read_text().splitlines()
for line in events:
    number = json.loads(line)["id"]
    if digests.get(number) != sha256(line):
        sys.exit(f"event {number} is not the one in the chain")
print(f"{len(events)} events are in a chain of {len(rows) - 1}, which ends at event {rows[-1][0]} with {last}")
'''

README = """\
# {name} version {version}

The facts of {where} about this version on {at}.

| file | content |
|---|---|
| `version.json` | the version: who registered it, from which run, its aliases, tags and stage |
| `card.md` | its model card{card} |
| `bom.cdx.json` | its bill of materials (CycloneDX {spec}) |
| `manifest.json`, `archive.sha256` | every file of its archive with size and SHA-256 |
| `scan.json` | the formats in the archive, and the imports of loading them |
| `run.json` | the run: params, metrics, data sets |
| `approvals.json`, `stages.json` | who asked, approved and rejected, and its stages |
| `rules.json` | the verdict of the environment's admission rules |
| `lineage.json` | its origin, and the items that depend on it |
| `signatures.json`, `signatures/` | its signatures as they were checked, each as it was made, and the public keys |
| `events.jsonl`, `chain.txt` | the actions on the version and its model, and the hash chain over all events |
{missing}
## Verify it without a network

Every command below runs in this folder and needs nothing of ours; `model_signing` is PyPI's `model-signing`.

```sh
sha256sum -c SHA256SUMS             # no file of this folder was changed
python3 verify-events.py            # the events are those of the chain, and the chain is whole
{commands}```

`verify-events.py` prints the last event and its hash. While the platform is there, this says that its events are
still the same:

```sh
registry-tui events verify --expect {head}
```

An administrator sees all events; everybody else's pack holds their own alone. `chain.txt` covers all.
"""


class _Pack:
    """Facts that are fetched once, and written in the order in which files need them."""

    def __init__(self, client: RegistryClient, version: ModelVersion, with_model: bool) -> None:
        self.client, self.version, self.with_model = client, version, with_model
        #: The facts that could not be fetched, and why.
        self.missing: list[str] = []
        self.spec, self.author, self.head = "", "", f"0:{GENESIS}"
        #: The beginnings of its signatures' fingerprints.
        self.signed: list[str] = []

    @property
    def _names(self) -> tuple[str, str, int]:
        return self.version.registry_id, self.version.model_id, self.version.version

    async def content(self) -> list[tuple[str, str]]:
        """The small files, by name."""
        client, names = self.client, self._names
        files: dict[str, Any] = {"version.json": self.version}
        card = await client.card(*names)
        self.author = ", as it is generated from the version's data"
        if card.written_at is not None:
            self.author = f", as {card.author} wrote it on {card.written_at:%Y-%m-%d}"
        files["card.md"] = card.text if card.text.endswith("\n") else f"{card.text}\n"
        bom = await self._try("bom.cdx.json", lambda: client.bom(*names))
        if bom is not None:
            self.spec, files["bom.cdx.json"] = bom.document.get("specVersion", ""), bom.document
        manifest = await self._try("manifest.json", lambda: client.manifest(*names))
        if manifest is not None:
            files["manifest.json"] = manifest
            files["archive.sha256"] = "".join(f"{each.sha256}  {each.path}\n" for each in manifest.files)
        files["scan.json"] = await self._try("scan.json", lambda: client.scan(*names))
        files["run.json"] = await self._try("run.json", self._run)
        files["approvals.json"] = await self._try("approvals.json", self._approvals)
        files["stages.json"] = await self._try("stages.json", self._stages)
        files["rules.json"] = await self._try("rules.json", lambda: client.check_rules(*names))
        signed = await self._try("signatures.json", lambda: client.signatures(*names))
        if signed is not None:
            files["signatures.json"] = signed
            for each in signed.signatures:
                short = each.fingerprint[:16]
                files[f"signatures/{short}.sig"] = await self._try(
                    f"signatures/{short}.sig", partial(self._signature, each.fingerprint)
                )
                self.signed.append(short)
        keys = await self._keys()
        for fingerprint, public in keys.items():
            files[f"signatures/{fingerprint[:16]}.pub"] = public
        for short in [each for each in self.signed if f"signatures/{each}.pub" not in files]:
            self.signed.remove(short)
            self.missing.append(f"- `signatures/{short}.pub`: ask who signed for the public key")
        node = reference("version", names[0], self.version.model_name, str(names[2]))
        files["lineage.json"] = await self._try("lineage.json", lambda: client.lineage(node, depth=4))
        events = await self._events()
        files["events.jsonl"] = "".join(f"{canonical(each.model_dump())}\n" for each in events)
        files["chain.txt"] = await self._chain(events)
        files["verify-events.py"] = VERIFY_EVENTS
        return [(name, _text(each)) for name, each in files.items() if each is not None]

    async def _try(self, name: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        """A fact, or None with a note where it cannot be fetched."""
        try:
            return await ask()
        except RegistryError as error:
            self.missing.append(f"- `{name}`: {error.message}")
            return None

    async def _signature(self, fingerprint: str) -> str:
        return (await self.client.read_signature(*self._names, fingerprint)).decode()

    async def _keys(self) -> dict[str, str]:
        """By fingerprint: the public keys that its environment trusts, and those of the one that it was promoted
        from."""
        found = dict[str, str]()
        if (source := self.version.origin.promoted_from) is not None:
            # The key of its signature there; a user who exports the pack may lack access to that environment.
            found |= await self._try("signatures/*.pub", partial(self._trusted, source.registry_id)) or {}
        return found | (await self._try("signatures/*.pub", partial(self._trusted, self.version.registry_id)) or {})

    async def _trusted(self, registry_id: str) -> dict[str, str]:
        registry = await self.client.registry(registry_id)
        keys = self.client.every(self.client.signing_keys, registry.environment_id, **_PAGE)
        return {each.fingerprint: each.public_key async for each in keys}

    async def _run(self) -> Any:
        origin = self.version.origin
        if origin.run_id is None or origin.project_id is None:
            raise RegistryError("the version names no run")
        return await self.client.run(origin.project_id, origin.run_id)

    async def _approvals(self) -> list[Approval]:
        return [each async for each in self.client.every(self.client.approvals, version_id=self.version.id, **_PAGE)]

    async def _stages(self) -> list[StageEntry]:
        return [each async for each in self.client.every(self.client.stages, *self._names, **_PAGE)]

    async def _events(self) -> list[Event]:
        """The events of the version and its model, oldest first."""
        found: dict[int, Event] = {}
        for resource in (self.version.id, self.version.model_id):
            async for each in self.client.every(self.client.events, resource=resource, **_PAGE):
                found[each.id] = each
        return [found[number] for number in sorted(found)]

    async def _chain(self, events: list[Event]) -> str:
        """The links from the one before the first event to the newest."""
        first = events[0].id if events else 1
        lines, before, before_id = list[str](), GENESIS, 0
        start = max(0, first - _LINKS)
        async for each in self.client.every(self.client.event_links, start, page_size=_LINKS):
            if each.id < first:
                before_id, before = each.id, each.hash
                continue
            lines.append(f"{each.id} {each.digest} {each.hash}\n")
            self.head = f"{each.id}:{each.hash}"
        return f"{before_id} - {before}\n{''.join(lines)}"

    def readme(self) -> str:
        """The contents of the folder, and how to verify it."""
        version = self.version
        origin = version.origin
        missing = "\nNot there:\n\n" + "\n".join(self.missing) + "\n" if self.missing else ""
        commands = "".join(f"{each}\n" for each in self._commands())
        return README.format(
            name=version.model_name,
            version=version.version,
            where=origin.environment_name or "the registry",
            at=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            card=self.author,
            spec=self.spec,
            missing=missing,
            commands=commands,
            head=self.head,
        )

    def _commands(self) -> list[str]:
        """Commands that compare the model's files with the registered and signed ones."""
        if not self.with_model:
            return ["# in the folder of a download of the version: sha256sum -c …/archive.sha256"]
        return [
            f"(cd {MODEL_FOLDER} && sha256sum -c ../archive.sha256)  # the files are those that were registered",
            *(
                f"model_signing verify key {MODEL_FOLDER} --signature signatures/{each}.sig "
                f"--public_key signatures/{each}.pub"
                for each in self.signed
            ),
        ]


async def evidence_files(client: RegistryClient, version: ModelVersion, *, with_model: bool) -> AsyncIterator[Remote]:
    """The files of an evidence pack, in the order in which they are written: checksums last. Raises RegistryError."""
    pack = _Pack(client, version, with_model)
    for name, text in await pack.content():
        yield Remote(name, None, _writer(text))
    if with_model:
        async for file in archive_files(client, version):
            yield Remote(f"{MODEL_FOLDER}/{file.path}", file.size, file.fetch, file.sha256)
    yield Remote("README.md", None, _writer(pack.readme()))
    yield Remote("SHA256SUMS", None, _write_sums)


def _writer(text: str) -> Callable[[Path, Progress], Awaitable[object]]:
    async def write(target: Path, progress: Progress) -> None:
        await asyncio.to_thread(_new_file, target, text)

    return write


async def _write_sums(target: Path, progress: Progress) -> None:
    await asyncio.to_thread(_sums_into, target)


def _sums_into(target: Path) -> None:
    folder = target.parent
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != target)
    lines = [f"{_sum(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    _new_file(target, "".join(lines))


def _new_file(target: Path, text: str) -> None:
    with target.open("x", encoding="utf-8") as file:
        file.write(text)


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(_plain(value), indent=2, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return [_plain(each) for each in value] if isinstance(value, list) else value
