"""Answers do not depend on the company, and who leaves makes room."""

import contextlib
import threading

import httpx
import openai
from asking import LONG, at_once, chat, chat_streamed, start_long_stream, varied_prompts
from conftest import StartServer
from server_process import FABLE, MODEL_NAME, Server, wait_until

FORTY = {"max_tokens": 40}


def test_32_at_once_equal_one_by_one(client: openai.OpenAI) -> None:
    prompts = varied_prompts(32)
    alone = [chat(client, each, **FORTY) for each in prompts]
    assert at_once(lambda each: chat(client, each, **FORTY), prompts) == alone


def test_64_streams_at_once_complete_and_equal_the_sequential_answers(server: Server, client: openai.OpenAI) -> None:
    prompts = varied_prompts(64)
    alone = [chat(client, each) for each in prompts]
    mixed = server.metric("krait:mixed_steps_total")
    assert at_once(lambda each: chat_streamed(client, each), prompts) == alone
    assert server.metric("krait:mixed_steps_total") > mixed, "prompts were worked on beside decodes"


def test_more_requests_than_slots_wait_and_are_answered(start_server: StartServer, client: openai.OpenAI) -> None:
    small = start_server("--max-num-seqs", 3).openai()
    prompts = varied_prompts(16)
    assert at_once(lambda each: chat(small, each, **FORTY), prompts) == [chat(client, each, **FORTY) for each in prompts]


def test_a_token_budget_that_cuts_prompts_changes_nothing(start_server: StartServer, client: openai.OpenAI) -> None:
    cut = start_server("--max-num-batched-tokens", 7).openai()
    prompts = varied_prompts(8)
    assert at_once(lambda each: chat(cut, each, **FORTY), prompts) == [chat(client, each, **FORTY) for each in prompts]


def test_closing_a_stream_frees_its_slot(server: Server, client: openai.OpenAI) -> None:
    aborted = server.aborted()
    start_long_stream(client).close()
    wait_until(lambda: server.aborted() == aborted + 1, "the request was aborted")
    wait_until(lambda: server.running() == 0, "no request ran")
    assert server.metric("krait:kv_pages_used") == 0
    assert server.metric("krait:state_slots_used") == 0


def test_a_client_that_gives_up_on_a_whole_answer_frees_its_slot(server: Server) -> None:
    aborted = server.aborted()
    body = {"model": MODEL_NAME, "prompt": "Once upon a time", "stream": False} | LONG
    with contextlib.suppress(httpx.ReadTimeout):
        httpx.post(f"{server.url}/v1/completions", json=body, timeout=httpx.Timeout(30, read=0.1))
    wait_until(lambda: server.aborted() == aborted + 1, "the request was aborted")
    wait_until(lambda: server.running() == 0, "no request ran")


def test_a_waiting_request_whose_client_leaves_is_dropped(start_server: StartServer) -> None:
    server = start_server("--max-num-seqs", 1)
    first = start_long_stream(server.openai())
    with httpx.Client(base_url=server.url, timeout=httpx.Timeout(30, read=0.1)) as impatient:
        with contextlib.suppress(httpx.ReadTimeout):
            impatient.post("/v1/completions", json={"model": MODEL_NAME, "prompt": "A", "stream": False} | LONG)
    wait_until(lambda: server.aborted() == 1, "the waiting request was aborted")
    wait_until(lambda: server.waiting() == 0, "nobody waited")
    first.close()
    wait_until(lambda: server.running() == 0, "no request ran")


def test_many_leave_while_others_stay(server: Server, client: openai.OpenAI) -> None:
    expected = chat(client, FABLE)
    stop = threading.Event()

    def come_and_go(_: int) -> None:
        while not stop.is_set():
            start_long_stream(client).close()

    leaving = [threading.Thread(target=come_and_go, args=(i,)) for i in range(4)]
    for thread in leaving:
        thread.start()
    try:
        assert at_once(lambda _: chat_streamed(client, FABLE), range(8)) == [expected] * 8
    finally:
        stop.set()
        for thread in leaving:
            thread.join()
    wait_until(lambda: server.running() == 0 and server.waiting() == 0, "no request was left")
