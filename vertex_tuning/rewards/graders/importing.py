"""A grader of OpenAI's, read: each kind as the scorer that comes nearest to it."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vertex_tuning.errors import Fault, RewardError
from vertex_tuning.rewards import builders, config, matching, rating, snippets
from vertex_tuning.rewards.graders import coding, judging, templates
from vertex_tuning.rewards.graders.coding import Snippet, SourceError
from vertex_tuning.rewards.graders.formulas import Formula, FormulaError
from vertex_tuning.rewards.graders.judging import JudgeError
from vertex_tuning.rewards.graders.templates import Template, TemplateError
from vertex_tuning.rewards.scorers import AnyReward, Code, CompositeReward, Reward

Json = Mapping[str, Any]

KINDS = ("string_check", "text_similarity", "score_model", "label_model", "python", "multi")
_OPERATIONS = {"eq": "eq", "ne": "ne", "neq": "ne", "like": "like", "ilike": "ilike"}
_ANYONE = "projects/p/locations/l/publishers/google/models/m"
_JUDGE = 'judge_model="projects/P/locations/L/publishers/google/models/M" (--judge-model gemini-3.5-flash)'
_METHODS = ("reinforcement", "supervised", "dpo")
"""Types of what is no grader, and may hold one."""
_BRACE = re.compile(r"[{}]")
_VARIABLE = "{{ item.NAME }} or {{ sample.output_text }}"


@dataclass(frozen=True, slots=True)
class Imported:
    """A reward that was a grader. `str()` says it to people."""

    reward: AnyReward
    notes: tuple[str, ...] = ()
    """What is not as it was, and what to look at."""
    modules: tuple[str, ...] = ()
    """Modules that its code imports and Vertex AI's code rewards do not have: it is to be served (`reward serve`)."""

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {"reward": self.reward.request(), "notes": list(self.notes), "modules": list(self.modules)}

    def __str__(self) -> str:
        parts = self.reward.parts if isinstance(self.reward, CompositeReward) else ((self.reward, 1.0),)
        lines = [f"{one.name}: {_scorer(one)}, weight {weight:g}" for one, weight in parts]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def _scorer(reward: Reward) -> str:
    names = {"StringMatch": "string match", "AutoRater": "autorater", "Code": "code", "CloudRun": "service"}
    return names[type(reward.scorer).__name__]


def from_openai(grader: Json, *, judge_model: str = "") -> Imported:
    """Make a reward of a grader.

    A string check that Vertex AI's string match can do is one, a model grader is an autorater, a weighted sum (`multi`) is a
    composite reward; everything else is code, which computes the same number.

    Args:
        grader: The grader; or what holds one: a job for reinforcement fine-tuning, an eval with a single criterion.
        judge_model: Who judges in the place of OpenAI's model: `projects/P/locations/L/publishers/google/models/M`.

    Raises:
        RewardError: VT950 no grader, VT951 it has no counterpart, VT952 a template, VT953 a formula, VT954 no judge is named; all
            that is wrong at once (VT900).
    """
    reading = _Reading(judge_model)
    found = _inside(grader)
    if found is None:
        several = given if isinstance(given := _of(grader, "testing_criteria"), list) else []
        if len(several) > 1:
            what, where = f"an eval with {len(several)} criteria: a reward is one number", "testing_criteria"
            fix = 'each by itself, or all as {"type": "multi", "graders": {...}, "calculate_output": "..."}'
            raise RewardError("VT950", what, where=where, fix=fix)
        where, fix = "grader", '{"type": "string_check", ...}, or a job with method.reinforcement.grader'
        raise RewardError("VT950", "there is no grader in it", where=where, fix=fix)
    name, path = str(found.get("name") or "grader"), "grader"
    if _beside(grader, "response_format"):
        reading.note(
            "response_format: it held the answers to a schema, and a tuning job of Vertex AI's has no such field: "
            "say the form in the prompts; an answer that is no JSON object lacks what output_json had"
        )
    if _beside(grader, "tools"):
        reading.note(
            "tools: the job had a server call them while a model answered, and a tuning job of Vertex AI's has no such "
            "field; a call of a tool is an answer here"
        )
    if _beside(grader, "hyperparameters"):
        reading.note("hyperparameters: options of tune reinforcement (docs/moving.md, its last table)")
    reward: AnyReward | None
    if found.get("type") == "multi":
        reward = reading.several(found, name, path)
    else:
        part = reading.one(found, name, path, "graded")
        reward = part.reward if part else None
    config.refuse(reading.faults)
    assert reward is not None
    modules = _modules(reward)
    if modules:
        lacks = ", ".join(modules)
        reading.note(
            f"Vertex AI's code rewards do not have {lacks}: serve it where they are (vertex-tuning reward serve)"
        )
    return Imported(reward, tuple(dict.fromkeys(reading.notes)), tuple(modules))


