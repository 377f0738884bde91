"""Compiled pipelines as clients upload them: a file of a form."""

from __future__ import annotations

import email
import email.policy
import json
from dataclasses import dataclass, field
from typing import Any

from vertex_tuning.emulator.status import ApiError, Code


@dataclass(frozen=True, slots=True)
class Form:
    """What a form holds."""

    file: bytes
    fields: dict[str, str] = field(default_factory=dict)
    """All else, by name."""


def form(kind: str, body: bytes) -> Form:
    """A form with a file (multipart/form-data).

    Args:
        kind: The content type.
        body: Of the request.

    Raises:
        ApiError: 400, it is none.
    """
    head = f"Content-Type: {kind}\r\n\r\n".encode("latin-1")
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    file, fields = None, {}
    for part in message.walk():
        content = part.get_payload(decode=True)
        if part.is_multipart() or not isinstance(content, bytes):
            continue
        if part.get_filename() is not None:
            file = content if file is None else file
        elif name := part.get_param("name", header="content-disposition"):
            fields[str(name)] = content.decode("utf-8", "replace")
    if file is None:
        raise ApiError(Code.INVALID_ARGUMENT, "The request is not a form with a file.", rule="VT716")
    return Form(file, fields)


def parsed(text: bytes) -> dict[str, Any]:
    """A pipeline's YAML: the first document; a second one is for the platform.

    Raises:
        ApiError: 400, it is no compiled pipeline.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        documents = list(yaml.load_all(text.decode("utf-8"), Loader=loader))
        # As a job has it on the wire: what JSON cannot say is in no pipeline.
        spec = json.loads(json.dumps(documents[0], allow_nan=False)) if documents else None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        words = f"The file is not YAML, or not of plain values: {error}"
        raise ApiError(Code.INVALID_ARGUMENT, words, rule="VT716") from error
    if not isinstance(spec, dict) or not isinstance(spec.get("root"), dict) or not spec["root"]:
        words = "The file is not a compiled pipeline: it has no root."
        raise ApiError(Code.INVALID_ARGUMENT, words, rule="VT716")
    return spec
