"""The base of every schema: frozen models, pages, problem details."""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

Item = TypeVar("Item")

#: Page sizes of every list: the default and the largest.
DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000


class Schema(BaseModel):
    """A frozen value. Unknown fields are refused in requests by `RequestSchema`, ignored in responses."""

    model_config = ConfigDict(frozen=True)


class RequestSchema(BaseModel):
    """A request's body: an unknown field is an error, so that a typing mistake is not lost."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ChangeSchema(RequestSchema):
    """A change: fields that are not given stay as they are."""

    #: Fields that describe a change without being one.
    ABOUT_IT: ClassVar[frozenset[str]] = frozenset()

    @property
    def changes_nothing(self) -> bool:
        """Whether no field would change anything."""
        return not self.model_dump(exclude_defaults=True, exclude=set(self.ABOUT_IT))


class Page(Schema, Generic[Item]):
    """One page of a list. `next_page_token` is None on the last; `total` is None where counting is too expensive."""

    items: list[Item]
    next_page_token: str | None = None
    total: int | None = None


class FieldProblem(Schema):
    """The problem with one field of the request."""

    field: str
    message: str


class Problem(Schema):
    """RFC 9457 problem details. `type` is `/problems/<code>`; `action` is the user's next step."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    code: str
    request_id: str
    action: str | None = None
    errors: list[FieldProblem] = []
