"""OpenAI's chat of models that declare it, by the stock client: whole, in pieces, refused, and cancelled."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from registry_tui.client import RegistryClient
from registry_tui.schemas.deployments import ApiKeyCreate, Deployment
from registry_tui.schemas.models import RegisterModel
from registry_tui.schemas.request_log import LoggedRequest, RequestLogRules
from support.platforms import PATIENCE, PLAIN, Platform, run_python, unique, wait_for
from support.served import Served, deploy, finish, now, register

#: Models that repeat their input, as MLflow's own classes.
AGENTS = {
    "chat": """
import mlflow, time
from mlflow.types.llm import ChatCompletionChunk, ChatCompletionResponse, ChatMessage
from mlflow.types.llm import ChatChoice, ChatChoiceDelta, ChatChunkChoice

class Parrot(mlflow.pyfunc.ChatModel):
    def predict(self, context, messages, params):
        text = f"{messages[-1].content} at {params.temperature}, {params.max_tokens}"
        message = ChatMessage(role="assistant", content=text)
        return ChatCompletionResponse(choices=[ChatChoice(message=message)])

    def predict_stream(self, context, messages, params):
        for word in messages[-1].content.split():
            if word == "fail":
                raise ValueError("a word that it cannot say")
            yield ChatCompletionChunk(choices=[ChatChunkChoice(delta=ChatChoiceDelta(content=word))])

mlflow.models.set_model(Parrot())
""",
    "whole": """
import mlflow
from mlflow.types.llm import ChatChoice, ChatCompletionResponse, ChatMessage

class Whole(mlflow.pyfunc.ChatModel):
    def predict(self, context, messages, params):
        return ChatCompletionResponse(choices=[ChatChoice(message=ChatMessage(role="assistant", content="whole"))])

mlflow.models.set_model(Whole())
""",
    "agent": """
import mlflow
from mlflow.types.agent import ChatAgentChunk, ChatAgentMessage, ChatAgentResponse

class Agent(mlflow.pyfunc.ChatAgent):
    def predict(self, messages, context=None, custom_inputs=None):
        said = ChatAgentMessage(role="assistant", content=f"agent of {messages[-1].content}", id="1")
        return ChatAgentResponse(messages=[said])

    def predict_stream(self, messages, context=None, custom_inputs=None):
        for word in ("agent", "of", messages[-1].content):
            yield ChatAgentChunk(delta=ChatAgentMessage(role="assistant", content=word, id="1"))

mlflow.models.set_model(Agent())
""",
    "responses": """
import mlflow
from mlflow.types.responses import ResponsesAgentResponse, ResponsesAgentStreamEvent

class Agent(mlflow.pyfunc.ResponsesAgent):
    def predict(self, request):
        text = request.input[-1].content
        items = [self.create_text_output_item(text=f"said {text}", id="1")]
        if text == "call":
            items.append(self.create_function_call_item(id="2", call_id="c", name="add", arguments="{}"))
        return ResponsesAgentResponse(output=items)

    def predict_stream(self, request):
        for word in ("said ", request.input[-1].content):
            yield ResponsesAgentStreamEvent(**self.create_text_delta(delta=word, item_id="1"))
        item = self.create_text_output_item(text="said", id="1")
        yield ResponsesAgentStreamEvent(type="response.output_item.done", item=item)

mlflow.models.set_model(Agent())
""",
}

LOG = """
import json, sys
from pathlib import Path
import mlflow
folder = Path(sys.argv[1])
mlflow.set_experiment(sys.argv[2])
found = {}
for path in sorted(folder.glob("*.py")):
    with mlflow.start_run() as run:
        mlflow.pyfunc.log_model(artifact_path=path.stem, python_model=str(path), pip_requirements=["mlflow"])
    found[path.stem] = run.info.run_id
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def key(platform: Platform) -> str:
    return platform.call(RegistryClient.create_key, ApiKeyCreate(name=unique("key"))).key


@pytest.fixture(scope="module")
def deployments(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Deployment]:
    """A deployment of each of these models, with API keys."""
    project, folder = platform.new_project(), tmp_path_factory.mktemp("agents")
    for name, code in AGENTS.items():
        (folder / f"{name}.py").write_text(code)
    printed = run_python(LOG, platform.exports(project.id), str(folder), unique("experiment"))
    found = {}
    for name, run_id in json.loads(printed.splitlines()[-1]).items():
        request = RegisterModel(name=unique("Chat"), run_id=run_id, artifact_path=name)
        accepted = platform.call(RegistryClient.register_model, project.id, request)
        finish(platform, accepted.workflow)
        version = platform.call(
            RegistryClient.version, accepted.resource.registry_id, request.name, accepted.resource.version
        )
        found[name] = deploy(platform, Served(project, version), authentication=True)
    return found


