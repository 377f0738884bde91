"""The serving process: `python -m vertex_tuning.emulator.serving.child THREADS`.

One thread speaks with the server, turns prompts into tokens and counts them; another one computes. So a
question that needs no model is answered before torch is even imported.
"""

from __future__ import annotations

import base64
import logging
import sys
import threading
from typing import TYPE_CHECKING

from vertex_tuning.emulator.serving import tokens
from vertex_tuning.emulator.serving.protocol import Message, Order
from vertex_tuning.emulator.workers.channel import Channel
from vertex_tuning.training import rows
from vertex_tuning.training.chat import ChatTokenizer

if TYPE_CHECKING:
    from vertex_tuning.emulator.serving.engine import Engine

log = logging.getLogger(__name__)


class RefusedError(ValueError):
    """A request that cannot be answered, in words for the caller."""


class Child:
    """The line to the server, and the engine behind it."""

    def __init__(self, channel: Channel, threads: int) -> None:
        self._channel = channel
        self._threads = threads
        self._engine: Engine | None = None
        self._started = threading.Event()

    def run(self) -> None:
        """Serve until the server hangs up."""
        threading.Thread(target=self._compute, name="engine", daemon=True).start()
        for message in self._channel:
            try:
                self._take(message)
            except RefusedError as error:
                self._fail(message, "INVALID_ARGUMENT", str(error))
            except Exception as error:
                log.exception("a message could not be handled")
                self._fail(message, "INTERNAL", f"The serving process failed: {error}")

    def _compute(self) -> None:
        # torch comes in here, beside the first requests.
        from vertex_tuning.emulator.serving.engine import Engine

        self._engine = Engine()
        self._engine.use_threads(self._threads)
        self._started.set()
        self._channel.send({"ready": True})
        self._engine.run()

    def _take(self, message: Message) -> None:
        if message["op"] == "generate":
            self._generate(Order.from_json(message))
        elif message["op"] == "count":
            self._count(message)
        elif message["op"] == "tokens":
            self._tokens(message)
        elif message["op"] == "cancel":
            self._ready().cancel(message["id"])
        elif message["op"] == "threads":
            self._ready().use_threads(message["threads"])

    def _ready(self) -> Engine:
        self._started.wait()
        assert self._engine is not None
        return self._engine

    def _generate(self, order: Order) -> None:
        chat = tokens.chat(order.model)
        if order.text is not None:
            prompt = chat.encode(order.text)
        else:
            prompt = _prompt(chat, order.contents, order.system)
        if not prompt:
            raise RefusedError("The prompt has no tokens.")
        if len(prompt) >= order.context:
            raise RefusedError(
                f"The input token count ({len(prompt)}) exceeds the maximum number of tokens allowed "
                f"({order.context - 1})."
            )
        self._channel.send({"id": order.id, "event": "begun", "prompt_tokens": len(prompt)})
        engine = self._ready()
        from vertex_tuning.emulator.serving.answering import Work

        engine.submit(Work(order, prompt, chat, self._channel.send))

    def _count(self, message: Message) -> None:
        prompt = _prompt(tokens.chat(message["model"]), message["contents"], message["system"])
        texts = [
            part["text"]
            for content in [*message["contents"], message["system"] or {}]
            for part in content.get("parts", ())
        ]
        # Characters are counted as Vertex AI bills them: without white space.
        characters = sum(not character.isspace() for text in texts for character in text)
        self._channel.send(
            {"id": message["id"], "event": "counted", "tokens": len(prompt), "characters": characters}
        )

    def _tokens(self, message: Message) -> None:
        chat = tokens.chat(message["model"])
        infos = []
        for content in message["contents"]:
            text = "".join(part["text"] for part in content["parts"])
            ids = chat.encode(text)
            pieces = [tokens.byte_tokenizer(message["model"]).decode_bytes([token]) for token in ids]
            infos.append(
                {
                    "role": content["role"],
                    "tokenIds": [str(token) for token in ids],
                    "tokens": [base64.b64encode(piece).decode() for piece in pieces],
                }
            )
        self._channel.send({"id": message["id"], "event": "tokens", "infos": infos})

    def _fail(self, message: Message, code: str, words: str) -> None:
        self._channel.send({"id": message.get("id", ""), "event": "failed", "code": code, "message": words})


def _prompt(chat: ChatTokenizer, contents: list[Message], system: Message | None) -> list[int]:
    """Tokens up to where the model is to speak, exactly as in training."""
    try:
        return chat.prompt(
            rows.messages({"contents": contents, **({"systemInstruction": system} if system else {})})
        )
    except Exception as error:  # a template that a user gave may raise what it likes
        raise RefusedError(f"The model's chat template refuses these contents: {error}") from error


def main() -> None:
    """Serve the server that started this process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    Child(Channel(), int(sys.argv[1])).run()


if __name__ == "__main__":
    main()
