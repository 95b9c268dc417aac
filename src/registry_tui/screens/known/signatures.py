"""The signatures of a version, each checked now, and the way to its keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual.content import Content
from textual.widget import Widget

from registry_tui.contracts.counts import counted
from registry_tui.contracts.signatures import short
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.list_screen import ListScreen
from registry_tui.screens.base.tones import styled
from registry_tui.screens.known.version import change_problem, version_crumbs
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.known import SIGNATURES
from registry_tui.terminal.commands import Place
from registry_tui.widgets.facts import AwaitedFacts, facts
from registry_tui.widgets.page_cache import Fetch, Rows
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.wording.signatures import signature_check, signature_maker, signature_note, signatures_summary
from registry_tui.wording.text import safe
from registry_tui.wording.words import Cell, ago, size

if TYPE_CHECKING:
    from registry_tui.client.saving import Remote
    from registry_tui.schemas.models import ModelVersion, RegisteredModel
    from registry_tui.schemas.registries import ModelRegistry
    from registry_tui.schemas.signatures import CheckedSignature, VersionSignatures


class SignaturesScreen(ListScreen):
    """The signers of a version, the registry first, then others."""

    SECTION = "models"
    ACTIONS = SIGNATURES
    CONCERNS = frozenset({"signing-key", "version"})
    BINDINGS = bindings(SIGNATURES)
    CSS_PATH = "../../styles/known/known.tcss"
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("check", "Check", signature_check, 0, min_width=9, max_width=60),
        Column("by", "By", signature_maker, 1),
        Column("key", "Key", lambda row: row.key_name, 0, max_width=40),
        Column("fingerprint", "Fingerprint", lambda row: Cell(short(row.fingerprint), "dim"), 1),
        Column("signed", "Signed", lambda row: Cell(ago(row.signed_at), "dim"), 2),
        Column("creator", "For", lambda row: row.creator, 3),
    )
    EMPTY = Empty(
        "Nobody signed it",
        ("It was registered before versions were signed.", "n signs it, once all its files have their sums."),
        action="create",
    )

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.version: ModelVersion | None = None
        self.model: RegisteredModel | None = None
        self.registry: ModelRegistry | None = None
        self.found: VersionSignatures | None = None

    def compose_content(self) -> Iterable[Widget]:
        yield AwaitedFacts(id="facts")
        yield from super().compose_content()

    def crumbs(self) -> tuple[Crumb, ...]:
        return (*version_crumbs(self.place, self.version), ("Signatures", None))

    async def start(self) -> None:
        from registry_tui.client import NotFound, Refused, ServiceProblem

        self.table.say(None)
        try:
            await super().start()
        except ServiceProblem as error:
            if isinstance(error, NotFound | Refused) or error.problem.status != 409:
                raise
            # There is no archive yet, or it no longer exists.
            self.query_one("#facts", AwaitedFacts).update("")
            self.table.say(Empty(error.message, (error.action,) if error.action else ()))
            self.show_crumbs()

    async def prepare(self) -> None:
        registry, model, number = self.place.args["registry"], self.place.args["model"], int(self.place.args["version"])
        self.version = version = await self.client.version(registry, model, number)
        self.model = await self.client.model(registry, model)
        self.registry = place = await self.client.registry(registry)
        self.found = found = await self.client.signatures(registry, model, number)
        self.query_one("#facts", AwaitedFacts).show(partial(_facts, version, place, found))

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        async def fetch(token: str | None, backwards: bool) -> Any:
            found = [] if self.found is None else self.found.signatures
            return Rows(found, total=len(found))

        return fetch

    def key_of(self, row: CheckedSignature) -> str:
        return row.fingerprint

    def named(self, row: CheckedSignature) -> str:
        return row.key_name

    def copied(self, row: CheckedSignature) -> str:
        return row.fingerprint

    def open_row(self, row: CheckedSignature) -> None:
        from registry_tui.screens.base.viewer import View

        where = "" if self.registry is None else self.registry.environment_name
        note = signature_note(row, where)
        self.app.push_screen(View(f"signature of {row.key_name}", row.model_dump_json(indent=2), note=note))

    # -- actions ------------------------------------------------------------------------------------

    def why_not(self, action: str) -> str | None:
        if action == "create":
            return change_problem(self.program.me, self.model, self.version)
        if action == "signing_keys":
            return None if self.registry is not None else "its Model Registry is not known yet"
        return super().why_not(action)

    def do_create(self) -> None:
        from registry_tui.screens.known.signing_forms import SignForm

        assert self.version is not None and self.registry is not None
        self.app.push_screen(SignForm(self.version, self.registry.environment_name), self._signed)

    def _signed(self, signed: VersionSignatures | None) -> None:
        if signed is not None:
            self.flash(f"signed: {signatures_summary(signed).text}")
            self.refresh_data()

    def do_signing_keys(self) -> None:
        assert self.registry is not None
        self.program.open(Place("signing_keys", {"environment": self.registry.environment_name}))

    def do_download(self) -> None:
        from registry_tui.screens.base.download import DownloadForm

        row: CheckedSignature = self.current
        args = self.place.args
        name = f"{args['model']}-v{args['version']}-{row.key_name}.sig"
        fetch = partial(
            self.client.download_signature, args["registry"], args["model"], int(args["version"]), row.fingerprint
        )

        async def files() -> AsyncIterator[Remote]:
            from registry_tui.client.saving import Remote

            yield Remote(name, None, fetch)

        self.app.push_screen(DownloadForm(name, files, single=True), self._downloaded)

    def _downloaded(self, path: str | None) -> None:
        if path is not None:
            self.flash(f"saved in {path}, for model_signing verify")


def _facts(version: ModelVersion, registry: ModelRegistry, found: VersionSignatures, room: int) -> Content:
    known = [
        ("Trusted by", f"the keys of {registry.environment_name}"),
        ("Archive", f"{counted(version.archive_files or 0, 'file')}, {size(version.archive_bytes)}"),
    ]
    parts = [(f"{safe(version.model_name, 64)} v{version.version}  ", "bold"), styled(signatures_summary(found))]
    parts += [("\n", ""), *facts(known, 12, room)]
    *listed, (last, style) = parts
    return Content.assemble(*listed, (last.rstrip("\n"), style))
