"""Every method of MLflow's own client, the rule for its callers, and a call of it about a sealed project."""

from __future__ import annotations

import inspect
import io
import os
import tempfile
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Methods by rule (`mlflow_doors.MAY`), in the order in which they are called: those that delete a thing come last.
_RULES = {
    "search": """
        list_workspaces search_experiments search_runs search_logged_models search_registered_models
        search_model_versions search_prompts search_prompt_versions search_mcp_servers search_mcp_access_endpoints
        load_table list_logged_prompts
    """,
    "prompt": """
        get_prompt get_prompt_version get_prompt_version_by_alias load_prompt
    """,
    "look": """
        get_experiment get_experiment_by_name get_run get_parent_run get_metric_history list_artifacts
        download_artifacts get_logged_model list_logged_model_artifacts get_registered_model get_latest_versions
        get_model_version get_model_version_by_alias get_model_version_download_uri get_trace search_traces
        get_dataset search_datasets
    """,
    "change": """
        create_experiment rename_experiment set_experiment_tag delete_experiment_tag create_run update_run log_metric
        log_param log_batch set_tag delete_tag log_inputs log_outputs log_text log_dict log_stream log_table
        log_figure log_image log_artifact log_artifacts set_terminated create_logged_model finalize_logged_model
        log_model_params set_logged_model_tags delete_logged_model_tag log_model_artifact log_model_artifacts
        create_registered_model create_model_version copy_model_version create_prompt register_prompt
        create_prompt_version link_prompt_version_to_run link_prompt_version_to_model detach_prompt_from_run
        set_trace_tag delete_trace_tag link_traces_to_run link_prompt_versions_to_trace
        create_dataset set_dataset_tags delete_dataset_tag add_dataset_to_experiments create_mcp_server
        set_prompt_tag delete_prompt_tag set_prompt_alias delete_prompt_alias set_prompt_version_tag
        delete_prompt_version_tag
    """,
    "owned": """
        update_registered_model set_registered_model_tag delete_registered_model_tag set_registered_model_alias
        delete_registered_model_alias update_model_version set_model_version_tag delete_model_version_tag
        transition_model_version_stage delete_model_version rename_registered_model delete_registered_model
    """,
    "maker": """
        get_mcp_server get_latest_mcp_server_version get_mcp_server_version get_mcp_server_version_by_alias
        get_mcp_access_endpoint search_mcp_server_versions
        update_mcp_server set_mcp_server_tag delete_mcp_server_tag create_mcp_server_version
        update_mcp_server_version refresh_mcp_server_version_tools set_mcp_server_version_tag
        delete_mcp_server_version_tag set_mcp_server_alias delete_mcp_server_alias create_mcp_access_endpoint
        update_mcp_access_endpoint delete_mcp_access_endpoint delete_mcp_server_version delete_mcp_server
    """,
    "closed": """
        create_workspace get_workspace update_workspace delete_workspace create_webhook get_webhook list_webhooks
        update_webhook test_webhook delete_webhook
    """,
    "change, last": """
        delete_prompt_version delete_prompt remove_dataset_from_experiments delete_dataset delete_traces
        delete_logged_model delete_run restore_run delete_experiment restore_experiment
    """,
    # Without a request; MLflow's REST store cannot unlink traces.
    "local": "get_model_version_stages get_workspace_store_uri parse_prompt_uri unlink_traces_from_run",
    # They send spans in the background and raise nothing: the doors `/v1/traces` and `/traces` are asked by raw HTTP.
    "background": "start_trace end_trace start_span end_span",
}
#: Methods that clients have from MLflow 3.18 on.
_NEWER = {
    "closed": """
        create_skill get_skill search_skills update_skill create_skill_version bulk_register_skills get_skill_version
        get_skill_version_by_alias get_latest_skill_version search_skill_versions update_skill_version set_skill_tag
        delete_skill_tag set_skill_version_tag delete_skill_version_tag set_skill_alias delete_skill_alias
        delete_skill_version delete_skill
    """,
}
#: Begins the names of MLflow's threads that note a prompt's experiment.
_NOTING = "link_prompt_to_experiment"
#: Whose name a `name` is, by a part of the method's.
_PLACES: Mapping[str, str] = {"prompt": "prompt", "mcp_": "mcp"}


@dataclass(frozen=True)
class Outcome:
    """The outcome of one person's call: status codes, sent requests, and the caller's new knowledge."""

    method: str
    person: str
    statuses: tuple[int, ...]
    sent: str
    learnt: str


