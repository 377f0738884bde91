"""A child process of its own: deploys weights by `vertexai`'s Model Garden classes (`python -m vertex_tuning._model_garden`).

Those classes know one project and one address per process (`aiplatform.init`). A connection does not, so what needs them
runs here: an order comes on standard input as JSON, the outcome goes out on standard output as JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from vertex_tuning.connection import initialise
from vertex_tuning.errors import ServiceError
from vertex_tuning.retries import translated


def deploy(order: dict[str, Any]) -> dict[str, Any]:
    """Deploy what `order["gcs_uri"]` holds, with the options of `CustomModel.deploy`; the endpoint's name."""
    initialise(order["connection"])
    from vertexai.preview.model_garden import CustomModel

    with translated():
        endpoint = CustomModel(gcs_uri=order["gcs_uri"]).deploy(**order["options"])
    return {"endpoint": endpoint.resource_name}


def main() -> None:
    """Carry out one order."""
    order = json.load(sys.stdin)
    # What Google's classes print is no part of the answer.
    answer, sys.stdout = sys.stdout, sys.stderr
    try:
        outcome = deploy(order)
    except ServiceError as error:
        outcome = {
            "failed": {
                "rule": error.rule,
                "what": error.fault.what,
                "code": error.code,
                "status": error.status,
                "fix": error.fault.fix,
            }
        }
    print(json.dumps(outcome), file=answer)


if __name__ == "__main__":
    main()
