"""Places of the program, and the `:` commands that go there."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any


@dataclass
class Place:
    """A place in the program: a kind of screen and its arguments. `state` is its appearance when it was left."""

    kind: str
    args: dict[str, str] = field(default_factory=dict)
    came_from: Place | None = field(default=None, compare=False, repr=False)
    state: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)


#: Kind of place to `module:class`, imported when first needed. A new screen is its file and a line here. It may have a
#: style (`CSS_PATH`), its own actions (`actions.<KIND>`), and changes that affect it (`CONCERNS` of its class).
SCREENS = {
    "registries": "registry_tui.screens.registries.registries:RegistriesScreen",
    "registry": "registry_tui.screens.registries.registry:RegistryScreen",
    "projects": "registry_tui.screens.places.projects:ProjectsScreen",
    "project": "registry_tui.screens.places.project:ProjectScreen",
    "experiment": "registry_tui.screens.tracking.experiment:ExperimentScreen",
    "compare": "registry_tui.screens.tracking.compare:CompareScreen",
    "run": "registry_tui.screens.tracking.run:RunScreen",
    "models": "registry_tui.screens.models.models:ModelsScreen",
    "model": "registry_tui.screens.models.model:ModelScreen",
    "diff": "registry_tui.screens.models.version_diff:DiffScreen",
    "signatures": "registry_tui.screens.known.signatures:SignaturesScreen",
    "card": "registry_tui.screens.known.card:CardScreen",
    "bom": "registry_tui.screens.known.bom:BomScreen",
    "uses": "registry_tui.screens.known.uses:UsesScreen",
    "deployments": "registry_tui.screens.deployments.deployments:DeploymentsScreen",
    "deployment": "registry_tui.screens.deployments.deployment:DeploymentScreen",
    "keys": "registry_tui.screens.deployments.keys:KeysScreen",
    "environments": "registry_tui.screens.places.environments:EnvironmentsScreen",
    "attached": "registry_tui.screens.places.attached:AttachedScreen",
    "signing_keys": "registry_tui.screens.known.signing_keys:SigningKeysScreen",
    "policies": "registry_tui.screens.ranger.policy_list:PoliciesScreen",
    "rules": "registry_tui.screens.admission.environment_rules:RulesScreen",
    "exceptions": "registry_tui.screens.admission.exceptions:ExceptionsScreen",
    "webhooks": "registry_tui.screens.webhooks.webhooks:WebhooksScreen",
    "webhook": "registry_tui.screens.webhooks.deliveries:WebhookScreen",
    "people": "registry_tui.screens.people.people:PeopleScreen",
    "person": "registry_tui.screens.people.person:PersonScreen",
    "groups": "registry_tui.screens.people.groups:GroupsScreen",
    "group": "registry_tui.screens.people.group:GroupScreen",
    "roles": "registry_tui.screens.people.roles:RolesScreen",
    "activity": "registry_tui.screens.activity.activity:ActivityScreen",
    "approvals": "registry_tui.screens.activity.approvals:ApprovalsScreen",
    "workflow": "registry_tui.screens.activity.workflow:WorkflowScreen",
}


@dataclass(frozen=True)
class Command:
    """A `:` command. `arguments` names the words that follow; those in brackets are optional."""

    name: str
    aliases: tuple[str, ...]
    arguments: tuple[str, ...]
    help: str
    #: The place it goes to; None for commands that the program itself runs.
    kind: str | None = None


COMMANDS = (
    Command("registries", ("registry-list", "mr"), (), "All Model Registries", "registries"),
    Command("registry", ("reg",), ("registry",), "One Model Registry", "registry"),
    Command("projects", ("p",), (), "All projects", "projects"),
    Command("project", ("proj",), ("project",), "One project and its experiments", "project"),
    Command("runs", ("r", "experiment", "exp"), ("project", "experiment"), "The runs of an experiment", "experiment"),
    Command("run", (), ("project", "run"), "One run", "run"),
    Command("models", ("m",), ("[registry]",), "Registered models", "models"),
    Command("model", (), ("registry", "model"), "One registered model and its versions", "model"),
    Command("signatures", (), ("registry", "model", "version"), "Who signed a version", "signatures"),
    Command("card", (), ("registry", "model", "version"), "The model card of a version", "card"),
    Command("bom", (), ("registry", "model", "version", "[against]"), "What a version is made of", "bom"),
    Command("uses", (), ("[uses]",), "Versions by what they are made of: numpy<2; dataset:NAME", "uses"),
    Command("deployments", ("d",), ("[project]",), "Deployments", "deployments"),
    Command("deployment", (), ("deployment",), "One deployment: replicas, traffic, test, logs", "deployment"),
    Command("keys", ("api-keys",), (), "API keys with which deployments are called", "keys"),
    Command("environments", ("env",), (), "Environments and their workspaces", "environments"),
    Command("attached", ("mlflow",), (), "Attached MLflow servers: attach, change, import, detach", "attached"),
    Command("signing-keys", (), ("environment",), "The keys that sign versions, or are trusted", "signing_keys"),
    Command("ranger", ("policies",), ("environment",), "Ranger's policies of an environment", "policies"),
    Command("rules", ("admission",), ("environment",), "Admission rules of an environment", "rules"),
    Command("exceptions", (), ("registry",), "Versions that pass a rule although it refuses them", "exceptions"),
    Command("webhooks", ("hooks",), (), "Webhooks: addresses that get messages about events", "webhooks"),
    Command("webhook", (), ("webhook",), "What was sent to a webhook", "webhook"),
    Command("people", ("users",), (), "People: create, suspend, delete", "people"),
    Command("person", ("tokens", "user"), ("[user]",), "One person with tokens; yourself without a name", "person"),
    Command("groups", (), (), "Groups of people", "groups"),
    Command("group", (), ("group",), "One group with its members", "group"),
    Command("roles", (), ("environment",), "Who has which roles in an environment", "roles"),
    Command("activity", ("wf", "workflows"), (), "Running and finished workflows", "activity"),
    Command("approvals", ("inbox",), (), "Approvals: what waits for you, and what was decided", "approvals"),
    Command("workflow", (), ("workflow",), "One workflow with its log lines", "workflow"),
    Command("contexts", ("ctx", "context"), ("[context]",), "Work with another service that you signed in to"),
    Command("theme", (), ("[theme]",), "Colours: dark, light, high-contrast, monochrome, or your own"),
    Command("up", ("start",), (), "Start the platform"),
    Command("help", ("h",), (), "What you can do here"),
    Command("quit", ("q", "exit"), (), "Leave the program"),
)

#: Kinds of places that need no argument; the program may start at any of them.
PLAIN_PLACES = tuple(
    command.kind
    for command in COMMANDS
    if command.kind is not None and all(argument.startswith("[") for argument in command.arguments)
)


class CommandError(Exception):
    """The input is not a command; the message has an example."""


def find_command(word: str) -> Command | None:
    """The command with this name or alias."""
    return next((command for command in COMMANDS if word == command.name or word in command.aliases), None)


def parse(text: str) -> tuple[Command, dict[str, str]]:
    """A typed command with its arguments. Raises CommandError."""
    words = text.strip().lstrip(":").split()
    if not words:
        raise CommandError("Type a command, e.g. models")
    command = find_command(words[0].lower())
    if command is None:
        close = get_close_matches(words[0], [command.name for command in COMMANDS], n=1)
        raise CommandError(f"There is no command {words[0]!r}" + (f"; did you mean {close[0]}?" if close else ""))
    required = [name for name in command.arguments if not name.startswith("[")]
    given = words[1:]
    if len(given) < len(required):
        raise CommandError(f"Type :{command.name} {' '.join(command.arguments)}")
    if len(given) > len(command.arguments):
        if not command.arguments:
            raise CommandError(f":{command.name} takes nothing more")
        # The last argument may contain spaces, as names of experiments and models do.
        given = [*given[: len(command.arguments) - 1], " ".join(given[len(command.arguments) - 1 :])]
    names = [name.strip("[]") for name in command.arguments]
    return command, dict(zip(names, given, strict=False))
