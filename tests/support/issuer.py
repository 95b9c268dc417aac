"""A small OpenID provider with Authlib's server side: discovery, keys, device codes (RFC 8628), a page to approve."""

from __future__ import annotations

import html
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flask
import httpx
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant, DeviceCredentialDict
from authlib.oidc.core.grants.code import OpenIDToken
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from support.team import free_port

CLIENT = "registry-tui"
SCOPES = ("openid", "profile", "email")
PASSWORD = "only-a-test"
_SECRET_METHODS = ("client_secret_basic", "client_secret_post")


class Client(ClientMixin):  # type: ignore[misc]
    """The client that is registered here: a public one while the provider has no secret for it."""

    def __init__(self, id_: str, provider: Provider) -> None:
        self.client_id, self._provider = id_, provider

    def get_client_id(self) -> str:
        return self.client_id

    def get_allowed_scope(self, scope: str) -> str:
        return " ".join(each for each in scope.split() if each in SCOPES)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        provider = self._provider
        if method == "none":
            return provider.secret is None or provider.only_tokens_need_it
        return provider.secret is not None and method in provider.methods

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == self._provider.secret

    def check_grant_type(self, grant_type: str) -> bool:
        return bool(grant_type == DeviceCodeGrant.GRANT_TYPE)


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Nothing: requests are not for the output of tests."""


@dataclass
class Provider:
    """The provider: its accounts, and the knobs that tests turn."""

    url: str
    #: Accounts: the claims of their ID tokens, in addition to those of all.
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Of codes: seconds that they are good for, and seconds between questions.
    expires_in: int = 600
    interval: int = 1
    keys: list[RSAKey] = field(default_factory=list)
    codes: dict[str, DeviceCredentialDict] = field(default_factory=dict)
    #: By user code: the person, and whether they allowed it.
    answers: dict[str, tuple[str, bool]] = field(default_factory=dict)
    #: The ID tokens that people got here.
    given: list[str] = field(default_factory=list)
    #: The client's secret, how it may be shown, and whether codes are given without it.
    secret: str | None = None
    methods: tuple[str, ...] = ("client_secret_basic",)
    only_tokens_need_it: bool = False
    #: How often keys were asked for.
    keys_asked: int = 0
    #: Overrides of its metadata.
    described: dict[str, Any] = field(default_factory=dict)
    #: The status of its answer about its keys.
    keys_status: int = 200
    #: Answered instead, when it is out of order.
    broken: int = 0

    def rotate(self) -> None:
        """Signs with a new key from now on; the one before is not shown any more."""
        key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
        self.keys[:] = [key]

    def claims(self, person: str, **more: Any) -> dict[str, Any]:
        """The claims of a person's ID token."""
        now = int(time.time())
        own = {"iss": self.url, "aud": CLIENT, "sub": f"id-of-{person}", "iat": now, "exp": now + 300}
        return {**own, **self.people.get(person, {}), **more}

    def id_token(self, person: str, *, key: Any = None, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """An ID token without a sign-in, with other claims, header or key than a good one has."""
        signer = key or self.keys[-1]
        head = {"alg": "RS256", "kid": self.keys[-1].kid, **(header or {})}
        found = {name: value for name, value in self.claims(person, **claims).items() if value is not None}
        return jwt.encode({k: v for k, v in head.items() if v is not None}, found, signer, algorithms=[head["alg"]])

    def answer(self, address: str, person: str, *, allow: bool = True) -> None:
        """Acts as a person in a browser: opens the address with the code, signs in, and allows or denies."""
        with httpx.Client(trust_env=False, verify=False) as browser:
            page = browser.get(address).raise_for_status()
            code = page.text.partition('name="user_code" value="')[2].partition('"')[0]
            form = {"user_code": code, "person": person, "password": PASSWORD, "answer": "allow" if allow else "deny"}
            browser.post(str(page.url.copy_with(query=None)), data=form).raise_for_status()


class Serving:
    """A provider that listens, until it is stopped; it can start again at the same address."""

    def __init__(self, certificate: tuple[Path, Path] | None = None) -> None:
        """`certificate`: files with its certificate and key; without, it speaks no TLS."""
        self._port = free_port()
        self._certificate = certificate
        self.provider = Provider(f"http{'s' if certificate else ''}://127.0.0.1:{self._port}")
        self.provider.rotate()
        self._app = _application(self.provider)
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        tls: ssl.SSLContext | None = None
        if self._certificate is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(*self._certificate)
        self._server = make_server(
            "127.0.0.1", self._port, self._app, threaded=True, request_handler=_Quiet, ssl_context=tls
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def show(self, certificate: tuple[Path, Path]) -> None:
        """Starts again with another certificate."""
        self.stop()
        self._certificate = certificate
        self.start()

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = self._thread = None


@contextmanager
def serving(certificate: tuple[Path, Path] | None = None) -> Iterator[Serving]:
    """A provider that runs until the block ends."""
    running = Serving(certificate)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def _application(provider: Provider) -> flask.Flask:
    app = flask.Flask("issuer")
    client = Client(CLIENT, provider)

    class DeviceCodes(DeviceAuthorizationEndpoint):  # type: ignore[misc]
        CLIENT_AUTH_METHODS = ["none", *_SECRET_METHODS]

        @property
        def EXPIRES_IN(self) -> int:
            return provider.expires_in

        @property
        def INTERVAL(self) -> int:
            return provider.interval

        def get_verification_uri(self) -> str:
            return f"{provider.url}/device"

        def save_device_credential(self, client_id: str, scope: str, data: dict[str, Any]) -> None:
            expires_at = time.time() + data["expires_in"]
            found = DeviceCredentialDict(client_id=client_id, scope=scope, expires_at=expires_at, asked=0.0, **data)
            provider.codes[data["device_code"]] = found

    class Grant(DeviceCodeGrant):  # type: ignore[misc]
        @property
        def TOKEN_ENDPOINT_AUTH_METHODS(self) -> list[str]:
            return ["none"] if provider.secret is None else list(provider.methods)

        def query_device_credential(self, device_code: str) -> DeviceCredentialDict | None:
            return provider.codes.get(device_code)

        def query_user_grant(self, user_code: str) -> tuple[str, bool] | None:
            return provider.answers.get(user_code)

        def should_slow_down(self, credential: DeviceCredentialDict) -> bool:
            before, credential["asked"] = credential["asked"], time.monotonic()
            return bool(time.monotonic() - before < provider.interval / 2)

    class IdTokens(OpenIDToken):  # type: ignore[misc]
        def encode_id_token(self, token: Any, request: Any) -> str:
            provider.given.append(provider.id_token(request.user))
            return provider.given[-1]

    server = AuthorizationServer(app, {CLIENT: client}.get, lambda token, request: None)
    server.register_grant(Grant, [IdTokens()])
    server.register_endpoint(DeviceCodes)
    app.config["OAUTH2_SCOPES_SUPPORTED"] = list(SCOPES)
    server.load_config(app.config)

    @app.before_request
    def out_of_order() -> Any:
        return ("out of order", provider.broken) if provider.broken else None

    @app.get("/.well-known/openid-configuration")
    def configuration() -> Any:
        return {
            "issuer": provider.url,
            "jwks_uri": f"{provider.url}/keys",
            "token_endpoint": f"{provider.url}/token",
            "device_authorization_endpoint": f"{provider.url}/device-authorization",
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["none"],
            "subject_types_supported": ["public"],
            "token_endpoint_auth_methods_supported": ["none"] if provider.secret is None else list(provider.methods),
            **provider.described,
        }

    @app.get("/keys")
    def keys() -> Any:
        provider.keys_asked += 1
        return {"keys": [each.as_dict(private=False) for each in provider.keys]}, provider.keys_status

    @app.post("/device-authorization")
    def device_authorization() -> Any:
        return server.create_endpoint_response(DeviceAuthorizationEndpoint.ENDPOINT_NAME)

    @app.post("/token")
    def token() -> Any:
        return server.create_token_response()

    @app.get("/device")
    def ask() -> str:
        code = html.escape(flask.request.args.get("user_code", ""))
        return (
            f'<form method="post"><input name="user_code" value="{code}"><input name="person">'
            '<input name="password" type="password"><button name="answer" value="allow">Allow</button>'
            '<button name="answer" value="deny">Deny</button></form>'
        )

    @app.post("/device")
    def answered() -> Any:
        form = flask.request.form
        known = form["person"] in provider.people and form["password"] == PASSWORD
        if not known or form["user_code"] not in {each["user_code"] for each in provider.codes.values()}:
            return "Unknown", 403
        provider.answers[form["user_code"]] = (form["person"], form["answer"] == "allow")
        return "Done"

    return app
