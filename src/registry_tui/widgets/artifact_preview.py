"""Previews an artifact: text, a table, a model's card, an image in half blocks, or bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.syntax import Syntax
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Markdown, Static

from registry_tui.terminal.textual_private import write_raw
from registry_tui.widgets.previews import (
    BinaryPreview,
    EmptyPreview,
    ImagePreview,
    MarkdownPreview,
    ModelCard,
    ModelPreview,
    TablePreview,
    TextPreview,
    preview,
)
from registry_tui.wording.text import fit, safe, safe_lines
from registry_tui.wording.words import size

if TYPE_CHECKING:
    from registry_tui.widgets.sixels import Sixels
    from registry_tui.widgets.terminal_images import Way

#: Widest column of a previewed table.
_MAX_COLUMN = 24


class ArtifactPreview(VerticalScroll):
    """`show` replaces the content; `say` shows a message instead."""

    DEFAULT_CSS = """
    ArtifactPreview {
        overflow-x: auto;
        & > Static { height: auto; width: auto; min-width: 100%; }
        & > Markdown { height: auto; padding: 0; margin: 0; }
    }
    """

    #: How the displayed image is drawn, and its number.
    _pictured: tuple[Way, int] | None = None

    def say(self, text: str) -> None:
        """Words in place of a preview."""
        self._forget()
        self._replace(Static(Content.assemble((text, "$foreground-muted")), markup=False))

    def show(self, path: str, head: bytes, bytes_: int | None, beside: Mapping[str, bytes] | None = None) -> None:
        """Shows a file from its first bytes; `bytes_` is its whole size. `beside`: as `preview` takes it."""
        self._forget()
        found = preview(path, head, bytes_, beside)
        note = ""
        if bytes_ is not None and len(head) < bytes_:
            note = f"the first {size(len(head))} of {size(bytes_)}"
        widget: Static | Markdown
        if isinstance(found, MarkdownPreview):
            widget = Markdown(safe_lines(found.text), open_links=False)
        elif isinstance(found, ImagePreview):
            widget = Static(self._picture(found.data), markup=False)
        elif isinstance(found, TextPreview) and found.language is not None:
            theme = "ansi_dark" if self.app.current_theme.dark else "ansi_light"
            widget = Static(Syntax(safe_lines(found.text), found.language, theme=theme, background_color="default"))
        else:
            widget = Static(_content(found), markup=False)
        self._replace(
            *([Static(Content.assemble((f"{note}\n", "$foreground-muted")), markup=False)] if note else []), widget
        )

    def _picture(self, data: bytes) -> Content:
        """An image in the terminal's own way, where the terminal supports one; else in half blocks."""
        room = max(20, self.size.width - 4)
        if (way := self.way_of_images) is not None:
            from registry_tui.widgets.terminal_images import kitty_sent, terminal_image

            # The half blocks report an image that cannot be read, or not without Pillow.
            with suppress(ImportError, OSError, ValueError):
                image = terminal_image(data, room)
                if way == "kitty":
                    self._write(kitty_sent(image))
                else:
                    self._sixels.add(image)
                self._pictured = (way, image.number)
                return Content.assemble((image.text, image.colour))
        return _image(data, room)

    @property
    def way_of_images(self) -> Way | None:
        """The terminal's way to show images, where placeholders are preserved: in all colours, and without a filter."""
        from registry_tui.widgets.terminal_images import way_here

        app = self.app
        preferences = getattr(app, "preferences", None)
        if preferences is None or app.is_headless or app.console.color_system != "truecolor":
            return None
        if preferences.terminal.plain or preferences.colorless:
            return None
        wanted = preferences.terminal.images
        way = way_here(wanted)
        if way == "sixel" and wanted == "auto":
            from registry_tui.widgets.sixels import cell_size

            # With an unknown cell size they would leave gaps, or cover neighbouring cells.
            return way if cell_size() is not None else None
        return way

    @property
    def _sixels(self) -> Sixels:
        sixels: Sixels = self.app.shown.sixels  # type: ignore[attr-defined]
        return sixels

    def _write(self, sequences: str) -> None:
        write_raw(self.app, sequences)

    def _forget(self) -> None:
        """Frees an image that is no longer visible."""
        if self._pictured is not None:
            from registry_tui.widgets.terminal_images import kitty_forgotten

            way, number = self._pictured
            if way == "kitty":
                self._write(kitty_forgotten(number))
            else:
                self._sixels.forget(number)
            self._pictured = None

    def on_unmount(self) -> None:
        self._forget()

    def _replace(self, *widgets: Static | Markdown) -> None:
        self.remove_children()
        self.mount(*widgets)
        self.scroll_home(animate=False)