@pytest.fixture(scope="module")
def clients(deployments: dict[str, Deployment], key: str) -> dict[str, OpenAI]:
    http = httpx.Client(trust_env=False, verify=PLAIN, timeout=PATIENCE)
    return {
        name: OpenAI(base_url=f"{each.endpoint_url}/v1", api_key=key, http_client=http, max_retries=0)
        for name, each in deployments.items()
    }


def said(client: OpenAI, deployment: Deployment, content: Any = "hello", **more: Any) -> str:
    answer = client.chat.completions.create(
        model=deployment.model_name, messages=[{"role": "user", "content": content}], **more
    )
    assert answer.object == "chat.completion" and answer.id.startswith("chatcmpl-") and answer.created
    assert answer.model == deployment.model_name and answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    return str(answer.choices[0].message.content)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("chat", "hello at 1.0, None"),
        ("whole", "whole"),
        ("agent", "agent of hello"),
        ("responses", "said hello"),
    ],
)
def test_a_chat_is_answered(
    clients: dict[str, OpenAI], deployments: dict[str, Deployment], name: str, words: str
) -> None:
    assert said(clients[name], deployments[name]) == words


def test_what_a_client_sends_fits_the_signature(clients: dict[str, OpenAI], deployments: dict[str, Deployment]) -> None:
    parts = [{"type": "text", "text": "he"}, {"type": "text", "text": "llo"}]
    more: dict[str, Any] = {"temperature": 0, "max_completion_tokens": 7, "stop": "x", "user": "me"}
    assert said(clients["chat"], deployments["chat"], parts, **more) == "hello at 0.0, 7"


@pytest.mark.parametrize("hidden", [[], ["messages"]], ids=["with texts", "without texts"])
def test_a_chat_is_kept_with_its_columns(
    platform: Platform, clients: dict[str, OpenAI], deployments: dict[str, Deployment], hidden: list[str]
) -> None:
    deployment = deployments["whole"]
    platform.ask(lambda client: client.delete_requests(deployment.id))
    rules = RequestLogRules(share=1, leave_out=hidden)
    platform.ask(lambda client: client.set_request_log(deployment.id, rules))
    try:
        said(clients["whole"], deployment, "Is it?", temperature=0.5)

        def kept() -> LoggedRequest | None:
            found = platform.ask(lambda client: client.logged_requests(deployment.id)).items
            return found[0] if found else None

        found = wait_for(kept, what="the request")
    finally:
        platform.ask(lambda client: client.set_request_log(deployment.id, RequestLogRules(share=0)))
    text: dict[str, list[str]] = {} if hidden else {"content": ["Is it?"]}
    assert (found.path, found.rows) == ("v1/chat/completions", 1)
    assert found.inputs == {"turns": [1], "characters": [6], "temperature": [0.5], **text}
    assert found.outputs is not None and found.outputs["characters"] == [5]
    assert found.outputs["finish_reason"] == ["stop"] and ("content" in found.outputs) is not bool(hidden)


@pytest.mark.parametrize(
    ("name", "words"),
    [("chat", ["a", "b", "c"]), ("agent", ["agent", "of", "a b c"]), ("responses", ["said ", "a b c"])],
)
def test_a_chat_is_answered_in_pieces(
    clients: dict[str, OpenAI], deployments: dict[str, Deployment], name: str, words: list[str]
) -> None:
    messages: list[Any] = [{"role": "user", "content": "a b c"}]
    stream = clients[name].chat.completions.create(model=deployments[name].name, messages=messages, stream=True)
    chunks = list(stream)
    assert [text for chunk in chunks if (text := chunk.choices[0].delta.content)] == words
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert len({chunk.id for chunk in chunks}) == 1 and chunks[0].choices[0].delta.role == "assistant"
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}


