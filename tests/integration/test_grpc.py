"""The gRPC front end, with a client generated from the contract at test time."""

import importlib
import json
import re
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import grpc
import pytest
from asking import at_once, chat, complete, varied_prompts
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_tools import protoc
from server_process import FABLE, HANG_GUARD, MORAL, ROOT, Server, wait_until

PROTO = "krait/v1/inference.proto"


@pytest.fixture(scope="session")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModuleType, ModuleType]:
    """The generated modules: messages, service."""
    folder = tmp_path_factory.mktemp("stubs")
    status = protoc.main(["", f"-I{ROOT / 'proto'}", f"--python_out={folder}", f"--grpc_python_out={folder}", PROTO])
    assert status == 0
    sys.path.insert(0, str(folder))
    return importlib.import_module("krait.v1.inference_pb2"), importlib.import_module("krait.v1.inference_pb2_grpc")


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as opened:
        yield opened


class Client:
    def __init__(self, stubs: tuple[ModuleType, ModuleType], channel: grpc.Channel) -> None:
        self.messages, service = stubs
        self.stub = service.InferenceStub(channel)

    def start(self, timeout: float = HANG_GUARD, metadata: Any = None, **fields: Any) -> Any:
        sampling = {"temperature": 0.0} | fields.pop("sampling", {})
        request = self.messages.GenerateRequest(sampling=self.messages.Sampling(**sampling), **fields)
        return self.stub.Generate(request, timeout=timeout, metadata=metadata)

    def text(self, **fields: Any) -> str:
        return "".join(r.delta.text for r in self.start(**fields) if r.WhichOneof("event") == "delta")

    def chat(self, messages: list[dict[str, str]]) -> Any:
        return self.messages.Chat(messages=[self.messages.ChatMessage(**each) for each in messages])

    def status_of(self, **fields: Any) -> grpc.RpcError:
        with pytest.raises(grpc.RpcError) as raised:
            list(self.start(**fields))
        return raised.value


@pytest.fixture
def rpc(stubs: tuple[ModuleType, ModuleType], channel: grpc.Channel) -> Client:
    return Client(stubs, channel)


def test_text_is_the_same_as_over_http(rpc: Client, client: Any) -> None:
    prompt = "The Fox and the Grapes\n\n"
    assert rpc.text(text=prompt, sampling={"max_tokens": 100}) == complete(client, prompt, max_tokens=100)
    for messages in (FABLE, MORAL):
        assert rpc.text(chat=rpc.chat(messages)) == chat(client, messages)


def test_token_ids_in(rpc: Client, client: Any) -> None:
    ids = [311, 538, 273, 264, 476, 1491, 301, 317]
    text = rpc.text(tokens=rpc.messages.TokenIds(ids=ids), sampling={"max_tokens": 30})
    assert text == complete(client, ids, max_tokens=30)


def test_events_come_in_order_with_usage_last(rpc: Client) -> None:
    events = list(rpc.start(chat=rpc.chat(MORAL)))
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds[0] == "started" and kinds[-2:] == ["finished", "completed"]
    assert set(kinds[1:-2]) == {"delta"}
    usage = events[-1].completed.usage
    assert (events[0].started.prompt_tokens, usage.prompt_tokens, usage.completion_tokens) == (22, 22, 19)
    assert events[-2].finished.reason == rpc.messages.FINISH_REASON_STOP
    assert len({event.request_id for event in events}) == 1


def test_stop_strings_and_logprobs(rpc: Client) -> None:
    events = list(rpc.start(chat=rpc.chat(MORAL), stop=[" expense"], sampling={"logprobs": 2}))
    assert "".join(e.delta.text for e in events) == "The flatterer lives at the"
    assert next(e.finished.stop_string for e in events if e.WhichOneof("event") == "finished") == " expense"
    logprobs = [each for e in events for each in e.delta.logprobs]
    assert logprobs and all(each.chosen.logprob <= 0 and len(each.top) == 2 for each in logprobs)


