"""Runs every example of the README on a Redis of its own: readme_examples.py README INSTALLED

INSTALLED is what packaging/demo.sh leaves in build/demo: prefix/ (library and command), venv/ (Python package),
node/node_modules (Node package). Each example must print what it publishes.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import support

HELLO = "chat: hello\n"
FLAGS = "$(pkg-config --cflags --libs fanwire) -Wl,-rpath,$(pkg-config --variable=libdir fanwire)"

# For each fence of the README: the file it goes into, how it is run there, and what it must print.
EXAMPLES = {
    "c": ("example.c", f"cc -std=c99 -Wall -Wextra -Wpedantic -Werror -o example_c example.c {FLAGS} && ./example_c",
          [HELLO]),
    "cpp": ("example.cpp", f"c++ -std=c++17 -Wall -Wextra -Werror -o example_cpp example.cpp {FLAGS} -pthread "
            "&& ./example_cpp", [HELLO]),
    "python": ("example.py", "python example.py", [HELLO]),
    "js": ("example.mjs", "node example.mjs", [HELLO]),
    "sh": ("example.sh", "sh -e example.sh", ["1\n", '{"channel":"chat","pattern":null,"payload":"hello"}\n']),
}


def examples(readme):
    """The text of each fence, by its language; a language of EXAMPLES that is missing or there twice is an error."""
    found = {}
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL):
        if language not in EXAMPLES:
            continue
        if language in found:
            sys.exit(f"the README has two examples in {language}")
        found[language] = text
    if missing := EXAMPLES.keys() - found.keys():
        sys.exit(f"the README has no example in {', '.join(sorted(missing))}")
    return found


def main():
    readme, installed = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
    pc = next(installed.glob("prefix/**/fanwire.pc"), None) or sys.exit(f"no fanwire.pc in {installed}/prefix")
    redis = support.RedisServer()
    failed = 0
    try:
        environment = support.clean_environment(
            REDIS_URL=redis.url, PKG_CONFIG_PATH=str(pc.parent),
            PATH=os.pathsep.join([str(installed / "prefix/bin"), str(installed / "venv/bin"), os.environ["PATH"]]))
        with tempfile.TemporaryDirectory() as directory:
            # Node looks for packages in the folders above a program, nowhere else.
            os.symlink(installed / "node/node_modules", os.path.join(directory, "node_modules"))
            for language, text in examples(readme.read_text(encoding="utf-8")).items():
                name, command, expected = EXAMPLES[language]
                Path(directory, name).write_text(text, encoding="utf-8")
                done = subprocess.run(command, shell=True, cwd=directory, env=environment, stdin=subprocess.DEVNULL,
                                      capture_output=True, text=True, timeout=support.DEADLINE)
                # The shell's two programs may print in either order.
                good = done.returncode == 0 and sorted(done.stdout.splitlines(True)) == sorted(expected)
                failed += not good
                print(f"readme: {language}: " + ("works" if good else
                      f"exit code {done.returncode}, printed {done.stdout!r}\n{done.stderr}"), flush=True)
    finally:
        redis.stop()
    sys.exit(1 if failed else 0)


main()
