"""Forms that sign a version, and that trust a public key."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Input, Static

from registry_tui.screens.base.form import Form, Lines, Result, row
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.models import ModelVersion
    from registry_tui.schemas.signatures import SigningKey, VersionSignatures

#: Bytes of the largest file that is read; the largest signature is below.
_MOST = 48 << 20
_PEM = "-----BEGIN"


class _Reading(Form[Result]):
    """A form that reads a file."""

    def failed(self, error: Exception) -> None:
        if isinstance(error, OSError):
            self.complain(f"{error.filename or 'The file'}: {error.strerror or error}")
        elif isinstance(error, UnicodeDecodeError):
            self.complain("The file is not text in UTF-8")
        else:
            super().failed(error)


class SignForm(_Reading["VersionSignatures"]):
    """Signs with the environment's key, or adds a signature that was made with another key."""

    OK = "Sign"
    WORK = "The signing"

    def __init__(self, version: ModelVersion, environment: str) -> None:
        super().__init__()
        self.version, self.environment = version, environment

    def title_text(self) -> str:
        return f"Sign {self.version.model_name} v{self.version.version}"

    def compose_fields(self) -> Iterable[Widget]:
        yield row(
            "Signature file", Input(compact=True, id="file", placeholder="empty: the environment's own key signs")
        )
        note = (
            f"Without a file, the key of {safe(self.environment, 64)} signs, once the whole archive was read and all "
            "its files have their sums. A file of `model_signing sign key` is kept beside that when its key is "
            "trusted there."
        )
        yield Static(note, classes="note", markup=False)

    def on_mount(self) -> None:
        self.query_one("#file").focus()

    async def send(self) -> VersionSignatures:
        from registry_tui.schemas.signatures import SignVersion

        name = self.query_one("#file", Input).value.strip()
        text = await asyncio.to_thread(_content, name) if name else None
        version = self.version
        return await self.program.client.sign_version(
            version.registry_id, version.model_id, version.version, SignVersion(signature=text)
        )


class TrustKey(_Reading["SigningKey"]):
    """Trusts someone else's public key in an environment."""

    OK = "Trust"

    def __init__(self, environment: str) -> None:
        super().__init__()
        self.environment = environment

    def title_text(self) -> str:
        return f"Trust a key in {self.environment}"

    def compose_fields(self) -> Iterable[Widget]:
        yield row("Name", Input(compact=True, id="name", placeholder="what the key is called here, such as its team"))
        yield row("Public key", Lines(id="key", placeholder="paste it as PEM, or type the name of its file"))
        note = "P-256, P-384 or P-521. Signatures of this key count from now on, also where a rule asks for one."
        yield Static(note, classes="note", markup=False)

    def on_mount(self) -> None:
        self.query_one("#name").focus()

    @property
    def typed(self) -> str:
        """The key, or the name of its file."""
        return self.query_one("#key", Lines).text.strip()

    def problem_of(self) -> str | None:
        if not self.query_one("#name", Input).value.strip():
            return "type a name for the key"
        if not self.typed:
            return "paste the public key as PEM, or type the name of its file"
        return _private(self.typed)

    async def send(self) -> SigningKey:
        from registry_tui.client import RegistryError
        from registry_tui.schemas.signatures import SigningKeyAdd

        text = self.typed if self.typed.startswith(_PEM) else await asyncio.to_thread(_content, self.typed)
        if (why := _private(text)) is not None:
            raise RegistryError(why)
        try:
            request = SigningKeyAdd(name=self.query_one("#name", Input).value.strip(), public_key=text)
        except ValueError as error:
            raise RegistryError(
                "The name begins with a letter or digit, and has letters, digits, dots, underscores and hyphens, "
                "64 at most; the key is PEM"
            ) from error
        return await self.program.client.add_signing_key(self.environment, request)


def _private(text: str) -> str | None:
    """Whether the text is a private key, which must not leave this machine."""
    return "this is a private key, which nobody else may have: give its public half" if "PRIVATE KEY" in text else None


def _content(name: str) -> str:
    path = Path(name).expanduser()
    with path.open("rb") as file:
        content = file.read(_MOST + 1)
    if len(content) > _MOST:
        raise OSError(0, "It is too large for a signature or a key", str(path))
    return content.decode("utf-8")
