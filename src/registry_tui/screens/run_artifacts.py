"""A run's artifacts: the tree of its folders, and a preview of what is selected."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual import on
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from registry_tui.widgets.artifact_preview import ArtifactPreview
from registry_tui.widgets.previews import bytes_wanted
from registry_tui.widgets.text import safe
from registry_tui.widgets.words import size

if TYPE_CHECKING:
    from registry_tui.client import RegistryClient
    from registry_tui.schemas.tracking import Artifact, ArtifactFolder
    from registry_tui.screens.download import DownloadForm, Remote
    from registry_tui.screens.frame import FrameScreen


class RunArtifacts(Horizontal):
    """The tab of a run's artifacts. Folders are read when they are opened."""

    def __init__(self, project: str, run: str) -> None:
        super().__init__(id="run-artifacts")
        self.project, self.run = project, run
        #: Folders that were read, by path.
        self.folders: dict[str, ArtifactFolder] = {}

    def compose(self) -> Iterable[Widget]:
        tree = Tree[Any]("artifacts", id="tree")
        tree.show_root = False
        tree.guide_depth = 2
        yield tree
        yield ArtifactPreview(id="preview")

    @property
    def frame(self) -> FrameScreen:
        from registry_tui.screens.frame import FrameScreen

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
        """The tab came into view: something is selected."""
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
            name = safe(entry.name, 80)
            if entry.is_folder:
                node.add(Text(name), data=entry)
            else:
                node.add_leaf(Text.assemble(name, (f"  {size(entry.size)}", "dim")), data=entry)
        if path == "" and not folder.entries:
            self.query_one(ArtifactPreview).say("This run has no artifacts")
        if folder.is_model:
            node.set_label(Text.assemble(safe(path.rsplit("/", 1)[-1], 80), ("  model", "bold")))
        self.frame.show_actions()

    @on(Tree.NodeExpanded, "#tree")
    def _expanded(self, event: Tree.NodeExpanded[Any]) -> None:
        entry: Artifact | None = event.node.data
        if entry is not None and not event.node.children:
            self.frame.work_on(self._fill(event.node, entry.path), f"folder {entry.path}")

    @on(Tree.NodeHighlighted, "#tree")
    def _highlighted(self, event: Tree.NodeHighlighted[Any]) -> None:
        entry: Artifact | None = event.node.data
        if entry is not None:
            self.frame.work_on(self._preview(entry), "preview")
        self.frame.show_actions()

    async def _preview(self, entry: Artifact) -> None:
        pane = self.query_one(ArtifactPreview)
        path, bytes_ = entry.path, entry.size
        if entry.is_folder:
            folder = await self._folder(path)
            self.frame.show_actions()
            card = next((one for one in folder.entries if one.name == "MLmodel"), None)
            if card is None:
                pane.say(f"{safe(path, 200)}: a folder of {len(folder.entries)}")
                return
            path, bytes_ = card.path, card.size
        if not bytes_:
            pane.show(path, b"", 0)
            return
        wanted = min(bytes_, bytes_wanted(path, bytes_))
        data = await self.client.read_artifact(self.project, self.run, path, length=wanted)
        pane.show(path, data, bytes_)

    # -- what is selected ---------------------------------------------------------------------------

    @property
    def selected(self) -> Artifact | None:
        """The entry under the tree's cursor."""
        node = self.tree_view.cursor_node
        return None if node is None else node.data

    @property
    def model_path(self) -> str | None:
        """The model folder that is selected, or that holds what is selected."""
        entry = self.selected
        if entry is None:
            return None
        path = entry.path if entry.is_folder else entry.path.rpartition("/")[0]
        folder = self.folders.get(path)
        return path if folder is not None and folder.is_model else None


def download_form(client: RegistryClient, project: str, run: str, name: str, entry: Artifact | None) -> DownloadForm:
    """A form that saves a file or folder of a run, or everything under the run's name."""
    from registry_tui.screens.download import DownloadForm, Remote, artifact_files

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
