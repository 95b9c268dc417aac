"""Rules for the names of registered models and for aliases: one source for service, MLflow plugin and terminal program.

Standard library only.
"""

from __future__ import annotations

import re
import unicodedata

#: Of registered models' names, in characters (MLflow's column holds 256).
MAX_MODEL_NAME = 250

#: Signs with a meaning in paths of files or in `models:/NAME/VERSION` and `models:/NAME@ALIAS`.
_RESERVED = ("/", "\\", ":", "..", "@", "#", "?")
#: Control characters, invisible ones (such as those that change the direction of text), and surrogates.
_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")

_ALIAS = re.compile(r"[\w-]{1,255}")
_VERSION_LIKE = re.compile(r"v\d+", re.IGNORECASE)


def model_name_problem(name: str) -> str | None:
    """The problem with the name of a new registered model, to follow "the name"; None for a valid one."""
    if not name:
        return "is empty"
    if len(name) > MAX_MODEL_NAME:
        return f"has {len(name)} characters; at most {MAX_MODEL_NAME} are possible"
    if name != name.strip():
        return "starts or ends with a space"
    if sign := next((sign for sign in _RESERVED if sign in name), None):
        return f"holds '{sign}', which has a meaning in paths and in model URIs"
    if any(unicodedata.category(sign) in _INVISIBLE for sign in name):
        return "holds a control character"
    if name == ".":
        return "is the name of a folder"
    return None


def alias_problem(alias: str) -> str | None:
    """The problem with a new alias, as a sentence; None for a valid one. The rule is MLflow's own."""
    if not _ALIAS.fullmatch(alias):
        return "An alias has 1 to 255 letters, digits, _ and -"
    if alias.lower() == "latest":
        return f"The alias '{alias}' always names the newest version"
    if _VERSION_LIKE.fullmatch(alias):
        return f"The alias '{alias}' looks like a version"
    return None