def _inside(given: Any) -> Json | None:
    """The grader, or the one in a job or an eval."""
    if not isinstance(given, Mapping):
        return None
    if isinstance(given.get("type"), str) and given["type"] not in _METHODS:
        return given
    criteria = given.get("testing_criteria")
    if isinstance(criteria, list) and len(criteria) == 1:
        return _inside(criteria[0])
    for name in ("grader", "reinforcement", "method"):
        if name in given:
            return _inside(given[name])
    return None


def _beside(given: Json, name: str) -> bool:
    """Whether a job has a member of this name, beside its grader or round it."""
    places = [given, _of(given, "method")]
    places += [_of(place, "reinforcement") for place in places]
    return any(_of(place, name) for place in places)


def _of(given: Any, name: str) -> Any:
    return given.get(name) if isinstance(given, Mapping) else None


def _failing(source: str, where: str) -> list[Fault]:
    """What would make a Python grader fail whatever the answer is."""
    found: list[Fault] = []
    snippets.check(f"{source}\nevaluate = grade\n", found, imports=False)
    why = "What failed was worth 0 at OpenAI, whatever the answer."
    words = {
        "an example and a response": "a sample and an item",
        "evaluate(example, response)": "grade(sample, item)",
    }

    def told(text: str) -> str:
        return re.sub("|".join(map(re.escape, words)), lambda match: words[match[0]], text)

    return [Fault("VT950", told(one.what), where, why, told(one.fix)) for one in found]


def _modules(reward: AnyReward) -> list[str]:
    parts = reward.parts if isinstance(reward, CompositeReward) else ((reward, 1.0),)
    codes = [one.scorer.snippet for one, _ in parts if isinstance(one.scorer, Code)]
    return sorted({name for code in codes for name in snippets.foreign(ast.parse(code))})


@dataclass(frozen=True, slots=True)
class _Part:
    reward: Reward
    snippet: Snippet | None
    """For a formula; None: it is no code."""