def test_calls_of_tools_are_a_chats(clients: dict[str, OpenAI], deployments: dict[str, Deployment]) -> None:
    answer = clients["responses"].chat.completions.create(
        model=deployments["responses"].model_name, messages=[{"role": "user", "content": "call"}]
    )
    calls = answer.choices[0].message.tool_calls or []
    assert [(each.id, each.type) for each in calls] == [("c", "function")]
    assert answer.choices[0].finish_reason == "tool_calls"


def test_an_agent_is_asked_for_responses(clients: dict[str, OpenAI], deployments: dict[str, Deployment]) -> None:
    client, name = clients["responses"], deployments["responses"].model_name
    assert client.responses.create(model=name, input="hello").output_text == "said hello"
    events = list(client.responses.create(model=name, input=[{"role": "user", "content": "you"}], stream=True))
    assert [each.delta for each in events if each.type == "response.output_text.delta"] == ["said ", "you"]
    with pytest.raises(openai.NotFoundError, match="is called at /v1/chat/completions, not /v1/responses"):
        clients["chat"].responses.create(model=deployments["chat"].model_name, input="hello")


def test_models_are_listed(clients: dict[str, OpenAI], deployments: dict[str, Deployment]) -> None:
    name = deployments["chat"].model_name
    assert [each.id for each in clients["chat"].models.list()] == [name]
    assert clients["chat"].models.retrieve(name).id == name
    with pytest.raises(openai.NotFoundError):
        clients["chat"].models.retrieve("another")


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"model": "another"}, "model_not_found", "There is no model 'another' here; it is called"),
        ({"messages": []}, "bad-request", "not a list of messages"),
        ({"seed": 7}, "unknown_parameter", "does not take the field `seed`; it takes custom_inputs, "),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "bad-request",
            "parts that are not text",
        ),
    ],
    ids=["another model", "no messages", "another field", "a picture"],
)
def test_a_request_that_does_not_fit_is_refused_in_words(
    clients: dict[str, OpenAI], deployments: dict[str, Deployment], fields: dict[str, Any], code: str, words: str
) -> None:
    asked = {"model": deployments["chat"].model_name, "messages": [{"role": "user", "content": "x"}], **fields}
    with pytest.raises(openai.APIStatusError, match=words) as refused:
        clients["chat"].chat.completions.create(**asked)
    assert (refused.value.status_code, refused.value.code) == (404 if "model" in fields else 400, code)


def test_pieces_of_a_model_that_has_none_are_refused(
    clients: dict[str, OpenAI], deployments: dict[str, Deployment]
) -> None:
    with pytest.raises(openai.BadRequestError, match="does not answer in pieces: it has no predict_stream"):
        clients["whole"].chat.completions.create(
            model=deployments["whole"].model_name, messages=[{"role": "user", "content": "x"}], stream=True
        )


def test_a_failure_in_the_middle_is_the_clients_error(
    platform: Platform, clients: dict[str, OpenAI], deployments: dict[str, Deployment]
) -> None:
    deployment = deployments["chat"]
    messages: list[Any] = [{"role": "user", "content": "well fail"}]
    stream = clients["chat"].chat.completions.create(model=deployment.model_name, messages=messages, stream=True)
    words = []
    with pytest.raises(openai.APIError, match="ValueError: a word that it cannot say") as failed:
        words += [chunk.choices[0].delta.content for chunk in stream]
    assert failed.value.code == "model-failed"
    wait_for(lambda: now(platform, deployment).traffic.by_status.get("500") == 1)


def test_another_key_is_refused(deployments: dict[str, Deployment]) -> None:
    http = httpx.Client(trust_env=False, verify=PLAIN, timeout=PATIENCE)
    client = OpenAI(base_url=f"{deployments['chat'].endpoint_url}/v1", api_key="rtk_x_y", http_client=http)
    with pytest.raises(openai.AuthenticationError, match="not known here"):
        client.models.list()


def test_a_model_without_such_a_signature_says_so(platform: Platform, key: str) -> None:
    served = deploy(platform, register(platform, platform.new_project()))
    http = httpx.Client(trust_env=False, verify=PLAIN, timeout=PATIENCE)
    client = OpenAI(base_url=f"{served.endpoint_url}/v1", api_key=key, http_client=http, max_retries=0)
    for ask in (
        client.models.list,
        lambda: client.chat.completions.create(model=served.model_name, messages=[{"role": "user", "content": "x"}]),
    ):
        with pytest.raises(openai.NotFoundError, match=r"is not a chat model: .* call /invocations") as refused:
            ask()
        assert refused.value.code == "not-a-chat-model"
