"""Reads CSV of plain numbers by pyarrow, with the same values as pandas.

pandas rounds correctly when a number has at most 15 digits, as its digits and its power of ten are then exact (Clinger,
"How to Read Floating Point Numbers Accurately", 1990); pyarrow always does. Anything else is left to pandas: longer
numbers, exponents, quotes, empty fields, and other texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

#: Characters of a field: 15 digits with a sign or a point, so that a longer number is never taken.
_MOST = 16
#: Characters of numbers to zeros, those between fields to blanks, and all others to `x`.
_KINDS = bytes(48 if byte in b"0123456789.-" else 32 if byte in b",\n" else 120 for byte in range(256))
_TOO_LONG = b"0" * (_MOST + 1)


def doubles(text: str, names: Sequence[str]) -> Any:
    """The numbers of a CSV with exactly these columns, a row for each column; None when pandas has to read it."""
    header, _, rows = text.partition("\n")
    if header.split(",") != list(names) or '"' in header or len(set(names)) != len(names) or not rows:
        return None
    try:
        body = rows.encode("ascii")
    except UnicodeEncodeError:
        return None
    return _read(body, len(names)) if _is_plain(body) else None


def _is_plain(body: bytes) -> bool:
    """Whether all fields are short, and made of digits, points and signs."""
    kinds = body.translate(_KINDS)
    return b"x" not in kinds and _TOO_LONG not in kinds


def _read(body: bytes, columns: int) -> Any:
    import numpy

    try:
        import pyarrow
        from pyarrow import csv
    except ImportError:  # the model's environment does not have it
        return None
    names = [str(number) for number in range(columns)]
    try:
        table = csv.read_csv(
            pyarrow.BufferReader(body),
            read_options=csv.ReadOptions(use_threads=False, column_names=names, block_size=max(len(body), 1)),
            # An empty line has too few fields, or one that is not a number.
            parse_options=csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(column_types=dict.fromkeys(names, pyarrow.float64()), null_values=[]),
        )
    except pyarrow.ArrowInvalid:  # rows of other lengths, or a field that is not a number
        return None
    block = numpy.empty((columns, table.num_rows))
    for number, column in enumerate(table.columns):
        block[number] = column.to_numpy()
    return block
