"""A reward tried out before it is paid for: what real answers earn, whether it tells them apart, and what cheating earns."""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from vertex_tuning import catalog
from vertex_tuning.errors import Fault
from vertex_tuning.rewards import matching
from vertex_tuning.rewards.rating import Rate
from vertex_tuning.rewards.scorers import AnyReward
from vertex_tuning.rewards.scoring import Score

_ALIKE = 0.5
_LONG = 20_000
_KEYWORDS = 200

Example = Mapping[str, Any]


def _prompt(example: Example) -> str:
    return "\n".join(matching.text_of(turn) for turn in example.get("contents") or ())


def _right(example: Example) -> str:
    return " ".join(str(value) for value in (example.get("references") or {}).values())


_CHEATS: dict[str, Callable[[Example, str], str]] = {
    "an empty answer": lambda _example, _all: "",
    "the prompt, repeated": lambda example, _all: _prompt(example),
    "every reference of the set": lambda _example, every: every,
    "a very long answer": lambda example, _all: (
        (_prompt(example) + " ") * (_LONG // (len(_prompt(example)) + 1))
    ),
}
"""What is worth nothing, whatever was asked."""
_FORMS: dict[str, Callable[[Example, str], str]] = {
    "the right answer, bare": lambda example, _all: _right(example),
    "the right answer, in a sentence": lambda example, _all: f"It is {_right(example)}, more or less.",
}
"""The right answer in two forms: which of them are paid tells what form the reward asks for."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What an answer of one kind earns."""

    kind: str
    reward: float
    """Mean; NaN where every one failed."""
    paid: float
    """Share of the examples where it earned as much as the best answer seen."""
    cheats: bool
    """Whether an answer of this kind is worth nothing."""


@dataclass(slots=True)
class Trial:
    """What came out. `ok` tells whether a job would learn something; `str()` says it to people."""

    prompts: int = 0
    answers: int = 0
    mean: float = math.nan
    spread: float = math.nan
    """Standard deviation of the rewards."""
    lowest: float = math.nan
    highest: float = math.nan
    alike: float = math.nan
    """Share of the prompts whose answers all earn the same: nothing can be learnt from them. NaN with one answer each."""
    failed: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    """Why, and how often."""
    milliseconds: float = 0.0
    """Median time of a call."""
    parts: dict[str, float] = field(default_factory=dict)
    """Of several rewards: the mean of each."""
    probes: list[Probe] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.warnings

    def to_json(self) -> dict[str, Any]:
        """As JSON; what is not known is null."""

        def known(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: known(item) for key, item in value.items()}
            if isinstance(value, list):
                return [known(item) for item in value]
            return None if isinstance(value, float) and math.isnan(value) else value

        return {"ok": self.ok, **known(asdict(self))}

    def __str__(self) -> str:
        lines = [f"{self.answers:,} answers to {self.prompts:,} prompts"]
        if not math.isnan(self.mean):
            told = f"reward {self.mean:.3f} on average, {self.lowest:g} to {self.highest:g}, spread {self.spread:.3f}"
            lines.append(f"  {told}; {self.milliseconds:.2g} ms a call")
        if not math.isnan(self.alike):
            lines.append(f"  {self.alike:.0%} of the prompts: all answers earn the same")
        lines += [f"  {name}: {mean:.3f} on average" for name, mean in self.parts.items()]
        lines += [f"  failed {count:,} times: {why}" for why, count in self.failures.items()]
        if self.probes:
            lines.append("what other answers earn:")
            width = max(len(probe.kind) for probe in self.probes)
            lines += [f"  {probe.kind:<{width}}  {_shown(probe.reward)}" for probe in self.probes]
        lines += [str(warning) for warning in self.warnings]
        return "\n".join(lines)


def try_out(
    reward: AnyReward,
    examples: Sequence[Example],
    answers: Sequence[Sequence[str]],
    *,
    rate: Rate | None = None,
) -> Trial:
    """Score answers of a model, and answers that try to cheat.

    Args:
        reward: What is tried.
        examples: Rows: `contents`, `references`...
        answers: For each example, what a model said; more than one each, to see whether the reward tells them apart.
        rate: How a judge is asked, where the reward has one.
    """
    trial = Trial(prompts=len(examples), answers=sum(map(len, answers)))
    times: list[float] = []
    failures: Counter[str] = Counter()

    def score(example: Example, answer: str) -> Score:
        start = time.perf_counter()
        found = reward.score(example, answer, rate=rate)
        times.append((time.perf_counter() - start) * 1000)
        if found.failure is not None:
            failures[f"{found.failure.rule} {found.failure.message}"] += 1
        return found

    groups = [
        [score(example, answer) for answer in said] for example, said in zip(examples, answers, strict=True)
    ]
    scores = [found for group in groups for found in group]
    _measure(trial, groups)
    trial.failed, trial.failures = failures.total(), dict(failures.most_common(5))
    trial.milliseconds = statistics.median(times) if times else 0.0
    for name in scores[0].parts if scores else ():
        known = [found.parts[name].reward for found in scores if not found.parts[name].failed]
        trial.parts[name] = statistics.fmean(known) if known else math.nan
    _probe(trial, reward, examples, rate)
    _judge(trial)
    return trial


def _measure(trial: Trial, groups: list[list[Score]]) -> None:
    rewards = [found.reward for group in groups for found in group if not found.failed]
    if rewards:
        trial.mean, trial.spread = statistics.fmean(rewards), statistics.pstdev(rewards)
        trial.lowest, trial.highest = min(rewards), max(rewards)
    several = [{found.reward for found in group if not found.failed} for group in groups if len(group) > 1]
    if several:
        trial.alike = sum(len(values) <= 1 for values in several) / len(several)


def _probe(trial: Trial, reward: AnyReward, examples: Sequence[Example], rate: Rate | None) -> None:
    every = " ".join(list(dict.fromkeys(_right(example) for example in examples))[:_KEYWORDS])
    earned = {
        kind: [reward.score(example, make(example, every), rate=rate).reward for example in examples]
        for kind, make in {**_CHEATS, **_FORMS}.items()
    }
    known = [value for values in earned.values() for value in values if not math.isnan(value)]
    best = max([*known, *([] if math.isnan(trial.highest) else [trial.highest])], default=math.nan)
    for kind, values in earned.items():
        there = [value for value in values if not math.isnan(value)]
        mean = statistics.fmean(there) if there else math.nan
        paid = sum(value >= best for value in there) / len(values) if values else 0.0
        trial.probes.append(Probe(kind, mean, paid, kind in _CHEATS))


def _judge(trial: Trial) -> None:
    warnings = trial.warnings
    share = trial.failed / trial.answers if trial.answers else 0.0
    if share:
        most = catalog.limits("reinforcement")["max_failed_share"]
        stops = f" Beyond {most:.0%} a job stops by itself." if share > most else ""
        what = f"{share:.0%} of the answers have no reward"
        warnings.append(
            Fault("VT930", what, "reward", f"Such answers teach nothing.{stops}", "see the failures")
        )
    if trial.alike > _ALIKE:
        what = f"for {trial.alike:.0%} of the prompts all answers earn the same"
        why = "Reinforcement learns from the differences between answers to one prompt."
        fix = "a finer reward, easier or harder prompts, more answers each, or tuning by example first"
        warnings.append(Fault("VT931", what, "reward", why, fix))
    # The lowest and the highest that anything earned: a cheat must not come near the latter.
    seen = [probe.reward for probe in trial.probes if not math.isnan(probe.reward)]
    seen += [value for value in (trial.lowest, trial.highest) if not math.isnan(value)]
    if not seen:
        return
    middle = (min(seen) + max(seen)) / 2
    for probe in trial.probes:
        if probe.cheats and probe.reward > middle:
            why = "What is paid for is learnt, whatever was meant."
            fix = "a stricter expression, or another reward beside it that costs the cheat more"
            what = f"{probe.kind} earns {probe.reward:.2f}"
            warnings.append(Fault("VT932", what, "reward", why, fix))


def _shown(value: float) -> str:
    return "no reward" if math.isnan(value) else f"{value:+.3f}"
