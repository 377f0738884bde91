"""`generateContent` and its kin on the wire: what a client may ask of a model, and what comes back."""

from __future__ import annotations

import gzip
import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

LOCATION = "projects/vertex-tuning-local/locations/us-central1"
BASE = f"{LOCATION}/publishers/google/models/gemini-2.5-flash"
CONTENTS = [{"role": "user", "parts": [{"text": "Say red."}]}]
GREEDY = {"temperature": 0, "maxOutputTokens": 12}


def ask(emulator, body=None, *, verb="generateContent", version="v1beta1", model=BASE, **config):
    request = {"contents": CONTENTS, "generationConfig": {**GREEDY, **config}, **(body or {})}
    return emulator.call("POST", f"/{version}/{model}:{verb}", request)


def text(answer) -> str:
    return "".join(part["text"] for part in answer["candidates"][0]["content"]["parts"])


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_an_answer_has_its_text_its_end_and_its_tokens(emulator, version):
    answer = ask(emulator, version=version)
    [candidate] = answer["candidates"]
    assert candidate["content"]["role"] == "model"
    assert candidate["finishReason"] in ("STOP", "MAX_TOKENS")
    usage = answer["usageMetadata"]
    assert usage["totalTokenCount"] == usage["promptTokenCount"] + usage["candidatesTokenCount"]
    assert answer["modelVersion"] == "gemini-2.5-flash"
    assert answer["responseId"]
    assert text(ask(emulator, version=version)) == text(answer)


def test_a_stream_has_the_same_text_in_events_or_in_an_array(emulator):
    whole = text(ask(emulator))
    array = ask(emulator, verb="streamGenerateContent")
    assert "".join(map(text, array)) == whole
    body = json.dumps({"contents": CONTENTS, "generationConfig": GREEDY}).encode()
    url = f"{emulator.address}/v1/{BASE}:streamGenerateContent?alt=sse"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        assert response.headers.get_content_type() == "text/event-stream"
        events = response.read().decode().replace("\r\n", "\n").strip().split("\n\n")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    assert "".join(map(text, chunks)) == whole
    assert [("finishReason" in chunk["candidates"][0]) for chunk in chunks] == [False] * (len(chunks) - 1) + [
        True
    ]
    assert "usageMetadata" in chunks[-1]


@pytest.mark.parametrize("seed", range(3))
def test_the_last_piece_of_a_stream_has_text_and_the_end_in_one_as_googles_has(emulator, seed):
    chunks = ask(emulator, verb="streamGenerateContent", temperature=1, seed=seed)
    assert all(text(chunk) for chunk in chunks)
    assert chunks[-1]["candidates"][0]["finishReason"]


SCHEMA = {
    "type": "OBJECT",
    "properties": {
        "colour": {"type": "STRING", "enum": ["red", "green"]},
        "count": {"type": "INTEGER", "minimum": 1, "maximum": 3},
        "bright": {"type": "BOOLEAN"},
    },
    "required": ["colour", "count", "bright"],
    "propertyOrdering": ["count", "colour", "bright"],
}


@pytest.mark.parametrize("seed", range(4))
def test_a_schema_is_kept_however_small_the_model(emulator, seed):
    answer = ask(
        emulator,
        responseMimeType="application/json",
        responseSchema=SCHEMA,
        temperature=1.5,
        maxOutputTokens=200,
        seed=seed,
    )
    assert answer["candidates"][0]["finishReason"] == "STOP"
    found = json.loads(text(answer))
    assert list(found) == ["count", "colour", "bright"]
    assert found["colour"] in ("red", "green")
    assert found["count"] in (1, 2, 3)
    assert isinstance(found["bright"], bool)


