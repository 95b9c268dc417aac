"""Policies and roles of Ranger given as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TypeVar

import typer
from pydantic import BaseModel, ValidationError

_Document = TypeVar("_Document", bound=BaseModel)


def read(file: str, schema: type[_Document], kind: str) -> _Document:
    """The document of --file: the JSON itself, a file with it, or - for standard input. `kind` names it in messages."""
    given = file.lstrip().startswith("{")
    named = "the JSON" if given else file
    try:
        text = file if given else sys.stdin.read() if file == "-" else Path(file).read_text()
        return schema.model_validate(json.loads(text))
    except OSError as error:
        raise typer.BadParameter(f"{named} cannot be read: {error.strerror}", param_hint="--file") from error
    except (ValueError, ValidationError) as error:
        raise typer.BadParameter(f"{named} holds no {kind} of Ranger", param_hint="--file") from error
