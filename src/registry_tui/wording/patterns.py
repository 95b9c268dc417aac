"""The meaning of the fields' patterns, in words instead of regular expressions."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_LOWERCASE = "only a-z, 0-9 and -, beginning and ending with a letter or digit"
_VISIBLE = "letters, digits and signs of ASCII, without spaces"
_PRINTABLE = "letters, digits, signs and spaces of ASCII"
_ONE_LINE = "one line, without control characters"

#: The patterns of `schemas/`, verbatim.
PATTERNS: Mapping[str, str] = MappingProxyType(
    {
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": _LOWERCASE,
        r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$": f"{_LOWERCASE}, 63 characters at most",
        r"^[a-z0-9][a-z0-9-]*$": "only a-z, 0-9 and -, beginning with a letter or digit",
        r"^[a-z0-9-]+$": "only a-z, 0-9 and -",
        r"^[a-z0-9-]{1,64}$": "only a-z, 0-9 and -, 64 characters at most",
        r"^[A-Za-z0-9][A-Za-z0-9._-]*$": "only letters, digits and . _ -, beginning with a letter or digit",
        r"^[A-Za-z0-9_.-]+$": "only letters, digits and . _ -",
        r"^[A-Za-z_][A-Za-z0-9_]*$": "only letters, digits and _, not beginning with a digit",
        r"^[\w-]{1,64}$": "only letters, digits, _ and -, 64 characters at most",
        r"^[0-9a-f]{64}$": "has to be a SHA-256 digest: 64 of 0-9 and a-f",
        r"^/": "has to begin with /",
        r"^(https?://[^\s/@]+(/\S*)?)?$": "has to be an address such as https://s3.example.com:9000",
        r"^(arn:[a-z-]+:(iam|sts)::[0-9]{12}:[\w+=,.@/-]+)?$": "has to be the ARN of a user or role",
        r"^(\*|[a-z]+\.(\*|[a-z_]+))$": "has to be a type of event such as version.ready, version.* or *",
        r"^([^\s@\x00-\x1f]+@[^\s@\x00-\x1f]+)?$": "has to be an e-mail address such as ann@example.com",
        r"^[^\x00-\x1f\x7f]*$": _ONE_LINE,
        r"^[^\x00-\x1f\x7f]+$": _ONE_LINE,
        r"^[\x21-\x7e]+$": _VISIBLE,
        r"^[\x21-\x7e]{1,200}$": f"{_VISIBLE}, 200 at most",
        r"^[\x20-\x7e]*$": _PRINTABLE,
        r"^[\x20-\x7e]+$": _PRINTABLE,
        r"^[\t\n\r\x20-\x7e]*$": "text in PEM: letters, digits and signs of ASCII",
        r"^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$": "words of ASCII with one space between them",
    }
)
