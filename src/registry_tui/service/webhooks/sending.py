"""One message to one receiver: signed as in Standard Webhooks, to a checked address, with a timeout."""

from __future__ import annotations

import asyncio
import email.utils
import json
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from registry_tui.service.errors import InvalidInput, ServiceError
from registry_tui.service.settings import Settings
from registry_tui.service.webhooks import addresses
from registry_tui.service.webhooks.addresses import Address, Target
from registry_tui.wording import text

#: Timeouts in seconds: for a connection, for each read, and for everything.
CONNECT, READ, WHOLE = 5.0, 10.0, 15.0
#: Bytes of a response that are read.
ANSWER = 1024
#: The longest pause in seconds that a receiver may request.
LONGEST_REST = 3600.0
#: Addresses of one name that are tried.
_TRIED = 3


@dataclass(frozen=True)
class Answer:
    """The outcome of an attempt; `status` is None without a response."""

    status: int | None
    duration_ms: int
    text: str
    #: The pause in seconds that the receiver requests.
    rest: float | None = None

    @property
    def taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def text_of(payload: Mapping[str, object]) -> str:
    """A message's body: the same text in each attempt, since it is signed."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def signed(secrets: Sequence[str], message: str, at: datetime, body: str) -> dict[str, str]:
    """The headers of a message, signed with each of the secrets."""
    # Imported with the first message: it brings a client of its own.
    from standardwebhooks.webhooks import Webhook

    signatures = [Webhook(each).sign(message, at, body) for each in secrets]
    return {
        "webhook-id": message,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def trust(settings: Settings) -> ssl.SSLContext:
    """The TLS context for receivers' certificates. Raises OSError."""
    return ssl.create_default_context(cafile=settings.webhook_ca or None)


def send(url: str, body: str, headers: dict[str, str], settings: Settings, context: ssl.SSLContext) -> Answer:
    """Sends a message; errors are returned as the answer."""
    began = time.monotonic()

    def answer(status: int | None, words: str, rest: float | None = None) -> Answer:
        return Answer(status, round((time.monotonic() - began) * 1000), text.safe(words)[:ANSWER], rest)

    try:
        target = addresses.target_of(url, settings)
        found = addresses.resolve(target, settings)
        status, words, rest = asyncio.run(_within(target, found[:_TRIED], body.encode(), headers, context))
        return answer(status, words, rest)
    except InvalidInput as error:
        return answer(None, f"{error.detail}. {error.action or ''}".strip())
    except ServiceError as error:
        return answer(None, error.detail)
    except TimeoutError:
        return answer(None, f"no whole answer within {WHOLE:.0f} seconds")
    except httpx.TimeoutException as error:
        return answer(None, f"no answer in time ({type(error).__name__})")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return answer(None, f"cannot be sent there ({type(error).__name__}): {error}")


async def _within(
    target: Target, found: Sequence[Address], body: bytes, headers: dict[str, str], context: ssl.SSLContext
) -> tuple[int, str, float | None]:
    async with asyncio.timeout(WHOLE):
        for index, address in enumerate(found):
            try:
                return await _post(target, address, body, headers, context)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if index == len(found) - 1:
                    raise
    raise httpx.ConnectError("the name has no address")


async def _post(
    target: Target, address: Address, body: bytes, headers: dict[str, str], context: ssl.SSLContext
) -> tuple[int, str, float | None]:
    all_headers = {
        **headers,
        "Host": target.named,
        "Content-Type": "application/json",
        "User-Agent": "registry-tui",
        "Accept-Encoding": "identity",
    }
    timeout = httpx.Timeout(READ, connect=CONNECT)
    async with (
        httpx.AsyncClient(verify=context, trust_env=False, follow_redirects=False, timeout=timeout) as client,
        client.stream(
            "POST",
            target.at(address),
            content=body,
            headers=all_headers,
            # The certificate is checked for the name, though the address is connected to.
            extensions={"sni_hostname": target.host},
        ) as response,
    ):
        got = b""
        async for piece in response.aiter_raw():
            got += piece[: ANSWER - len(got)]
            if len(got) >= ANSWER:
                break
        return response.status_code, got.decode("utf-8", "replace"), _rest(response.headers.get("Retry-After"))


def _rest(header: str | None) -> float | None:
    """The seconds in a Retry-After header, in either of its forms (RFC 9110), within the bound."""
    if not header:
        return None
    try:
        if header.strip().isdigit():
            seconds = float(header.strip()[:9])
        else:
            seconds = (email.utils.parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        return None
    return min(max(seconds, 0.0), LONGEST_REST)
