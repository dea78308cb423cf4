"""Prefixes on disk: they come back after a restart, and whatever happens to the files, answers stay right."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from pathlib import Path

import httpx
from openai import OpenAI

from conftest import StartServer
from server_process import DEMO, MODEL_NAME, Server, run_krait, wait_until

# By hand: KRAIT_KILL_RUNS=100.
KILL_RUNS = int(os.environ.get("KRAIT_KILL_RUNS", "5"))

STORY = "The fox and the crow. A crow sat in a tree with a piece of cheese in her beak, and a fox came by. " * 8


def complete(client: OpenAI, prompt: str) -> tuple[str, int]:
    answer = client.completions.create(model=MODEL_NAME, prompt=prompt, max_tokens=24, temperature=0)
    assert answer.usage is not None and answer.usage.prompt_tokens_details is not None
    return answer.choices[0].text, answer.usage.prompt_tokens_details.cached_tokens or 0


def entries(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.entry"))


def event(server: Server, name: str) -> float:
    return server.metric("krait:disk_cache_entries_total", event=name)


def on_disk(server: Server) -> float:
    return server.metric("krait:cache_bytes", tier="disk")


def ask_in_vain(server: Server, prompt: str) -> None:
    """The server is killed meanwhile, or has just answered."""
    with contextlib.suppress(httpx.TransportError):
        httpx.post(f"{server.url}/v1/completions", json={"model": MODEL_NAME, "prompt": prompt, "max_tokens": 1}, timeout=60)


def test_a_prompt_is_found_on_disk_after_a_restart(start_server: StartServer, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = start_server("--cache-dir", cache)
    text, cached = complete(first.openai(), STORY)
    assert cached == 0
    first.terminate()
    assert first.wait() == 0
    assert entries(cache)

    second = start_server("--cache-dir", cache)
    wait_until(lambda: on_disk(second) > 0, "the folder was looked through")
    again, cached = complete(second.openai(), STORY)
    assert again == text
    assert cached > 100
    assert second.metric("krait:disk_cache_hits_total") > 100
    assert event(second, "read") > 0


def test_a_damaged_file_is_dropped_with_a_warning_and_never_served(start_server: StartServer, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = start_server("--cache-dir", cache)
    text, _ = complete(first.openai(), STORY)
    first.terminate()
    first.wait()
    damaged = entries(cache)
    for path in damaged:
        content = bytearray(path.read_bytes())
        content[-len(content) // 3] ^= 0x40
        path.write_bytes(content)

    second = start_server("--cache-dir", cache)
    wait_until(lambda: on_disk(second) > 0, "the folder was looked through")
    again, cached = complete(second.openai(), STORY)
    assert (again, cached) == (text, 0)
    wait_until(lambda: event(second, "damaged") == 1, "the damage was found")
    wait_until(lambda: "damaged file" in second.log(), "the log has a warning")
    assert len([path for path in damaged if path.name in second.log()]) == 1


def test_killed_while_it_writes_the_next_start_serves_and_never_a_wrong_token(start_server: StartServer, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    prompts = [f"{number}. {STORY}" for number in range(6)]
    truth_server = start_server("--no-enable-prefix-caching")
    truth = {prompt: complete(truth_server.openai(), prompt)[0] for prompt in prompts}
    chance = random.Random(5)
    found = 0
    for _ in range(KILL_RUNS):
        server = start_server("--cache-dir", cache, "--snapshot-interval", 32, "--cache-dir-size", "24MiB")
        chosen = chance.sample(prompts, 3)
        for number, prompt in enumerate(chosen):
            if number == 2:
                # Killed at any moment of a request whose states are being written.
                asking = threading.Thread(target=ask_in_vain, args=(server, prompt))
                asking.start()
                time.sleep(chance.random() * 0.4)
                break
            text, cached = complete(server.openai(), prompt)
            assert text == truth[prompt]
            found += cached > 0
        server.process.kill()
        server.wait()
        asking.join()
        size = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
        assert size < 26 << 20
    last = start_server("--cache-dir", cache)
    for prompt in prompts:
        assert complete(last.openai(), prompt)[0] == truth[prompt]
    assert not list(cache.rglob("*.tmp"))
    assert event(last, "damaged") == 0
    assert found > 0


def test_two_servers_on_one_folder_serve_the_same(start_server: StartServer, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    servers = [start_server("--cache-dir", cache), start_server("--cache-dir", cache)]
    for number in range(3):
        texts = {complete(server.openai(), f"{number} {STORY}")[0] for server in servers}
        assert len(texts) == 1


def test_a_folder_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    ended = run_krait("serve", DEMO, "--cache-dir", file)
    assert ended.returncode != 0
    assert str(file) in ended.stderr + ended.stdout
    ended = run_krait("serve", DEMO, "--cache-dir", tmp_path / "cache", "--no-enable-prefix-caching")
    assert ended.returncode != 0
    assert "--cache-dir has no effect" in ended.stderr + ended.stdout