FORMS = {
    "a choice of one": (
        "responseJsonSchema",
        {
            "type": "object",
            "properties": {"value": {"oneOf": [{"type": "integer"}, {"type": "boolean"}]}},
            "required": ["value"],
        },
        lambda found: isinstance(found["value"], int),
    ),
    "no item twice": (
        "responseJsonSchema",
        {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "uniqueItems": True},
        lambda found: set(found) <= {"a", "b"},
    ),
    "a field of that name": (
        "responseJsonSchema",
        {"type": "object", "properties": {"uniqueItems": {"type": "integer"}}, "required": ["uniqueItems"]},
        lambda found: isinstance(found["uniqueItems"], int),
    ),
    "a map": (
        "responseSchema",
        {"type": "OBJECT", "additionalProperties": {"type": "INTEGER"}},
        lambda found: all(isinstance(value, int) for value in found.values()),
    ),
    "what may be null": (
        "responseSchema",
        {"type": "ARRAY", "items": {"type": "STRING", "nullable": True}, "minItems": "2"},
        lambda found: len(found) >= 2 and all(item is None or isinstance(item, str) for item in found),
    ),
    "one type or another": (
        "responseSchema",
        {"anyOf": [{"type": "INTEGER"}, {"type": "ARRAY", "items": {"type": "NUMBER"}}]},
        lambda found: isinstance(found, int | list),
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("verb", ["generateContent", "streamGenerateContent"])
def test_json_is_whole_where_no_limit_was_asked_for(emulator, form, verb):
    """A small model rambles, and its context is short: what is open at its end is closed in time."""
    field, schema, fits = FORMS[form]
    config = {"responseMimeType": "application/json", field: schema, "temperature": 2, "topP": 1, "seed": 5}
    answer = emulator.call(
        "POST", f"/v1beta1/{BASE}:{verb}", {"contents": CONTENTS, "generationConfig": config}
    )
    chunks = answer if isinstance(answer, list) else [answer]
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"
    assert fits(json.loads("".join(map(text, chunks))))


def test_json_without_a_schema_is_json(emulator):
    answer = ask(emulator, responseMimeType="application/json", maxOutputTokens=300, temperature=1, seed=3)
    if answer["candidates"][0]["finishReason"] == "STOP":
        json.loads(text(answer))
    assert text(answer).lstrip()[0] in "{["


def test_one_of_several_labels_is_chosen_whole(emulator):
    labels = ["red", "red wine", "green"]
    config = {"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": labels}}
    chosen = text(ask(emulator, **config))
    assert chosen in labels
    # The likeliest, at any temperature: docs/differences.md.
    assert {text(ask(emulator, **config, temperature=2, seed=seed)) for seed in range(4)} == {chosen}


def test_a_seed_repeats_an_answer_and_another_one_does_not(emulator):
    config = {"temperature": 1.5, "maxOutputTokens": 30}
    first = text(ask(emulator, seed=1, **config))
    assert text(ask(emulator, seed=1, **config)) == first
    assert {text(ask(emulator, seed=seed, **config)) for seed in range(2, 6)} != {first}


def test_a_stop_sequence_ends_the_answer_and_is_not_in_it(emulator):
    whole = text(ask(emulator, maxOutputTokens=40))
    stop = whole[len(whole) // 2 :][:2]
    cut = ask(emulator, maxOutputTokens=40, stopSequences=[stop])
    assert text(cut) == whole[: whole.index(stop)] if whole.index(stop) else True
    assert cut["candidates"][0]["finishReason"] == "STOP"


def test_the_longest_answer_is_kept(emulator):
    answer = ask(emulator, maxOutputTokens=2)
    assert answer["usageMetadata"]["candidatesTokenCount"] <= 2


def test_several_candidates_and_their_log_probabilities(emulator):
    answer = ask(emulator, candidateCount=3, temperature=1, seed=5, responseLogprobs=True, logprobs=2)
    assert [candidate.get("index", 0) for candidate in answer["candidates"]] == [0, 1, 2]
    for candidate in answer["candidates"]:
        result = candidate["logprobsResult"]
        assert len(result["chosenCandidates"]) == len(result["topCandidates"])
        assert all(len(top["candidates"]) == 2 for top in result["topCandidates"])
        assert candidate["avgLogprobs"] <= 0


def test_zero_candidates_are_one_as_on_vertex_ai(emulator):
    [candidate] = ask(emulator, candidateCount=0)["candidates"]
    assert candidate["finishReason"]


def test_a_text_may_be_empty_as_on_vertex_ai(emulator):
    contents = [{"role": "user", "parts": [{"text": ""}]}]
    assert ask(emulator, {"contents": contents})["candidates"]
    counted = emulator.call("POST", f"/v1/{BASE}:countTokens", {"contents": contents})
    assert counted["totalBillableCharacters"] == 0


def test_answers_are_packed_for_whoever_can_unpack_them(emulator):
    for accepted, packed in [("gzip, deflate", "gzip"), ("identity", None), ("", None)]:
        for body in (b'{"contents": [{"parts": [{"text": "hot"}]}]}', b"{}"):
            request = urllib.request.Request(
                f"{emulator.address}/v1/{BASE}:countTokens",
                body,
                {"Content-Type": "application/json", "Accept-Encoding": accepted},
            )
            try:
                response = urllib.request.urlopen(request)
            except urllib.error.HTTPError as error:
                response = error
            with response:
                content = response.read()
                assert response.headers["Content-Encoding"] == packed
                assert json.loads(gzip.decompress(content) if packed else content)


def test_a_system_instruction_counts_and_changes_the_answer(emulator):
    plain = ask(emulator)
    told = ask(
        emulator, {"systemInstruction": {"parts": [{"text": "Always answer with green. Nothing else."}]}}
    )
    assert told["usageMetadata"]["promptTokenCount"] > plain["usageMetadata"]["promptTokenCount"]


def test_tokens_are_counted_and_shown(emulator):
    counted = emulator.call("POST", f"/v1/{BASE}:countTokens", {"contents": CONTENTS})
    assert counted["totalTokens"] == ask(emulator)["usageMetadata"]["promptTokenCount"]
    assert counted["totalBillableCharacters"] == len("Sayred.")
    shown = emulator.call("POST", f"/v1/{BASE}:computeTokens", {"contents": CONTENTS})
    [info] = shown["tokensInfo"]
    assert len(info["tokens"]) == len(info["tokenIds"]) > 0


def test_many_at_once_are_answered_as_each_would_be_alone(emulator):
    prompts = [f"Say {colour}, please." for colour in ("red", "green", "blue", "black")] * 8

    def one(prompt: str) -> str:
        return text(ask(emulator, {"contents": [{"role": "user", "parts": [{"text": prompt}]}]}))

    alone = {prompt: one(prompt) for prompt in set(prompts)}
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(one, prompts)) == [alone[prompt] for prompt in prompts]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"contents": []}, "at least one contents"),
        (
            {"contents": [{"role": "assistant", "parts": [{"text": "x"}]}, *CONTENTS]},
            "valid role: user, model",
        ),
        ({"contents": [{"role": "user", "parts": [{}]}]}, "must have a text parameter"),
        (
            {
                "contents": [
                    {"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}]}
                ]
            },
            "text only",
        ),
        ({"generationConfig": {"temperature": 3}}, "temperature value of 3"),
        ({"generationConfig": {"responseMimeType": "text/x.enum"}}, "enum lists the values"),
        ({"generationConfig": {"responseSchema": {"type": "STRING"}}}, "response schema is set"),
        ({"generationConfig": {"stopSequences": list("abcdef")}}, "at most 5"),
        (
            {
                "contents": [
                    {
                        "role": "user",
                        "parts": [
                            {
                                "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"},
                                "inlineData": {"mimeType": "image/png", "data": "AA=="},
                            }
                        ],
                    }
                ]
            },
            "inlineData (image/png)",
        ),
        ({"generationConfig": {"candidateCount": 99}}, "candidateCount"),
        ({"generationConfig": {"logprobs": 0}}, "setting response_logprobs to be true"),
        ({"serviceTier": "flex"}, 'Unknown name "serviceTier"'),
        (
            {"tools": [{"googleSearch": {"timeRangeFilter": {"startTime": "2026-01-01T00:00:00Z"}}}]},
            "tools (googleSearch)",
        ),
        ({"tools": [{"functionDeclarations": [{"name": "f"}]}]}, "cannot call functions"),
        ({"cachedContent": "projects/p/locations/l/cachedContents/1"}, "context caching"),
        ({"temprature": 1}, 'Unknown name "temprature"'),
    ],
)
def test_what_cannot_be_is_refused_in_words_that_help(emulator, body, words):
    code, answer = ask(emulator, body)
    assert code == 400
    assert answer["error"]["status"] == "INVALID_ARGUMENT"
    assert words in answer["error"]["message"]


@pytest.mark.parametrize(
    ("model", "code"),
    [
        (f"{LOCATION}/publishers/google/models/gemini-0.1", 404),
        (f"{LOCATION}/endpoints/123", 404),
        (f"{LOCATION}/publishers/endpoints/models/9", 404),
    ],
)
def test_a_model_that_there_is_not(emulator, model, code):
    found, answer = ask(emulator, model=model)
    assert found == code
    assert model.removeprefix("projects/vertex-tuning-local") in answer["error"]["message"]


def test_a_model_that_there_is_not_is_named_in_full(emulator):
    _, answer = ask(emulator, model=f"{LOCATION}/publishers/google/models/gemini-0.1")
    assert "/locations/us-central1/publishers/google/models/gemini-0.1`" in answer["error"]["message"]


def test_a_prompt_that_is_too_long_is_refused_before_it_costs_a_minute(emulator):
    code, answer = ask(emulator, {"contents": [{"role": "user", "parts": [{"text": "word " * 5000}]}]})
    assert code == 400
    assert "token" in answer["error"]["message"]