def rules() -> dict[str, str]:
    """The rule of each method of the installed client, in the order of the walk."""
    has = methods()
    newer = {name: rule for rule, names in _NEWER.items() for name in names.split() if name in has}
    return newer | {name: rule.partition(",")[0] for rule, names in _RULES.items() for name in names.split()}


def called() -> dict[str, str]:
    """The rules of the methods that ask the server in the foreground, which the walk calls."""
    return {method: rule for method, rule in rules().items() if rule not in ("local", "background")}


def methods() -> set[str]:
    """Every public method of the installed MLflow's client."""
    from mlflow import MlflowClient

    return {name for name, _ in inspect.getmembers(MlflowClient, inspect.isfunction) if not name.startswith("_")}


def walk(people: Mapping[str, Mapping[str, str]], known: Mapping[str, Any], word: str) -> list[Outcome]:
    """Calls every method once as each person, by their variables; in a process of its own, as it sets them.

    `known`: the values of the sealed project's things, and their common `word`.
    """
    from mlflow import MlflowClient
    from mlflow.prompt.registry_utils import PromptCache
    from requests.adapters import HTTPAdapter

    seen: list[tuple[int, str]] = []
    send = HTTPAdapter.send

    def noting(self: Any, request: Any, **options: Any) -> Any:
        answer = send(self, request, **options)
        # Loading a prompt tries to note the experiment, in the background; a refusal does not affect the caller.
        if not threading.current_thread().name.startswith(_NOTING):
            seen.append((answer.status_code, f"{request.url} {request.body!r}"))
        return answer

    setattr(HTTPAdapter, "send", noting)  # noqa: B010
    found = []
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "file.txt").write_text("evil")
        for method in called():
            for person, variables in people.items():
                for name in [each for each in os.environ if each.startswith("MLFLOW_")]:
                    del os.environ[name]
                os.environ.update(variables)
                seen.clear()
                # It holds the results of the person before.
                PromptCache.get_instance().clear()
                try:
                    learnt = repr(_call(MlflowClient(), method, known, word, Path(folder)))
                except Exception as error:
                    learnt = f"{type(error).__name__}: {error}"
                for thread in threading.enumerate():
                    if thread.name.startswith(_NOTING):
                        thread.join()
                sent = " ".join(text for _, text in seen)
                found.append(Outcome(method, person, tuple(status for status, _ in seen), sent, learnt))
    return found


def _call(client: Any, method: str, known: Mapping[str, Any], word: str, folder: Path) -> Any:
    if (special := _special(client, known, word, folder).get(method)) is not None:
        return special()
    function = getattr(client, method)
    needed = [name for name, each in inspect.signature(function).parameters.items() if each.default is each.empty]
    return function(**{name: _value(method, name, known, word, folder) for name in needed})


def _value(method: str, parameter: str, known: Mapping[str, Any], word: str, folder: Path) -> Any:
    """A required parameter: one of the sealed project's things, or a new name for a new thing."""
    if parameter == "server_name":
        return known["mcp"]
    if parameter == "name":
        if method.startswith("create_") and not method.endswith("_version"):
            return f"io.sealed/{uuid.uuid4().hex}" if "mcp_" in method else f"new-{uuid.uuid4().hex[:10]}"
        if method == "get_experiment_by_name":
            return f"{word}-experiment"
        return next((known[thing] for part, thing in _PLACES.items() if part in method), known["name"])
    if parameter == "version" and "mcp_" in method:
        return "1.0.0"
    if parameter == "version" and "skill_" in method:
        return 1
    if parameter == "skill_definitions":
        return [{"name": known["name"], "source": "https://192.0.2.1/x.git", "source_type": "git"}]
    return {
        **known,
        "template": "evil",
        "metrics": [],
        "prompt_uri": f"prompts:/{known['prompt']}/1",
        "name_or_uri": f"prompts:/{known['prompt']}/1",
        "src_model_uri": f"models:/{known['name']}/1",
        "dst_name": f"new-{uuid.uuid4().hex[:10]}",
        "path": "model/MLmodel",
        "local_path": str(folder / "file.txt"),
        "local_dir": str(folder),
        "artifact_file": f"{uuid.uuid4().hex}.txt",
        "text": "evil",
        "dictionary": {"evil": 1},
        "params": {uuid.uuid4().hex: "evil"},
        "tags": {"team": "evil"},
        "status": "READY",
        "url": "https://192.0.2.1/x",
        "events": ["prompt.created"],
        "key": "loss" if method in ("log_metric", "get_metric_history") else "team",
        "value": 1.0 if method == "log_metric" else "evil",
    }[parameter]


