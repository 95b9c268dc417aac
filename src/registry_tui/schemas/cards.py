"""Model cards of versions: descriptions for people, in Markdown."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from registry_tui.schemas.base import RequestSchema, Schema

#: Characters of the longest card.
MAX_CARD = 200_000
#: The placeholder below a heading that only a person can fill. A section with nothing else counts as empty.
TO_WRITE = "*To be written.*"


class CardChange(RequestSchema):
    """A version's card, in place of the one before."""

    text: str = Field(min_length=1, max_length=MAX_CARD)
    #: The number of the card that this one is meant to replace; another one is refused.
    instead_of: int | None = Field(default=None, ge=0)


class ModelCard(Schema):
    """A version's card as a person wrote it or, with number 0, as generated from the registry's data."""

    version_id: str
    number: int
    #: Markdown.
    text: str
    #: None for a generated card.
    author: str | None = None
    written_at: datetime | None = None
