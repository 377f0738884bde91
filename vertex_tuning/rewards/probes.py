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
from vertex_tuning.rewards import calling, matching
from vertex_tuning.rewards.calling import Calls
from vertex_tuning.rewards.rating import Rate
from vertex_tuning.rewards.scorers import AnyReward, CompositeReward
from vertex_tuning.rewards.scoring import Score

_ALIKE = 0.5
_LONG = 20_000
_KEYWORDS = 200

Example = Mapping[str, Any]


def _prompt(example: Example) -> str:
    return "\n".join(matching.text_of(turn) for turn in example.get("contents") or ())


def _right(example: Example) -> str:
    from vertex_tuning.data.converting.references import said_once  # a reward by itself needs no data sets

    return " ".join(map(str, said_once(example.get("references") or {}).values()))


_KEYWORDED = "every reference of the set"
_CHEATS: dict[str, Callable[[Example, str], str]] = {
    "an empty answer": lambda _example, _all: "",
    "the prompt, repeated": lambda example, _all: _prompt(example),
    _KEYWORDED: lambda _example, every: every,
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


@dataclass(frozen=True, slots=True)
class Part:
    """One reward, of one or of several: what it pays for the answers."""

    calls: int
    """How often it was asked."""
    failed: int
    """Answers that it has no reward for."""
    mean: float
    """NaN where it has none for any."""
    spread: float
    """Standard deviation."""
    lowest: float
    highest: float
    alike: float
    """As of the trial."""


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
    """Answers that have no reward."""
    failures: dict[str, int] = field(default_factory=dict)
    """Why, and how often."""
    calls: int = 0
    """How often the rewards were asked, about the answers."""
    passing: int = 0
    """Of the answers without a reward: those that a tuning job would have tried again, and the trial did not."""
    again: str = ""
    """When a job tries again: ` after 2, 4 and 8 seconds`."""
    milliseconds: float = 0.0
    """Median time of a call."""
    parts: dict[str, float] = field(default_factory=dict)
    """Of several rewards: the mean of each."""
    rewards: dict[str, Part] = field(default_factory=dict)
    """Each reward by itself, by name."""
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
        if self.parts:
            lines += [f"  {name}: {_told(self.rewards[name])}" for name in self.parts]
        if self.calls > self.answers * max(1, len(self.parts)):
            lines.append(f"  {self.calls:,} calls: some were made again{self.again}")
        lines += [f"  failed {count:,} times: {why}" for why, count in self.failures.items()]
        if self.passing:
            tried = f"{self.passing:,} of them may pass: each call was made once here, a job makes it again{self.again}"
            lines.append(f"  {tried}")
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
    retry: bool = False,
) -> Trial:
    """Score answers of a model, and answers that try to cheat.

    Args:
        reward: What is tried.
        examples: Rows: `contents`, `references`...
        answers: For each example, what a model said; more than one each, to see whether the reward tells them apart.
        rate: How a judge is asked, where the reward has one.
        retry: Make calls again that failed for a passing reason, after the waits of a tuning job: up to about a minute. Else each
            is made once, and it is said how many a job would make again.
    """
    trial = Trial(prompts=len(examples), answers=sum(map(len, answers)), again=calling.in_words(reward))

    def score(pairs: list[tuple[Example, str]]) -> list[tuple[Score, float]]:
        if retry:
            with Calls(reward, rate=rate) as calls:
                return calls.score(pairs)
        return [_once(reward, example, answer, rate) for example, answer in pairs]

    found = score(
        [(example, answer) for example, said in zip(examples, answers, strict=True) for answer in said]
    )
    scores = [one for one, _ in found]
    left = iter(scores)
    groups = [[next(left) for _ in said] for said in answers]
    _measure(trial, groups)
    failures = Counter(
        f"{one.failure.rule} {one.failure.message}" for one in scores if one.failure is not None
    )
    trial.failed, trial.failures = failures.total(), dict(failures.most_common(5))
    trial.calls = sum(one.calls for one in scores)
    if not retry:
        trial.passing = sum(one.failure is not None and one.failure.passing for one in scores)
    trial.milliseconds = statistics.median(seconds for _, seconds in found) * 1000 if found else 0.0
    if isinstance(reward, CompositeReward):
        for part, _ in reward.parts:
            trial.rewards[part.name] = _part([[one.parts[part.name] for one in group] for group in groups])
        trial.parts = {name: part.mean for name, part in trial.rewards.items()}
    else:
        trial.rewards[reward.name] = _part(groups)
    _probe(trial, examples, score)
    _judge(trial)
    return trial


def _once(reward: AnyReward, example: Example, answer: str, rate: Rate | None) -> tuple[Score, float]:
    start = time.perf_counter()
    return reward.score(example, answer, rate=rate), time.perf_counter() - start


def _measure(trial: Trial, groups: list[list[Score]]) -> None:
    found = _part(groups)
    trial.mean, trial.spread, trial.alike = found.mean, found.spread, found.alike
    trial.lowest, trial.highest = found.lowest, found.highest


def _part(groups: list[list[Score]]) -> Part:
    scores = [one for group in groups for one in group]
    known = [one.reward for one in scores if not one.failed]
    several = [{one.reward for one in group if not one.failed} for group in groups if len(group) > 1]
    return Part(
        calls=sum(one.calls for one in scores),
        failed=len(scores) - len(known),
        mean=statistics.fmean(known) if known else math.nan,
        spread=statistics.pstdev(known) if known else math.nan,
        lowest=min(known, default=math.nan),
        highest=max(known, default=math.nan),
        alike=sum(len(values) <= 1 for values in several) / len(several) if several else math.nan,
    )


def _probe(
    trial: Trial,
    examples: Sequence[Example],
    score: Callable[[list[tuple[Example, str]]], list[tuple[Score, float]]],
) -> None:
    every = " ".join(list(dict.fromkeys(_right(example) for example in examples))[:_KEYWORDS])
    kinds = {**_CHEATS, **_FORMS}
    if not every:  # there are no references to speak of
        kinds = {kind: make for kind, make in _CHEATS.items() if kind != _KEYWORDED}
    pairs = [(example, make(example, every)) for make in kinds.values() for example in examples]
    left = iter(score(pairs))
    earned = {kind: [next(left)[0].reward for _ in examples] for kind in kinds}
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


def _told(part: Part) -> str:
    if math.isnan(part.mean):
        return "no reward"
    told = f"{part.mean:.3f} on average, {part.lowest:g} to {part.highest:g}"
    if not math.isnan(part.alike):
        told += f"; {part.alike:.0%} of the prompts alike"
    return told + (f"; failed {part.failed:,} times" if part.failed else "")


def _shown(value: float) -> str:
    return "no reward" if math.isnan(value) else f"{value:+.3f}"
