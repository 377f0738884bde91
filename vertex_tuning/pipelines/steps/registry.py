"""Steps with the model registry: the version that passed is marked, and serves."""

from __future__ import annotations

import logging
import re

from vertex_tuning import catalog, connect
from vertex_tuning.errors import PipelineError
from vertex_tuning.pipelines.steps._step import step, write_json
from vertex_tuning.retries import again
from vertex_tuning.specs._spec import MODEL_NAME

log = logging.getLogger(__name__)

_ALIAS = re.compile(r"[a-z][a-z0-9-]{0,126}[a-z0-9]")


@step
def register(model: str, *, alias: str, registered: str) -> str:
    """Mark a version as the one that passed: it gets an alias, which no other version of the model has from then on.

    Args:
        model: Name of a tuned model, with its version.
        alias: Such as `approved`; `models/ID@approved` is asked for by it.
        registered: Where a file with what was done is put.

    Returns:
        The name by the alias.

    Raises:
        PipelineError: VT749, an alias that the registry would not take.
    """
    check_alias(alias)
    with connect() as client:
        found = client.models.get(model)
        location = found.name.split("/")[3]
        models = client.connection.service_in("ModelService", location)
        made = again(lambda: models.merge_version_aliases(name=found.name, version_aliases=[alias]))
        name = f"{found.name.partition('@')[0]}@{alias}"
        write_json(registered, {"model": found.name, "aliases": list(made.version_aliases)})
        log.info("%s is %s", found.name, name)
        return name


@step
def deploy(model: str, *, registered: str, question: str, deployed: str) -> str:
    """See to it that the model answers: one tuned from Gemini is served from the end of its job.

    Args:
        model: Name of a tuned model.
        registered: By which name it passed.
        question: What it is asked.
        deployed: Where a file with the endpoint and the answer is put.

    Returns:
        The endpoint.
    """
    with connect() as client:
        found = client.models.get(model)
        answer = found.generate(question, temperature=0, max_output_tokens=16)
        about = {"endpoint": found.endpoint, "question": question, "answer": answer.text}
        write_json(
            deployed,
            {"model": model, "registered": registered, **about, "finish_reason": answer.finish_reason},
        )
        return found.endpoint


def check_alias(alias: str) -> None:
    """See that the registry would take it.

    Raises:
        PipelineError: VT749, it would not.
    """
    if not _ALIAS.fullmatch(alias) or alias == "default":
        fix = "lower-case letters, digits and -, beginning with a letter: approved"
        raise PipelineError("VT749", f'"{alias}" is no alias', where="alias", fix=fix)


def refuse_open(base_model: str) -> None:
    """See that what is tuned from a model will be in the registry.

    Raises:
        PipelineError: VT749, it is an open model.
        SpecError: VT301, it is not in the catalog.
    """
    if MODEL_NAME.fullmatch(base_model) or not catalog.base_model(base_model).open:
        return
    raise PipelineError(
        "VT749",
        f"{base_model} is an open model: what is tuned from it lies in Cloud Storage, not in the registry",
        where="base_model",
        why="It answers nothing until somebody deploys it, so that there is nothing to compare it with either.",
        fix="a Gemini model; or tune the open one by itself, and deploy it: vertex-tuning tune supervised",
    )
