"""The notes on migrating: each block is a program that prints what it says, without the change and with it."""

import os
import pathlib
import re
import subprocess
import sys

import pytest
from conftest import DEADLINE_S

FOLDER = pathlib.Path(__file__).parent.parent.parent / "bindings/python/migrating"


def blocks():
    found = []
    for note in sorted(FOLDER.glob("*.md")):
        text = note.read_text(encoding="utf-8")
        diffs = re.findall(r"^```diff\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        assert len(diffs) * 2 == text.count("```"), f"{note.name} has blocks that are not run"
        for i, block in enumerate(diffs, 1):
            found.append(pytest.param(block, "-", id=f"{note.stem}-{i}-before"))
            found.append(pytest.param(block, "+", id=f"{note.stem}-{i}-after"))
    return found


@pytest.mark.parametrize(("block", "sign"), blocks())
def test_a_block_runs(redis, block, sign):
    program = "\n".join(line[1:] for line in block.splitlines() if line[:1] in ("", " ", sign))
    expected = "".join(f"{line}\n" for line in re.findall("prints: (.*)", program))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "REDIS_URL": redis.url},
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE_S,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, ""), program