def _special(client: Any, known: Mapping[str, Any], word: str, folder: Path) -> dict[str, Callable[[], Any]]:
    """Calls that need more than their required parameters, or values of kinds of their own."""
    from mlflow.entities import LoggedModelOutput, Metric
    from mlflow.entities.model_registry import PromptVersion

    run, prompt, new = known["run_id"], known["prompt"], uuid.uuid4().hex
    version = PromptVersion(prompt, 1, word, creation_timestamp=1)
    server = {"name": known["mcp"], "version": "1.0.0", "description": "evil"}
    return {
        "search_prompts": lambda: client.search_prompts(),
        "search_registered_models": lambda: client.search_registered_models(),
        "search_traces": lambda: client.search_traces(locations=[known["experiment_id"]], flush=False),
        "search_datasets": lambda: client.search_datasets([known["experiment_id"]]),
        "get_trace": lambda: client.get_trace(known["trace_id"], display=False, flush=False),
        "detach_prompt_from_run": lambda: _detached(client, prompt, run),
        "download_artifacts": lambda: Path(client.download_artifacts(run, "model/MLmodel", str(folder))).read_text(),
        "load_prompt": lambda: client.load_prompt(f"prompts:/{prompt}/1", cache_ttl_seconds=0),
        "load_table": lambda: client.load_table(known["experiment_id"], "table.json", [run]),
        "log_batch": lambda: client.log_batch(run, [Metric("loss", 2.0, 3, 3)]),
        "log_param": lambda: client.log_param(run, new, "evil"),
        "remove_dataset_from_experiments": lambda: client.remove_dataset_from_experiments(
            known["dataset_id"], [known["second_experiment"]]
        ),
        "rename_registered_model": lambda: _renamed(client, known["name"], known["new_name"]),
        "log_outputs": lambda: client.log_outputs(run, [LoggedModelOutput(known["model_id"], 1)]),
        "log_stream": lambda: client.log_stream(run, io.BytesIO(b"evil"), f"{new}.txt"),
        "log_table": lambda: client.log_table(run, {"a": [1]}, "table.json"),
        "log_figure": lambda: client.log_figure(run, _figure(), f"{new}.png"),
        "log_image": lambda: client.log_image(run, _image(), f"{new}.png"),
        "update_run": lambda: client.update_run(run, name="evil"),
        "create_dataset": lambda: client.create_dataset(f"new-{new}", experiment_id=[known["experiment_id"]]),
        "create_model_version": lambda: client.create_model_version(
            known["name"], known["source"], run_id=run, await_creation_for=0
        ),
        "register_prompt": lambda: client.register_prompt(f"new-{new}", "evil"),
        "link_prompt_version_to_run": lambda: client.link_prompt_version_to_run(run, version),
        "link_prompt_versions_to_trace": lambda: client.link_prompt_versions_to_trace([version], known["trace_id"]),
        "delete_traces": lambda: client.delete_traces(known["experiment_id"], trace_ids=[known["trace_id"]]),
        "set_model_version_tag": lambda: client.set_model_version_tag(known["name"], "1", "team", "evil"),
        "delete_model_version_tag": lambda: client.delete_model_version_tag(known["name"], "1", "team"),
        "set_prompt_alias": lambda: client.set_prompt_alias(prompt, "champion", 1),
        "create_mcp_server_version": lambda: client.create_mcp_server_version(server),
        "update_registered_model": lambda: client.update_registered_model(known["name"], description="evil"),
        "update_model_version": lambda: client.update_model_version(known["name"], "1", description="evil"),
        "test_webhook": lambda: client.test_webhook(known["webhook_id"]),
    }


def _detached(client: Any, prompt: str, run: str) -> Any:
    """As MLflow 2's clients linked them: the run's ID stands in a tag of the prompt's version."""
    client.set_prompt_version_tag(prompt, "1", "mlflow.prompt.associatedRunIds", run)
    return client.detach_prompt_from_run(run, f"prompts:/{prompt}/1")


def _renamed(client: Any, name: str, new: str) -> Any:
    """There and back again, so that the calls after it find the model."""
    client.rename_registered_model(name, new)
    return client.rename_registered_model(new, name)


def _figure() -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(1, 1))


def _image() -> Any:
    import numpy

    return numpy.zeros((2, 2, 3), dtype=numpy.uint8)
