"""Names of artifacts: those that every door keeps byte by byte, and those that every door refuses."""

from __future__ import annotations

#: Kept by every sender. MLflow's Python client puts names into addresses without encoding them.
KEPT = (
    "with space.txt",
    "plus+plus.txt",
    "semi;colon.txt",
    "colon:colon.txt",
    "100%.txt",
    "50% off.txt",
    "a&b=c.txt",
    "quote'and\"double.txt",
    "what?.txt",
    "a?b=c&d.txt",
    "n\u00e4h.txt",
    "na\u0308h.txt",
    "模型/ü ber.txt",
    "~tilde/$dollar,(x)!@.txt",
    "..dots..txt",
    "x" * 251 + ".txt",
)
#: Kept when they are sent percent-encoded, as REST clients do: MLflow's Python client sends `%20` for a space as well,
#: and nothing behind a `#`.
KEPT_ENCODED = (*KEPT, "a%20b.txt", "100%25.txt", "hash#tag.txt", "%", "a%2Fb.txt", "a%zz.txt", "%41.txt")
#: Refused, as they are sent in an address.
REFUSED = (
    *("dir%5Cb", "..%5c..%5cx", "a/..%2f..%2fx", "a/%2e%2e/x", "a/%252e%252e/x", "a/%2e/b", "a%00b", "a%0Ab", "a%7Fb"),
    *("dir%255Cb", "a%ffb", "x" * 256, "%C3%A4" * 128, "y/" * 500 + "y", "a/", "%25" + "25" * 20),
)
