"""`registry-web` and `python -m web_service`."""

import os
import sys

from web_service.cli import run


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run(sys.argv[1:], os.environ))


if __name__ == "__main__":
    main()
