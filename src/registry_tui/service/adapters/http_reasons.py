"""Why an HTTP request had no response, in words that may be shown."""

from __future__ import annotations

import ssl

import httpx

_MOST_WORDS = 500


def reason_of(error: httpx.HTTPError | httpx.InvalidURL) -> str:
    """The text of an error for people, events and logs, without the content of the request.

    HTTPX quotes a header that it cannot send, with the credentials in it.
    """
    if isinstance(error, httpx.LocalProtocolError):
        return "the request cannot be sent over HTTP"
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            break  # the whole text describes the problem of the certificate
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror[:1].lower() + cause.strerror[1:]
        cause = cause.__cause__ or cause.__context__
    return (str(error).strip() or type(error).__name__)[:_MOST_WORDS]
