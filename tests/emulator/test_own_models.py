"""Open models of the user's own as stand-ins: tried before they are believed, trained and served like any other."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tests.running import RunningEmulator
from vertex_tuning import catalog, training
from vertex_tuning.emulator import own
from vertex_tuning.emulator.weights import WeightsStore
from vertex_tuning.errors import WeightsError
from vertex_tuning.training.chat import ChatTokenizer

TINY = Path(training.__file__).parent / "tiny" / "tiny-0.5m"
WORDS = ("red", "blue", "green", "black")


@pytest.fixture(autouse=True)
def _forgotten():
    yield
    catalog.know([])


def made(folder: Path, kind: str = "qwen3", **extra) -> Path:
    """A model of another architecture than ours, with weights of noise and our tokenizer."""
    config = AutoConfig.for_model(
        kind,
        vocab_size=640,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=512,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
        **extra,
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(folder, max_shard_size="200KB")
    for path in TINY.iterdir():
        if path.name not in ("config.json", "model.safetensors", "generation_config.json"):
            shutil.copy(path, folder)
    return folder


def refusal(store: WeightsStore, folder: Path, name: str = "mine") -> WeightsError:
    with pytest.raises(WeightsError) as caught:
        store.add(folder, name)
    return caught.value


def test_a_model_of_another_architecture_in_several_files_is_tuned_and_answers(tmp_path):
    folder = made(tmp_path / "My Qwen")
    assert len(list(folder.glob("*.safetensors"))) > 1
    said: list[str] = []
    store = WeightsStore(tmp_path / "weights")
    stand_in = store.add(folder, learning_rate=5e-3, progress=said.append)
    assert (stand_in.name, stand_in.max_tokens, stand_in.kind) == ("my-qwen", 512, "own")
    assert stand_in.title == "My Qwen (Qwen3ForCausalLM)"
    assert said
    assert store.path("my-qwen") == folder
    where = ("--weights-dir", str(tmp_path / "weights"), "--stand-in", "my-qwen")
    emulator = RunningEmulator(tmp_path / "data", *where)
    try:
        rows = [
            {"contents": [turn("user", f"say {WORDS[i % 4]} {i}"), turn("model", WORDS[i % 4])]}
            for i in range(64)
        ]
        emulator.call("POST", "/storage/v1/b?project=p", {"name": "rows-of-mine"})
        put(emulator, "rows-of-mine", "rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        job = emulator.call(
            "POST",
            "/v1beta1/projects/p/locations/us-central1/tuningJobs",
            {
                "baseModel": "gemini-2.5-flash",
                "supervisedTuningSpec": {
                    "trainingDatasetUri": "gs://rows-of-mine/rows.jsonl",
                    "hyperParameters": {"epochCount": "30", "adapterSize": "ADAPTER_SIZE_EIGHT"},
                },
            },
        )
        until = time.monotonic() + 120
        while job["state"] not in ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED") and time.monotonic() < until:
            time.sleep(0.2)
            job = emulator.call("GET", f"/v1beta1/{job['name']}")
        assert job["state"] == "JOB_STATE_SUCCEEDED", job
        answer = emulator.call(
            "POST",
            f"/v1beta1/{job['tunedModel']['endpoint']}:generateContent",
            {"contents": [turn("user", "say green 6")], "generationConfig": {"temperature": 0}},
        )
        assert answer["candidates"][0]["content"]["parts"][0]["text"] == "green"
    finally:
        emulator.stop()


def turn(role: str, text: str) -> dict:
    return {"role": role, "parts": [{"text": text}]}


def put(emulator: RunningEmulator, bucket: str, name: str, text: str) -> None:
    import urllib.request

    url = f"{emulator.address}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={name}"
    request = urllib.request.Request(url, text.encode(), {"Content-Type": "application/jsonl"}, method="POST")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as response:
        response.read()


@pytest.mark.parametrize(
    ("kind", "extra", "words"),
    [
        ("granite", {"logits_scaling": 4.0}, "our trainer computes other logits"),
        ("mixtral", {"num_local_experts": 4}, "MixtralExperts"),
    ],
)
def test_one_that_is_computed_otherwise_here_is_refused(tmp_path, kind, extra, words):
    error = refusal(WeightsStore(tmp_path / "weights"), made(tmp_path / kind, kind, **extra))
    assert error.rule == "VT709"
    assert words in error.fault.what
    assert not (tmp_path / "weights" / "mine").exists()


def test_a_folder_that_is_no_model_for_chats_is_refused_before_it_is_loaded(tmp_path):
    store, folder = WeightsStore(tmp_path / "weights"), made(tmp_path / "model")
    assert refusal(store, tmp_path / "nothing").rule == "VT707"
    (folder / "pytorch_model.bin").write_bytes(b"")
    assert refusal(store, folder).rule == "VT708"
    (folder / "pytorch_model.bin").unlink()
    (folder / "chat_template.jinja").unlink()
    assert "no chat template" in refusal(store, folder).fault.what
    (folder / "tokenizer.json").unlink()
    assert refusal(store, folder).rule == "VT707"


@pytest.mark.parametrize("name", ["tiny-0.5m", "tiny", "../mine", "a/b"])
def test_a_name_that_is_taken_or_none_is_refused_and_nothing_is_written(tmp_path, name):
    error = refusal(WeightsStore(tmp_path / "weights"), TINY, name)
    assert error.rule == "VT709"
    assert not list(tmp_path.rglob("*"))


def test_it_is_known_to_the_next_process_and_forgotten_when_it_is_removed(tmp_path):
    store = WeightsStore(tmp_path)
    with pytest.raises(WeightsError, match="reads 512 tokens, not 4,096"):
        store.add(TINY, "mine", max_tokens=4096)
    store.add(TINY, "mine", max_tokens=256)
    catalog.know([])
    assert WeightsStore(tmp_path).path("mine") == TINY
    found = catalog.stand_in("mine")
    assert (found.max_tokens, found.parameters) == (256, 451_200)
    assert found.learning_rate_adapter == own.learning_rate(451_200) == 5e-4
    with pytest.raises(WeightsError, match="comes with the catalog"):
        store.remove("tiny-0.5m")
    store.remove("mine")
    catalog.know([])
    WeightsStore(tmp_path)
    with pytest.raises(WeightsError, match="there is no stand-in"):
        catalog.stand_in("mine")
    assert (TINY / "model.safetensors").exists()


def test_models_are_served_by_their_size_and_those_that_are_left_out_as_ever(tmp_path):
    WeightsStore(tmp_path).add(TINY, "mine")
    bases = list(catalog.models().values())
    assert {base.size for base in bases} >= {"small", "large"}
    for base in bases:
        found = catalog.stand_in_for(base, "small=mine, large=tiny-0.9m").name
        assert found == {"small": "mine", "large": "tiny-0.9m"}.get(base.size, base.stand_in)
        assert catalog.stand_in_for(base, "mine").name == "mine"
        assert catalog.stand_in_for(base, "tiny").name == catalog.families()["tiny"][base.size]
        assert catalog.stand_in_for(base).name == base.stand_in


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ("tiniest=tiny-0.1m", 'no size "tiniest"'),
        ("small=", "no stand-in"),
        ("small=mine", 'no stand-in "mine"'),
    ],
)
def test_a_wish_by_size_that_cannot_be_met_is_refused(wish, words):
    with pytest.raises(WeightsError, match=words) as caught:
        catalog.wished(wish)
    assert caught.value.rule == "VT701"


def test_a_folder_that_went_away_is_told_by_its_path(tmp_path):
    folder, store = tmp_path / "model", WeightsStore(tmp_path / "weights")
    shutil.copytree(TINY, folder)
    store.add(folder, "mine")
    shutil.rmtree(folder)
    assert store.path("mine") is None
    with pytest.raises(WeightsError, match="is gone") as caught:
        store.pull("mine")
    assert str(folder) in caught.value.fault.what


def test_a_record_that_nobody_can_read_does_not_keep_the_emulator_from_starting(tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "stand_in.json").write_text("{", encoding="utf-8")
    WeightsStore(tmp_path)
    assert "broken" not in catalog.stand_ins()


@pytest.mark.parametrize(
    "refuses", ["{{ raise_exception('System role not supported') }}", "{% set messages = messages[1:] %}"]
)
def test_a_template_that_knows_no_system_has_it_before_the_users_words(tmp_path, refuses):
    shutil.copytree(TINY, tmp_path, dirs_exist_ok=True)
    template = (tmp_path / "chat_template.jinja").read_text(encoding="utf-8")
    guard = "{% if messages[0]['role'] == 'system' %}" + refuses + "{% endif %}"
    (tmp_path / "chat_template.jinja").write_text(guard + template, encoding="utf-8")
    tokenizer = ChatTokenizer(tmp_path)
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello."}]
    assert tokenizer.render(asked, answer=True) == "<|user|>Be brief.\n\nHello.<|end|><|model|>"
    told = [*asked, {"role": "assistant", "content": "Hi."}]
    encoded = tokenizer.chat(told)
    assert (
        tokenizer.decode([i for i, learn in zip(encoded.ids, encoded.learn, strict=True) if learn]) == "Hi."
    )
    assert (
        ChatTokenizer(TINY).render(asked, answer=True)
        == "<|system|>Be brief.<|end|><|user|>Hello.<|end|><|model|>"
    )


def test_a_template_that_tells_earlier_turns_otherwise_has_its_last_turn_learnt(tmp_path):
    """As Qwen 3 has it: an empty thought stands before the last answer alone, and before the one that is to come."""
    shutil.copytree(TINY, tmp_path, dirs_exist_ok=True)
    (tmp_path / "chat_template.jinja").unlink()
    template = (
        "{% for m in messages %}{% if m['role'] == 'user' %}<|user|>{{ m['content'] }}<|end|>{% else %}<|model|>"
        "{% if loop.last %}(){% endif %}{{ m['content'] }}<|end|>{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|model|>{% if not enable_thinking %}(){% endif %}{% endif %}"
    )
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings["chat_template"] = [
        {"name": "tool_use", "template": "{{ raise_exception('no') }}"},
        {"name": "default", "template": template},
    ]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    tokenizer = ChatTokenizer(tmp_path)
    turns = ["red?", "yes", "blue?", "no"]
    chat = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(turns)]

    def text(ids):
        return tokenizer.tokenizer.decode(list(ids), skip_special_tokens=False).replace(" ", "")

    encoded = tokenizer.chat(chat)
    assert (
        text(encoded.ids) == "<|user|>red?<|end|><|model|>yes<|end|><|user|>blue?<|end|><|model|>()no<|end|>"
    )
    assert text(i for i, learn in zip(encoded.ids, encoded.learn, strict=True) if learn) == "no<|end|>"
    assert text(tokenizer.prompt(chat[:3])) == text(encoded.ids).removesuffix("no<|end|>")
    assert text(tokenizer.prompt(chat[:1])) == "<|user|>red?<|end|><|model|>()"


@pytest.mark.parametrize("answer", ["no", "xno", "", "<thin air"])
def test_a_template_that_asks_otherwise_than_it_tells_is_trained_as_it_is_asked(tmp_path, answer):
    """As DeepSeek R1 has it: a thought is begun for the model, and left out of what it said."""
    shutil.copytree(TINY, tmp_path, dirs_exist_ok=True)
    template = (tmp_path / "chat_template.jinja").read_text(encoding="utf-8")
    (tmp_path / "chat_template.jinja").write_text(
        template + "{% if add_generation_prompt %}<think>{% endif %}", encoding="utf-8"
    )
    tokenizer = ChatTokenizer(tmp_path)
    asked = [{"role": "user", "content": "blue?"}]
    encoded = tokenizer.chat([*asked, {"role": "assistant", "content": answer}])
    learnt = [token for token, learn in zip(encoded.ids, encoded.learn, strict=True) if learn]
    assert tokenizer.tokenizer.decode(learnt, skip_special_tokens=False) == f"{answer}<|end|>"
    assert encoded.ids == [*tokenizer.prompt(asked), *learnt]


def test_a_turn_ends_where_the_template_ends_it_not_where_a_sequence_would(tmp_path):
    """As Gemma has it: `<eos>` ends a sequence, `<end_of_turn>` a turn, and a line break follows."""
    for path in TINY.iterdir():
        shutil.copy(path, tmp_path)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings["eos_token"] = "<|pad|>"
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [0, 1]}', encoding="utf-8")
    template = (
        (tmp_path / "chat_template.jinja")
        .read_text(encoding="utf-8")
        .replace("<|end|>", "<|end|>{{ '\\n' }}")
    )
    (tmp_path / "chat_template.jinja").write_text(template, encoding="utf-8")
    tokenizer = ChatTokenizer(tmp_path)
    chat = [
        {"role": "user", "content": "red?"},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": "blue?"},
        {"role": "assistant", "content": "no"},
    ]
    encoded = tokenizer.chat(chat)
    learnt = "".join(
        tokenizer.tokenizer.decode([token], skip_special_tokens=False)
        for token, learn in zip(encoded.ids, encoded.learn, strict=True)
        if learn
    )
    assert learnt == "yes<|end|>no<|end|>"
    assert tokenizer.tokenizer.decode(encoded.ids, skip_special_tokens=False).count("\n") == 3
