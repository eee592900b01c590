#!/usr/bin/env python3
"""Checks the pages for users: check_docs.py ROOT, or check_docs.py --self-test.

The README stays short enough to be read; each link between pages leads somewhere; each test that a page names exists.
"""

import os
import re
import sys
import tempfile
from pathlib import Path

README_BYTES = 10 * 1024
PAGES = ("README.md", "capi/docs/*.md", "capi/*.md", "bindings/*/README.md", "bindings/*/migrating/*.md",
         "bindings/*/lib/faces/*/README.md", "tests/*/README.md", "packaging/*/README.md")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"")
# `Suite.Name`, as the table of faults names tests.
TEST = re.compile(r"`([A-Z]\w+)\.([A-Z]\w+)`")


def anchor(heading):
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def headings(text):
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return {anchor(line.lstrip("#")) for line in text.splitlines() if line.startswith("#")}


def links(text):
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [one or other for one, other in LINK.findall(text)]


def problems(root):
    found = []
    readme = root / "README.md"
    if readme.stat().st_size > README_BYTES:
        found.append(f"README.md: {readme.stat().st_size} bytes; it stays below {README_BYTES}, the rest is for capi/docs")
    tests = set()
    for source in (root / "tests").glob("**/*.cpp"):
        tests |= set(re.findall(r"^(?:TEST|TEST_F|TEST_P)\((\w+), (\w+)\)", source.read_text(encoding="utf-8"), re.MULTILINE))
    for page in sorted({page for pattern in PAGES for page in root.glob(pattern)}):
        text = page.read_text(encoding="utf-8")
        name = page.relative_to(root)
        for link in links(text):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, fragment = link.partition("#")
            target = Path(os.path.normpath(page.parent / path)) if path else page
            if not target.exists():
                found.append(f"{name}: {link} leads nowhere")
            elif fragment and target.suffix == ".md" and fragment not in headings(target.read_text(encoding="utf-8")):
                found.append(f"{name}: {link}: that page has no such heading")
        if name.parts[:2] == ("capi", "docs"):
            found += [f"{name}: there is no test {suite}.{test}" for suite, test in TEST.findall(text)
                      if (suite, test) not in tests]
    return found


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "capi/docs").mkdir(parents=True)
        (root / "tests/unit").mkdir(parents=True)
        (root / "tests/unit/a_test.cpp").write_text("TEST(Fault, Known) {}\n")
        (root / "README.md").write_text("# A\n[good](capi/docs/page.md#b-and-c) [bad](capi/docs/none.md)\n" + "x" * README_BYTES)
        (root / "capi/docs/page.md").write_text("## B, and C\n[bad](../../README.md#z) `Fault.Known` `Fault.Unknown`\n")
        found = problems(root)
    for expected in ("10240", "none.md leads nowhere", "README.md#z: that page has no such", "no test Fault.Unknown"):
        if sum(expected in problem for problem in found) != 1:
            sys.exit(f"self-test: {expected!r} is not found once in {found}")
    if len(found) != 4:
        sys.exit(f"self-test: more is found than is wrong: {found}")
    print("what is wrong in a page is found, and nothing else")


def main():
    if sys.argv[1] == "--self-test":
        return self_test()
    found = problems(Path(sys.argv[1]).resolve())
    if found:
        sys.exit("\n".join(found))
    print("the pages hold together")


main()
