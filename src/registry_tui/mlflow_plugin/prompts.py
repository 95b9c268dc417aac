"""Prompts: MLflow keeps them as registered models with a tag. They are not models here.

A prompt has no owner, visibility or archive of ours. Everybody who may read the registry reads its prompts;
contributors to the project that made one may change it (`ownership.py`). Their versions are numbered as MLflow does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlflow.entities.model_registry import RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.prompt.constants import IS_PROMPT_TAG_KEY
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_ALREADY_EXISTS

from registry_tui.mlflow_plugin import mlflow_private

#: The tag of MLflow's that makes a registered model a prompt.
PROMPT: str = IS_PROMPT_TAG_KEY


def is_prompt(tags: Mapping[str, str]) -> bool:
    """Whether the tags of a registered model, or of a version, make it a prompt."""
    return tags.get(IS_PROMPT_TAG_KEY) == "true"


def check_given(tags: Mapping[str, str]) -> None:
    """Raises MlflowException for a mark that MLflow's searches would read in different ways."""
    if tags.get(IS_PROMPT_TAG_KEY, "true") != "true":
        raise MlflowException(
            f"The tag '{IS_PROMPT_TAG_KEY}' makes a prompt and has the value 'true'; leave it out for a model.",
            error_code=INVALID_PARAMETER_VALUE,
        )


def check_version(model: RegisteredModel, tags: Mapping[str, str]) -> None:
    """Raises MlflowException when a model's version is added to a prompt, or a prompt's to a model."""
    check_given(tags)
    of_prompt = mlflow_private.is_prompt(model)
    if of_prompt and not is_prompt(tags):
        raise _taken(model.name, "a prompt", "a model")
    if is_prompt(tags) and not of_prompt:
        raise _taken(model.name, "a model", "a prompt")


def check_tag_change(key: Any, tags: Mapping[str, str], value: str | None) -> None:
    """Raises MlflowException when changing a tag would make a model a prompt, or a prompt a model."""
    if key == IS_PROMPT_TAG_KEY and (value == "true") != is_prompt(tags):
        raise MlflowException(
            f"The tag '{IS_PROMPT_TAG_KEY}' cannot be changed: a model does not become a prompt, nor a prompt a model.",
            error_code=INVALID_PARAMETER_VALUE,
        )


def _taken(name: str, there: str, wanted: str) -> MlflowException:
    return MlflowException(
        f"'{name}' is the name of {there}, and {wanted} cannot have the same. Choose another name.",
        error_code=RESOURCE_ALREADY_EXISTS,
    )
