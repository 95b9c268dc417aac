"""Content that arrives in pieces, whose source may fail while a store takes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Pieces:
    """An iterator that remembers the exception of its source: stores wrap or translate it."""

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
    """Pieces to hand to a store; an exception of their source leaves the block unchanged."""
    pieces = Pieces(source)
    try:
        yield pieces
    except Exception as error:
        if pieces.failure is not None and error is not pieces.failure:
            raise pieces.failure from None
        raise


class PiecesFile:
    """Pieces as a file to read forward, for libraries that take files."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""
        self._read = 0

    def tell(self) -> int:
        return self._read

    def read(self, size: int = -1) -> bytes:
        """Reads `size` bytes, fewer only at the end."""
        found = [self._left]
        count = len(self._left)
        while (size < 0 or count < size) and (piece := next(self._pieces, None)) is not None:
            found.append(piece)
            count += len(piece)
        whole = b"".join(found)
        taken = whole if size < 0 else whole[:size]
        self._left = whole[len(taken) :]
        self._read += len(taken)
        return taken
