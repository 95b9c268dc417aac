"""The MLflow tags that hold our facts about registered models and versions, and one of MLflow's own.

Only the service's own MLflow account may write tags under `PREFIX`; the plugin refuses everyone else.
"""

from __future__ import annotations

PREFIX = "registry_tui."

#: On registered models.
MODEL_ID = PREFIX + "model_id"
OWNER = PREFIX + "owner"
VISIBILITY = PREFIX + "visibility"
#: Name of the workspace that registered the model first.
LOCATION = PREFIX + "location"
#: Followed by the name of a user who registered a version, value "true".
CONTRIBUTOR = PREFIX + "contributor."
#: "true" on a model whose first version was refused; lists leave it out until it is used.
LEFT_BEHIND = PREFIX + "left_behind"

#: Not stored: writing it on a registered model, with the model's ID, deletes the model when it never had a version.
WITHDRAW = PREFIX + "withdraw"

#: Not stored: with `=` and `search_value(text)` in a filter of registered models, it finds those of which the name, the
#: description, the owner or a tag contains the text, in any case. In a filter of versions: those of which the number or
#: run ID is the text, or the notes, the creator, an alias or a tag contains it.
SEARCH = PREFIX + "search"
#: Not stored: with `=` and IDs with commas between them in a filter of registered models, it finds those models.
IDS = PREFIX + "ids"
#: Not stored: with `=` and a status in a filter of versions, it finds those in that status.
STATUS = PREFIX + "status"

#: On models: the address of the attached server that it was imported from.
IMPORTED = PREFIX + "imported"

#: Not stored: the number of a new version, the same as on the server that it is imported from. Of a new model: the
#: highest number of the versions to come.
NUMBER = PREFIX + "number"

#: On model versions.
VERSION_ID = PREFIX + "version_id"
CREATOR = PREFIX + "creator"
#: ID of the service's keyed request that registered it: a repeated request returns the same version. For an imported
#: version: its identity on the server it comes from. For a promoted one: its content.
REQUEST = PREFIX + "request"
#: JSON of `schemas.models.Origin`.
ORIGIN = PREFIX + "origin"
#: ID of the project that registered the version: its collaborators see the model, also while it is private. On models:
#: of the project that created it, whose collaborators see it while it has no version.
PROJECT = PREFIX + "project"
#: JSON object: uri, bytes, files, verified_at, damage. There once the archive is stored and verified.
ARCHIVE = PREFIX + "archive"
#: The SHA-256 of its archive's content (`Manifest.content`), once it is stored: equal for equal files. Before, the
#: required one, if any.
CONTENT = PREFIX + "content"
#: "true" while the version waits for its archive; setting its status takes it away.
PENDING = PREFIX + "pending"
#: JSON object: stage, status, description. It counts while it agrees with MLflow's own stage of the version.
STAGE = PREFIX + "stage"
WORKFLOW_ID = PREFIX + "workflow_id"

#: The highest number that an imported version may bring: those after it count on from there, and databases keep
#: numbers of 32 bits.
MOST_NUMBER = 1_000_000

#: Not a tag but a header of the service's calls: the person on whose behalf it calls, with no more access than in a
#: call of their own.
ACTING_USER = "X-Registry-Tui-Acting-User"

#: Not stored: writing it sets the version's status. Value: JSON object with `status` and `message`.
SET_STATUS = PREFIX + "set_status"

#: MLflow's own, on runs: the ID of the run that a run is nested in.
PARENT_RUN = "mlflow.parentRunId"


def search_value(text: str) -> str:
    """A text as `SEARCH` takes it: MLflow's filters know no escapes."""
    return text.encode().hex()
