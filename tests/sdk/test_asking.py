"""A prompt or an option that is none is told before anybody is asked, whichever way a model is asked."""

from __future__ import annotations

import pytest
from google.genai import types

from tests.sdk.conftest import rows
from vertex_tuning import SavedPrompt, SpecError
from vertex_tuning.asking import config_of, contents_of
from vertex_tuning.deploying import chat

BASE = "gemini-2.5-flash"
TURN = {"role": "user", "parts": [{"text": "Opposite of hot?"}]}


def refused(ask, *given, **options):
    with pytest.raises(SpecError) as caught:
        ask(*given, **options)
    return caught.value


def test_a_misspelt_option_is_told_with_the_nearest_one(client):
    model = client.models.base(BASE)
    for ask in (model.generate, lambda *given, **options: next(model.stream(*given, **options))):
        error = refused(ask, "Opposite of hot?", temprature=0)
        assert (error.rule, error.fault.where) == ("VT323", "temprature")
        assert error.fault.fix == "do you mean temperature?"
    error = refused(client.batch_predict, ["Say 1."], model=BASE, temprature=0)
    assert error.rule == "VT323"


async def test_a_misspelt_option_is_told_where_it_is_awaited(client):
    from vertex_tuning.aio import AsyncModel

    with pytest.raises(SpecError) as caught:
        await AsyncModel(client.models.base(BASE)).generate("Opposite of hot?", temprature=0)
    assert caught.value.rule == "VT323"


def test_every_option_that_does_not_fit_is_named_as_it_was_given():
    error = refused(
        config_of, {"temprature": 0, "top_p": "x", "system": 5, "schema": 5, "maxOutputTokens": "x"}
    )
    assert {fault.where for fault in error.faults} == {
        "temprature",
        "top_p",
        "system",
        "schema",
        "max_output_tokens",
    }
    assert {fault.rule for fault in error.faults} == {"VT323"}
    assert "labels" in refused(config_of, {"nothing_like_it": 1}).fault.fix
    assert refused(config_of, {"thinking_config": {"budgets": 1}}).fault.where == "thinking_config.budgets"
    assert config_of({"temperature": None, "system": None}).temperature is None


@pytest.mark.parametrize("labels", [5, [], [1], [""], ""])
def test_labels_are_texts_for_every_kind_of_model(labels):
    for ask in (lambda: config_of({"labels": labels}), lambda: chat("x", {"labels": labels})):
        assert refused(ask).rule == "VT323"


def test_one_label_is_one_label_for_every_kind_of_model():
    assert config_of({"labels": "yes"}).response_schema["enum"] == ["yes"]
    assert chat("x", {"labels": "yes"})["response_format"]["json_schema"]["schema"]["enum"] == ["yes"]


@pytest.mark.parametrize(
    "prompt",
    [
        None,
        5,
        "",
        [],
        b"text",
        TURN,
        ["text"],
        [TURN, 5],
        [{"role": "user", "content": "text"}],
        [{"role": "user", "part": []}],
        SavedPrompt("1", "greeting", BASE, (TURN,)),
    ],
    ids=repr,
)
def test_what_is_no_prompt_is_told_by_every_kind_of_model(client, prompt):
    for ask in (client.models.base(BASE).generate, client.models.base(BASE).count_tokens, contents_of):
        error = refused(ask, prompt)
        assert {fault.rule for fault in error.faults} == {"VT324"}
        assert all(fault.where.startswith("prompt") and fault.fix for fault in error.faults)
    assert refused(chat, prompt, {}).rule == "VT324"


def test_every_turn_that_is_none_is_told():
    error = refused(contents_of, [5, TURN, {"role": "user", "parts": [{"txt": "x"}]}])
    assert [fault.where for fault in error.faults] == ["prompt[0]", "prompt[2].parts[0].txt"]


def test_turns_may_be_google_genais_own_and_rows_are_turns():
    contents_of([types.Content(role="user", parts=[types.Part(text="hi")])])
    assert contents_of(tuple(rows(1)[0]["contents"])) == rows(1)[0]["contents"]
    assert contents_of([{"text": "hi"}]) == [{"text": "hi"}]
