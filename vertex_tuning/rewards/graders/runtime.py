"""What is sent along with a grader, so that it finds what it had: `sample` and `item`, its texts, and the similarity of two.

Each function is sent as it stands here, alone or with those that it names; so each imports what it needs, and none takes anything
from round it but other functions of this module.
"""

# As code that is sent has it: without types.
# mypy: allow-untyped-defs
# mypy: allow-untyped-calls
# mypy: disable-error-code=var-annotated

from __future__ import annotations

from typing import Any


def sample_of(response):
    """A turn of the model as a grader has it."""
    import contextlib
    import json

    parts = response.get("parts") or []
    text = "".join(
        part["text"] for part in parts if isinstance(part.get("text"), str) and not part.get("thought")
    )
    calls = []
    for part in parts:
        call = part.get("functionCall") or part.get("function_call")
        if call:
            arguments = json.dumps(call.get("args") or {}, ensure_ascii=False)
            function = {"name": call.get("name", ""), "arguments": arguments}
            calls.append({"id": f"call_{len(calls)}", "type": "function", "function": function})
    sample = {"output_text": text, "output_tools": calls}
    with contextlib.suppress(ValueError):
        sample["output_json"] = json.loads(text)
    message = {"role": "assistant", "content": text, "tool_calls": calls}
    sample["choices"] = [{"index": 0, "finish_reason": "stop", "message": message}]
    return sample


def item_of(example):
    """A row as a grader has it: references with the types that they had, and the messages."""
    import json

    item = dict(example.get("references") or {})
    item.update(json.loads(item.pop("item_json", "{}")))
    messages = []
    system = example.get("systemInstruction") or example.get("system_instruction")
    for turn in [*([{**system, "role": "system"}] if system else []), *(example.get("contents") or [])]:
        role = {"model": "assistant"}.get(turn.get("role"), turn.get("role") or "user")
        text = "".join(part.get("text") or "" for part in turn.get("parts") or [])
        messages.append({"role": role, "content": text})
    item.setdefault("messages", messages)
    return item


def filled(pieces, sample, item):
    """A text with what its variables stand for; None where the answer has no such thing."""
    import json

    text = ""
    for piece in pieces:
        if isinstance(piece, str):
            text += piece
            continue
        value = sample if piece[0] == "sample" else item
        try:
            for step in piece[1:]:
                value = value[int(step) if isinstance(value, list) else step]
        except (LookupError, TypeError, ValueError):
            if piece[0] == "item":
                raise KeyError(f"the row has no {'.'.join(map(str, piece[1:]))}") from None
            return None
        text += value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text


def string_check(operation, text, reference):
    """1 or 0; what is not there is no match."""
    if text is None or reference is None:
        return 0.0
    if operation == "eq":
        return float(text == reference)
    if operation == "ne":
        return float(text != reference)
    if operation == "ilike":
        text, reference = text.casefold(), reference.casefold()
    return float(reference in text)


def longest_common(one, other):
    """How long the longest common subsequence is (Hyyro 2004: a row of the table is one number, bit by bit)."""
    places = {}
    for at, thing in enumerate(one):
        places[thing] = places.get(thing, 0) | 1 << at
    everything = (1 << len(one)) - 1
    row = everything
    for thing in other:
        met = row & places.get(thing, 0)
        row = (row + met | row - met) & everything
    return len(one) - bin(row).count("1")


def counts_of(things, size):
    """How often each run of so many things is there."""
    from collections import Counter

    return Counter(tuple(things[at : at + size]) for at in range(len(things) - size + 1))


def fuzzy_match(text, reference):
    """As `rapidfuzz.fuzz.ratio`, from 0 to 1: twice the longest common subsequence by both lengths."""
    both = len(text) + len(reference)
    return 2 * longest_common(text, reference) / both if both else 1.0


def rouge(text, reference, size):
    """F1 as `rouge-score` has it, without stemming; `size` 0: of the longest common subsequence."""
    import re

    words, wanted = (re.findall("[a-z0-9]+", one.lower()) for one in (text, reference))
    if size:
        mine, theirs = counts_of(words, size), counts_of(wanted, size)
        hits, all_mine, all_theirs = (sum(one.values()) for one in (mine & theirs, mine, theirs))
    else:
        hits, all_mine, all_theirs = longest_common(words, wanted), len(words), len(wanted)
    return 2 * hits / (all_mine + all_theirs) if hits else 0.0


def gleu(text, reference):
    """Google BLEU of a sentence, as NLTK has it: words between spaces, runs of one to four."""
    words, wanted = text.split(), reference.split()
    hits = mine = theirs = 0
    for size in (1, 2, 3, 4):
        one, other = counts_of(words, size), counts_of(wanted, size)
        hits += sum((one & other).values())
        mine += sum(one.values())
        theirs += sum(other.values())
    return hits / max(mine, theirs) if max(mine, theirs) else 0.0


def bleu(text, reference):
    """BLEU of a sentence, as NLTK has it with its smoothing method 1: words between spaces, runs of one to four."""
    import math

    words, wanted = text.split(), reference.split()
    logarithms = 0.0
    for size in (1, 2, 3, 4):
        one, other = counts_of(words, size), counts_of(wanted, size)
        hits = sum((one & other).values())
        if size == 1 and not hits:
            return 0.0
        logarithms += math.log((hits or 0.1) / max(1, sum(one.values()))) / 4
    return math.exp(min(0.0, 1 - len(wanted) / len(words)) + logarithms)


FUNCTIONS: tuple[Any, ...] = (
    sample_of,
    item_of,
    filled,
    string_check,
    longest_common,
    counts_of,
    fuzzy_match,
    rouge,
    gleu,
    bleu,
)
"""In an order in which each stands behind those that it names."""
