"""A run's artifacts: the tree of its folders with their sizes, and a preview of the selected one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual import on
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from registry_tui.contracts.counts import counted
from registry_tui.widgets.artifact_preview import ArtifactPreview
from registry_tui.widgets.awaited import LOADING, NOT_LOADED
from registry_tui.widgets.previews import BESIDE_BYTES, beside_model, bytes_wanted
from registry_tui.wording.text import safe
from registry_tui.wording.words import size

if TYPE_CHECKING:
    from registry_tui.client import RegistryClient
    from registry_tui.client.saving import Remote
    from registry_tui.schemas.tracking import Artifact, ArtifactFolder, ArtifactTotals
    from registry_tui.screens.base.download import DownloadForm
    from registry_tui.screens.base.frame import FrameScreen

#: Folders of one listing whose sizes are requested automatically; those of others when they are selected.
MAX_MEASURED = 30
#: Seconds that a preview may take before a loading message is shown in its place.
PATIENCE = 0.2


class RunArtifacts(Horizontal):
    """The tab of a run's artifacts. Folders are read when they are opened, their sizes counted by the service."""

    def __init__(self, project: str, run: str) -> None:
        super().__init__(id="run-artifacts")
        self.project, self.run = project, run
        #: Folders that were read, by path.
        self.folders: dict[str, ArtifactFolder] = {}
        #: The totals of folders, by path, once they were counted.
        self.totals: dict[str, ArtifactTotals] = {}
        #: The entry whose preview is being loaded.
        self._entry_wanted: Artifact | None = None

    def compose(self) -> Iterable[Widget]:
        tree = Tree[Any]("artifacts", id="tree")
        tree.show_root = False
        tree.guide_depth = 2
        yield tree
        yield ArtifactPreview(id="preview")

    def on_mount(self) -> None:
        self.query_one(ArtifactPreview).say(LOADING)

    @property
    def frame(self) -> FrameScreen:
        from registry_tui.screens.base.frame import FrameScreen

        assert isinstance(self.screen, FrameScreen)
        return self.screen

    @property
    def client(self) -> RegistryClient:
        return self.frame.client

    @property
    def tree_view(self) -> Tree[Any]:
        return self.query_one("#tree", Tree)

    # -- the tree -----------------------------------------------------------------------------------

    async def read(self) -> None:
        """Reads the top folder, once."""
        root = self.tree_view.root
        if not root.children:
            await self._fill(root, "")

    def begin(self) -> None:
        """The tab came into view: selects an entry."""
        tree = self.tree_view
        if tree.root.children and tree.cursor_line < 0:
            tree.cursor_line = 0

    async def _folder(self, path: str) -> ArtifactFolder:
        if path not in self.folders:
            self.folders[path] = await self.client.artifacts(self.project, self.run, path)
        return self.folders[path]

    async def _fill(self, node: TreeNode[Any], path: str) -> None:
        """Reads a folder's entries into the tree."""
        self.folders.pop(path, None)
        folder = await self._folder(path)
        node.remove_children()
        for entry in sorted(folder.entries, key=lambda one: (not one.is_folder, one.path)):
            if entry.is_folder:
                node.add(self._label(entry), data=entry)
            else:
                node.add_leaf(self._label(entry), data=entry)
        if path == "" and not folder.entries:
            self.query_one(ArtifactPreview).say("This run has no artifacts")
        if node.data is not None:
            node.set_label(self._label(node.data))
        self.frame.show_actions()
        self.frame.work_on(self._measure_below(node), f"sizes {path}")

    def _label(self, entry: Artifact) -> Text:
        """A tree's line: name, whether it is a model, size."""
        known, totals = self.folders.get(entry.path), self.totals.get(entry.path)
        bytes_ = f"  {size(entry.size)}" if not entry.is_folder else ""
        if totals is not None:
            bytes_ = f"  {'' if totals.complete else 'over '}{size(totals.bytes)}"
        model = "  model" if known is not None and known.is_model else ""
        return Text.assemble(safe(entry.name, 80), (model, "bold"), (bytes_, "dim"))

    async def _measure_below(self, node: TreeNode[Any]) -> None:
        """Requests the sizes of the folders of a listing, one after the other."""
        for child in [child for child in node.children if child.allow_expand][:MAX_MEASURED]:
            await self._measure(child)

    async def _measure(self, node: TreeNode[Any]) -> None:
        from registry_tui.client import ServiceProblem

        entry: Artifact | None = node.data
        if entry is None or entry.path in self.totals:
            return
        with suppress(ServiceProblem):  # the folder was removed, or cannot be counted now: it is shown without a size
            self.totals[entry.path] = await self.client.artifact_totals(self.project, self.run, entry.path)
            node.set_label(self._label(entry))

    @on(Tree.NodeExpanded, "#tree")
    def _expanded(self, event: Tree.NodeExpanded[Any]) -> None:
        entry: Artifact | None = event.node.data
        if entry is not None and not event.node.children:
            event.node.add_leaf(Text(LOADING, "dim"))
            self.frame.work_on(self._fill(event.node, entry.path), f"folder {entry.path}")

    @on(Tree.NodeHighlighted, "#tree")
    def _highlighted(self, event: Tree.NodeHighlighted[Any]) -> None:
        entry: Artifact | None = event.node.data
        if entry is not None:
            self._entry_wanted = entry
            self.frame.work_on(self._preview(entry, event.node), "preview")
            self.set_timer(PATIENCE, partial(self._say_loading, entry), name="preview")
        self.frame.show_actions()

    def _say_loading(self, entry: Artifact) -> None:
        """Shows that the selected artifact is loading, in place of another one's preview."""
        if self._entry_wanted is entry:
            self.query_one(ArtifactPreview).say(f"{safe(entry.name, 80)}: {LOADING}")

    async def _preview(self, entry: Artifact, node: TreeNode[Any]) -> None:
        try:
            await self._show_preview(entry, node)
        except Exception:
            self.query_one(ArtifactPreview).say(NOT_LOADED)
            raise
        finally:
            if self._entry_wanted is entry:
                self._entry_wanted = None

    async def _show_preview(self, entry: Artifact, node: TreeNode[Any]) -> None:
        pane = self.query_one(ArtifactPreview)
        path, bytes_ = entry.path, entry.size
        if entry.is_folder:
            folder = await self._folder(path)
            node.set_label(self._label(entry))
            self.frame.show_actions()
            card = next((one for one in folder.entries if one.name == "MLmodel"), None)
            if card is None:
                await self._measure(node)
                pane.say(_about_folder(folder, self.totals.get(path)))
                return
            path, bytes_ = card.path, card.size
        if not bytes_:
            pane.show(path, b"", 0)
            return
        data = await self._head(path, min(bytes_, bytes_wanted(path, bytes_)))
        pane.show(path, data, bytes_, await self._beside_model(path))

    async def _head(self, path: str, length: int) -> bytes:
        return await self.client.read_artifact(self.project, self.run, path, length=length)

    async def _beside_model(self, path: str) -> dict[str, bytes]:
        """The beginnings of the files that complete the card of an `MLmodel`; nothing for any other file."""
        folder, _, name = path.rpartition("/")
        if name != "MLmodel":
            return {}
        files = {entry.name: entry for entry in (await self._folder(folder)).entries if not entry.is_folder}
        names = [name for name in beside_model(files) if files[name].size]
        heads = (self._head(files[name].path, min(files[name].size or 0, BESIDE_BYTES)) for name in names)
        return dict(zip(names, await asyncio.gather(*heads), strict=True))

    def scroll_preview(self, pages: int = 0, *, across: int = 0) -> None:
        """Moves the preview by about so many pages down, and half pages across; the tree keeps the focus."""
        pane = self.query_one(ArtifactPreview)
        down, right = pages * max(1, pane.size.height - 2), across * max(1, pane.size.width // 2)
        pane.scroll_relative(x=right, y=down, animate=False)

    # -- selection ----------------------------------------------------------------------------------

    @property
    def selected(self) -> Artifact | None:
        """The entry under the tree's cursor."""
        node = self.tree_view.cursor_node
        return None if node is None else node.data

    @property
    def model_path(self) -> str | None:
        """The selected model folder, or the one that contains the selected entry."""
        entry = self.selected
        if entry is None:
            return None
        path = entry.path if entry.is_folder else entry.path.rpartition("/")[0]
        folder = self.folders.get(path)
        return path if folder is not None and folder.is_model else None


def _about_folder(folder: ArtifactFolder, totals: ArtifactTotals | None) -> str:
    text = f"{safe(folder.path, 200)}: a folder of {len(folder.entries)}"
    if totals is not None:
        more = "" if totals.complete else "at least "
        text += f", with {more}{counted(totals.files, 'file')} and {size(totals.bytes)} in it and below"
    if folder.hidden:
        names = ", ".join(safe(name, 100) for name in folder.hidden[:5])
        text += f"\nThe run's own {names}: hidden by the logged model's of the same path"
    return text


def download_form(client: RegistryClient, project: str, run: str, name: str, entry: Artifact | None) -> DownloadForm:
    """A form that saves a file or folder of a run, or everything under the run's name."""
    from registry_tui.client.saving import Remote, artifact_files
    from registry_tui.screens.base.download import DownloadForm

    if entry is None or entry.is_folder:
        path = "" if entry is None else entry.path
        return DownloadForm(name if entry is None else entry.name, lambda: artifact_files(client, project, run, path))

    async def one() -> AsyncIterator[Remote]:
        yield Remote(
            entry.name,
            entry.size,
            lambda target, progress: client.download_artifact(project, run, entry.path, target, progress),
        )

    return DownloadForm(entry.name, one, single=True)
