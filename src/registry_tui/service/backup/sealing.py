"""Encryption of a backup's secret parts, with a key that scrypt (RFC 7914) derives from a passphrase.

A sealed text is a salt and pieces of AES-256-GCM. The nonce of each piece has its number and whether it is the last, so
that exchanged, missing or added pieces are detected. The name of the text is part of its key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator
from typing import Annotated

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import Field

from registry_tui.platform.errors import PlatformError
from registry_tui.schemas.base import Schema

#: Letters that a passphrase has at least.
SHORTEST = 8
#: Bytes of a piece before encryption, of the salt in front of the pieces, and of the tag that AES-GCM adds to each.
_PIECE, _SALT, _TAG = 1 << 20, 16, 16
_KEY = 32


class WrongPassphrase(PlatformError):
    """A passphrase is not the one of the backup."""


class DamagedBackup(PlatformError):
    """A backup is incomplete or was changed."""


class Derivation(Schema):
    """How a passphrase becomes a key; bounded, because a backup may come from anywhere."""

    salt: str = Field(pattern=r"^[A-Za-z0-9+/]{22}==$")
    n: Annotated[int, Field(ge=1 << 14, le=1 << 20)] = 1 << 16
    r: Annotated[int, Field(ge=8, le=16)] = 8
    p: Annotated[int, Field(ge=1, le=4)] = 1

    @classmethod
    def fresh(cls) -> Derivation:
        """One with a random salt."""
        return cls(salt=base64.b64encode(os.urandom(_SALT)).decode())


class Sealer:
    """Seals and unseals with the key of one passphrase. Never printed."""

    def __init__(self, passphrase: str, derivation: Derivation) -> None:
        """Takes about 0.2 s. Raises ValueError for an invalid salt."""
        try:
            salt = base64.b64decode(derivation.salt, validate=True)
        except binascii.Error as error:
            raise ValueError("the salt is not valid") from error
        scrypt = Scrypt(salt=salt, length=_KEY, n=derivation.n, r=derivation.r, p=derivation.p)
        self._key = scrypt.derive(passphrase.encode())

    def check(self) -> str:
        """Identifies this passphrase, and reveals nothing more."""
        return self.signature("passphrase", b"")

    def signature(self, name: str, text: bytes) -> str:
        """The HMAC-SHA256 of a text, as hexadecimal digits."""
        return hmac.new(self._derived(f"signature of {name}", b""), text, hashlib.sha256).hexdigest()

    def seal(self, name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Encrypts a text in constant memory."""
        salt = os.urandom(_SALT)
        cipher = AESGCM(self._derived(name, salt))
        yield salt
        for number, (piece, last) in enumerate(_cut(pieces, _PIECE)):
            yield cipher.encrypt(_nonce(number, last), piece, None)

    def unseal(self, name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Decrypts a text in constant memory; each piece is authenticated before it is yielded, the whole at the end.

        Raises DamagedBackup.
        """
        source = iter(pieces)
        begin = b""
        while len(begin) < _SALT:
            if not (more := next(source, b"")):
                raise _damaged(name)
            begin += more
        cipher = AESGCM(self._derived(name, begin[:_SALT]))
        for number, (piece, last) in enumerate(_cut(_chained(begin[_SALT:], source), _PIECE + _TAG)):
            try:
                yield cipher.decrypt(_nonce(number, last), piece, None)
            except InvalidTag as error:
                raise _damaged(name) from error

    def _derived(self, name: str, salt: bytes) -> bytes:
        return HKDF(algorithm=SHA256(), length=_KEY, salt=salt, info=name.encode()).derive(self._key)


def _damaged(name: str) -> DamagedBackup:
    return DamagedBackup(f"{name} in the backup was changed or cut off", action="Use another backup")


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _cut(pieces: Iterable[bytes], size: int) -> Iterator[tuple[bytes, bool]]:
    """Pieces of one size, and whether each is the last, which may be shorter or empty."""
    left = bytearray()
    for piece in pieces:
        left += piece
        while len(left) > size:
            yield bytes(left[:size]), False
            del left[:size]
    yield bytes(left), True
