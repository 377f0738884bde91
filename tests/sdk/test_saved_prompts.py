"""`client.prompts`: prompts that the service keeps, and that can be asked."""

from __future__ import annotations

import time
import uuid
import warnings

import pytest

from vertex_tuning import ServiceError, SpecError, aconnect

BASE = "gemini-2.5-flash"
TEXT = 'Say {word} in {language}, as JSON: {"answer": ...}'


@pytest.fixture
def name() -> str:
    return f"prompt {uuid.uuid4().hex[:12]}"


def test_a_prompt_is_saved_found_changed_restored_and_deleted(client, name):
    started = time.monotonic()
    saved = client.prompts.save(
        TEXT,
        model=BASE,
        name=name,
        version_name="first",
        system="You know {language}.",
        examples=[{"word": "hello", "language": "French"}],
        labels={"team": "words"},
        temperature=0.5,
        max_output_tokens=8,
        stop_sequences=["."],
    )
    assert (saved.version, saved.version_name, saved.name, saved.text) == ("1", "first", name, TEXT)
    assert saved.options == {"temperature": 0.5, "max_output_tokens": 8, "stop_sequences": ["."]}
    assert saved.examples == ({"word": "hello", "language": "French"},)
    assert saved.places == ("language", "word")
    now = client.prompts.get(saved.id)
    assert (now.text, now.system, now.model, now.version) == (TEXT, "You know {language}.", BASE, "")
    changed = client.prompts.save("Say {word}.", model="gemini-2.5-pro", prompt=saved)
    assert (changed.id, changed.version, changed.name) == (saved.id, "2", name)
    assert client.prompts.get(saved.id).text == "Say {word}."
    assert client.prompts.get(saved.id, 1).text == TEXT
    assert [(item.version, item.model) for item in client.prompts.versions(saved)] == [
        ("2", "gemini-2.5-pro"),
        ("1", BASE),
    ]
    restored = client.prompts.restore(saved, 1)
    assert (restored.version, restored.text) == ("3", TEXT)
    assert client.prompts.get(saved).metadata == saved.metadata
    assert [item.id for item in client.prompts.list(filter=f'display_name="{name}"')] == [saved.id]
    assert [item.id for item in client.prompts.list(limit=1)] != []
    client.prompts.delete(saved, 1)
    assert [item.version for item in client.prompts.versions(saved, limit=5)] == ["3", "2"]
    client.prompts.delete(saved)
    client.prompts.delete(saved)
    with pytest.raises(ServiceError) as gone:
        client.prompts.get(saved.id)
    assert gone.value.code == 404
    assert time.monotonic() - started < 30


def test_a_prompt_is_asked_from_a_model_with_what_was_saved_beside_it(client, tuned, name):
    saved = client.prompts.save(
        "Opposite of {word}?", model=BASE, name=name, temperature=0, max_output_tokens=4
    )
    found = client.prompts.get(saved.id)
    filled = found.format(word="hot")
    assert filled == [{"role": "user", "parts": [{"text": "Opposite of hot?"}]}]
    answer = tuned.generate(filled)
    assert answer.text == tuned.generate("Opposite of hot?", temperature=0, max_output_tokens=4).text
    assert "".join(tuned.stream(filled)) == answer.text
    assert tuned.count_tokens(filled) == answer.prompt_tokens
    assert tuned.generate(filled, max_output_tokens=1).answer_tokens == 1
    assert client.models.base(found.model).generate(filled).answer_tokens <= 4


