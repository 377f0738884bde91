"""The `vertex-tuning` command, and `python -m vertex_tuning`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command. Ctrl-C while it is still being imported ends it as at any other time: without a traceback."""
    try:
        from vertex_tuning import cli
    except KeyboardInterrupt:
        sys.exit(130)
    cli.main()


if __name__ == "__main__":
    main()
