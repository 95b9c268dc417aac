"""The platform's own secrets in words: the coverage of each kind, and the secrets that are replaced in another way."""

from __future__ import annotations

from collections.abc import Iterable

from registry_tui.schemas.secrets import SecretKind

#: The secrets that are replaced with each kind.
COVERED = {
    SecretKind.OBJECT_STORE: "the object store's keys of the administrator and of MLflow's server",
    SecretKind.MACHINE_USERS: "the object store's keys of Model Registries' machine users",
    SecretKind.MLFLOW: "the service's password at MLflow's server, and the key of its pages' sessions",
    SecretKind.PEOPLE: "everybody's password at MLflow's server, which `registry-tui env` prints",
}
#: Secrets that no kind replaces, and how they are replaced or why they stay.
LEFT = {
    "the key of the certificate for other machines": "`registry-tui up --listen HOST:PORT --new-certificate`, "
    "or your own with --certificate and --key; everybody signs in again",
    "API keys and tokens of people": "`registry-tui keys revoke`, `registry-tui tokens revoke`, then `create`",
    "the password for an outside Ranger": "change it there, then `registry-tui ranger source set`",
    "the passphrase of MLflow's encrypted values (keys of language models)": "stays: the encrypted values need it",
    "the keys that sign versions": "`registry-tui signing keys rotate ENVIRONMENT`",
    "the key of answers to repeated requests": "stays, so that repeated requests get their answers",
}


def replaced(kinds: Iterable[SecretKind]) -> str:
    """The replaced secrets of a rotation, a line each, and the remaining ones."""
    lines = ["Replaced:", *(f"  {kind}: {COVERED[kind]}" for kind in kinds), "Not replaced:"]
    others = [f"  {kind}: `registry-tui secrets rotate --kind {kind}`" for kind in SecretKind if kind not in set(kinds)]
    return "\n".join([*lines, *others, *(f"  {what}: {how}" for what, how in LEFT.items())])
