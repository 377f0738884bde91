"""Text to tokens and back, by the model's own chat template. No torch: the serving side counts tokens with it too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os.path import commonprefix
from pathlib import Path
from typing import Any

from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

Message = dict[str, str]
"""`{"role": "system" | "user" | "assistant", "content": text}`."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A chat as tokens."""

    ids: list[int]
    learn: list[bool]
    """Per token: whether it belongs to a model turn, its end-of-turn token included."""

    @property
    def output_tokens(self) -> int:
        """Tokens of model turns."""
        return sum(self.learn)


class ChatTokenizer:
    """The tokenizer and chat template of a model folder.

    A chat is tokenised turn by turn: the prompt of a model turn has the same tokens in training as when it is answered.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tokenizer: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._config: dict[str, Any] = json.loads(
            (folder / "tokenizer_config.json").read_text(encoding="utf-8")
        )
        self.eos_token = _token(self._config["eos_token"])
        self.bos_token = _token(self._config.get("bos_token"))

    @cached_property
    def end_ids(self) -> frozenset[int]:
        """Tokens that end a turn: the end-of-sequence token, and those that the generation config names."""
        found = {self.tokenizer.token_to_id(self.eos_token)}
        path = self.folder / "generation_config.json"
        if path.exists():
            named = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id", [])
            found.update(named if isinstance(named, list) else [named])
        return frozenset(token for token in found if token is not None)

    @cached_property
    def _end_marks(self) -> list[str]:
        """Texts of the tokens that end a turn."""
        found = (self.tokenizer.id_to_token(token) for token in sorted(self.end_ids))
        return [mark for mark in found if mark]

    @cached_property
    def _template(self) -> Any:
        path = self.folder / "chat_template.jinja"
        source = path.read_text(encoding="utf-8") if path.exists() else self._config["chat_template"]
        if isinstance(source, list):  # several, by name: for tools, for retrieval...
            source = next(one["template"] for one in source if one["name"] == "default")
        # Templates are a model's data, and run as such: sandboxed, unable to change what they are given.
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
        )
        environment.globals["raise_exception"] = _refuse
        return environment.from_string(source)

    def render(self, messages: Sequence[Message], *, answer: bool) -> str:
        """The chat as the model's text; with `answer`, up to where the model is to speak.

        Where the template knows no system, as Gemma's, what it is told stands before the user's first words.
        """
        if messages and messages[0]["role"] == "system" and not self._knows_a_system:
            system, *rest = messages
            words = f"{system['content']}\n\n{rest[0]['content']}" if rest else system["content"]
            messages = [{"role": "user", "content": words}, *rest[1:]]
        return self._rendered(messages, answer=answer)

    @cached_property
    def _knows_a_system(self) -> bool:
        told = [{"role": "system", "content": "zebra"}, {"role": "user", "content": "."}]
        try:
            return "zebra" in self._rendered(told, answer=True)
        except Exception:  # a template refuses as it likes
            return False

    def _rendered(self, messages: Sequence[Message], *, answer: bool) -> str:
        return str(
            self._template.render(
                messages=list(messages),
                add_generation_prompt=answer,
                enable_thinking=False,  # models that can do both answer at once
                bos_token=self.bos_token,
                eos_token=self.eos_token,
            )
        )

    def encode(self, text: str) -> list[int]:
        """Tokens of a text; special tokens in it are understood, none are added."""
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of tokens, without special ones."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Tokens of a chat up to where the model is to speak."""
        walked = self._walk(messages)
        self._read(walked, self.render(messages, answer=True))
        return walked.ids

    def chat(self, messages: Sequence[Message]) -> Encoded:
        """Tokens of a whole chat, with what is to be learnt of it."""
        walked = self._walk(messages)
        return Encoded(walked.ids, walked.learn)

    def _walk(self, messages: Sequence[Message]) -> _Walked:
        """The turns up to the last one of the model."""
        walked = _Walked()
        for index, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            before = self.render(messages[:index], answer=True)
            said = self._said(messages[: index + 1], before)
            # Some models end a turn with another token than the one that ends a sequence, and write more after it.
            ends = (said.rfind(mark) + len(mark) for mark in self._end_marks if mark in said)
            said = said[: max(ends, default=len(said))]
            self._read(walked, before)
            learnt = self.encode(said)
            walked.ids += learnt
            walked.learn += [True] * len(learnt)
            walked.text = before + said
        return walked

    def _said(self, messages: Sequence[Message], before: str) -> str:
        """What the last turn, the model's, adds to the text in which it was asked to speak.

        Where a template asks otherwise than it tells (`<think>` stands before an answer that is to come, as in DeepSeek R1's, and
        before none that was given), the turn begins where others of its place would differ.
        """
        after = self.render(messages, answer=False)
        if after.startswith(before):
            return after[len(before) :]
        words = messages[-1]["content"].strip()
        other = {**messages[-1], "content": "y" if words.startswith("x") else "x"}
        return after[len(commonprefix([after, self.render([*messages[:-1], other], answer=False)])) :]  # noqa: RUF071

    def _read(self, walked: _Walked, text: str) -> None:
        """Go on to the end of a text that is not learnt.

        Where its beginning is not what was walked (some templates tell earlier turns otherwise once others follow), all of it is
        read anew, and what was to be learnt before is not.
        """
        if not text.startswith(walked.text):
            walked.ids, walked.learn, walked.text = [], [], ""
        more = self.encode(text[len(walked.text) :])
        walked.ids += more
        walked.learn += [False] * len(more)
        walked.text = text


@dataclass(slots=True)
class _Walked:
    """How far a chat is in tokens, and the text that they are."""

    ids: list[int] = field(default_factory=list)
    learn: list[bool] = field(default_factory=list)
    text: str = ""


class _Generation(Extension):
    """`{% generation %}` marks model turns in some templates; it changes nothing in the text."""

    tags = {"generation"}  # noqa: RUF012  # as jinja2 declares it

    def parse(self, parser: Any) -> Any:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _token(value: Any) -> str:
    return value["content"] if isinstance(value, dict) else value or ""


def _refuse(message: str) -> None:
    raise ValueError(message)
