"""The private names of Textual."""

from __future__ import annotations

from support.private_names.foreign import Foreign, Kind

_PAINTING = "terminal/textual_private.py"

TEXTUAL = (
    Foreign("textual._compositor:Compositor", _PAINTING, Kind.CLASS, "leaves out widgets of which nothing is seen"),
    Foreign("textual._compositor:Compositor._get_renders", _PAINTING, ("self", "crop"), "which widgets are drawn"),
    Foreign("textual._compositor:LayoutUpdate", _PAINTING, Kind.CLASS, "only lines that changed are sent"),
    Foreign(
        "textual._compositor:LayoutUpdate.__init__", _PAINTING, ("self", "strips", "region"), "such an update is made"
    ),
    Foreign("textual._compositor:ChopsUpdate", _PAINTING, Kind.CLASS, "only lines that changed are sent"),
    Foreign(
        "textual._compositor:ChopsUpdate.__init__",
        _PAINTING,
        ("self", "chops", "spans", "chop_ends"),
        "such an update is made",
    ),
    Foreign("textual._compositor:CompositorUpdate", _PAINTING, Kind.CLASS, "what an app is asked to show"),
    Foreign(
        "textual._compositor:CompositorUpdate.render_segments",
        "widgets/shown.py",
        ("self", "console"),
        "what is written to the terminal",
    ),
    Foreign("textual._styles_cache:StylesCache", _PAINTING, Kind.CLASS, "its cache keeps widgets that are gone"),
    Foreign(
        "textual._styles_cache:StylesCache.get_inner_outer",
        _PAINTING,
        ("cls", "base_background", "background"),
        "its cache keeps widgets that are gone",
    ),
    Foreign("textual.app:App._batch_count", _PAINTING, Kind.ATTRIBUTE, "Textual starts within a batch"),
    Foreign("textual.app:App._display", _PAINTING, ("self", "screen", "renderable"), "changes what is sent"),
    Foreign("textual.app:App._end_batch", _PAINTING, ("self",), "draws the first page once"),
    Foreign("textual.app:App._load_screen_css", _PAINTING, ("self", "screen"), "parses each screen's styles once"),
    Foreign("textual.app:App._start_widget", _PAINTING, ("self", "parent", "widget"), "starts a scroll bar of ours"),
    Foreign("textual.app:App._driver", _PAINTING, Kind.ATTRIBUTE, "writes what Textual has no call for"),
    Foreign("textual.app:App._clipboard", _PAINTING, Kind.ATTRIBUTE, "fields paste what was copied"),
    Foreign(
        "textual.css.stylesheet:Stylesheet._parse_cache", _PAINTING, Kind.ATTRIBUTE, "64 sources are too few for us"
    ),
    Foreign("textual.screen:Screen._compositor", _PAINTING, Kind.ATTRIBUTE, "a compositor of ours"),
    Foreign("textual.screen:Screen._compositor_refresh", _PAINTING, ("self",), "draws the first page once"),
    Foreign(
        "textual.screen:Screen._pop_result_callback", _PAINTING, ("self",), "the lowest screen has none to be taken"
    ),
    Foreign("textual.screen:Screen._result_callbacks", _PAINTING, Kind.ATTRIBUTE, "as above"),
    Foreign("textual.widget:Widget._closing", _PAINTING, Kind.ATTRIBUTE, "a screen that is left while it begins"),
    Foreign("textual.widget:Widget._pruning", _PAINTING, Kind.ATTRIBUTE, "a screen that is left while it begins"),
    Foreign(
        "textual.widget:Widget._dispatch_message",
        _PAINTING,
        ("self", "message"),
        "such a screen begins with nothing",
    ),
    Foreign("textual.widget:Widget._vertical_scrollbar", _PAINTING, Kind.ATTRIBUTE, "a scroll bar of ours"),
    Foreign("textual.widgets:Input._suggestion", _PAINTING, Kind.ATTRIBUTE, "the completion that a field shows"),
    Foreign("textual.widgets:Checkbox._button", _PAINTING, Kind.PROPERTY, "the box looks as we say"),
)