def test_32_at_once_equal_http(rpc: Client, client: Any) -> None:
    prompts = varied_prompts(32)
    expected = at_once(lambda each: chat(client, each, max_tokens=40), prompts)
    found = at_once(lambda each: rpc.text(chat=rpc.chat(each), sampling={"max_tokens": 40}), prompts)
    assert found == expected


def test_errors_are_statuses_that_name_the_field(rpc: Client) -> None:
    bad = rpc.status_of(text="a", sampling={"temperature": 9.0})
    assert (bad.code(), "temperature" in bad.details()) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    assert rpc.status_of().code() == grpc.StatusCode.INVALID_ARGUMENT
    assert rpc.status_of(text="a", model="gpt-none").code() == grpc.StatusCode.NOT_FOUND
    later = rpc.status_of(text="a", session_id="x")
    assert (later.code(), "--enable-sessions" in later.details()) == (grpc.StatusCode.UNIMPLEMENTED, True)


def test_a_constraint_holds(rpc: Client) -> None:
    messages = rpc.messages
    for constraint, pattern in (
        (messages.Constraint(regex="[a-c]{3}"), "[a-c]{3}"),
        (messages.Constraint(choice=messages.Choice(values=["Lion", "Crow"])), "Lion|Crow"),
        (messages.Constraint(json_schema='{"type": "integer", "minimum": 10, "maximum": 99}'), "[1-9][0-9]"),
    ):
        assert re.fullmatch(pattern, rpc.text(text="The", constraint=constraint, sampling={"max_tokens": 50}))
    bad = rpc.status_of(text="The", constraint=messages.Constraint(regex="(a"))
    assert (bad.code(), "regex" in bad.details()) == (grpc.StatusCode.INVALID_ARGUMENT, True)


def test_a_named_tool_is_called(rpc: Client) -> None:
    chat = rpc.chat(MORAL)
    chat.tools_json = json.dumps([{"type": "function", "function": {"name": "look_up", "parameters": {
        "type": "object", "properties": {"found": {"type": "boolean"}}, "required": ["found"], "additionalProperties": False}}}])
    chat.tool_choice_json = json.dumps({"type": "function", "function": {"name": "look_up"}})
    calls = [call for event in rpc.start(chat=chat, sampling={"max_tokens": 100}) for call in event.delta.tool_calls]
    assert calls[0].name == "look_up" and calls[0].id and not any(call.name for call in calls[1:])
    assert set(json.loads("".join(call.arguments for call in calls))) == {"found"}
    chat.tool_choice_json = '"auto"'
    assert "tools" in rpc.status_of(chat=chat).details()


def test_cancelling_frees_the_slot(rpc: Client, server: Server) -> None:
    aborted = server.aborted()
    call = rpc.start(text="Once upon a time", sampling={"max_tokens": 4000, "ignore_eos": True})
    next(call)
    call.cancel()
    wait_until(lambda: server.aborted() == aborted + 1, "the request was aborted")
    wait_until(lambda: server.running() == 0, "no request ran")


def test_a_deadline_aborts(rpc: Client, server: Server) -> None:
    aborted = server.aborted()
    late = rpc.status_of(text="Once upon a time", timeout=0.1, sampling={"max_tokens": 4000, "ignore_eos": True})
    assert late.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    wait_until(lambda: server.aborted() == aborted + 1, "the request was aborted")


def test_an_api_key_is_asked_for(start_server: Any, stubs: tuple[ModuleType, ModuleType]) -> None:
    server = start_server("--api-key", "secret", grpc=True)
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as opened:
        rpc = Client(stubs, opened)
        assert rpc.status_of(text="a").code() == grpc.StatusCode.UNAUTHENTICATED
        list(rpc.start(text="a", metadata=[("authorization", "Bearer secret")]))


def test_health_is_serving(channel: grpc.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    for name in ("", "krait.v1.Inference"):
        answer = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=HANG_GUARD)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_lists_the_services(channel: grpc.Channel) -> None:
    services = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert {"krait.v1.Inference", "grpc.health.v1.Health"} <= set(services)
