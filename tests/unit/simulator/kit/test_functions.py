"""`rtms_simulator.kit.functions`: the two processes get what their role may hold, and are started, watched, restarted and stopped."""

import asyncio
import textwrap
import tomllib
from dataclasses import fields
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_simulator.clock import Clock
from rtms_simulator.errors import ChildEndedError, FunctionSourceError
from rtms_simulator.kit import functions as function
from rtms_simulator.kit.functions import Function, Wiring
from rtms_simulator.serving.processes import Port

WIRING = Wiring(**{field.name: f"the {field.name}" for field in fields(Wiring) if field.name != "queues"})
ROOT = Path(__file__).parents[4]

MAIN = """
    import json, os, sys
    import functions_framework.aio
    from starlette.responses import JSONResponse

    if os.environ.get("BROKEN") == os.environ["ROLE_VARIABLE"]:
        sys.exit(2)

    @functions_framework.aio.http
    async def webhook(request):
        return JSONResponse({"role": "webhook", "pid": os.getpid()})

    @functions_framework.aio.http
    async def worker(request):
        return JSONResponse({"role": "worker", "pid": os.getpid()})
"""


NAMES = st.from_regex(r"[A-Z_]{1,20}", fullmatch=True).filter(lambda name: not name.endswith("_PROXY"))


class TestEnvironment:
    @pytest.mark.parametrize("role", ["webhook", "worker"])
    def test_a_role_never_sees_the_other_roles_secrets_not_even_inherited_ones(self, role):
        inherited = {name: "from outside" for names in function.KEPT_FROM_EACH.values() for name in names}
        assert not set(function.KEPT_FROM_EACH[role]) & set(WIRING.environment(role, "http://w", inherited))

    @given(st.dictionaries(NAMES, st.text(min_size=1), max_size=8))
    def test_what_is_inherited_stays_unless_the_wiring_says_otherwise(self, inherited):
        told = WIRING.environment("worker", "http://w", {})
        removed = {*function.KEPT_FROM_EACH["worker"], *function.KEPT_FROM_BOTH}
        assert WIRING.environment("worker", "http://w", inherited) == {
            **{name: value for name, value in inherited.items() if name not in removed},
            **told,
        }

    def test_a_proxy_is_not_for_this_machine_where_the_queues_and_the_fakes_are(self):
        inherited = {"https_proxy": "http://proxy.example.com:3128", "NO_PROXY": "intern"}
        for role in ("webhook", "worker"):
            told = WIRING.environment(role, "http://w", inherited)
            assert told.items() >= inherited.items() - {("NO_PROXY", "intern")}
            assert told["no_proxy"] == told["NO_PROXY"] == "intern,127.0.0.1,localhost,::1"

    def test_real_credentials_in_our_own_environment_are_replaced(self):
        found = WIRING.environment("worker", "http://w", {"ZOOM_CLIENT_SECRET": "real", "RECALL_REGION": "eu-central-1"})
        assert found["ZOOM_CLIENT_SECRET"] == "the client_secret"
        assert "RECALL_REGION" not in found


class TestSource:
    def test_is_the_checkouts_and_is_found_without_importing_the_service(self):
        assert function.source() == ROOT / "function/main.py"

    def test_is_the_wheels_where_there_is_no_checkout(self, monkeypatch, tmp_path):
        packed = tmp_path / "rtmskit_project/function"
        packed.mkdir(parents=True)
        (packed.parent / "__init__.py").touch()
        (packed / "main.py").touch()
        monkeypatch.syspath_prepend(str(tmp_path))
        real = function.importlib.util.find_spec
        monkeypatch.setattr(function.importlib.util, "find_spec", lambda name: None if name == "rtms_relay" else real(name))
        assert function.source() == packed / "main.py"
        wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
        assert wheel["force-include"]["function/main.py"] == "rtmskit_project/function/main.py"

    def test_nowhere_is_an_error_that_says_what_to_do(self, monkeypatch):
        monkeypatch.setattr(function.importlib.util, "find_spec", lambda _name: None)
        with pytest.raises(FunctionSourceError, match="install rtmskit whole"):
            function.source()


@pytest.fixture
async def running(tmp_path, monkeypatch):
    main = tmp_path / "main.py"
    main.write_text(textwrap.dedent(MAIN))
    monkeypatch.setattr(function, "source", lambda: main)
    monkeypatch.setenv("ROLE_VARIABLE", "yes")
    ports = (Port("the webhook"), Port("the worker"))
    both = Function(WIRING, ports[0], ports[1], Clock())
    yield both
    await both.aclose()
    for port in ports:
        port.release()


async def asked(url: str) -> dict:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(f"{url}/who")).json()


async def test_both_run_under_functions_framework_and_one_can_be_killed_and_started_anew_on_its_port(running):
    await running.start()
    before = await asked(running.webhook_url)
    assert (before["role"], (await asked(running.worker_url))["role"]) == ("webhook", "worker")

    watched = asyncio.create_task(running.ended())
    await asyncio.sleep(0)
    running.children["webhook"].kill()
    assert str(await watched) == "the webhook process was killed by SIGKILL"

    await running.start_one("webhook")
    after = await asked(running.webhook_url)
    assert (after["role"], after["pid"] != before["pid"]) == ("webhook", True)

    await running.aclose()
    assert not any(child.alive for child in running.children.values())
    await running.start()
    assert (await asked(running.worker_url))["role"] == "worker"


async def test_a_function_that_refuses_to_start_is_reported_with_its_code(running, monkeypatch):
    monkeypatch.setenv("BROKEN", "yes")
    with pytest.raises(ChildEndedError) as caught:
        await running.start()
    assert caught.value.exit_code == 2
    assert [end.exit_code for end in caught.value.also] == [2]
