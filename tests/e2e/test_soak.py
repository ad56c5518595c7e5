"""The short form of `make soak`: the same program, a minute of meeting. For growth by the hour see test_artifacts_memory.py."""

import asyncio
import sys


async def test_the_recorder_stays_small_and_flat():
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.benchmarks.soak", "--minutes", "1", "--every", "0.25"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 100)
    assert process.returncode == 0, output.decode()
