"""The walk of `registry-tui demo --play`: scenes over the loaded demo, each with a caption and the keys of a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Scene:
    """One step of the walk.

    `at` is the kind of place that has to be in view (`registry_tui.terminal.commands.SCREENS`). Each part of `keys` is
    Textual's name of a key, `!action` for the key that does an action there (also one that somebody gave it in
    `config.toml`), or `"text` for text that is typed.
    """

    at: str
    caption: str
    keys: Sequence[str] = ()


#: The project, experiment, registry, model and deployment of the demo that the walk visits (`plan.py`).
PROJECT, EXPERIMENT = "wine-quality", "alcohol-elasticnet"
REGISTRY, MODEL, DEPLOYMENT = "registry-aws", "WineAlcoholRegressor", "alcohol-api"

WALK: tuple[Scene, ...] = (
    Scene("registries", "Model Registries: one for each environment, with its storage and state.", ("2",)),
    Scene(
        "projects",
        "Projects: each is an MLflow workspace. A colon goes anywhere by name.",
        (":", f'"project {PROJECT}', "enter"),
    ),
    Scene(
        "project",
        "A project's experiments. Stock MLflow code logs into them.",
        (":", f'"runs {PROJECT} {EXPERIMENT}', "enter"),
    ),
    Scene(
        "experiment",
        "Runs with their params and metrics. Space marks three of them …",
        ("!mark", "!mark", "!mark", "!compare"),
    ),
    Scene("compare", "… and they stand side by side where they differ. Tab shows curves.", ("!tab_next",)),
    Scene("compare", "Curves of every metric, also of runs that are still training.", ("down", "down", "escape")),
    Scene("experiment", "Back, and on to the registered models of all registries.", ("3",)),
    Scene("models", "Registered models, with their latest versions.", (":", f'"model {REGISTRY} {MODEL}', "enter")),
    Scene("model", "Versions of one model. Each has an archive whose checksums are kept.", ("enter",)),
    Scene("model", "A version's run, params, metrics, files and checksums.", ("escape",)),
    Scene("model", "Two marked versions …", ("!mark", "!mark", "!diff")),
    Scene("diff", "… compared: settings, requirements, files and metrics that differ.", ("escape", "4")),
    Scene(
        "deployments",
        "Model Deployments serve a version behind an API key.",
        (":", f'"deployment {DEPLOYMENT}', "enter"),
    ),
    Scene("deployment", "Replicas, calls, latency and memory of one deployment.", ("!test",)),
    Scene("deployment", "A test request, prepared from the model's own example.", ("!send",)),
    Scene("deployment", "The answer, with its time and the replica that gave it.", ("6",)),
    Scene("activity", "Activity: changes are durable workflows with steps, logs and retries."),
)
