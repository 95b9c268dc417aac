"""Forms that change a registered model, a version, and aliases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from textual import on
from textual.widget import Widget
from textual.widgets import Input, Select, Static

from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.names import alias_problem
from registry_tui.screens.base.depends_on import DependsOn
from registry_tui.screens.base.form import Form, Lines, row
from registry_tui.screens.base.name_field import Choice, NameField, named_row, once
from registry_tui.screens.base.user_names import every_user
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.models import ModelVersion, RegisteredModel, Tag


def tags_text(tags: Mapping[str, str]) -> str:
    """Tags in typed form: key=value, with commas between."""
    return ", ".join(f"{key}={value}" for key, value in sorted(tags.items()))


def parse_tags(text: str) -> dict[str, str]:
    """The typed tags. Raises ValueError with a message for people."""
    found: dict[str, str] = {}
    for part in (part.strip() for part in text.split(",")):
        if not part:
            continue
        key, separator, value = part.partition("=")
        if not separator or not key.strip():
            raise ValueError(f"{part!r} is not a tag: write key=value, with commas between")
        if key.strip() in found:
            raise ValueError(f"the tag {key.strip()} is there twice")
        found[key.strip()] = value.strip()
    return found


def tag_changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[list[Tag], list[str]]:
    """Tags to set, and keys to delete."""
    from registry_tui.schemas.models import Tag

    changed = [Tag(key=key, value=value) for key, value in after.items() if before.get(key) != value]
    return changed, [key for key in before if key not in after]


class _Tagged(Form[bool]):
    """A form with a line of tags. Tags whose text cannot be typed on one line stay unchanged."""

    def __init__(self, tags: Mapping[str, str]) -> None:
        super().__init__()
        self.typable = {
            key: value for key, value in tags.items() if "," not in value and value.isprintable() and len(value) < 200
        }

    def tags_row(self, label: str) -> Widget:
        return row(label, Input(tags_text(self.typable), compact=True, id="tags", placeholder="key=value, key=value"))

    def problem_of(self) -> str | None:
        try:
            parse_tags(self.query_one("#tags", Input).value)
        except ValueError as error:
            return str(error)
        return None

    def changes(self) -> tuple[list[Tag], list[str]]:
        return tag_changes(self.typable, parse_tags(self.query_one("#tags", Input).value))


class EditVersion(_Tagged):
    """Notes and tags of a version."""

    def __init__(self, version: ModelVersion) -> None:
        super().__init__(version.tags)
        self.version = version

    @property
    def edits(self) -> bool:
        return True

    def title_text(self) -> str:
        return f"{self.version.model_name} version {self.version.version}"

    def compose_fields(self) -> Iterable[Widget]:
        yield row("Version notes", Lines(self.version.notes, id="notes"))
        yield self.tags_row("Version tags")

    async def send(self) -> bool:
        from registry_tui.schemas.models import VersionUpdate

        version = self.version
        set_tags, delete_tags = self.changes()
        request = VersionUpdate(notes=self.query_one("#notes", Lines).text, set_tags=set_tags, delete_tags=delete_tags)
        await self.program.client.update_version(version.registry_id, version.model_name, version.version, request)
        return True


class EditModel(_Tagged):
    """Description, owner, visibility and tags of a model."""

    def __init__(self, model: RegisteredModel) -> None:
        super().__init__(model.tags)
        self.model = model

    @property
    def edits(self) -> bool:
        return True

    def title_text(self) -> str:
        return self.model.name

    def compose_fields(self) -> Iterable[Widget]:
        yield row("Description", Lines(self.model.description, id="description"))
        yield named_row("Owner", NameField(self.model.owner, id="owner", find=every_user(self)))
        choices = (("private", "private"), ("public", "public"))
        value = self.model.visibility.value
        yield row("Visibility", Select(choices, value=value, allow_blank=False, compact=True, id="visibility"))
        yield self.tags_row("Tags")

    def problem_of(self) -> str | None:
        return super().problem_of() or (None if self.query_one("#owner", Input).value.strip() else "type an owner")

    async def send(self) -> bool:
        from registry_tui.schemas.models import ModelUpdate, Visibility

        model = self.model
        set_tags, delete_tags = self.changes()
        description, owner = self.query_one("#description", Lines).text, self.query_one("#owner", Input).value.strip()
        visibility = Visibility(str(self.query_one("#visibility", Select).value))
        request = ModelUpdate(
            description=None if description == model.description else description,
            owner=None if owner == model.owner else owner,
            visibility=None if visibility == model.visibility else visibility,
            set_tags=set_tags,
            delete_tags=delete_tags,
        )
        await self.program.client.update_model(model.registry_id, model.id, request)
        return True


class SetAlias(Form[bool]):
    """An alias for a version; it moves if another version has it. One that the version has is removed."""

    def __init__(self, version: ModelVersion) -> None:
        super().__init__()
        self.version = version

    def title_text(self) -> str:
        return f"Alias for version {self.version.version}"

    async def _aliases(self) -> list[Choice]:
        model = await self.program.client.model(self.version.registry_id, self.version.model_name)
        return [Choice(alias, self._becomes(number)) for alias, number in sorted(model.aliases.items())]

    def _becomes(self, number: int) -> str:
        return "taken away from this version" if number == self.version.version else f"moves here from version {number}"

    def compose_fields(self) -> Iterable[Widget]:
        yield named_row("Alias", NameField(id="alias", find=once(self._aliases), placeholder="champion"))
        if self.version.aliases:
            now = ", ".join(self.version.aliases)
            yield Static(safe(f"it has {now}; typing one of these takes it away", 300), classes="hint", markup=False)
        yield DependsOn([])

    @on(Input.Changed, "#alias")
    def _named(self, event: Input.Changed) -> None:
        """Shows the dependents of an alias that this version has: removing it breaks them."""
        version, alias = self.version, event.value
        ref = reference("alias", version.registry_id, version.model_name, alias)
        self.query_one(DependsOn).about([ref] if alias in version.aliases else [])

    def on_mount(self) -> None:
        self.query_one("#alias").focus()

    def problem_of(self) -> str | None:
        typed = self.query_one("#alias", Input).value
        return None if typed in self.version.aliases else alias_problem(typed)

    async def send(self) -> bool:
        version = self.version
        client, alias = self.program.client, self.query_one("#alias", Input).value
        if alias in version.aliases:
            await client.delete_alias(version.registry_id, version.model_name, alias)
        else:
            await client.set_alias(version.registry_id, version.model_name, alias, version.version)
        return True
