"""`python -m vertex_tuning.emulator`: the server process, as `connect("local")` and the command start it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vertex_tuning.emulator import server
from vertex_tuning.emulator.project import reading
from vertex_tuning.emulator.settings import DEFAULT_SPEED, Settings
from vertex_tuning.errors import VertexTuningError
from vertex_tuning.rewards import maps


def parser() -> argparse.ArgumentParser:
    """The command line."""
    defaults = Settings()
    found = argparse.ArgumentParser(prog="python -m vertex_tuning.emulator", description=__doc__)
    found.add_argument("--host", default=defaults.host)
    found.add_argument("--port", type=int, default=defaults.port, help="0: any free port")
    found.add_argument("--data-dir", type=Path, default=defaults.data_dir)
    found.add_argument("--weights-dir", type=Path, default=defaults.weights_dir)
    found.add_argument("--project", help=f"[default: that of --config, else {defaults.project}]")
    found.add_argument("--location", help=f"[default: that of --config, else {defaults.location}]")
    found.add_argument(
        "--config", type=Path, help="be the project of a settings file, or of Terraform's output"
    )
    found.add_argument("--seed", type=Path, action="append", default=[], help="what differs from it")
    found.add_argument(
        "--stand-in", help="serve every base model by this stand-in, or by size: small=NAME,large=NAME"
    )
    found.add_argument("--no-forward", action="store_true", help="the front door lets no other host through")
    found.add_argument("--no-local-code", action="store_true", help="run no code of a user's")
    found.add_argument("--drop-media", action="store_true", help="leave rows out that are not text alone")
    found.add_argument("--simulate", action="store_true", help="go through jobs without training")
    found.add_argument("--speed", type=float, default=DEFAULT_SPEED, help="of the clock of a simulation")
    found.add_argument(
        "--map",
        action="append",
        default=[],
        help="HOST=http://127.0.0.1:PORT: a reward in the cloud, rehearsed",
    )
    found.add_argument(
        "--local-image",
        action="append",
        metavar="PATTERN",
        help="custom jobs with such an image run as a process",
    )
    found.add_argument(
        "--strict", action="store_true", help="hold every answer against Google's schema (tests)"
    )
    found.add_argument("--ready-json", action="store_true", help="print one JSON line when ready")
    found.add_argument("--until-stdin-closes", action="store_true", help="end when standard input does")
    found.add_argument("--temporary", action="store_true", help="remove the data folder at the end")
    return found


def main() -> int:
    """Run; a fault is said in its own words on standard error, with exit status 1."""
    options = parser().parse_args()
    try:
        settings = Settings(
            host=options.host,
            port=options.port,
            data_dir=options.data_dir.absolute(),
            weights_dir=options.weights_dir.absolute(),
            stand_in=options.stand_in,
            forward=not options.no_forward,
            local_code=not options.no_local_code,
            local_images=tuple(options.local_image or Settings().local_images),
            maps=maps.read(options.map, own_port=options.port),
            drop_media=options.drop_media,
            simulate=options.speed if options.simulate else None,
            strict=options.strict,
        )
        settings = reading.configured(
            settings, options.config, options.seed, project=options.project, location=options.location
        )
        server.main(
            settings,
            ready_json=options.ready_json,
            until_stdin_closes=options.until_stdin_closes,
            temporary=options.temporary,
        )
    except VertexTuningError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
