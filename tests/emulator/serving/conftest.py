"""The engine inside the test's own process: orders in, events out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from vertex_tuning import training
from vertex_tuning.emulator.serving.protocol import Order, Sampling
from vertex_tuning.training.chat import ChatTokenizer

TINY = Path(training.__file__).parent / "tiny" / "tiny-0.1m"
GREEDY = Sampling(temperature=0)

Events = list[dict[str, Any]]


class Desk:
    """A running batch, and what it answered."""

    def __init__(self, folder: Path = TINY) -> None:
        from vertex_tuning.emulator.serving.engine import Batch

        self.folder = folder
        self.batch = Batch(folder)
        self.chat = ChatTokenizer(folder)
        self.events: dict[str, Events] = defaultdict(list)
        self._number = 0

    def add(self, text: str, **fields: Any) -> str:
        """Put an order in; its id."""
        from vertex_tuning.emulator.serving.answering import Work

        self._number += 1
        identifier = str(self._number)
        fields = {"sampling": GREEDY, "context": 512, "adapter": None, **fields}
        order = Order(identifier, str(self.folder), contents=[], **fields)
        prompt = self.chat.prompt([{"role": "user", "content": text}])
        send = lambda event: self.events[event["id"]].append(event)  # noqa: E731
        self.batch.add(Work(order, prompt, self.chat, send))
        return identifier

    def work(self) -> None:
        """Step until everything is answered."""
        while self.batch.busy:
            self.batch.step()

    def end(self, identifier: str, candidate: int = 0) -> dict[str, Any]:
        """The last event of a candidate; `text` is the whole text, streamed or not."""
        events = [e for e in self.events[identifier] if e.get("candidate", candidate) == candidate]
        assert [e["event"] for e in events].count("end") == 1, events
        assert events[-1]["event"] == "end"
        return {**events[-1], "text": "".join(e["text"] for e in events)}

    def ask(self, text: str, **fields: Any) -> dict[str, Any]:
        """One order, answered alone."""
        identifier = self.add(text, **fields)
        self.work()
        return self.end(identifier)

    def ask_all(self, texts: Iterable[str], **fields: Any) -> list[dict[str, Any]]:
        """Several orders, answered together."""
        identifiers = [self.add(text, **fields) for text in texts]
        self.work()
        return [self.end(identifier) for identifier in identifiers]


@pytest.fixture(scope="session")
def open_desk() -> Callable[..., Desk]:
    """Opens desks: `open_desk(folder)`."""
    return Desk


@pytest.fixture
def desk(open_desk: Callable[..., Desk]) -> Desk:
    """A fresh desk with the tiny model: nothing is cached."""
    return open_desk()


@pytest.fixture
def make_adapter(tmp_path: Path) -> Callable[..., Path]:
    """Makes adapters for the tiny model that change a lot: `make_adapter(seed)`."""

    def make(seed: int = 0) -> Path:
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM

        torch.manual_seed(seed)
        config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(TINY, dtype=torch.float32), config)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.2)
        folder = tmp_path / f"adapter-{seed}"
        model.save_pretrained(folder)
        return folder

    return make
