"""A lineage in words: as lines of a tree for a terminal, and as a graph in the DOT language."""

from __future__ import annotations

from collections.abc import Iterator

from registry_tui.schemas.lineage import LineageNode, LineageTree, NodeKind
from registry_tui.wording.text import safe

#: Kinds as displayed.
KINDS = {
    NodeKind.RUN: "run",
    NodeKind.DATASET: "data set",
    NodeKind.COMMIT: "git commit",
    NodeKind.LOGGED_MODEL: "logged model",
    NodeKind.MODEL: "model",
    NodeKind.VERSION: "version",
    NodeKind.ALIAS: "alias",
    NodeKind.DEPLOYMENT: "deployment",
    NodeKind.KEY: "API key",
    NodeKind.EXPERIMENT: "experiment",
    NodeKind.PROJECT: "project",
    NodeKind.REGISTRY: "registry",
    NodeKind.ENVIRONMENT: "environment",
    NodeKind.HIDDEN: "",
}


def described(node: LineageNode, limit: int = 80) -> str:
    """A node without its relation: kind, name, detail, and whether it was deleted."""
    kind = KINDS[node.kind]
    words = [word for word in (kind, safe(node.name, limit)) if word]
    notes = [note for note in (safe(node.detail, 200), "deleted" if node.gone else "") if note]
    return " ".join(words) + (f"   ({', '.join(notes)})" if notes else "")


def tree_lines(tree: LineageTree) -> Iterator[str]:
    """Lines of text: the object, its origins, its dependents."""
    yield described(tree.node)
    for title, below, more in (
        ("came from", tree.origins, tree.more_origins),
        ("what depends on it", tree.dependents, tree.more_dependents),
    ):
        yield f"{title}:" if below else f"{title}: nothing known"
        yield from _below(below, more, "  ")
    if tree.cut:
        yield "The tree is larger than this; ask with a smaller --depth or from a node below"


def _below(trees: list[LineageTree], more: str | None, indent: str) -> Iterator[str]:
    for index, each in enumerate(trees):
        last = index == len(trees) - 1 and more is None
        relation = f"{each.node.relation}: " if each.node.relation else ""
        yield f"{indent}{'└─' if last else '├─'} {relation}{described(each.node)}"
        further = indent + ("   " if last else "│  ")
        yield from _below(each.origins or each.dependents, each.more_origins or each.more_dependents, further)
    if more is not None:
        yield f"{indent}└─ …more than these {len(trees)}"


def dot(tree: LineageTree) -> str:
    """The graph in the DOT language of Graphviz; arrows lead from origins to dependents."""
    nodes: dict[str, str] = {}
    edges: dict[tuple[str, str], str] = {}

    def key_of(node: LineageNode, above: str) -> str:
        """A deleted or hidden node has no reference: it gets a separate node below each parent that names it."""
        key = node.ref or f"{above}|{node.relation}|{node.name}"
        label = " ".join(word for word in (KINDS[node.kind], safe(node.name, 200)) if word)
        nodes.setdefault(key, f"{label} (deleted)" if node.gone else label)
        return key

    def walk(each: LineageTree, key: str) -> None:
        for one in each.origins:
            further = key_of(one.node, key)
            edges[further, key] = one.node.relation
            walk(one, further)
        for one in each.dependents:
            further = key_of(one.node, key)
            edges[key, further] = one.node.relation
            walk(one, further)

    walk(tree, key_of(tree.node, ""))
    numbers = {key: f"n{index}" for index, key in enumerate(nodes)}
    lines = ["digraph lineage {", "  rankdir=LR;", "  node [shape=box];"]
    lines += [f'  {numbers[key]} [label="{_escaped(label)}"];' for key, label in nodes.items()]
    lines += [f'  {numbers[a]} -> {numbers[b]} [label="{_escaped(words)}"];' for (a, b), words in edges.items()]
    return "\n".join([*lines, "}"])


def _escaped(text: str) -> str:
    return safe(text, 400).replace("\\", "\\\\").replace('"', '\\"')
