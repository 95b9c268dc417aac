"""Stock MLflow servers elsewhere, of any version since 2.9, over MLflow's REST API."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import httpx
from packaging.version import InvalidVersion, Version
from pydantic_core import from_json

from registry_tui.contracts.counts import counted
from registry_tui.contracts.tls_addresses import has_tls
from registry_tui.schemas.base import FieldProblem
from registry_tui.service.adapters.aws_identity import AwsIdentity
from registry_tui.service.adapters.aws_signing import AwsSignature
from registry_tui.service.adapters.http_reasons import reason_of
from registry_tui.service.adapters.mlflow_answers import NotMlflow, check_answer
from registry_tui.service.adapters.mlflow_rest import api_path, present, refusal_of
from registry_tui.service.errors import InvalidInput, NotPermitted, PartUnavailable, ServiceError, WrongState

#: Older servers lack calls that everything here is made of.
OLDEST = Version("2.9")
#: Seconds. A search over many runs may take long.
_TIMEOUT = httpx.Timeout(60.0, connect=5.0, pool=5.0)
#: One server that hangs keeps this many threads of the service waiting; they are fewer than it has.
_LIMITS = httpx.Limits(max_connections=12, max_keepalive_connections=8, keepalive_expiry=4.0)
#: Seconds for a whole answer that is read at once; files take as long as they take.
WHOLE_SECONDS = 180.0
#: Bytes of an answer, and of those that may be larger: a page of 1000 runs with hundreds of metrics each is far below
#: it, and old servers send histories whole.
_MOST_BYTES, _MOST_BYTES_OF_LARGE = 32 << 20, 256 << 20
_LARGE = ("/runs/search", "/metrics/get-history")
_MOST_WORDS = 500
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_TOKEN = re.compile(r"[!-~]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_VERSION = re.compile(r"\d+\.\d+[0-9A-Za-z.+-]{0,40}")


class CredentialsRefused(WrongState):
    """An attached server does not let its user in (any more)."""


class ServerFault(PartUnavailable):
    """An attached server answered that it failed: that may concern the requested thing alone, e.g. its storage."""


@dataclass(frozen=True)
class ServerAddress:
    """Where an MLflow server is, the credentials for it, and how it is reached."""

    url: str
    #: With a user the secret is the user's password, without one it is a token.
    user: str | None = None
    secret: str | None = field(default=None, repr=False)
    #: PEM certificates to trust instead of the usual authorities.
    certificate: str | None = field(default=None, repr=False)
    proxy: str | None = None
    #: Signs requests instead of a user or a token.
    aws: AwsIdentity | None = None
    #: Where the REST API begins below the URL: with `--static-prefix`, MLflow 2 has only `ajax-api` below the prefix.
    api: str = "api"
    #: The URL under which it was attached, when it has moved since.
    first_url: str = ""

    @property
    def known_as(self) -> str:
        """The URL that is recorded with imports from there; it stays the same when the server moves."""
        return self.first_url or self.url


@dataclass(frozen=True)
class Abilities:
    """Features of a server that not every version has; `limits` lists the missing ones for people."""

    #: Models of MLflow 3, which do not belong to their run's artifacts.
    logged_models: bool = True
    #: `IS NULL` in a filter of runs.
    null_filters: bool = True
    #: Curves that the server reduces itself, with our plugin.
    reduced_curves: bool = False

    @property
    def limits(self) -> tuple[str, ...]:
        """A sentence for each ability of the newest MLflow that is missing."""
        sentences = (
            (self.logged_models, "It has no logged models (MLflow 3.0): models are folders of their run's artifacts"),
            (
                self.null_filters,
                "It cannot filter runs by tags that they lack (MLflow 3.11): a page of top-level runs may be short",
            ),
        )
        return tuple(sentence for can, sentence in sentences if not can)


def abilities_of(version: str) -> Abilities:
    """The abilities of a server of a version; of one that does not report its version, those that all have."""
    number = Version(version) if version else OLDEST
    return Abilities(
        logged_models=number >= Version("3.0.0.dev0"),
        null_filters=number >= Version("3.11"),
    )


def check_address(address: ServerAddress, *, plain: bool = False) -> None:
    """Raises InvalidInput for an address that cannot be asked.

    Without `plain` also for credentials that would travel to another machine in clear.
    """
    problems = []
    parts = _split(address.url)
    if parts is None:
        problems.append(FieldProblem(field="url", message="must look like https://mlflow.example.com/prefix"))
    elif parts.username or parts.password or parts.query or parts.fragment:
        problems.append(FieldProblem(field="url", message="must hold neither a user nor anything behind ? or #"))
    elif (address.secret or address.aws) and parts.scheme == "http" and parts.hostname not in _LOOPBACK and not plain:
        words = "must begin with https://, since credentials are sent; or allow them without TLS"
        problems.append(FieldProblem(field="url", message=words))
    if address.aws is not None and (address.user or address.secret):
        problems.append(FieldProblem(field="aws_profile", message="goes without a user and a secret"))
    if address.aws is not None and not address.aws.region:
        problems.append(FieldProblem(field="aws_region", message="is missing, e.g. eu-west-1"))
    if address.user and not address.secret:
        problems.append(FieldProblem(field="secret", message="is the user's password, which is missing"))
    problems.extend(_unsendable(address))
    if address.proxy is not None:
        proxy = _split(address.proxy)
        if proxy is None or proxy.username or proxy.password:
            problems.append(FieldProblem(field="proxy", message="must look like http://proxy.example.com:3128"))
    if address.certificate is not None:
        try:
            ssl.create_default_context(cadata=address.certificate)
        except (ssl.SSLError, ValueError):
            problems.append(FieldProblem(field="certificate", message="must be certificates in PEM"))
    if problems:
        detail = "; ".join(f"{each.field}: {each.message}" for each in problems)
        raise InvalidInput(f"The MLflow server cannot be asked: {detail}", errors=problems)


class AttachedMlflow:
    """Calls of one MLflow server as its user. Threads may share it.

    Every method may raise a ServiceError: Missing, InvalidInput or NotPermitted by the server's response,
    CredentialsRefused, NotMlflow, PartUnavailable without a response. Redirects are not followed: the credentials are
    for this address.
    """

    def __init__(self, address: ServerAddress, timeout: httpx.Timeout = _TIMEOUT) -> None:
        self.address = address
        self._timeout = timeout
        verify: ssl.SSLContext | bool = has_tls(address.url)
        if address.certificate is not None:
            verify = ssl.create_default_context(cadata=address.certificate)
        self._http = httpx.Client(
            base_url=address.url.rstrip("/"),
            auth=_auth_of(address),
            headers={"Authorization": f"Bearer {address.secret}"} if address.secret and not address.user else {},
            timeout=timeout,
            limits=_LIMITS,
            verify=verify,
            proxy=address.proxy,
            follow_redirects=False,
            # Proxies and netrc of the surroundings are for others.
            trust_env=False,
        )

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def call(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json: Any = None
    ) -> dict[str, Any]:
        """One call, e.g. `call("POST", "runs/search", json={…})`. A leading slash: a path of the whole server."""
        with self._asked(method, self._api(path), params=present(params), json=json) as response:
            content = self._read(response)
            if response.is_error:
                raise self._refusal(response, content)
        try:
            answer = from_json(content) if content else {}
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise self._not_mlflow()
        check_answer(self.address.url, path, answer)
        return answer

    @contextmanager
    def stream(
        self, path: str, *, params: Mapping[str, Any] | None = None, part: tuple[int, int] | None = None
    ) -> Iterator[httpx.Response]:
        """A GET whose body is read piece by piece; of `part` (first and last byte) the server may send the whole."""
        headers = {} if part is None else {"Range": f"bytes={part[0]}-{part[1]}", "Accept-Encoding": "identity"}
        with self._asked("GET", self._api(path), params=present(params), headers=headers) as response:
            if response.is_error:
                raise self._refusal(response, self._read(response))
            yield response

    def said_version(self) -> str:
        """The version that the server reports, or 3.0 when it has a call of MLflow 3; else an empty text."""
        # MLflow 2 has this address at the server's root, also with a static prefix.
        for place in dict.fromkeys((f"{self._path}/version", "/version")):
            url = httpx.URL(self.address.url).copy_with(path=place, query=None)
            with suppress(NotMlflow), self._asked("GET", url) as response:
                found = self._read(response)[:100].decode("ascii", "replace").strip()
                if response.is_success and _VERSION.fullmatch(found) and _parsed(found) is not None:
                    return found
        return "3.0" if self._has_logged_models() else ""

    # -- underneath -----------------------------------------------------------------------------

    def _has_logged_models(self) -> bool:
        """Whether the server has the call; it requires experiments, so a request without any is refused."""
        with self._asked("POST", self._api("logged-models/search"), json={}) as response:
            content = self._read(response)
            return response.status_code == 400 and bool(refusal_of(400, content).code)

    def _api(self, path: str) -> str:
        found = api_path(path)
        return f"/{self.address.api}/{found.removeprefix('/api/')}" if found.startswith("/api/") else found

    @cached_property
    def _path(self) -> str:
        return urlsplit(self.address.url).path.rstrip("/")

    @contextmanager
    def _asked(self, method: str, url: str | httpx.URL, **request: Any) -> Iterator[httpx.Response]:
        try:
            with self._http.stream(method, url, **request) as response:
                if response.is_redirect:
                    raise NotMlflow(
                        f"MLflow at {self.address.url} sends its callers to another address",
                        action="Attach it by the address that it sends them to",
                    )
                yield response
        except httpx.PoolTimeout as error:
            raise PartUnavailable(
                f"MLflow at {self.address.url} is slow, and as many requests as may wait for it do so already",
                action="Try again in a minute",
            ) from error
        except httpx.ReadTimeout as error:
            raise PartUnavailable(
                f"MLflow at {self.address.url} has not answered within {counted(self._timeout.read or 0.0, 'second')}",
                action="Ask for less at a time, or look why it is slow",
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise PartUnavailable(
                f"MLflow at {self.address.url} does not answer: {reason_of(error)}",
                action="Look whether it runs and can be reached from this machine",
            ) from error

    def _read(self, response: httpx.Response) -> bytes:
        body, end = bytearray(), time.monotonic() + WHOLE_SECONDS
        most = _MOST_BYTES_OF_LARGE if response.request.url.path.endswith(_LARGE) else _MOST_BYTES
        for part in response.iter_bytes():
            body += part
            if len(body) > most:
                raise NotMlflow(f"MLflow at {self.address.url} answers with more than {most >> 20} MiB")
            if time.monotonic() > end:
                raise PartUnavailable(
                    f"MLflow at {self.address.url} has not sent its answer within {counted(WHOLE_SECONDS, 'second')}",
                    action="Ask for less at a time, or look why it is slow",
                )
        return bytes(body)

    def _refusal(self, response: httpx.Response, content: bytes) -> ServiceError:
        status = response.status_code
        refusal = refusal_of(status, content)
        if status == httpx.codes.UNAUTHORIZED:
            return CredentialsRefused(
                f"MLflow at {self.address.url} does not accept the credentials that it was attached with",
                action="Give others: `registry-tui attached change`, or e on the page :attached",
            )
        if status == httpx.codes.NOT_FOUND and not refusal.code:
            return self._not_mlflow()
        words = refusal.message[:_MOST_WORDS]
        if status == httpx.codes.FORBIDDEN and not words:
            # MLflow's auth app has no words for it, and neither have the doors before a server.
            return NotPermitted(
                f"MLflow at {self.address.url} does not permit this to the user that it was attached with",
                action="Ask who runs that server for the permission",
            )
        if refusal.kind in (ServiceError, PartUnavailable):
            failed = refusal.kind is ServiceError and status >= httpx.codes.INTERNAL_SERVER_ERROR
            kind = ServerFault if failed else PartUnavailable
            return kind(f"MLflow at {self.address.url} answered {status}: {words or 'it gives no reason'}")
        return refusal.kind(words or f"MLflow at {self.address.url} answered {status}")

    def _not_mlflow(self) -> NotMlflow:
        return NotMlflow(
            f"There is no MLflow server at {self.address.url}, or it lacks this call",
            action="The address is the tracking URI, with its path prefix where it has one",
        )


def _auth_of(address: ServerAddress) -> httpx.Auth | None:
    if address.aws is not None:
        return AwsSignature(address.aws)
    return httpx.BasicAuth(address.user, address.secret or "") if address.user else None


def check_server(address: ServerAddress, timeout: httpx.Timeout = _TIMEOUT) -> tuple[ServerAddress, str]:
    """Asks a server: its address with the place of its REST API, and its version, empty if it does not report one.

    Raises WrongState for one that is too old, and as every call of `AttachedMlflow`.
    """
    with closing(AttachedMlflow(address, timeout)) as server:
        try:
            server.call("POST", "experiments/search", json={"max_results": 1})
        except NotMlflow:
            if address.api != "api" or not urlsplit(address.url).path.strip("/"):
                raise
            return check_server(replace(address, api="ajax-api"), timeout)
        version = server.said_version()
    if version and Version(version) < OLDEST:
        raise WrongState(
            f"MLflow at {address.url} is {version}, which is too old to be attached",
            action=f"Upgrade it to {OLDEST} or newer",
        )
    return address, version


def _unsendable(address: ServerAddress) -> Iterator[FieldProblem]:
    """Problems of credentials that no header can hold; the credentials themselves are never repeated."""
    if address.user is None:
        if address.secret and not _TOKEN.fullmatch(address.secret):
            yield FieldProblem(field="secret", message="is a token: it has neither spaces nor letters beyond ASCII")
        return
    if ":" in address.user or _CONTROL.search(address.user):
        yield FieldProblem(field="user", message="has neither a colon nor control characters")
    if _CONTROL.search(address.secret or ""):
        yield FieldProblem(field="secret", message="is a password: it has no control characters, such as line ends")


def _split(url: str) -> Any:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        return None
    return parts if usable else None


def _parsed(version: str) -> Version | None:
    try:
        return Version(version)
    except InvalidVersion:
        return None
