"""Steps with the model registry: the version that passed is marked, and serves."""

from __future__ import annotations

import logging
import re

from vertex_tuning import TunedModel, connect
from vertex_tuning.errors import PipelineError
from vertex_tuning.pipelines.steps._step import step, write_json
from vertex_tuning.retries import again

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
        PipelineError: VT749, an alias that the registry would not take, or an open model, whose weights lie in no registry.
    """
    if not _ALIAS.fullmatch(alias) or alias == "default":
        fix = "lower-case letters, digits and -, beginning with a letter: approved"
        raise PipelineError("VT749", f'"{alias}" is no alias', where="alias", fix=fix)
    with connect() as client:
        found = client.models.get(model)
        _refuse_open(found)
        location = found.name.split("/")[3]
        models = client.connection.service_in("ModelService", location)
        made = again(lambda: models.merge_version_aliases(name=found.name, version_aliases=[alias]))
        name = f"{found.name.partition('@')[0]}@{alias}"
        write_json(registered, {"model": found.name, "aliases": list(made.version_aliases)})
        log.info("%s is %s", found.name, name)
        return name


@step
def deploy(model: str, *, registered: str, question: str, deployed: str) -> str:
    """See to it that the model answers, and ask it something.

    A model tuned from Gemini is served from the end of its job. An open model is deployed by Model Garden, which on Vertex AI
    costs money by the hour until it is undeployed.

    Args:
        model: Name of a tuned model, or an open one's `gs://` folder.
        registered: By which name it passed.
        question: What it is asked.
        deployed: Where a file with the endpoint and the answer is put.

    Returns:
        The endpoint.
    """
    with connect() as client:
        found = client.models.get(model)
        if found.output_uri and not found.name:
            found.deploy()
        answer = found.generate(question, temperature=0, max_output_tokens=16)
        about = {"endpoint": found.endpoint, "question": question, "answer": answer.text}
        write_json(
            deployed,
            {"model": model, "registered": registered, **about, "finish_reason": answer.finish_reason},
        )
        return found.endpoint


def _refuse_open(model: TunedModel) -> None:
    if model.name:
        return
    raise PipelineError(
        "VT749",
        "the weights of an open model lie in Cloud Storage, not in the model registry",
        where=model.output_uri,
        fix="tune a Gemini model, or upload them: aiplatform.Model.upload(artifact_uri=...)",
    )
