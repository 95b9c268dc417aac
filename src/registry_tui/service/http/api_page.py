"""The API's description as one page of HTML without scripts, so that it works offline and in any browser."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

#: The page may use its own style sheet and nothing else.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"

_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: 13px/1.4 ui-monospace, monospace }
pre { overflow-x: auto; padding: .6rem; border: 1px solid #8884; border-radius: 4px }
details { border: 1px solid #8884; border-radius: 4px; margin: .3rem 0; padding: .3rem .6rem }
summary { cursor: pointer } summary b { display: inline-block; min-width: 4rem }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; vertical-align: top; padding: .15rem .6rem .15rem 0 }
h2 { margin-top: 2rem; border-bottom: 1px solid #8884 }
"""


def render(description: Mapping[str, Any]) -> str:
    """The page for an OpenAPI description."""
    info = description["info"]
    body = [f"<h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>"]
    body += [f"<p>{_text(part)}</p>" for part in info["description"].split("\n\n")]
    body.append(
        "<p>The whole description for programs: <a href='openapi.json'>openapi.json</a>. Try it:</p>"
        "<pre>curl --unix-socket &lt;home&gt;/run/service.sock http://registry-tui/api/v1/registries</pre>"
    )
    groups: dict[str, list[str]] = {}
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            for tag in operation.get("tags", ["other"]):
                groups.setdefault(tag, []).append("".join(_operation(path, method, operation)))
    for tag, parts in groups.items():
        body.append(f"<h2>{escape(tag.capitalize())}</h2>")
        body += parts
    body.append("<h2>Schemas</h2>")
    for name, schema in sorted(description["components"]["schemas"].items()):
        body.append("".join(_schema(name, schema)))
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        f"<meta name='viewport' content='width=device-width'><title>{escape(info['title'])} API</title>"
        f"<style>{_STYLE}</style><body>{''.join(body)}</body></html>"
    )


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"<details id='{escape(operation['operationId'])}'><summary><b>{method.upper()}</b> "
    yield f"<code>{escape(path)}</code> {escape(operation.get('summary', ''))}</summary>"
    if text := operation.get("description"):
        yield f"<p>{_text(text)}</p>"
    if parameters := operation.get("parameters"):
        yield "<table><tr><th>Parameter<th>In<th>Type<th>"
        for parameter in parameters:
            required = " (required)" if parameter.get("required") else ""
            yield f"<tr><td><code>{escape(parameter['name'])}</code>{required}<td>{escape(parameter['in'])}"
            yield f"<td>{_type(parameter['schema'])}<td>{_text(parameter.get('description', ''))}"
        yield "</table>"
    if body := operation.get("requestBody"):
        yield f"<p>Body: {_content(body)}</p>"
    for status, response in operation["responses"].items():
        yield f"<p>{escape(status)}: {_content(response) or escape(response.get('description', ''))}</p>"
    yield "</details>"


def _content(part: Mapping[str, Any]) -> str:
    return ", ".join(
        f"<code>{escape(kind)}</code> {_type(content.get('schema', {}))}"
        for kind, content in part.get("content", {}).items()
    )


def _schema(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"<details id='{escape(name)}'><summary><code>{escape(name)}</code></summary>"
    if text := schema.get("description"):
        yield f"<p>{_text(text)}</p>"
    if values := schema.get("enum"):
        yield f"<p>One of: {', '.join(f'<code>{escape(json.dumps(value))}</code>' for value in values)}</p>"
    if properties := schema.get("properties"):
        yield "<table><tr><th>Field<th>Type<th>Default"
        for field, kind in properties.items():
            required = " (required)" if field in schema.get("required", ()) else ""
            default = f"<code>{escape(json.dumps(kind['default']))}</code>" if "default" in kind else ""
            yield f"<tr><td><code>{escape(field)}</code>{required}<td>{_type(kind)}<td>{default}"
        yield "</table>"
    yield "</details>"


def _type(schema: Mapping[str, Any]) -> str:
    if reference := schema.get("$ref"):
        name = escape(reference.rsplit("/", 1)[-1])
        return f"<a href='#{name}'>{name}</a>"
    if choices := schema.get("anyOf"):
        return " or ".join(_type(choice) for choice in choices)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if isinstance(values := schema.get("additionalProperties"), Mapping):
        return f"object of {_type(values)}"
    return escape(str(schema.get("format") or schema.get("type") or "anything"))


def _text(text: str) -> str:
    parts = escape(text, quote=False).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
