"""`tuningJobs:optimizePrompt`: the emulator asks a model of its own for a better prompt.

What comes back is text, in pieces, that put together is JSON: the form that `vertexai.Client().prompts.optimize` reads.
The pieces come as the model writes them. How good they are is a matter of the model, and a small one is poor at this.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog
from vertex_tuning.emulator.status import invalid
from vertex_tuning.rewards.matching import text_of

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator
    from vertex_tuning.emulator.jobs import ServedModel

Body = dict[str, Any]

_FEW_SHOT = ("OPTIMIZATION_TARGET_FEW_SHOT_RUBRICS", "OPTIMIZATION_TARGET_FEW_SHOT_TARGET_RESPONSE")
_NANO = "OPTIMIZATION_TARGET_GEMINI_NANO"
_GENERAL = "OPTIMIZATION_TARGET_GENERAL"
# How `vertexai.Client().prompts.optimize` puts instructions and examples into one text.
_PARTS = re.compile(
    r"\s*Original System Instructions:\s*(?P<instructions>.*?)\s*Examples:\s*(?P<examples>.*?)\s*(New Output:\s*)?",
    re.DOTALL,
)
_GUIDELINE = "Say exactly what to do, for whom, and in which form to answer."
_SYSTEM = "You improve prompts for language models. You answer with the improved prompt alone."
_ASK = (
    "Improve the prompt below. {guideline} Keep its meaning, its language, and what stands in braces.{extra}"
    "\n\nPrompt: {prompt}\n\nImproved prompt:"
)
_WHY = "A prompt was improved.\n\nBefore: {before}\n\nAfter: {after}\n\nIn one sentence, what is better in the second one?"
_LONGEST, _LONGEST_REASON = 256, 64
"""Tokens."""


async def optimize(emulator: Emulator, body: Body) -> AsyncIterator[Body]:
    """`OptimizePromptResponse`s, as they are made.

    Raises:
        ApiError: 400, before the first one: there is no text, or more than the model can read; the weights are missing.
    """
    text = text_of(body.get("content", {}))
    if not text.strip():
        raise invalid(("content", "content is required: the prompt to optimize, as text."), rule="VT676")
    target = body.get("optimizationTarget", _GENERAL)
    served = emulator.jobs.served(f"publishers/google/models/{_model()}")
    async for piece in _written(emulator, served, text, target):
        if piece:
            yield {"content": {"role": "model", "parts": [{"text": piece}]}}


async def _written(emulator: Emulator, served: ServedModel, text: str, target: str) -> AsyncIterator[str]:
    """The JSON, piece by piece."""
    few_shot = target in _FEW_SHOT
    found = _PARTS.fullmatch(text) if few_shot else None
    prompt, examples = (found["instructions"], found["examples"]) if found else (text, "")
    names = (
        ("original_system_instructions", "new_system_instructions", "suggested_modifications")
        if few_shot
        else ("original_prompt", "suggested_prompt", "applicable_guidelines")
    )
    before, after, list_ = names
    head = {before: prompt} if few_shot else {"optimization_type": target, before: prompt}
    begin = f'{json.dumps(head, ensure_ascii=False)[:-1]}, "{after}": "'
    suggestion = ""
    async for piece in _suggested(emulator, served, prompt, examples, target):
        suggestion += piece
        yield begin + json.dumps(piece, ensure_ascii=False)[1:-1]
        begin = ""
    if not suggestion:  # it has nothing better to say
        yield begin + json.dumps(prompt, ensure_ascii=False)[1:-1]
    changes = [await _change(emulator, served, prompt, suggestion)] if suggestion else []
    yield f'", "{list_}": {json.dumps(changes, ensure_ascii=False)}}}'


async def _suggested(
    emulator: Emulator, served: ServedModel, prompt: str, examples: str, target: str
) -> AsyncIterator[str]:
    """The model's text without blanks round it."""
    extra = " Make it short: it is for a small model." if target == _NANO else ""
    if examples:
        extra += f" Mind what went wrong, and what was right, in these examples:\n{examples}"
    ask = _ASK.format(guideline=_GUIDELINE, extra=extra, prompt=prompt)
    held = ""
    begun = False
    async for chunk in emulator.generation.stream(served, _question(ask, _LONGEST)):
        piece = held + text_of(chunk["candidates"][0].get("content", {}))
        if not begun:
            piece = piece.lstrip()
        held = piece[len(piece.rstrip()) :]
        if piece.strip():
            begun = True
            yield piece.rstrip()


async def _change(emulator: Emulator, served: ServedModel, before: str, after: str) -> Body:
    ask = _WHY.format(before=before, after=after)
    answer = await emulator.generation.generate(served, _question(ask, _LONGEST_REASON))
    return {
        "applicable_guideline": _GUIDELINE,
        "suggested_improvement": text_of(answer["candidates"][0].get("content", {})).strip(),
        "text_before_change": before,
        "text_after_change": after,
    }


def _question(text: str, longest: int) -> Body:
    return {
        "systemInstruction": {"parts": [{"text": _SYSTEM}]},
        "contents": [{"role": "user", "parts": [{"text": text}]}],
        "generationConfig": {"temperature": 0, "maxOutputTokens": longest},
    }


def _model() -> str:
    """The first model of the catalog of middling size: which one Vertex AI asks is not published."""
    return next(model.id for model in catalog.models().values() if model.size == "medium" and not model.open)
