"""Checks, or with --write renews, the table of settings in capi/docs/settings.md: settings_table.py FANWIRE PAGE [--write]"""

import subprocess
import sys

BEGIN, END = "<!-- settings:begin -->\n", "<!-- settings:end -->\n"


def main():
    command, page = sys.argv[1:3]
    table = subprocess.run([command, "info", "--settings", "markdown"], check=True, capture_output=True,
                           text=True).stdout
    if table.count("\n") < 10:
        sys.exit(f"that is no table of settings: {table!r}")
    with open(page, encoding="utf-8") as file:
        text = file.read()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        sys.exit(f"{page} must hold the lines {BEGIN.strip()} and {END.strip()} once each")
    before, rest = text.split(BEGIN)
    present, after = rest.split(END)
    if present.strip() == table.strip():
        print(f"{page}: the table of settings is that of the code")
    elif "--write" in sys.argv:
        with open(page, "w", encoding="utf-8") as file:
            file.write(f"{before}{BEGIN}\n{table}\n{END}{after}")
        print(f"{page}: renewed the table of settings")
    else:
        sys.exit(f"{page}: the table of settings is not that of the code; renew it with --write")


main()
