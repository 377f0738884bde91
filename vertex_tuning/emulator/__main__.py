"""`python -m vertex_tuning.emulator`: the server process, as `connect("local")` and the command start it."""

from __future__ import annotations

import argparse
import secrets
import sys
from pathlib import Path

from vertex_tuning.emulator import server
from vertex_tuning.emulator.settings import Settings
from vertex_tuning.errors import VertexTuningError


def parse(arguments: list[str]) -> tuple[Settings, argparse.Namespace]:
    """Settings from command line arguments."""
    defaults = Settings()
    parser = argparse.ArgumentParser(prog="python -m vertex_tuning.emulator", description=__doc__)
    parser.add_argument("--host", default=defaults.host)
    parser.add_argument("--port", type=int, default=defaults.port, help="0: any free port")
    parser.add_argument("--data-dir", type=Path, default=defaults.data_dir)
    parser.add_argument("--weights-dir", type=Path, default=defaults.weights_dir)
    parser.add_argument("--project", default=defaults.project)
    parser.add_argument("--location", default=defaults.location)
    parser.add_argument("--stand-in", help="serve every base model by this stand-in")
    parser.add_argument("--no-forward", action="store_true", help="the front door lets no other host through")
    parser.add_argument("--ready-json", action="store_true", help="print one JSON line when ready")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when standard input does")
    options = parser.parse_args(arguments)
    settings = Settings(
        host=options.host,
        port=options.port,
        data_dir=options.data_dir.absolute(),
        weights_dir=options.weights_dir.absolute(),
        project=options.project,
        location=options.location,
        stand_in=options.stand_in,
        token=secrets.token_urlsafe(24) if server.needs_token(options.host) else None,
        forward=not options.no_forward,
    )
    return settings, options


def main() -> int:
    """Run; a fault is said in its own words on standard error, with exit status 1."""
    settings, options = parse(sys.argv[1:])
    try:
        server.main(settings, ready_json=options.ready_json, until_stdin_closes=options.until_stdin_closes)
    except VertexTuningError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
