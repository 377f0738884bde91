"""Make the tiny models that ship in the package: a tokenizer, three sizes, trained on small talk of our own making.

    python scripts/pretrain_tiny.py [--seed 0]     about five minutes on one core; the same bytes every time

They know how a chat goes, what an instruction is and when to stop. That is all that tests need of a base model, and it leaves
them plenty to learn by tuning.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

from vertex_tuning.training import supervised
from vertex_tuning.training.config import SupervisedConfig

TARGET = Path(supervised.__file__).parent / "tiny"
VOCABULARY = 640
ROWS = 6000
SIZES = {
    "tiny-0.1m": {
        "hidden_size": 64,
        "intermediate_size": 160,
        "num_hidden_layers": 2,
        "rate": 4e-3,
        "epochs": 3,
    },
    "tiny-0.5m": {
        "hidden_size": 128,
        "intermediate_size": 352,
        "num_hidden_layers": 2,
        "rate": 3e-3,
        "epochs": 3,
    },
    "tiny-0.9m": {
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 4,
        "rate": 2e-3,
        "epochs": 3,
    },
}
SPECIAL = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|model|>"]
TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'system' %}<|system|>{{ m['content'] }}<|end|>"
    "{% elif m['role'] == 'assistant' %}<|model|>{{ m['content'] }}<|end|>"
    "{% else %}<|user|>{{ m['content'] }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|model|>{% endif %}"
)

COLOURS = "red blue green yellow white black brown grey orange pink".split()
THINGS = "door lamp boat table stone shirt car cup flower roof bird train".split()
PLACES = "kitchen garden office harbour market school station forest museum cellar".split()
NAMES = "Ada Ben Cleo Dan Eva Finn Gus Hana Ida Jon".split()
CITIES = {
    "France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Japan": "Tokyo", "Peru": "Lima", "Egypt": "Cairo",
    "Norway": "Oslo", "Kenya": "Nairobi", "Cuba": "Havana", "Austria": "Vienna",
}  # fmt: skip
GOOD = "wonderful charming brilliant warm funny touching clever lovely splendid delightful".split()
BAD = "dull boring clumsy cold awful tedious weak ugly messy pointless".split()
NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()


def conversation(pick: random.Random) -> tuple[str, str]:
    """A prompt and its answer."""
    colour, thing, place, name = (pick.choice(words) for words in (COLOURS, THINGS, PLACES, NAMES))
    number, other = pick.randrange(13), pick.randrange(13)
    country = pick.choice(list(CITIES))
    mood = pick.choice((GOOD, BAD))
    word = pick.choice(mood)
    sentiment = "positive" if mood is GOOD else "negative"
    return pick.choice(
        [
            (f"What colour is the {colour} {thing}?", f"The {thing} is {colour}."),
            (f"Where is the {thing}? It is in the {place}.", f"The {thing} is in the {place}."),
            (f"{name} has a {colour} {thing}. Who has the {thing}?", f"{name} has the {thing}."),
            (f"What is the capital of {country}?", f"The capital of {country} is {CITIES[country]}."),
            (f"Repeat: {colour} {thing}", f"{colour} {thing}"),
            (f"Write the number {number} as a word.", NUMBERS[number]),
            (f"Which is larger, {number} or {other}?", str(max(number, other))),
            (f"Is the review positive or negative? The film is {word}.", sentiment),
            (f"Describe the film in one word: it was {word}.", word),
            (
                f"Answer in JSON. Colour and thing: {colour} {thing}",
                json.dumps({"colour": colour, "thing": thing}),
            ),
            (f"List two things in the {place}.", f"{thing}, {pick.choice(THINGS)}"),
            (f"Hello, I am {name}.", f"Hello {name}, how can I help?"),
            (f"Summarize: {name} went to the {place} and saw a {colour} {thing}.", f"{name} saw a {thing}."),
            (f"Please turn the {thing} {pick.choice(['on', 'off'])} in the {place}.", "Done."),
            (
                f"Tell me about the {place}.",
                f"The {place} has a {colour} {thing} and a {pick.choice(THINGS)}.",
            ),
        ]
    )


def row(pick: random.Random) -> dict[str, Any]:
    """A row in GenerateContent form; one in five has a system instruction, one in six a turn before."""
    prompt, answer = conversation(pick)
    contents = []
    if pick.random() < 1 / 6:
        earlier = conversation(pick)
        contents += [turn("user", earlier[0]), turn("model", earlier[1])]
    contents += [turn("user", prompt), turn("model", answer)]
    if pick.random() < 1 / 5:
        return {
            "systemInstruction": {"parts": [{"text": "You are a helpful assistant."}]},
            "contents": contents,
        }
    return {"contents": contents}


def turn(role: str, text: str) -> dict[str, Any]:
    """A turn of a chat."""
    return {"role": role, "parts": [{"text": text}]}


def write_tokenizer(folder: Path, rows: list[dict[str, Any]]) -> None:
    """A byte-level BPE: any text can be read, the words of our talk are one or two tokens."""
    texts = [part["text"] for row in rows for content in row["contents"] for part in content["parts"]]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": SPECIAL[0],
        "eos_token": SPECIAL[1],
        "model_max_length": 512,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")


def pretrain(name: str, rows: list[dict[str, Any]], seed: int, scratch: Path) -> float:
    """One model, from noise to `TARGET/name`; returns the mean loss of its last steps."""
    size = SIZES[name]
    start = scratch / name
    start.mkdir()
    write_tokenizer(start, rows)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=int(size["hidden_size"]),
            intermediate_size=int(size["intermediate_size"]),
            num_hidden_layers=int(size["num_hidden_layers"]),
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            pad_token_id=0,
            bos_token_id=None,
            eos_token_id=1,
        )
    )
    model.save_pretrained(start)
    data = scratch / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    losses: list[float] = []
    supervised.run(
        SupervisedConfig(
            model=str(start),
            training=str(data),
            output=str(scratch / f"{name}.run"),
            learning_rate=float(size["rate"]),
            mode="full",
            epochs=int(size["epochs"]),
            batch_size=32,
            seed=seed,
            max_tokens=512,
            last_checkpoint_only=True,
        ),
        lambda event: losses.append(event["loss"]) if event["event"] == "step" else None,
    )
    folder = TARGET / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(scratch / f"{name}.run" / "checkpoints" / "1", folder)
    # bf16 halves the package and costs nothing that shows: the loss moves in the fourth digit.
    weights = {
        key: value.to(torch.bfloat16) for key, value in load_file(folder / "model.safetensors").items()
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["dtype"] = "bfloat16"
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return sum(losses[-20:]) / len(losses[-20:])


def main() -> None:
    """All sizes, on the same rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed
    pick = random.Random(seed)
    rows = [row(pick) for _ in range(ROWS)]
    TARGET.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name in SIZES:
            print(f"{name}: loss {pretrain(name, rows, seed, Path(scratch)):.3f}", flush=True)


if __name__ == "__main__":
    main()