@dataclass(slots=True)
class _Reading:
    judge_model: str
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def note(self, words: str) -> None:
        self.notes.append(words)

    def fault(self, rule: str, what: str, where: str, fix: str = "", why: str = "") -> None:
        self.faults.append(Fault(rule, what, where, why, fix))

    def one(self, grader: Any, name: str, path: str, function: str) -> _Part | None:
        """A grader that is not several; None where something is wrong with it."""
        kind = grader.get("type") if isinstance(grader, Mapping) else None
        known = len(self.faults)
        found: _Part | None = None
        if kind == "string_check":
            found = self._string_check(grader, name, path, function)
        elif kind == "text_similarity":
            found = self._text_similarity(grader, name, path, function)
        elif kind == "python":
            found = self._python(grader, name, path, function)
        elif kind in ("score_model", "label_model"):
            found = self._judge(grader, name, path)
        elif kind == "multi":
            self.fault("VT950", "a multi grader in another", path, "one formula over all graders")
        else:
            what = f"{kind!r} is no kind of grader" if kind else "it has no type"
            self.fault("VT950", what, f"{path}.type", f"one of: {', '.join(KINDS)}")
        if isinstance(grader, Mapping) and grader.get("pass_threshold") is not None:
            self.note("pass_threshold: it says what passes an eval; a reward is the number itself")
        return found if len(self.faults) == known else None

    def several(self, grader: Json, name: str, path: str) -> AnyReward | None:
        """A `multi`: a composite reward where it is a weighted sum, else code."""
        graders = grader.get("graders")
        if not isinstance(graders, Mapping) or not graders:
            self.fault("VT950", "there are no graders", f"{path}.graders", '{"name": {"type": ...}}')
            return None
        if isinstance(graders.get("type"), str):  # a single one, as the types of OpenAI's client have it
            graders = {str(graders.get("name") or "grader"): graders}
        formula: Formula | None = None
        where, fix = f"{path}.calculate_output", "0.5 * one + 0.5 * other"
        if grader.get("calculate_output") in (None, ""):
            self.fault("VT953", "there is no formula", where, fix)
        else:
            try:
                formula = Formula(str(grader["calculate_output"]), graders)
            except FormulaError as error:
                self.fault("VT953", str(error), where, fix)
        parts = {
            key: self.one(one, key, f"{path}.graders.{key}", f"grade_{number}")
            for number, (key, one) in enumerate(graders.items(), 1)
        }
        if formula is None or any(part is None for part in parts.values()):
            return None
        if unused := [key for key in parts if key not in formula.names]:
            self.note(f"{', '.join(unused)}: the formula does not name it, and it is left out")
        used = {key: part for key, part in parts.items() if part is not None and key in formula.names}
        return self._composed(used, formula, name, path)

    def _composed(self, parts: dict[str, _Part], formula: Formula, name: str, path: str) -> AnyReward | None:
        weights, coded = (
            formula.weights(),
            all(part.snippet and part.snippet.function for part in parts.values()),
        )
        total = sum(weights.values()) if weights else 0.0
        if weights and (abs(total - 1) < 1e-9 or not coded):
            if abs(total - 1) >= 1e-9:
                self.note(
                    f"a composite reward divides by the sum of its weights: it pays 1/{total:g} of what OpenAI's did"
                )
            return builders.weighted([(part.reward, weights[key]) for key, part in parts.items()])
        if coded:
            snippets_ = {key: part.snippet for key, part in parts.items() if part.snippet}
            return Reward(Code(coding.together(snippets_, formula)), name)
        odd = [key for key, part in parts.items() if not (part.snippet and part.snippet.function)]
        self.fault(
            "VT953",
            f"it is no sum of grades by positive weights, and {', '.join(odd)} cannot be computed by code alone",
            f"{path}.calculate_output",
            "0.5 * one + 0.5 * other, or a service of your own: rewards.cloud_run(...)",
            "Vertex AI puts rewards together by their weights, and in no other way.",
        )
        return None

    # Kinds

    def _string_check(self, grader: Json, name: str, path: str, function: str) -> _Part | None:
        operation = _OPERATIONS.get(str(grader.get("operation")))
        if operation is None:
            what = f"{grader.get('operation')!r} is no operation"
            self.fault("VT950", what, f"{path}.operation", "eq, ne, like or ilike")
        text, reference = self._template(grader, "input", path), self._template(grader, "reference", path)
        if operation is None or text is None or reference is None:
            return None
        snippet = coding.checked(operation, text, reference, function)
        return _Part(_matched(operation, text, reference, name) or self._coded(snippet, name), snippet)

    def _text_similarity(self, grader: Json, name: str, path: str, function: str) -> _Part | None:
        metric = str(grader.get("evaluation_metric"))
        if metric not in coding.METRICS:
            reasons = {
                "cosine": (
                    "it asks an embedding model",
                    "a score_model grader that asks whether both mean the same",
                ),
                "meteor": (
                    "it needs WordNet, which Vertex AI's code rewards do not have",
                    "rouge_l, or a score_model grader",
                ),
            }
            why, fix = reasons.get(metric, ("", f"one of: {', '.join(coding.METRICS)}"))
            what = f"{metric} has no counterpart" if why else f"{metric!r} is no metric"
            self.fault("VT951", what, f"{path}.evaluation_metric", fix, why)
        text, reference = self._template(grader, "input", path), self._template(grader, "reference", path)
        if metric not in coding.METRICS or text is None or reference is None:
            return None
        self.note(_LEFT_OPEN[metric.partition("_")[0]])
        snippet = coding.similar(metric, text, reference, function)
        return _Part(self._coded(snippet, name), snippet)

    def _python(self, grader: Json, name: str, path: str, function: str) -> _Part | None:
        source = grader.get("source")
        if not isinstance(source, str):
            self.fault("VT950", "there is no source", f"{path}.source", "def grade(sample, item): ...")
            return None
        if source.lstrip("\r\n")[:1] in (" ", "\t"):  # as Azure's examples write it, within a program
            source = textwrap.dedent(source)
        try:
            snippet = coding.python(source, function)
        except SourceError as error:
            self.fault("VT950", str(error), f"{path}.source", "def grade(sample, item): ...")
            return None
        if wrong := _failing(source, f"{path}.source"):
            self.faults += wrong
            return None
        if not snippet.function and not snippet.whole:
            what = "it defines names of ours, and cannot be put into a function (global, globals(), from __future__, import *)"
            self.fault("VT951", what, f"{path}.source", "other names, or without these")
            return None
        return _Part(self._coded(snippet, name), snippet)

    def _judge(self, grader: Json, name: str, path: str) -> _Part | None:
        model = self.judge_model
        if not rating.MODEL.fullmatch(model):
            what = (
                f'"{model}" is no full name'
                if model
                else f"who judges in the place of {grader.get('model', 'its model')}?"
            )
            self.fault("VT954", what, f"{path}.model", _JUDGE)
            model = _ANYONE  # what else is wrong is said too
        make = judging.scored if grader["type"] == "score_model" else judging.labelled
        try:
            return _Part(make(grader, model, name, self.note), None)
        except JudgeError as error:
            self.fault("VT951", str(error), f"{path}.{error.where}", error.fix)
        except RewardError as error:
            self.faults += [Fault(one.rule, one.what, path, one.why, one.fix) for one in error.faults]
        return None

    def _template(self, grader: Json, field_: str, path: str) -> Template | None:
        text = grader.get(field_)
        if not isinstance(text, str):
            self.fault("VT950", f"there is no {field_}", f"{path}.{field_}", _VARIABLE)
            return None
        try:
            return templates.read(text)
        except TemplateError as error:
            self.fault("VT952", str(error), f"{path}.{field_}", _VARIABLE)
        return None

    def _coded(self, snippet: Snippet, name: str) -> Reward:
        return Reward(Code(coding.alone(snippet)), name)


