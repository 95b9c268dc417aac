"""The listener's addresses, plain HTTP calls to them, and code of a person's laptop."""

from __future__ import annotations

import ssl

import httpx

from support.platforms import PATIENCE
from support.team import Team


def http(team: Team, token: str | None = None, address: str = "127.0.0.1", **headers: str) -> httpx.Client:
    """A plain HTTP client, as curl would be, from an address of its own."""
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    context = ssl.create_default_context(cafile=team.certificate)
    transport = httpx.HTTPTransport(verify=context, local_address=address)
    return httpx.Client(base_url=team.url, transport=transport, headers=headers, timeout=PATIENCE)


def health(port: int, host: str) -> httpx.Response:
    """Whether a port of this machine responds to callers that use this name."""
    return httpx.get(
        f"http://127.0.0.1:{port}/health", headers={"Host": f"{host}:{port}"}, trust_env=False, timeout=PATIENCE
    )


def answers(port: int, host: str) -> bool:
    return health(port, host).status_code == 200


def refusals(team: Team, address: str) -> list[str]:
    """The details of the events about refusals of an address, newest first."""
    events = team.platform.ask(lambda client: client.events(action="access.refuse", page_size=1000)).items
    return [each.detail for each in events if each.resource_name == address]


DOORS = (
    *("/", "/api/v1/user", "/api/v1/openapi.json", "/api/v1/health", "/service/public/v2/api/service", "/authz/v1/x"),
    *("/mlflow/", "/mlflow/health", "/mlflow/api/2.0/mlflow/experiments/search", "/endpoints/x/ping", "/model"),
)

#: Requests that would make, change or reveal something where they are allowed.
TARGETS = (
    *DOORS, "/api/v1/sign-in", "/api/v1/environments", "/api/v1/users/NAME", "/metrics", "/graphql", "/signup",
    "/mlflow/api/2.0/mlflow/users/create", "/mlflow/api/2.0/mlflow/experiments/create", "/mlflow/graphql",
    "/projects/NAME/api/2.0/mlflow/experiments/search", "/endpoints/x/invocations", "/v1/traces", "/NAME", "/../NAME",
)  # fmt: skip


def names(team: Team) -> set[str]:
    """The names of all people and environments."""
    people = team.platform.ask(lambda client: client.users(page_size=1000)).items
    places = team.platform.ask(lambda client: client.environments(page_size=1000)).items
    return {each.name for each in people} | {each.name for each in places}


LAPTOP = """
import hashlib, os, sys, time
import mlflow
mlflow.set_experiment("laptop")
folder, size = sys.argv[1], int(sys.argv[2])
path = os.path.join(folder, "large.bin")
with open(path, "wb") as file:
    for number in range(size):
        file.write(bytes([number % 251]) * (1 << 20))
class Doubles(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[float]) -> list[float]:
        return [2 * each for each in model_input]
with mlflow.start_run() as run:
    mlflow.log_metric("loss", 0.5)
    mlflow.log_artifact(path)
    model = mlflow.pyfunc.log_model(
        name="model", python_model=Doubles(), registered_model_name=sys.argv[3], pip_requirements=["mlflow"]
    )
there = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="large.bin", dst_path=folder + "/d")
print(hashlib.sha256(open(there, "rb").read()).hexdigest() == hashlib.sha256(open(path, "rb").read()).hexdigest())
client = mlflow.MlflowClient()
until = time.monotonic() + 240
while client.get_model_version(sys.argv[3], model.registered_model_version).status == "PENDING_REGISTRATION":
    assert time.monotonic() < until
    time.sleep(0.2)
print(mlflow.pyfunc.load_model(f"models:/{sys.argv[3]}/{model.registered_model_version}").predict([21.0])[0])
"""
