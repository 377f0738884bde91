"""The last steps of `rlhf`: the model that was paid by the reward model against the one that learnt by example; gate and report.

Both have answered the same test prompts, which decided nothing before. What counts is the independent measure: the gate opens
where the lower end of the gain's interval, and of the share of wins, says so. The reward is told, and opens nothing: it is what
was optimised.
"""

from __future__ import annotations

import json
import logging
import statistics
from pathlib import Path
from typing import Any, NamedTuple

from vertex_tuning.evaluation import Comparison, Decision, compare
from vertex_tuning.evaluation.reports import Calibrated, Lines, Report, Series
from vertex_tuning.metrics.calibration import Bin, Calibration
from vertex_tuning.pipelines.steps._step import read_json, step, write, write_json

log = logging.getLogger(__name__)

_MEASURES = {
    "measure": "token F1 (independent)",
    "reward": "reward",
    "length": "words",
    "repetition": "repetition",
}
_FEWEST = 30
_SHOWN = 5


class Judged(NamedTuple):
    """What came of it."""

    open: bool
    """Whether the gate opened."""
    wins: float
    """Share of the test prompts at which the reinforced model wins by the independent measure."""
    gain: float
    """By the independent measure."""


@step
def judge(
    sets: str,
    *,
    before: str,
    after: str,
    card: str,
    history: str,
    comparison: str,
    figures: dict[str, Any],
    page: str,
    summary: str,
    least_accuracy: float,
    most_kl: float,
) -> Judged:
    """Compare, decide, and tell.

    Args:
        sets: What `prepare` wrote.
        before: Answers of the model that learnt by example, as `rlhf.answer` writes them.
        after: Answers of the reinforced one.
        card: `reward.json` of the reward model.
        history: What `rlhf.reinforce` has seen.
        comparison: Where the comparisons are put, as JSON.
        figures: Metadata of that artifact, filled here.
        page: Where the report is put, as one page of HTML.
        summary: Where it is put as Markdown.
        least_accuracy: Of the reward model on held-out pairs, for the gate to open.
        most_kl: Nats a token that the model may be away from where it began.
    """
    first, second = _answers(before), _answers(after)
    found = {name: _compared(name, first, second, "sampled") for name in _MEASURES}
    likeliest = [_compared(name, first, second, "likeliest") for name in _MEASURES]
    about, seen = read_json(card), read_json(history)
    decided = _decide(found["measure"], about, seen, least_accuracy, most_kl)
    log.info("%s", decided)
    measure = found["measure"]
    figures |= {
        "wins": measure.win_share.estimate,
        "wins_low": measure.win_share.low,
        "gain": measure.difference,
        "gain_low": measure.low,
        "reward_gain": found["reward"].difference,
        "gate": float(decided.open),
    }
    write_json(comparison, {name: one.to_json() for name, one in found.items()} | {"gate": decided.to_json()})
    whose = read_json(str(Path(sets) / "about.json"))
    report = _report(found, likeliest, decided, about, seen, whose)
    texts = [
        json.loads(line)["contents"][0]["parts"][0]["text"] for line in _lines(Path(sets) / "test.jsonl")
    ]
    rows = zip(texts[:_SHOWN], first, second, strict=False)
    report.section("Answers")
    report.table(
        ["text", "by example", "reinforced"],
        [[text, _told(one["likeliest"]), _told(other["likeliest"])] for text, one, other in rows],
        "The first test prompts, as they come, and the likeliest answers; behind each what it is worth by the measure.",
    )
    write(page, report.html())
    write(summary, report.markdown())
    return Judged(decided.open, measure.win_share.estimate, measure.difference)


