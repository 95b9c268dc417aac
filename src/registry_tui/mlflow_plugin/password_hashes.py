"""How MLflow's auth app stores passwords here: by a fast hash, since they are generated.

Every password has 256 random bits, made by the service: by HMAC-SHA256 from the installation's seed, or by `secrets`;
`hooks.py` lets nobody else set one. A slow hash protects passwords that can be guessed. MLflow's takes 60 ms of a
processor and 32 MiB of memory for each new user and each check.
"""

from __future__ import annotations

from typing import Any

from werkzeug.security import generate_password_hash

#: werkzeug's name of the method; the number of rounds is its last part. Hashes of other methods stay good.
METHOD = "pbkdf2:sha256:1000"


def install(auth_store: Any) -> None:
    """Has `mlflow.server.auth.sqlalchemy_store` hash so; before the app is made, which makes the first user."""
    auth_store.generate_password_hash = _fast_hash


def _fast_hash(password: str) -> str:
    return generate_password_hash(password, method=METHOD)
