"""The content of the demo: its places, its people, and which models get registered how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from registry_tui.schemas.models import Visibility
from registry_tui.schemas.places import Cloud, Role

#: The tag that marks experiments, runs and versions as the demo's; its value identifies them in the plan.
MARK = "registry-tui-demo"
#: Which of a project's logged models a run's model is: see `Version.model`.
ROLE = "demo.role"


@dataclass(frozen=True)
class DemoEnvironment:
    """An environment and its Model Registry."""

    name: str
    cloud: Cloud
    raz_enabled: bool
    registry: str
    workspaces: tuple[str, ...]
    existing_nfs: str | None = None
    nfs_protocol_version: Literal["3", "4.1"] | None = None


@dataclass(frozen=True)
class Version:
    """A version of a registered model.

    `model` selects the logged model: the best, the second best, or the first of the others (`baseline`). Versions with
    `by_sdk` are registered in the training script and come first; the service registers the others.
    """

    model: Literal["baseline", "runner-up", "best"]
    notes: str
    by_sdk: bool = False
    alias: str | None = None
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class DemoModel:
    """A registered model with its versions, oldest first."""

    name: str
    description: str
    visibility: Visibility
    versions: tuple[Version, ...]
    #: Which experiment's runs it comes from.
    experiment: str


@dataclass(frozen=True)
class DemoProject:
    """A project, its collaborators, and its models. The first collaborator trains and registers."""

    name: str
    workspace: str
    description: str
    collaborators: tuple[tuple[str, Role], ...]
    models: tuple[DemoModel, ...]
    #: Name of a deployment that follows the alias `champion` of the first model, if the project serves one.
    deployment: str | None = None

    @property
    def lead(self) -> str:
        return self.collaborators[0][0]


def describe(notes: str, params: Mapping[str, object], metrics: Mapping[str, float]) -> str:
    """A version's notes with its run's parameters and metrics."""
    settings = ", ".join(f"{name} {value}" for name, value in sorted(params.items()))
    return f"{notes}: {settings}.\n" + "\n".join(f"- {name}: {value:.4f}" for name, value in sorted(metrics.items()))


ENVIRONMENTS = (
    DemoEnvironment("demo-aws", Cloud.AWS, True, "registry-aws", ("ml-dev", "ml-prod")),
    DemoEnvironment("demo-azure", Cloud.AZURE, False, "registry-azure", ("ml-azure",), "10.20.0.4:/mlregistry", "4.1"),
)

PROJECTS = (
    DemoProject(
        "wine-quality",
        "ml-dev",
        "Alcohol content and cultivar of Italian wines from their chemistry (scikit-learn's wine data, 178 wines).",
        (("ada", Role.ADMIN), ("grace", Role.CONTRIBUTOR), ("linus", Role.VIEWER)),
        (
            DemoModel(
                "WineAlcoholRegressor",
                "Alcohol content in volume percent from twelve other measurements of a wine. Elastic net.",
                Visibility.PUBLIC,
                (
                    Version("baseline", "Baseline of the sweep", by_sdk=True),
                    Version("runner-up", "Second best of the sweep", by_sdk=True),
                    Version(
                        "best",
                        "Best of the sweep",
                        alias="champion",
                        tags=(("stage", "production"), ("reviewed-by", "grace")),
                    ),
                ),
                "alcohol-elasticnet",
            ),
            DemoModel(
                "WineCultivarClassifier",
                "Which of three cultivars a wine is from. Logistic regression on standardised measurements.",
                Visibility.PRIVATE,
                (Version("best", "Best of the sweep", tags=(("stage", "staging"),)),),
                "cultivar-classifier",
            ),
        ),
        "alcohol-api",
    ),
    DemoProject(
        "diabetes-progression",
        "ml-dev",
        "Disease progression after a year, from ten measurements of 442 patients (scikit-learn's diabetes data).",
        (("grace", Role.ADMIN), ("ada", Role.CONTRIBUTOR)),
        (
            DemoModel(
                "DiabetesProgression",
                "Progression score from age, sex, body mass index, blood pressure and six serum measurements.",
                Visibility.PUBLIC,
                (
                    Version("baseline", "Baseline of the sweep", by_sdk=True),
                    Version("runner-up", "Second best of the sweep"),
                    Version("best", "Best of the sweep", alias="champion", tags=(("stage", "production"),)),
                ),
                "gradient-boosting",
            ),
        ),
    ),
    DemoProject(
        "tumour-screening",
        "ml-prod",
        "Benign or malignant, from measurements of cell nuclei (scikit-learn's breast cancer data, 569 samples).",
        (("linus", Role.ADMIN), ("grace", Role.CONTRIBUTOR)),
        (
            DemoModel(
                "TumourScreening",
                "Probability that a sample is malignant. For research; not a medical device.",
                Visibility.PRIVATE,
                (
                    Version("baseline", "Baseline of the sweep"),
                    Version("runner-up", "Second best of the sweep", alias="challenger"),
                    Version(
                        "best",
                        "Best of the sweep",
                        alias="champion",
                        tags=(("stage", "production"), ("ticket", "MED-118")),
                    ),
                ),
                "forest-sweep",
            ),
        ),
    ),
    DemoProject(
        "digit-recognition",
        "ml-azure",
        "Handwritten digits, 8 by 8 pixels (scikit-learn's digits data, 1797 images).",
        (("ada", Role.ADMIN), ("linus", Role.CONTRIBUTOR)),
        (
            DemoModel(
                "DigitReader",
                "Reads one digit from 64 grey values between 0 and 16. Multi-layer perceptron.",
                Visibility.PUBLIC,
                (
                    Version("baseline", "Baseline of the sweep", by_sdk=True),
                    Version("best", "Best of the sweep", alias="champion", tags=(("stage", "staging"),)),
                ),
                "perceptron",
            ),
        ),
    ),
)
