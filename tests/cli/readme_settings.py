"""Checks, or with --write renews, the table of settings in the README: readme_settings.py FANWIRE README [--write]"""

import subprocess
import sys

BEGIN, END = "<!-- settings:begin -->\n", "<!-- settings:end -->\n"


def main():
    command, readme = sys.argv[1:3]
    table = subprocess.run([command, "info", "--settings", "markdown"], check=True, capture_output=True,
                           text=True).stdout
    if table.count("\n") < 10:
        sys.exit(f"that is no table of settings: {table!r}")
    with open(readme, encoding="utf-8") as file:
        text = file.read()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        sys.exit(f"{readme} must hold the lines {BEGIN.strip()} and {END.strip()} once each")
    before, rest = text.split(BEGIN)
    present, after = rest.split(END)
    if present.strip() == table.strip():
        print(f"{readme}: the table of settings is that of the code")
    elif "--write" in sys.argv:
        with open(readme, "w", encoding="utf-8") as file:
            file.write(f"{before}{BEGIN}\n{table}\n{END}{after}")
        print(f"{readme}: renewed the table of settings")
    else:
        sys.exit(f"{readme}: the table of settings is not that of the code; renew it with --write")


main()
