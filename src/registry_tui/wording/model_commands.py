"""The commands of requests about models, versions, their rules and signatures."""

from __future__ import annotations

from registry_tui.wording.command_parts import YES, Body, Line, Make, Names, Options, line, simple, tagged


def _register(names: Names, query: Body, body: Body) -> list[Line]:
    path = body["artifact_path"]
    options: Options = [
        ("--project", names[0]),
        ("--name", body["name"]),
        ("--run", body["run_id"]),
        ("--path", "." if path == "" else path),
        ("--logged-model", body["logged_model_id"]),
        ("--source", body["source"]),
        ("--description", body["description"] or None),
        ("--notes", body["notes"] or None),
        *tagged(body["tags"]),
        ("--content", body["content"]),
        ("--visibility", body["visibility"]),
        ("--stage", body["stage"]),
    ]
    return [line("models register", (), options)]


def _update_model(names: Names, query: Body, body: Body) -> list[Line]:
    options: Options = [
        ("--registry", names[0]),
        ("--description", body["description"]),
        ("--visibility", body["visibility"]),
        ("--owner", body["owner"]),
        *tagged(body["set_tags"]),
        *(("--untag", key) for key in body["delete_tags"]),
    ]
    return [line("models update", names[1:], options)]


def _update_version(names: Names, query: Body, body: Body) -> list[Line]:
    options: Options = [
        ("--registry", names[0]),
        ("--notes", body["notes"]),
        *tagged(body["set_tags"]),
        *(("--untag", key) for key in body["delete_tags"]),
    ]
    return [line("models update-version", names[1:], options)]


def _delete_models(names: Names, query: Body, body: Body) -> list[Line]:
    keeps = query.get("keep_archives") or query.get("keep_archive")
    options: Options = [("--registry", names[0]), ("--keep-archives", bool(keeps)), ("--yes", True)]
    return [line("models delete", names[1:], options)]


def _set_alias(names: Names, query: Body, body: Body) -> list[Line]:
    return [line("models alias set", [*names[1:], query["version"]], [("--registry", names[0])])]


def _set_rules(names: Names, query: Body, body: Body) -> list[Line]:
    options: Options = [("--comment", body["comment"]), ("--instead-of", body["instead_of"])]
    return [line("rules set", [names[0], body["text"]], options)]


def _set_exception(names: Names, query: Body, body: Body) -> list[Line]:
    options: Options = [("--reason", body["reason"]), ("--until", body["expires_at"]), ("--registry", names[0])]
    return [line("rules exceptions set", names[1:], options)]


def _delete_exception(names: Names, query: Body, body: Body) -> list[Line]:
    return [line("rules exceptions delete", names[1:], [("--registry", names[0]), ("--yes", True)])]


def _of_model(words: str) -> Make:
    """A command about a model or a version, with its registry as an option."""
    return lambda names, query, body: [line(words, names[1:], [("--registry", names[0])])]


def _delete_alias(names: Names, query: Body, body: Body) -> list[Line]:
    return [line("models alias delete", names[1:], [("--registry", names[0]), YES])]


def _scan(names: Names, query: Body, body: Body) -> list[Line]:
    return [line("models scan", names[1:], [("--registry", names[0]), ("--again", True)])]


def _sign(names: Names, query: Body, body: Body) -> list[Line]:
    return [line("models sign", names[1:], [("--registry", names[0]), ("--signature", body["signature"])])]


def _add_signing_key(names: Names, query: Body, body: Body) -> list[Line]:
    return [line("signing keys add", [*names, body["name"], body["public_key"]])]


def _promote(names: Names, query: Body, body: Body) -> list[Line]:
    given = [
        ("--registry", names[0]),
        ("--to", body["to"]),
        ("--as", body["name"]),
        ("--visibility", body["visibility"]),
    ]
    return [line("models promote", names[1:], given)]


def _bom(names: Names, query: Body, body: Body) -> list[Line]:
    return [line("models bom", names[1:], [("--registry", names[0]), ("--again", True)])]


def _card(names: Names, query: Body, body: Body) -> list[Line]:
    return [
        line(
            "models card",
            names[1:],
            [("--text", body["text"]), ("--instead-of", body["instead_of"]), ("--registry", names[0])],
        )
    ]


_MODEL = "registries/*/models/*"
_VERSION = f"{_MODEL}/versions/*"
#: Method and address below `/api/v1`, with the command that does the same.
COMMANDS: tuple[tuple[str, str, Make], ...] = (
    ("POST", "projects/*/register", _register),
    ("PATCH", _MODEL, _update_model),
    ("DELETE", _MODEL, _delete_models),
    ("PUT", f"{_MODEL}/aliases/*", _set_alias),
    ("DELETE", f"{_MODEL}/aliases/*", _delete_alias),
    ("PATCH", _VERSION, _update_version),
    ("DELETE", _VERSION, _delete_models),
    ("POST", f"{_VERSION}/verify", _of_model("models verify")),
    ("POST", f"{_VERSION}/scan", _scan),
    ("POST", f"{_VERSION}/signatures", _sign),
    ("POST", f"{_VERSION}/promote", _promote),
    ("POST", f"{_VERSION}/bom", _bom),
    ("PUT", f"{_VERSION}/card", _card),
    ("POST", f"{_VERSION}/verification", _of_model("models verify")),
    ("PUT", "environments/*/rules", _set_rules),
    ("POST", "environments/*/signing-keys", _add_signing_key),
    ("POST", "environments/*/signing-keys/rotate", simple("signing keys rotate", YES)),
    ("DELETE", "environments/*/signing-keys/*", simple("signing keys remove", YES)),
    ("PUT", f"{_VERSION}/exceptions/*", _set_exception),
    ("DELETE", f"{_VERSION}/exceptions/*", _delete_exception),
)
