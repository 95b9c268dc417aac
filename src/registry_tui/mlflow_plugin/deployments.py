"""MLflow's deployments API: `mlflow deployments … -t registry-tui`, and `get_deploy_client("registry-tui")`.

It signs in like the command line. MLflow takes the one class of this module that is a deployment client, and the
functions `run_local` and `target_help`, so everything else is in `deployment_requests`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from mlflow.deployments import BaseDeploymentClient, PredictionsResponse
from mlflow.exceptions import MlflowException

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import NotFound, RegistryError
from registry_tui.mlflow_plugin import deployment_requests as requests
from registry_tui.platform import contexts
from registry_tui.platform.errors import PlatformError
from registry_tui.platform.paths import Home
from registry_tui.schemas.deployments import Deployment
from registry_tui.schemas.operations import Accepted, Workflow, WorkflowStatus

Answer = TypeVar("Answer")

_ONE_ENDPOINT = "every deployment has an endpoint of its own, with the same name: "


class RegistryDeployments(BaseDeploymentClient):  # type: ignore[misc]
    """Deployments of a platform: the one signed in to with `registry-tui login`, or this machine's."""

    def create_deployment(
        self,
        name: str,
        model_uri: str,
        flavor: str | None = None,
        config: Mapping[str, Any] | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Serves a version of a registered model, and waits until it is ready. Raises MlflowException."""
        requests.require_flavor(flavor)
        _require_own_endpoint(name, endpoint)
        options = requests.Options.read(config)
        model = requests.read_model(model_uri)

        async def run(client: RegistryClient) -> Deployment:
            project = options.project_or_default()
            chosen = await requests.found_version(client, model, project, options.registry)
            request = options.creation(name, project, model.name, chosen)
            return await _finished(client, await client.create_deployment(request), options.wait)

        return _described(self._ask(run))

    def update_deployment(
        self,
        name: str,
        model_uri: str | None = None,
        flavor: str | None = None,
        config: Mapping[str, Any] | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Rolls out another version of the same model, or other settings, and waits. Raises MlflowException."""
        requests.require_flavor(flavor)
        _require_own_endpoint(name, endpoint)
        options = requests.Options.read(config)
        model = requests.read_model(model_uri) if model_uri is not None else None

        async def run(client: RegistryClient) -> Deployment:
            options.require_unchanged()
            chosen = requests.Chosen()
            if model is not None:
                now = await client.deployment(name)
                if model.name != now.model_name:
                    raise requests.wrong(
                        f"The deployment {name} serves the model {now.model_name}; it cannot change to {model.name}. "
                        "Create another deployment for it"
                    )
                chosen = await requests.found_version(client, model, now.project_id, now.registry_id)
            answer = await client.update_deployment(name, options.change(chosen))
            return answer if isinstance(answer, Deployment) else await _finished(client, answer, options.wait)

        return _described(self._ask(run))

    def delete_deployment(
        self, name: str, config: Mapping[str, Any] | None = None, endpoint: str | None = None
    ) -> None:
        """Stops a deployment and deletes it; does nothing if it does not exist. Raises MlflowException."""
        _require_own_endpoint(name, endpoint)
        options = requests.Options.read(config)
        options.require_only("wait")

        async def run(client: RegistryClient) -> None:
            try:
                accepted = await client.delete_deployment(name, force=True)
            except NotFound:
                return
            if options.wait:
                await _wait(client, accepted.workflow)

        self._ask(run)

    def list_deployments(self, endpoint: str | None = None) -> list[dict[str, Any]]:
        """All deployments that you may see, by name. Raises MlflowException."""

        async def run(client: RegistryClient) -> list[Deployment]:
            if endpoint is not None:
                return [await client.deployment(endpoint)]
            return [each async for each in client.every(client.deployments)]

        return [_described(each) for each in self._ask(run)]

    def get_deployment(self, name: str, endpoint: str | None = None) -> dict[str, Any]:
        """A deployment's state, version, settings and addresses. Raises MlflowException."""
        _require_own_endpoint(name, endpoint)

        async def run(client: RegistryClient) -> Deployment:
            return await client.deployment(name)

        return _described(self._ask(run))

    def predict(
        self, deployment_name: str | None = None, inputs: Any = None, endpoint: str | None = None
    ) -> PredictionsResponse:
        """Sends a request to a replica, as you, without an API key: up to 900,000 characters of JSON.

        Programs that call often send theirs to the deployment's `endpoint_url`. Raises MlflowException.
        """
        name = deployment_name or endpoint
        if name is None:
            raise requests.wrong("Name the deployment")
        _require_own_endpoint(name, endpoint)
        request = requests.prediction(inputs)

        async def run(client: RegistryClient) -> str:
            answer = await client.test_deployment(name, request)
            if answer.status != 200:
                raise requests.wrong(f"The deployment {name} answered {answer.status}: {answer.body[:2000]}")
            return answer.body

        return PredictionsResponse.from_json(self._ask(run))

    def predict_stream(
        self, deployment_name: str | None = None, inputs: Any = None, endpoint: str | None = None
    ) -> NoReturn:
        """Raises MlflowException: only the endpoint streams responses, and it requires an API key."""
        raise requests.unsupported(
            'requests to try have one answer: send yours with "stream": true and an API key to the endpoint_url'
        )

    def explain(self, deployment_name: str | None = None, df: Any = None, endpoint: str | None = None) -> NoReturn:
        """Raises MlflowException: replicas speak MLflow's scoring protocol, which does not explain."""
        raise requests.unsupported("replicas answer with predictions only: log explanations with the run")

    def create_endpoint(self, name: str, config: Mapping[str, Any] | None = None) -> NoReturn:
        """Raises MlflowException: an endpoint comes with its deployment."""
        raise requests.unsupported(f"{_ONE_ENDPOINT}create the deployment")

    def update_endpoint(self, endpoint: str, config: Mapping[str, Any] | None = None) -> NoReturn:
        """Raises MlflowException: an endpoint changes with its deployment."""
        raise requests.unsupported(f"{_ONE_ENDPOINT}update the deployment")

    def delete_endpoint(self, endpoint: str) -> NoReturn:
        """Raises MlflowException: an endpoint goes with its deployment."""
        raise requests.unsupported(f"{_ONE_ENDPOINT}delete the deployment")

    def list_endpoints(self) -> list[dict[str, Any]]:
        """The addresses of all deployments that you may see. Raises MlflowException."""
        return [_endpoint(each) for each in self.list_deployments()]

    def get_endpoint(self, endpoint: str) -> dict[str, Any]:
        """The addresses of one deployment. Raises MlflowException."""
        return _endpoint(self.get_deployment(endpoint))

    def _ask(self, question: Callable[[RegistryClient], Awaitable[Answer]]) -> Answer:
        """Runs the request in a thread of its own, as a notebook has an event loop already."""

        async def answer() -> Answer:
            async with _client(str(self.target_uri)) as client:
                return await question(client)

        with ThreadPoolExecutor(1) as own_loop:
            try:
                return own_loop.submit(asyncio.run, answer()).result()
            except (RegistryError, PlatformError, OSError) as error:
                raise requests.as_mlflow(error) from error


def _client(target: str) -> RegistryClient:
    """A client of the service that a target names: `registry-tui`, or `registry-tui:/CONTEXT`."""
    parts = urlsplit(target)
    name = parts.path.strip("/") if parts.scheme else ""
    if parts.netloc or "/" in name:
        raise requests.wrong(
            f"{target!r} is not of the form registry-tui:/CONTEXT; `registry-tui contexts list` shows the contexts"
        )
    if not name:
        return RegistryClient()
    context = contexts.load().named(name)
    return RegistryClient(Home.resolve()) if context is None else RegistryClient(context=context)


async def _finished(client: RegistryClient, accepted: Accepted[Deployment], wait: bool) -> Deployment:
    if not wait:
        return accepted.resource
    await _wait(client, accepted.workflow)
    return await client.deployment(accepted.resource.id)


async def _wait(client: RegistryClient, workflow: Workflow) -> None:
    done = await client.wait_for_workflow(workflow.id)
    if done.status is not WorkflowStatus.SUCCEEDED:
        raise MlflowException(
            f"{done.kind.value} of {done.resource_name} {done.status.value}: {done.error or 'no reason given'}. "
            f"{done.action or f'See `registry-tui workflows logs {done.id}`'}"
        )


def _require_own_endpoint(name: str, endpoint: str | None) -> None:
    if endpoint is not None and endpoint != name:
        raise requests.unsupported(f"{_ONE_ENDPOINT}leave `endpoint` out")


def _described(deployment: Deployment) -> dict[str, Any]:
    return {"flavor": requests.FLAVOR, **deployment.model_dump(mode="json", exclude={"access_key", "traffic"})}


def _endpoint(deployment: Mapping[str, Any]) -> dict[str, Any]:
    shown = ("name", "state", "endpoint_url", "model_url", "authentication", "port")
    return {key: deployment[key] for key in shown}


def run_local(
    target: str, name: str, model_uri: str, flavor: str | None = None, config: Mapping[str, Any] | None = None
) -> NoReturn:
    """Raises MlflowException: a platform on this machine is the local one."""
    raise requests.unsupported(
        "there is no other way to run locally: `registry-tui up` starts a platform on this machine, and "
        "`mlflow deployments create -t registry-tui:/local …` deploys there"
    )


def target_help() -> str:
    """The output of `mlflow deployments help -t registry-tui`."""
    return requests.HELP