def _decide(
    found: Comparison, about: dict[str, Any], seen: dict[str, Any], least_accuracy: float, most_kl: float
) -> Decision:
    share, kl = found.win_share, seen["kept_kl"]
    return Decision.of(
        (found.rows >= _FEWEST, f"{found.rows} test prompts, and {_FEWEST} are needed."),
        (
            about["accuracy"] >= least_accuracy,
            f"The reward model is right in {about['accuracy']:.1%} of {about['pairs']} held-out pairs, and "
            f"{least_accuracy:.0%} are needed.",
        ),
        (
            kl is None or kl <= most_kl,
            "How far the model is from where it began, the tuning service does not tell."
            if kl is None
            else f"The model is {kl:.3f} nats a token from where it began; {most_kl:g} are allowed.",
        ),
        (
            found.low > 0,
            f"By the independent measure it gains {found.difference:+.3f} "
            f"({found.confidence:.0%}: {found.low:+.3f} to {found.high:+.3f}).",
        ),
        (
            share.low > 0.5,
            f"It wins {share.estimate:.1%} of the prompts ({share.confidence:.0%}: {share.low:.1%} to {share.high:.1%}), "
            "ties counting half.",
        ),
    )


def _report(
    found: dict[str, Comparison],
    likeliest: list[Comparison],
    decided: Decision,
    about: dict[str, Any],
    seen: dict[str, Any],
    whose: dict[str, Any],
) -> Report:
    kept = seen["kept_step"]
    facts: dict[str, Any] = {
        "preferences": whose["preferences"],
        "the independent measure": whose["measure"],
        "test prompts": found["measure"].rows,
        "reinforcement": f"{seen['steps']} of {seen['planned']} steps",
        "kept": f"step {kept}" if kept else "the model that it began with",
        "reward hacking": "seen: stopped there" if seen["hacked"] else "not seen",
    }
    report = Report("Reinforcement from preferences", subtitle=f"With {whose['preferences']}.", facts=facts)
    report.verdict(decided)
    report.section("The reinforced model against the one that learnt by example")
    report.prose(
        "Answers to the test prompts, sampled at temperature 1: as reinforcement tries them, and as the service answers where "
        "nobody says otherwise. Of several answers to a prompt, the mean counts."
    )
    report.comparisons(found.values())
    report.prose("The same with the likeliest tokens (temperature 0). The gate does not look at these.")
    report.comparisons(likeliest, title="What is gained at temperature 0")
    report.section("The reward model")
    low, high = about["accuracy_interval"]
    report.prose(
        f"It prefers the preferred answer in {about['accuracy']:.1%} of {about['pairs']} held-out pairs "
        f"(95 %: {low:.1%} to {high:.1%}). Its calibration error is {about['calibration_error']:.3f}."
    )
    bins = tuple(Bin(**one) for one in about["calibration"])
    sure = Calibration(bins, about["calibration_error"], about["brier"], about["pairs"])
    report.add(Calibrated("How sure it is, and how right", sure))
    report.section("On the way")
    report.prose(
        "The held-out prompts, looked at before reinforcement and as it went on; answers are sampled. "
        + (" ".join(f"{reason}." for reason in seen["reasons"]) if seen["hacked"] else "")
    )
    steps = [look["step"] for look in seen["looks"]]
    for name, title in _MEASURES.items():
        report.add(
            Lines(title, [Series(title, steps, [look[name] for look in seen["looks"]])], x_label="step")
        )
    if seen["kl"]:
        places = list(range(1, len(seen["kl"]) + 1))
        report.add(
            Lines(
                "Distance from the beginning",
                [Series("KL", places, seen["kl"])],
                x_label="step",
                y_label="nats a token",
            )
        )
    return report


def _answers(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _lines(Path(path))]


def _compared(name: str, first: list[dict[str, Any]], second: list[dict[str, Any]], which: str) -> Comparison:
    """By one measure; of several answers to a prompt, by their mean."""

    def values(answers: list[dict[str, Any]]) -> list[float]:
        several = [one[which] if isinstance(one[which], list) else [one[which]] for one in answers]
        return [statistics.fmean(answer[name] for answer in one) for one in several]

    return compare(values(first), values(second), measure=_MEASURES[name])


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _told(answer: dict[str, Any]) -> str:
    return f"{answer['text']} ({answer['measure']:.2f})"
