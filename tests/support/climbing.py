"""Names that could change which resource an address means."""

from __future__ import annotations

#: Refused everywhere: clients, proxies or servers would read them as another path.
REFUSED = (
    "",
    ".",
    "..",
    "a/../b",
    "../x",
    "x/..",
    "%2e%2e",
    "%2E%2E",
    "%252e%252e",
    "a%2f..%2fb",
    "a\0b",
    "a\nb",
    "\x7f",
)
#: Names like any other, once they are encoded.
ENCODED = ("?x", "#x", "a%2fb", "a?b#c", "a;b", "a b", "a+b c", "100%", "ü", "u\u0308", "x:y", "... x", "a..b c")
#: Values sent in the place of a name in a raw request; none of them names a resource.
RAW = (
    *("", ".", "..", "a/../b", "%2e%2e", "%2E%2E", ".%2e", "a%2f..%2fb", "%252e%252e"),
    *("?x", "#x", "%3Fx", "%23x", "a%2fb", "%00", "%ff", "..;"),
)
