"""`python -m fanwire`: the fanwire command."""

import sys

from . import _native


def main() -> int:
    return _native.command_line(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
