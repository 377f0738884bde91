"""`{{ item.answer }}` and `{{ sample.output_json.name }}`: what a grader's texts stand for.

Source: OpenAI, "Graders" (2026-11-26): variables of `item` and `sample`, nested ones by a path as in JSON path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Path = tuple[str | int, ...]
"""`("sample", "output_tools", 0, "function", "name")`."""

ANSWER: Path = ("sample", "output_text")
JSON: Path = ("sample", "output_json")

_BRACES = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_STEP = re.compile(r"""\.?(\w[\w-]*)|\[(\d+)\]|\[(?:"([^"\]]+)"|'([^'\]]+)')\]""")
_OF_A_SAMPLE = ("output_text", "output_json", "output_tools", "choices")


class TemplateError(ValueError):
    """What stands in double braces is no variable that can be had; the message says why."""


@dataclass(frozen=True, slots=True)
class Template:
    """A text with variables in it."""

    pieces: tuple[str | Path, ...]

    @property
    def paths(self) -> list[Path]:
        """Its variables, in their order."""
        return [piece for piece in self.pieces if not isinstance(piece, str)]

    @property
    def only(self) -> Path | None:
        """The variable, where it is nothing but one."""
        return self.paths[0] if len(self.pieces) == 1 and self.paths else None

    @property
    def text(self) -> str | None:
        """The text, where there is no variable in it."""
        return None if self.paths else "".join(str(piece) for piece in self.pieces)


def read(text: str) -> Template:
    """Take a text apart.

    Raises:
        TemplateError: A variable is none.
    """
    pieces: list[str | Path] = []
    end = 0
    for found in _BRACES.finditer(text):
        if found.start() > end:
            pieces.append(text[end : found.start()])
        pieces.append(_path(found[1].strip()))
        end = found.end()
    if end < len(text):
        pieces.append(text[end:])
    return Template(tuple(pieces))


def _path(words: str) -> Path:
    steps: list[str | int] = []
    at = 0
    while at < len(words):
        step = _STEP.match(words, at)
        if step is None or (at > 0 and step[1] is not None and words[at] != "."):
            raise TemplateError(f"{{{{ {words} }}}} is no variable")
        name, number, double, single = step.groups()
        steps.append(int(number) if number is not None else name or double or single)
        at = step.end()
    if len(steps) < 2 or steps[0] not in ("item", "sample") or words.startswith("."):
        raise TemplateError(f"{{{{ {words} }}}} is no variable of item or sample")
    if steps[0] == "sample" and steps[1] not in _OF_A_SAMPLE:
        raise TemplateError(f"{{{{ {words} }}}}: of a sample there is {', '.join(_OF_A_SAMPLE)}")
    return tuple(steps)


def reference(path: Path) -> str:
    """The name under which `data convert` puts a member of `item` into the references."""
    return "_".join(map(str, path[1:]))
