"""Fixtures: one server for the tests that need nothing special, and a factory for those that do."""

from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest

pytest.register_assert_rewrite("asking", "server_process")
from server_process import Server  # noqa: E402

StartServer = Callable[..., Server]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("server"), grpc=True)
    try:
        yield started.wait_ready()
        # Whatever the tests did to it, it still ends as it should.
        started.terminate()
        assert started.wait() == 0
    finally:
        started.stop()


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """start_server("--flag", value, …): a server of this test's own."""
    started: list[Server] = []

    def start(*flags: object, **options: object) -> Server:
        started.append(Server(tmp_path, *flags, **options))
        return started[-1].wait_ready()

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def client(server: Server) -> openai.OpenAI:
    return server.openai()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> object:
    report = yield
    if report.failed:
        for each in Server.live:
            report.sections.append((f"krait log, port {each.port}", each.log()[-8000:]))
    return report
