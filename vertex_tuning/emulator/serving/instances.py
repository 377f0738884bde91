r"""`instances` as the vLLM containers of Vertex AI take them.

A text to go on with: `{"prompt": TEXT, "max_tokens": 16, "temperature": 1.0, "top_p": 1.0, "top_k": -1,
"raw_response": false}`; the prediction is the text `Prompt:\nTEXT\nOutput:\nANSWER`, or, as `raw_response`,
the answer alone. A chat: `{"@requestFormat": "chatCompletions", "messages": [...]}`; the prediction is a chat
completion. `parameters` of the request stand for what an instance leaves out.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from vertex_tuning.emulator.serving import completions
from vertex_tuning.emulator.serving.fields import Fields
from vertex_tuning.emulator.status import ApiError, Code

if TYPE_CHECKING:
    from vertex_tuning.emulator.jobs import ServedModel
    from vertex_tuning.emulator.serving.generation import Generation

RULE = "VT668"
_MAX_TOKENS = 16
"""vLLM's own default."""
_FORMAT = "@requestFormat"
_KNOWN = frozenset(
    {
        *("prompt", "raw_response", "max_tokens", "maxOutputTokens", "temperature", "top_p", "topP", "top_k"),
        *("topK", "n", "candidateCount", "seed", "stop", "stopSequences", "presence_penalty"),
        *("presencePenalty", "frequency_penalty", "frequencyPenalty", "response_format"),
    }
)


class Question:
    """One instance that was understood."""

    def __init__(self, fields: Fields) -> None:
        self._chat: completions.Asked | None = None
        self._text = ""
        self._raw = False
        kind = fields.text(_FORMAT)
        if kind == "chatCompletions" or (kind is None and "messages" in fields and "prompt" not in fields):
            self._chat = completions.read(fields)
            return
        if kind is not None:
            fields.fault(_FORMAT, f"'{kind}' is not served; leave it out, or use chatCompletions.")
        if unknown := sorted(set(fields.given) - _KNOWN - {_FORMAT}):
            words = f"The container does not know this; it takes {', '.join(sorted(_KNOWN))}."
            fields.faults += [(fields.path(name), words) for name in unknown]
        self._text = fields.text("prompt") or ""
        if not self._text:
            fields.fault("prompt", "prompt is required: a text that is not empty.")
        self._raw = fields.flag("raw_response")
        self._config = {"maxOutputTokens": _MAX_TOKENS, **completions.config(fields)}

    async def answer(self, generation: Generation, served: ServedModel) -> list[Any]:
        """Its predictions: one, or as many as it asks for by `n`."""
        if self._chat is not None:
            answer = await generation.generate(served, self._chat.body)
            return [completions.completion(answer, served.name)]
        answer = await generation.generate(served, {"generationConfig": self._config}, text=self._text)
        texts = [completions.text_of(candidate) for candidate in answer["candidates"]]
        return texts if self._raw else [f"Prompt:\n{self._text.strip()}\nOutput:\n{text}" for text in texts]


def read(body: dict[str, Any]) -> list[Question]:
    """The questions of `{"instances": [...], "parameters": {...}}`.

    Raises:
        ApiError: 400 with every fault of every instance.
    """
    whole = Fields(body, "")
    given = whole.objects("instances")
    defaults = Fields(body.get("parameters") or {}, "parameters", whole.faults).given
    if not given and not whole.faults:
        whole.fault("instances", "instances is required: at least one.")
    questions = []
    for index, item in enumerate(given):
        merged = {**defaults, **item} if isinstance(item, dict) else item
        questions.append(Question(Fields(merged, f"instances[{index}]", whole.faults)))
    whole.check(RULE)
    return questions


async def predict(generation: Generation, served: ServedModel, body: dict[str, Any]) -> list[Any]:
    """The predictions for `{"instances": [...], "parameters": {...}}`, in their order.

    Raises:
        ApiError: 400 with every fault; as `Generation.generate`.
    """
    refuse_gemini(served)
    questions = read(body)
    answers = await asyncio.gather(*(question.answer(generation, served) for question in questions))
    return [prediction for answer in answers for prediction in answer]


def refuse_gemini(served: ServedModel) -> None:
    """400 for what is asked by `generateContent` alone."""
    if served.is_gemini:
        raise ApiError(
            Code.FAILED_PRECONDITION,
            f"{served.name} cannot be asked by predict or rawPredict, here as on Vertex AI: ask it by "
            "generateContent, or by chat/completions.",
            rule="VT669",
        )
