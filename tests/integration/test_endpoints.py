"""The endpoints that generate nothing."""

import re

import openai
from server_process import CONTEXT, MODEL_NAME, Server

ENGINE_METRICS = [
    "num_requests_running", "num_requests_waiting", "num_preemptions_total", "prompt_tokens_total", "generation_tokens_total",
    "mixed_steps_total", "steps_total", "computed_tokens_total", "kv_cache_usage_perc", "request_success_total",
]
HISTOGRAMS = [
    "time_to_first_token_seconds", "inter_token_latency_seconds", "e2e_request_latency_seconds",
    "request_queue_time_seconds", "request_prompt_tokens", "request_generation_tokens",
]


def test_health(server: Server) -> None:
    assert server.http.get("/health").status_code == 200


def test_an_answer_to_head_has_no_body(server: Server) -> None:
    for path in ("/health", "/nothing"):
        assert server.http.head(path).status_code in (200, 404, 405)
        assert server.http.get("/health").status_code == 200, "the connection is still in step"


def test_version(server: Server) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", server.http.get("/version").json()["version"])


def test_models(client: openai.OpenAI, server: Server) -> None:
    listed = client.models.list().data
    assert [(model.id, model.object) for model in listed] == [(MODEL_NAME, "model")]
    assert server.http.get("/v1/models").json()["data"][0]["max_model_len"] == CONTEXT
    assert client.models.retrieve(MODEL_NAME).id == MODEL_NAME


def test_metrics_have_vllm_names_and_the_model_as_label(server: Server) -> None:
    server.http.post("/v1/completions", json={"model": MODEL_NAME, "prompt": "Once", "max_tokens": 4})
    answer = server.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    for name in ENGINE_METRICS:
        assert re.search(rf'^krait:{name}{{.*model_name="{MODEL_NAME}".*}} ', answer.text, re.MULTILINE), name
    for name in HISTOGRAMS:
        assert f"# TYPE krait:{name} histogram" in answer.text, name
        assert re.search(rf'^krait:{name}_bucket{{.*le="\+Inf".*}} [1-9]', answer.text, re.MULTILINE), name


def test_counters_count(server: Server) -> None:
    def counts() -> list[float]:
        return [
            server.metric("krait:prompt_tokens_total"), server.metric("krait:generation_tokens_total"),
            server.metric("krait:request_success_total", finished_reason="length"),
        ]

    before = counts()
    server.http.post("/v1/completions", json={"model": MODEL_NAME, "prompt": [5] * 10, "max_tokens": 7, "ignore_eos": True})
    assert [after - b for after, b in zip(counts(), before)] == [10, 7, 1]
