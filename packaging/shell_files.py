#!/usr/bin/env python3
"""Writes the man page and the completions of the fanwire command from what the command itself says.

shell_files.py COMMAND FOLDER: runs COMMAND (--help, COMMAND --help, info --json) and writes FOLDER/fanwire.1, FOLDER/fanwire.bash,
FOLDER/_fanwire (zsh) and FOLDER/fanwire.fish. Settings, their words and ranges are those of the settings table.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Option:
    name: str  # with its dashes
    value: str  # what follows it, "" for a flag
    help: str
    words: list[str]


@dataclass
class Command:
    name: str
    summary: str
    help: str
    options: list[Option]


def run(*words: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("FANWIRE_", "REDIS_"))}
    return subprocess.run(words, check=True, capture_output=True, text=True, env=environment).stdout


def section(text: str, title: str) -> list[str]:
    """The lines below one that begins with `title`, up to an empty one."""
    found = re.search(rf"^{title}.*:\n((?:.+\n)+)", text, re.M)
    return found[1].splitlines() if found else []


def words_of(range_text: str) -> list[str]:
    return range_text.split("|") if re.fullmatch(r"[a-z_]+(\|[a-z_]+)+", range_text) else []


def options_of(text: str, title: str, ranges: dict[str, str]) -> list[Option]:
    options = []
    for line in section(text, title):
        found = re.match(r"  (--[a-z-]+)(?:[ =]([A-Z=\[\]]+))?  +(.*)", line)
        if not found:
            continue
        name, value, help_text = found[1], found[2] or "", found[3]
        options.append(Option(name, value, help_text, words_of(ranges.get(name[2:].replace("-", "_"), ""))))
    return options


def read_command(program: str) -> tuple[str, list[Command], list[Option], str]:
    general = run(program, "--help")
    info = json.loads(run(program, "info", "--json"))
    ranges = {row["name"]: row["range"] for row in info["settings"]}
    commands, settings = [], []
    for line in section(general, "Usage"):
        found = re.match(r"  fanwire ([a-z]+) .*?  +(\S.*)", line)
        if not found:
            continue
        text = run(program, found[1], "--help")
        commands.append(Command(found[1], found[2], text, options_of(text, "Options", ranges)))
        settings = options_of(text, "Settings", ranges)
    assert commands and len(settings) >= len(ranges), "the command's help is not what is expected here"
    return general, commands, settings, info["version"]


# ---- The man page --------------------------------------------------------------------------------------------------


def roff(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def manual(general: str, commands: list[Command], settings: list[Option], version: str) -> str:
    lines = [f'.TH FANWIRE 1 "" "fanwire {version}" "User Commands"', ".SH NAME",
             "fanwire \\- publish and receive Redis pub/sub messages from the shell", ".SH SYNOPSIS"]
    for usage in section(general, "Usage"):
        lines += [".br", roff(re.split(r"  +", usage.strip())[0])]
    lines += [".SH DESCRIPTION", ".nf", roff(general.split("\n\n", 2)[2].rstrip()), ".fi"]
    for command in commands:
        body = command.help.split("Settings, the same for every command:")[0].split("\n", 1)[1].strip("\n")
        lines += [f'.SH "FANWIRE {command.name.upper()}"', ".nf", roff(body), ".fi"]
    lines += [".SH SETTINGS", "Each is an option of every command, an environment variable and a parameter of the URL."]
    for option in settings:
        lines += [".TP", f"\\fB{roff(option.name)}\\fR \\fI{roff(option.value)}\\fR", roff(option.help)]
    return "\n".join(lines) + "\n"


# ---- Completions ---------------------------------------------------------------------------------------------------


def bash(commands: list[Command], settings: list[Option]) -> str:
    every = [option.name for option in settings] + ["--help"]
    values = {option.name: option.words for command in commands for option in [*command.options, *settings] if option.words}
    files = [option.name for option in settings if option.name.endswith(("-file", "-path"))]
    cases = "\n".join(f"        {name}) COMPREPLY=($(compgen -W '{' '.join(words)}' -- \"$word\")); return ;;"
                      for name, words in sorted(values.items()))
    own = "\n".join(f"        {command.name}) options+=' {' '.join(o.name for o in command.options)}' ;;" for command in commands)
    return f"""# bash completion for fanwire
_fanwire() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} options
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W '{" ".join(c.name for c in commands)} --help --version' -- "$word"))
        return
    fi
    case $before in
{cases}
        {"|".join(files)}) COMPREPLY=($(compgen -f -- "$word")); return ;;
    esac
    options='{" ".join(every)}'
    case ${{COMP_WORDS[1]}} in
{own}
    esac
    case $word in -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;; esac
}}
complete -F _fanwire fanwire
"""


def zsh_quoted(text: str) -> str:
    return text.replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def zsh_spec(option: Option) -> str:
    spec = f"'{option.name}[{zsh_quoted(option.help)}]"
    if option.words:
        return f"{spec}:value:({' '.join(option.words)})'"
    if option.value:
        return f"{spec}:{option.value.strip('[]').lower()}:{'_files' if option.name.endswith(('-file', '-path')) else ' '}'"
    return spec + "'"


def zsh(commands: list[Command], settings: list[Option]) -> str:
    names = " ".join(f"'{c.name}:{zsh_quoted(c.summary)}'" for c in commands)
    shared = " \\\n        ".join(zsh_spec(option) for option in settings)
    cases = "\n".join(f"        {c.name}) own=({' '.join(zsh_spec(o) for o in c.options)}) ;;" for c in commands)
    return f"""#compdef fanwire
_fanwire() {{
    local -a commands own settings
    commands=({names})
    if (( CURRENT == 2 )); then
        _describe command commands
        return
    fi
    settings=({shared})
    case $words[2] in
{cases}
    esac
    shift words
    (( CURRENT-- ))
    _arguments -s "$own[@]" "$settings[@]" '--help[show the help]'
}}
_fanwire "$@"
"""


def fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def fish(commands: list[Command], settings: list[Option]) -> str:
    names = " ".join(command.name for command in commands)
    lines = ["# fish completion for fanwire", "complete -c fanwire -f"]
    for command in commands:
        lines.append(f"complete -c fanwire -n 'not __fish_seen_subcommand_from {names}' -a {command.name} -d {fish_quoted(command.summary)}")
    for condition, options in [*((f"__fish_seen_subcommand_from {c.name}", c.options) for c in commands),
                               (f"__fish_seen_subcommand_from {names}", settings)]:
        for option in options:
            line = f"complete -c fanwire -n '{condition}' -l {option.name[2:]} -d {fish_quoted(option.help)}"
            if option.words:
                line += f" -x -a {fish_quoted(' '.join(option.words))}"
            elif option.value:
                line += " -r -F" if option.name.endswith(("-file", "-path")) else " -x"
            lines.append(line)
    return "\n".join(lines) + "\n"


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    general, commands, settings, version = read_command(sys.argv[1])
    (folder / "fanwire.1").write_text(manual(general, commands, settings, version))
    (folder / "fanwire.bash").write_text(bash(commands, settings))
    (folder / "_fanwire").write_text(zsh(commands, settings))
    (folder / "fanwire.fish").write_text(fish(commands, settings))


main()
