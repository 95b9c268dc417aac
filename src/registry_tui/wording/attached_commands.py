"""The commands of requests about attached MLflow servers."""

from __future__ import annotations

from registry_tui.wording.command_parts import YES, Body, Line, Make, Names, Options, line, simple

#: The file that a printed command reads the password or token from: a command line can be seen by others.
SECRET_FILE = "mlflow.secret"
CERTIFICATE_FILE = "mlflow.pem"


def _attach(names: Names, query: Body, body: Body) -> list[Line]:
    return [line("attach", [body["name"], body["url"]], [("--environment", body["environment"]), *_reached(body)])]


def _change(names: Names, query: Body, body: Body) -> list[Line]:
    without: Options = [("--without", each) for each in body["without"]]
    return [line("attached change", [names[0], body["url"]], [*_reached(body), *without])]


def _reached(body: Body) -> Options:
    secret = SECRET_FILE if body["secret"] is not None else None
    return [
        ("--user", body["user"]),
        ("--password-file" if body["user"] is not None else "--token", secret),
        ("--certificate", CERTIFICATE_FILE if body["certificate"] is not None else None),
        ("--proxy", body["proxy"]),
        ("--aws-sigv4", body["aws_profile"] is not None),
        ("--aws-profile", body["aws_profile"]),
        ("--aws-region", body["aws_region"]),
        ("--allow-http", body["allow_http"]),
    ]


def _import(names: Names, query: Body, body: Body) -> list[Line]:
    return [line("attached import", [names[0], *body["models"]], [("--registry", body["registry"])])]


def remark(body: Body) -> str:
    """Steps that are needed before the command."""
    needed = [
        f"put the {'password' if body['user'] is not None else 'token'} into the file {SECRET_FILE} first"
        if body["secret"] is not None
        else "",
        f"put the certificates into the file {CERTIFICATE_FILE} first" if body["certificate"] is not None else "",
    ]
    return "; ".join(filter(None, needed))


#: Method and address below `/api/v1`, with the command that does the same.
COMMANDS: tuple[tuple[str, str, Make], ...] = (
    ("POST", "attached-servers", _attach),
    ("PUT", "attached-servers/*", _change),
    ("POST", "projects/*/attached-models/import", _import),
    ("DELETE", "attached-servers/*", simple("detach", YES)),
)
