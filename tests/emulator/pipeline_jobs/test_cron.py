"""When a cron expression is due, checked against dates that were worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from vertex_tuning.emulator.pipelines import cron


def after(expression: str, moment: str) -> str:
    found = cron.parse(expression).after(datetime.fromisoformat(moment))
    return found.strftime("%Y-%m-%d %H:%M") if found else "never"


@pytest.mark.parametrize(
    ("expression", "moment", "due"),
    [
        ("* * * * *", "2026-11-26T00:00:00+00:00", "2026-11-26 00:01"),
        ("* * * * *", "2026-11-26T00:00:59.9+00:00", "2026-11-26 00:01"),
        ("0 3 * * 1", "2026-11-26T00:00:00+00:00", "2026-11-30 03:00"),  # a Thursday; the Monday after
        ("*/15 8-10/2 * * *", "2026-11-26T08:46:00+00:00", "2026-11-26 10:00"),
        ("5,50 0 * * *", "2026-11-26T00:05:00+00:00", "2026-11-26 00:50"),
        ("0 0 1 jan *", "2026-11-26T00:00:00+00:00", "2027-01-01 00:00"),
        ("0 0 29 2 *", "2026-11-26T00:00:00+00:00", "2028-02-29 00:00"),
        ("0 0 30 2 *", "2026-11-26T00:00:00+00:00", "never"),
        ("0 0 13 * fri", "2026-11-26T00:00:00+00:00", "2026-11-27 00:00"),  # either day will do
        ("0 0 * * 7", "2026-11-26T00:00:00+00:00", "2026-11-29 00:00"),  # 7 is Sunday, as 0 is
        ("30/10 * * * *", "2026-11-26T00:00:00+00:00", "2026-11-26 00:30"),
        ("TZ=Europe/Berlin 0 3 * * *", "2026-11-26T00:00:00+00:00", "2026-11-26 02:00"),
        ("CRON_TZ=America/New_York 0 3 * * *", "2026-11-26T00:00:00+00:00", "2026-11-26 08:00"),
        # In Berlin the clocks jump from 2:00 to 3:00 on 28 March 2027, and back from 3:00 on 31 October.
        ("TZ=Europe/Berlin 30 2 * * *", "2027-03-27T12:00:00+00:00", "2027-03-29 00:30"),
        ("TZ=Europe/Berlin 30 2 * * *", "2027-10-30T12:00:00+00:00", "2027-10-31 00:30"),
        ("TZ=Europe/Berlin 30 2 * * *", "2027-10-31T00:30:00+00:00", "2027-11-01 01:30"),
    ],
)
def test_it_is_due(expression: str, moment: str, due: str) -> None:
    assert after(expression, moment) == due


def test_every_minute_of_a_day_is_met_once() -> None:
    every, moment = cron.parse("*/7 */5 * * *"), datetime(2026, 11, 26, tzinfo=UTC)
    met = set()
    while (moment := every.after(moment)) is not None and moment.day == 26:
        met.add((moment.hour, moment.minute))
    met.add((0, 0))
    assert met == {(hour, minute) for hour in range(0, 24, 5) for minute in range(0, 60, 7)}


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * *", "has 4 fields instead of five"),
        ("60 * * * *", "'60' is not a minute: 0 to 59"),
        ("* 24 * * *", "'24' is not a hour"),
        ("* * 0 * *", "'0' is not a day of the month"),
        ("* * * foo *", "'foo' is not a month"),
        ("5-1 * * * *", "'5-1' is not a minute"),
        ("*/0 * * * *", "'*/0' is not a minute"),
        ("1- * * * *", "'1-' is not a minute"),
        ("TZ=Mars/Base * * * * *", "'Mars/Base' is not a time zone"),
        ("", "has 0 fields"),
    ],
)
def test_what_makes_no_sense_says_where(expression: str, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        cron.parse(expression)
    assert words in str(raised.value)
