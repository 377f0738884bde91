"""A gate: the conditions under which a tuned model goes on, and for each, why it opened or not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vertex_tuning.errors import EvaluationError
from vertex_tuning.evaluation.comparing import Comparison
from vertex_tuning.evaluation.pairwise import Wins


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a gate opened, and why."""

    open: bool
    reasons: list[str]
    """One sentence for each condition."""
    met: list[bool] = field(default_factory=list)
    """Whether each is met, in the order of the reasons; where nothing is said, as the whole."""

    def __post_init__(self) -> None:
        if not self.met:
            object.__setattr__(self, "met", [self.open] * len(self.reasons))

    @classmethod
    def of(cls, *conditions: tuple[bool, str]) -> Decision:
        """Open where every condition is met: `(met, sentence)`."""
        return cls(
            all(met for met, _ in conditions),
            [words for _, words in conditions],
            [met for met, _ in conditions],
        )

    def __and__(self, other: Decision) -> Decision:
        """Open where both are."""
        return Decision(self.open and other.open, [*self.reasons, *other.reasons], [*self.met, *other.met])

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        pairs = zip(self.met, self.reasons, strict=True)
        return {"open": self.open, "conditions": [{"met": met, "reason": words} for met, words in pairs]}

    def __str__(self) -> str:
        head = f"The gate is {'open' if self.open else 'closed'}."
        pairs = zip(self.met, self.reasons, strict=True)
        return "\n".join([head, *(f"  {'yes' if met else 'no '}  {words}" for met, words in pairs)])


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of the candidate beside its scores; None: not known, and a condition on it is not met."""

    seconds: float | None = None
    """To an answer, in the median."""
    cost: float | None = None
    """USD per thousand answers."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Conditions, all of which must be met.

    A gain counts by the lower end of its interval, so that chance opens no gate; and a loss, too, by its lower end, so that a
    set too small to show a loss does not hide one.
    """

    measure: str
    """That the candidate must gain in."""
    margin: float = 0.0
    """The lower end of its gain must lie above this. Below 0: it may lose so much."""
    at_least: float | None = None
    """Its mean must be this at least."""
    keep: Mapping[str, float] = field(default_factory=dict)
    """Other measures, and how much may be lost in each, by the lower end of the interval: `{"valid_json": 0.02}`."""
    win_share: float | None = None
    """The lower end of its share of wins must lie above this: 0.5 is even."""
    max_seconds: float | None = None
    """To an answer, in the median."""
    max_cost: float | None = None
    """USD per thousand answers."""
    min_rows: int = 30
    """With fewer, an interval means little: then the gate stays closed."""

    def check(self, measured: Collection[str], *, judged: bool = False) -> None:
        """See that the conditions are about what is measured, before anybody is asked.

        Args:
            measured: Names of measures.
            judged: Whether pairs are.

        Raises:
            EvaluationError: VT758, with all that is missing.
        """
        missing = sorted({self.measure, *self.keep} - set(measured))
        if self.win_share is not None and not judged:
            missing.append("wins")
        if missing:
            raise EvaluationError(
                "VT758",
                f"the gate asks for {', '.join(missing)}, which is not measured",
                where="gate",
                fix=f"measure it, or ask for one of: {', '.join(measured) or 'nothing is measured'}",
            )

    def decide(
        self,
        comparisons: Comparison | Iterable[Comparison],
        *,
        wins: Wins | None = None,
        figures: Figures | None = None,
    ) -> Decision:
        """Hold what was found against the conditions.

        Args:
            comparisons: By measure.
            wins: Of pairs, where `win_share` is asked for.
            figures: Of the candidate, where `max_seconds` or `max_cost` is.

        Raises:
            EvaluationError: VT758, a condition is about something that was not measured.
        """
        given = [comparisons] if isinstance(comparisons, Comparison) else list(comparisons)
        known = {one.measure: one for one in given}
        self.check(list(known), judged=wins is not None)
        main, figures = known[self.measure], figures or Figures()
        conditions = [self._enough(main), self._gain(main)]
        if self.at_least is not None:
            conditions.append(self._floor(main, self.at_least))
        conditions += [_kept(known[name], tolerance) for name, tolerance in self.keep.items()]
        if self.win_share is not None and wins is not None:
            conditions.append(_won(wins, self.win_share))
        if self.max_seconds is not None:
            conditions.append(_within("an answer takes", figures.seconds, self.max_seconds, "{:.3g} s"))
        if self.max_cost is not None:
            conditions.append(_within("a thousand answers cost", figures.cost, self.max_cost, "{:.3g} USD"))
        return Decision.of(*conditions)

    def _enough(self, found: Comparison) -> tuple[bool, str]:
        met = found.rows >= self.min_rows
        return met, (
            f"{found.rows:,} rows were compared, and {self.min_rows:,} are needed for an interval to mean something."
        )

    def _gain(self, found: Comparison) -> tuple[bool, str]:
        met = found.low > self.margin
        return met, (
            f"In {found.measure} the candidate gains {found.difference:+.3f}, at {found.confidence:.0%} at least "
            f"{found.low:+.3f}, which is {'above' if met else 'not above'} {self.margin:+.3f}."
        )

    @staticmethod
    def _floor(found: Comparison, least: float) -> tuple[bool, str]:
        met = found.candidate >= least
        return met, (
            f"Its mean {found.measure} is {found.candidate:.3f}, {'no less than' if met else 'less than'} "
            f"the {least:.3f} that is asked for."
        )


def _kept(found: Comparison, tolerance: float) -> tuple[bool, str]:
    met = found.low >= -tolerance
    low = f"no lower than {found.low:+.3f}, where" if met else f"as low as {found.low:+.3f}, more than the"
    return met, (
        f"In {found.measure} the change is {found.difference:+.3f}, at {found.confidence:.0%} {low} "
        f"{tolerance:.3f}{'' if met else ' that'} may be lost."
    )


def _won(wins: Wins, least: float) -> tuple[bool, str]:
    met = wins.share.low > least
    return met, (
        f"It wins {wins.share.estimate:.3f} of the pairs, ties counting half, at {wins.share.confidence:.0%} at least "
        f"{wins.share.low:.3f}, which is {'above' if met else 'not above'} {least:.3f}."
    )


def _within(what: str, found: float | None, most: float, form: str) -> tuple[bool, str]:
    limit = form.format(most)
    if found is None:
        return False, f"What {what} is not known, and may be no more than {limit}."
    met = found <= most
    words = f"{what} {form.format(found)}, {'no more than' if met else 'more than'} {limit}."
    return met, words[0].upper() + words[1:]
