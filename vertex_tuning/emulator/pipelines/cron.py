"""When a cron expression says that something is due: five fields, by the clock of a time zone.

`*`, numbers, ranges, lists, steps (`*/15`, `8-18/2`), names of months and days, and `TZ=` or `CRON_TZ=` in front. Where both the
day of the month and that of the week are given, either will do, as in every cron. What a change of the clocks leaves out is not
due; what it brings twice is due once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_ZONE = re.compile(r"(?:CRON_)?TZ=(\S+)\s+(.*)", re.DOTALL)
_ITEM = re.compile(r"(\*|\w+)(?:-(\w+))?(?:/(\d+))?")
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 7, {name: number for number, name in enumerate(_DAYS)}),
)
_FURTHEST = 8 * 366
"""Days: the 29th of February may be eight years away."""


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday."""
    either: bool
    """Both kinds of day are given: one that fits will do."""
    zone: ZoneInfo

    def after(self, moment: datetime) -> datetime | None:
        """The first time after a moment, in UTC; None: there is none."""
        local = moment.astimezone(self.zone)
        for offset in range(_FURTHEST):
            day = local.date() + timedelta(days=offset)
            if self._on(day):
                for hour in sorted(self.hours):
                    for minute in sorted(self.minutes):
                        found = self._at(day, hour, minute)
                        if found is not None and found > moment:
                            return found
        return None

    def _on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        fits = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return any(fits) if self.either else all(fits)

    def _at(self, day: date, hour: int, minute: int) -> datetime | None:
        found = datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone).astimezone(UTC)
        back = found.astimezone(self.zone)
        return found if (back.hour, back.minute) == (hour, minute) else None  # else the clocks jumped over it


def parse(text: str) -> Cron:
    """An expression.

    Raises:
        ValueError: It makes no sense; the message says where.
    """
    match = _ZONE.fullmatch(text.strip())
    name, fields = (match[1], match[2].split()) if match else ("UTC", text.split())
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"'{name}' is not a time zone of the IANA database.") from error
    if len(fields) != len(_FIELDS):
        raise ValueError(
            f"'{text}' has {len(fields)} fields instead of five: minute, hour, day, month, weekday."
        )
    minutes, hours, days, months, weekdays = (
        _values(given, *known) for given, known in zip(fields, _FIELDS, strict=True)
    )
    return Cron(
        minutes,
        hours,
        days,
        months,
        frozenset(day % 7 for day in weekdays),
        not fields[2].startswith("*") and not fields[4].startswith("*"),
        zone,
    )


def _values(text: str, title: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise ValueError(f"'{text}' is not a {title}.")
        first, last, step = match.groups()
        if first == "*":
            begin, end = low, high
        else:
            begin = _number(first, title, low, high, names)
            end = _number(last, title, low, high, names) if last else (high if step else begin)
        if (last and first == "*") or begin > end or step == "0":
            raise ValueError(f"'{text}' is not a {title}.")
        found.update(range(begin, end + 1, int(step or 1)))
    return frozenset(found)


def _number(text: str, title: str, low: int, high: int, names: dict[str, int]) -> int:
    value = names.get(text.lower(), int(text) if text.isdecimal() else -1)
    if not low <= value <= high:
        raise ValueError(f"'{text}' is not a {title}: {low} to {high}.")
    return value