def _content(found: Any) -> Content:
    if isinstance(found, ModelPreview):
        return _card(found.card)
    if isinstance(found, TablePreview):
        return _table(found)
    if isinstance(found, EmptyPreview):
        return Content.assemble(("The file is empty", "$foreground-muted"))
    if isinstance(found, BinaryPreview):
        return Content(found.dump)
    return Content(safe_lines(found.text))


def _card(card: ModelCard) -> Content:
    titled = (("Flavours", card.flavours), ("Inputs", card.inputs), ("Outputs", card.outputs), ("Params", card.params))
    facts = tuple(fact for fact in card.facts if not (card.example and fact[0] == "Input example"))
    names = [name or "(unnamed)" for _, rows in (*titled, ("", facts)) for name, _ in rows]
    width = min(26, max((cell_len(safe(name, 60)) for name in names), default=0) + 2)
    parts: list[tuple[str, str]] = []

    def add(title: str, rows: Sequence[tuple[str, str]]) -> None:
        if rows:
            parts.append((f"{title}\n", "bold $accent"))
        for name, detail in rows:
            parts.append((f"  {fit(safe(name, 60) or '(unnamed)', width - 2)}  ", ""))
            parts.append((f"{safe(detail, 200)}\n", "$foreground-muted"))

    for title, rows in titled:
        add(title, rows)
    if card.requirements:
        parts.append(("Requirements\n", "bold $accent"))
        parts += [(f"  {safe(line, 200)}\n", "") for line in card.requirements]
    if card.example:
        parts.append(("Input example\n", "bold $accent"))
        parts += [(f"  {line}\n", "") for line in safe_lines(card.example).split("\n")]
    add("Facts", facts)
    return Content.assemble(*parts)


def _table(found: TablePreview) -> Content:
    rows = [tuple(safe(cell, 200) for cell in row) for row in (found.header, *found.rows)]
    widths = [min(_MAX_COLUMN, max(cell_len(row[column]) for row in rows)) for column in range(len(rows[0]))]
    parts: list[tuple[str, str]] = []
    for number, row in enumerate(rows):
        line = "  ".join(fit(cell, width, right=_numeric(cell)) for cell, width in zip(row, widths, strict=True))
        parts.append((line.rstrip() + "\n", "bold" if number == 0 else ""))
    return Content.assemble(*parts)


def _numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _image(data: bytes, columns: int) -> Content:
    """The image in half blocks, two pixels a cell; words when Pillow is missing or the bytes are not an image."""
    try:
        from io import BytesIO

        from PIL import Image, UnidentifiedImageError
    except ImportError:
        return Content(f"An image of {size(len(data))}. Install Pillow (`pip install pillow`) to see it here.")
    try:
        with Image.open(BytesIO(data)) as opened:
            width = max(1, min(columns, opened.width))
            # A cell is about twice as high as wide, and holds two pixels above each other.
            height = max(2, round(opened.height * width / opened.width) // 2 * 2)
            pixels = opened.convert("RGBA").resize((width, height), Image.Resampling.LANCZOS)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return Content(f"This image cannot be shown: {safe(str(error), 200)}")
    paper = Image.new("RGBA", pixels.size, "white")
    flat = list(Image.alpha_composite(paper, pixels).convert("RGB").getdata())
    parts: list[tuple[str, str]] = []
    for row in range(0, height, 2):
        for column in range(width):
            upper, lower = flat[row * width + column], flat[(row + 1) * width + column]
            parts.append(("▀", f"{_hex(upper)} on {_hex(lower)}"))
        parts.append(("\n", ""))
    return Content.assemble(*parts)


def _hex(colour: tuple[int, int, int]) -> str:
    return f"#{colour[0]:02x}{colour[1]:02x}{colour[2]:02x}"
