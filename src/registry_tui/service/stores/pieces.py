"""Content that arrives in pieces, whose source may fail while a store takes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Pieces:
    """An iterator that remembers what its source raised: stores wrap or translate it."""

    def __init__(self, source: Iterable[bytes]) -> None:
        self._source = iter(source)
        self.failure: Exception | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._source)
        except StopIteration:
            raise
        except Exception as error:
            self.failure = error
            raise


@contextmanager
def own_errors(source: Iterable[bytes]) -> Iterator[Pieces]:
    """Pieces to hand to a store; what their source raises leaves the block as it was raised."""
    pieces = Pieces(source)
    try:
        yield pieces
    except Exception as error:
        if pieces.failure is not None and error is not pieces.failure:
            raise pieces.failure from None
        raise
