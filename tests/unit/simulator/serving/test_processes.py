"""`rtms_simulator.serving.processes`: children end with us, ports are held, deaths are reported."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from rtms_simulator.clock import Clock
from rtms_simulator.errors import ChildEndedError, PortTakenError
from rtms_simulator.serving.processes import LIFELINE, Child, Port


def python(script: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(script)]


def child(script: str, **kwargs) -> Child:
    return Child("odd", python(script), dict(os.environ), Clock(), **kwargs)


def gone(pid: int, within_s: float = 5.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            if "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text():
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False


class TestPort:
    def test_is_given_to_nobody_else_but_can_be_listened_on(self):
        port = Port("the webhook")
        with socket.socket() as theirs:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            theirs.bind(("127.0.0.1", port.number))
            theirs.listen()
            socket.create_connection(("127.0.0.1", port.number)).close()
        port.release()

    def test_that_is_listened_on_is_taken_and_the_error_says_by_whom_it_was_wanted(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            number = server.getsockname()[1]
            with pytest.raises(PortTakenError, match=f"port {number} on 127.0.0.1 is taken, so the webhook cannot have it"):
                Port("the webhook", number=number)


class TestChild:
    async def test_reports_its_lines_in_order(self):
        seen = []
        process = child("print('one'); print('two')", on_line=lambda name, line: seen.append((name, line)))
        await process.start()
        end = await process.ended()
        assert (end.exit_code, seen) == (0, [("odd", "one"), ("odd", "two")])

    async def test_that_dies_while_awaited_is_reported_with_its_last_words(self):
        process = child("import sys; sys.exit('no such luck')")
        await process.start()
        with pytest.raises(ChildEndedError, match="the odd process ended with exit code 1") as caught:
            await process.answers("http://127.0.0.1:1/health")
        assert caught.value.lines == ("no such luck",)

    async def test_that_never_answers_times_out(self):
        process = child("import time; time.sleep(60)")
        await process.start()
        with pytest.raises(TimeoutError, match="did not answer"):
            await process.answers("http://127.0.0.1:1/health", within_s=0.2)
        await process.stop()

    async def test_killed_by_a_signal_says_which(self):
        process = child("import time; time.sleep(60)")
        await process.start()
        process.kill()
        assert str(await process.ended()) == "the odd process was killed by SIGKILL"

    async def test_a_line_without_end_does_not_stop_the_reading(self):
        process = child("print('x' * 1_000_000); print('after')")
        await process.start()
        await process.ended()
        assert process.lines[-1] == "after"

    async def test_stop_ends_one_that_ignores_sigterm_and_its_children(self):
        said = asyncio.Event()
        process = child(
            """
            import signal, subprocess, sys, time
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid, flush=True)
            time.sleep(60)
            """,
            on_line=lambda _name, _line: said.set(),
        )
        await process.start()
        await said.wait()
        await process.stop(grace_s=0.2)
        assert not process.alive
        assert gone(int(process.lines[0]))
        await process.stop()

    async def test_the_end_of_a_leader_is_seen_although_a_grandchild_lives_and_the_grandchild_goes_too(self):
        process = child(
            """
            import subprocess, sys
            print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid, flush=True)
            sys.exit(3)
            """
        )
        await process.start()
        end = await asyncio.wait_for(process.ended(), 5)
        assert end.exit_code == 3
        assert gone(int(process.lines[0]))

    async def test_stop_before_start_does_nothing(self):
        await child("").stop()
        with pytest.raises(RuntimeError, match="has not been started"):
            _ = child("").pid


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
class TestLifeline:
    def test_a_child_ends_when_its_parent_is_killed(self):
        parent = subprocess.Popen(
            python(f"""
            import os, subprocess, sys, time
            program = [sys.executable, '-c', 'import time; time.sleep(60)']
            print(subprocess.Popen([sys.executable, '-I', '-S', {str(LIFELINE)!r}, str(os.getpid()), *program]).pid, flush=True)
            time.sleep(60)
            """),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        time.sleep(0.3)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        parent.stdout.close()
        assert gone(pid)

    def test_a_child_whose_parent_is_gone_already_does_not_begin(self):
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(LIFELINE), "1", sys.executable, "-c", "print('ran')"], capture_output=True, text=True
        )
        assert done.returncode == 1
        assert "ran" not in done.stdout