def test_googles_module_reads_what_is_written_here_and_the_other_way_round(client, name):
    saved = client.prompts.save(
        "Hello {name}", model=BASE, name=name, system="Be brief.", examples=[{"name": "Ada"}], temperature=0.5
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = client.connection.vertexai.prompts
        from google.genai import types as genai_types
        from vertexai._genai import types
    found = theirs.get(prompt_id=saved.id)
    assert found.assemble_contents()[0].parts[0].text == "Hello Ada"
    assert found.prompt_data.system_instruction.parts[0].text == "Be brief."
    assert found.prompt_data.generation_config.temperature == 0.5
    assert [item.version_id for item in theirs.list_versions(prompt_id=saved.id)] == ["1"]

    message = types.PromptData(
        model="gemini-2.5-pro",
        contents=[genai_types.Content(parts=[genai_types.Part(text="Bye {name}")])],
        system_instruction=genai_types.Content(parts=[genai_types.Part(text="Be kind.")]),
        generation_config=genai_types.GenerationConfig(max_output_tokens=3),
        variables=[{"name": genai_types.Part(text="Bo")}],
    )
    # Their update waits five seconds for an operation that is done: that is their patience, and is left to them.
    made = theirs.update(prompt_id=saved.id, prompt=types.Prompt(prompt_data=message))
    ours = client.prompts.get(made.prompt_id, made.version_id)
    assert (ours.text, ours.system, ours.model) == ("Bye {name}", "Be kind.", "gemini-2.5-pro")
    assert (ours.options, ours.examples) == ({"max_output_tokens": 3}, ({"name": "Bo"},))


def test_lists_are_read_to_their_end(client, name):
    made = [client.prompts.save(f"{n}", model=BASE, name=name).id for n in range(3)]
    prompts = client.prompts
    request = {"parent": prompts._parent, "filter": f'display_name="{name}"', "page_size": 1}
    pages = list(prompts._service.list_datasets(request=request).pages)
    assert len(pages) == 3
    assert [item.id for item in prompts.list(filter=f'display_name="{name}"')] == made[::-1]
    assert [item.id for item in prompts.list(filter=f'display_name="{name}"', limit=2)] == made[:0:-1]
    assert prompts.list(filter='display_name="nothing is called so"') == []


def test_what_the_service_refuses_is_told_in_its_own_words(client):
    with pytest.raises(ServiceError) as caught:
        client.prompts.get("123")
    assert caught.value.fault.what.startswith("The Dataset projects/")
    assert caught.value.code == 404


@pytest.mark.parametrize(
    ("call", "rule", "named"),
    [
        (lambda prompts: prompts.get("a/b"), "VT360", ["a/b"]),
        (lambda prompts: prompts.save(" ", model=""), "VT362", ["text", "model"]),
        (
            lambda prompts: prompts.save("x", model=BASE, temprature=1),
            "VT363",
            ["temprature", "do you mean temperature?"],
        ),
        (lambda prompts: prompts.save("x", model=BASE, temperature="hot"), "VT363", ["temperature"]),
    ],
)
def test_what_cannot_be_is_told_before_it_is_sent(client, call, rule, named):
    with pytest.raises(SpecError) as error:
        call(client.prompts)
    assert error.value.rule == rule
    assert all(word in str(error.value) for word in named)


def test_every_place_is_filled_and_nothing_else(client, name):
    saved = client.prompts.save("{a} and {b}, not {1} nor {}", model=BASE, name=name)
    assert saved.format(a="{b}", b=2)[0]["parts"][0]["text"] == "{b} and 2, not {1} nor {}"
    with pytest.raises(SpecError) as error:
        saved.format(a=1, c=3)
    assert error.value.rule == "VT361"
    assert "{b}" in str(error.value)
    assert "{c}" in str(error.value)


async def test_the_same_awaited(emulator, tmp_path, monkeypatch, name):
    monkeypatch.setenv("VERTEX_TUNING_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
    async with await aconnect("local") as client:
        saved = await client.prompts.save("Say {word}.", model=BASE, name=name, max_output_tokens=2)
        assert (await client.prompts.get(saved.id)).text == "Say {word}."
        assert [item.version for item in await client.prompts.versions(saved)] == ["1"]
        assert (await client.prompts.restore(saved, "1")).version == "2"
        assert saved.id in {item.id for item in await client.prompts.list(filter=f'display_name="{name}"')}
        answer = await client.models.base(BASE).generate(saved.format(word="hi"))
        assert answer.answer_tokens <= 2
        await client.prompts.delete(saved)
