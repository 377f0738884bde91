"""A report is one page that needs nothing beside itself."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest

from vertex_tuning.evaluation import Decision, Report, compare
from vertex_tuning.evaluation.reports import (
    Bars,
    Calibrated,
    Histogram,
    Lines,
    Point,
    Points,
    Series,
    Table,
    picture,
)
from vertex_tuning.evaluation.reports.scales import Scale, ends, number
from vertex_tuning.metrics import calibration

HOSTILE = '<script>alert("&")</script>'
PLOTS = [
    Lines(
        "curve",
        [Series("a", [0, 1, 2], [0.0, math.nan, 1.0], [0, 0, 0], [1, 1, 1]), Series(HOSTILE, [0], [3])],
    ),
    Lines(
        "shares",
        [Series("a", [0.125, 1], [0, 1])],
        log_x=True,
        x_ticks={0.125: "12.5 %"},
        level=2,
        marks={1: "best"},
    ),
    Points("gains", [Point("a", 0.1, -0.1, 0.3), Point(HOSTILE, 0.0, 0.0, 0.0)]),
    Bars("seconds", {"teacher": 84.2, "student": 0.0, HOSTILE: -1.0}, "s"),
    Histogram("lengths", {"before": [1, 2, 3], "after": [5.0], "none": []}),
    Points("one that is not known", [Point("a" * 200, math.nan, math.nan, math.nan)]),
    Bars("none", {}),
    Bars("one that is not known", {"a" * 200: math.nan, "b": 2_000.0}),
    Histogram("one that is not known", {"a": [math.nan, 1.0]}),
    Lines("nothing", []),
    Calibrated("odds", calibration([0.1, 0.9, 0.95], [False, True, False])),
]


class Page(HTMLParser):
    """What stands open, and what was asked for."""

    void = frozenset({"meta", "br", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def everything() -> Report:
    found = compare([0, 1] * 30, [1, 1] * 30, measure="exact_match")
    report = Report(HOSTILE, HOSTILE, {"rows": 60, HOSTILE: HOSTILE}, footer=HOSTILE)
    report.verdict(Decision.of((True, "One."), (False, HOSTILE)))
    report.section(HOSTILE).prose(f"{HOSTILE} with `code` and **weight**.\n\nAnother.")
    report.comparisons([found]).table(["a", "b|"], [[HOSTILE, 1.0], ["|", None]], HOSTILE)
    return report.add(*PLOTS)


def test_the_page_is_whole_and_loads_nothing():
    page = Page()
    html = everything().html()
    page.feed(html)
    assert page.open == []
    assert not {tag for tag, _ in page.seen} & {"script", "link", "img", "iframe", "object"}
    assert not re.search(r"url\(|@import|https?://", html)
    for tag, attributes in page.seen:
        assert not {"src", "href", "style", "onclick"} & set(attributes), tag


def test_what_comes_from_outside_is_text_and_nothing_else():
    html = everything().html()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") > 10


def test_who_cannot_see_it_is_told():
    """Drawings have words, tables have heads, and each plot has its numbers."""
    page = Page()
    page.feed(everything().html())
    drawings = [
        attributes for tag, attributes in page.seen if tag == "svg" and "aria-hidden" not in attributes
    ]
    assert drawings
    assert all(one["role"] == "img" and one["aria-label"] for one in drawings)
    heads = [attributes for tag, attributes in page.seen if tag == "th"]
    assert all(one["scope"] in ("col", "row") for one in heads)
    tags = [tag for tag, _ in page.seen]
    assert tags.count("figure") == tags.count("details") == tags.count("figcaption") == len(PLOTS) + 1
    assert ("html", {"lang": "en"}) in page.seen


@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: f"{type(plot).__name__} {plot.title}")
@pytest.mark.parametrize("width", [680, 340])
def test_a_drawing_is_sound_and_stays_in_its_frame(plot, width):
    root = ElementTree.fromstring(plot.draw(width).svg())
    height = float(root.attrib["viewBox"].split()[3])
    for element in root.iter():
        for name, value in element.attrib.items():
            assert "nan" not in value, (element.tag, name)
            if name in ("x", "x1", "x2", "cx"):
                assert -1 <= float(value) <= width + 1, (element.tag, name, value)
            if name in ("y", "y1", "y2", "cy"):
                assert -1 <= float(value) <= height + 1, (element.tag, name, value)


@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: f"{type(plot).__name__} {plot.title}")
def test_a_plot_is_a_picture_of_its_own(plot):
    text = picture(plot)
    root = ElementTree.fromstring(text)
    assert plot.title in "".join(root.itertext())
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"url\(|@import|href|<script", text)


def test_markdown_has_the_same_words_and_numbers():
    text = everything().markdown()
    assert text.startswith("# ")
    assert "<script" not in text
    for words in ("**not met**", "| exact_match |", "12.5 %", "came true", "0.925 | 0.500 |"):
        assert words in text
    widths = {
        line.count("|") - line.count("\\|")
        for line in Table(["a", "b|"], [["|", 1.0]]).markdown().splitlines()
    }
    assert widths == {3}


def test_a_report_is_written_by_the_name_of_its_file(tmp_path):
    report = Report("One").prose("Two.")
    assert (
        report.write(tmp_path / "deep" / "a.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    )
    assert report.write(tmp_path / "a.md").read_text(encoding="utf-8") == "# One\n\nTwo.\n"


def test_the_same_report_is_the_same_page():
    assert everything().html() == everything().html()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.5, "0.500"),
        (84.2, "84.20"),
        (1234.5, "1,234"),
        (0.0, "0.000"),
        (-0.0, "0.000"),
        (2e-5, "2.0e-05"),
        (math.nan, "-"),
    ],
)
def test_numbers_are_written_for_people(value, words):
    assert number(value) == words


def test_ticks_are_round_and_within():
    assert Scale(0, 1, 0, 100).ticks() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert ends([0.13, 0.78]) == pytest.approx((0.0, 0.8))
    assert ends([5, 5])[0] < 5 < ends([5, 5])[1]
    assert ends([]) == (0.0, 1.0)
    assert Scale(1, 1000, 0, 3, log=True)(10) == pytest.approx(1)


def test_what_is_no_share_stands_in_the_table_and_not_on_the_axis_of_shares():
    share = compare([0, 1] * 30, [1, 1] * 30, measure="exact_match")
    words = compare([7.0, 8.0] * 30, [9.0, 9.5] * 30, measure="words")
    report = Report("R").comparisons([share, words])
    plot, table = report.blocks[-2:]
    assert [point.name for point in plot.points] == ["exact_match"]
    assert "words" in table.markdown()
    assert [point.name for point in Report("R").comparisons([words]).blocks[-2].points] == ["words"]