_LEFT_OPEN = {
    "fuzzy": "fuzzy_match: computed as rapidfuzz.fuzz.ratio; which of rapidfuzz's measures OpenAI takes is not published",
    "bleu": "bleu: computed as NLTK's sentence BLEU with smoothing method 1; how OpenAI smooths it is not published",
    "gleu": "gleu: computed as NLTK's sentence GLEU, of words between spaces; how OpenAI parts words is not published",
    "rouge": "rouge: F1 as rouge-score computes it, without stemming; whether OpenAI stems is not published",
}


def _matched(operation: str, text: Template, reference: Template, name: str) -> Reward | None:
    """A string match of Vertex AI's that does the same; None where there is none."""
    if operation == "eq" and (text.only is None or text.only[0] == "item"):
        text, reference = reference, text
    expression = _expression(reference)
    make = {"eq": matching.EXACT, "like": matching.PARTIAL}.get(operation)
    if text.only is None or not expression or make is None:
        return None
    if text.only == templates.ANSWER:
        build = builders.exact_match if operation == "eq" else builders.contains
        return build(expression, name=name)
    key = text.only[2] if text.only[:2] == templates.JSON and len(text.only) == 3 else None
    return builders.json_field(key, expression, operation=make, name=name) if isinstance(key, str) else None


def _expression(template: Template) -> str:
    """With references in the place of members of the item; empty where it holds something else."""
    if any(
        path[0] == "sample" or path[1] == "messages" or _BRACE.search(templates.reference(path))
        for path in template.paths
    ):
        return ""
    pieces = [
        piece if isinstance(piece, str) else f"{{{{references.{templates.reference(piece)}}}}}"
        for piece in template.pieces
    ]
    return (
        ""
        if _BRACE.search("".join(piece for piece in template.pieces if isinstance(piece, str)))
        else "".join(pieces)
    )
