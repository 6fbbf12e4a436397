"""The report and the figures: self-contained, escaped, well formed, repeatable."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pandas as pd
import pytest
from report_builder import clinic_log, clinic_plan, constant_link, make_plan, small_log, small_plan

from emulator.events import Event
from emulator.metrics import build_tables, summarise
from emulator.plan import Node
from emulator.report import draw_topology, write_figures, write_report
from emulator.report.curves import spread
from emulator.report.style import clock, clock_ticks

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Balance(HTMLParser):
    """Fails where an element is closed that is not the last one opened."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.ids = [], set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def render(folder, events, plan, **more):
    tables = build_tables(events, plan)
    return write_report(folder, events, tables, summarise(tables, plan, events), plan, **more).read_text()


def check(page: str) -> None:
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert len(parser.ids) == len(set(parser.ids))
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        root = ET.fromstring(svg)
        assert root.find("title").text
        assert root.find("desc").text
    outside = page.split("<script>")[0]
    assert not re.search(r"""(src|href|action|data)\s*=\s*["'](?!#)""", outside)
    assert "@import" not in page
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page))
    assert page.count("<caption>") == page.count("<table")


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    plan = clinic_plan()
    events = clinic_log(tmp_path_factory.mktemp("clinic"), plan)
    return plan, events, build_tables(events, plan)


def test_report_of_a_whole_run(clinic, tmp_path):
    plan, events, _ = clinic
    page = render(tmp_path, events, plan, question="Does it work?")
    check(page)
    assert "Does it work?" in page
    assert "http" not in page
    assert len(page.encode()) < 2_000_000
    headings = ("Round time-line", "Where a round", "Who took part", "Model quality", "Megabytes per link", "Network")
    others = ("Energy and data cost", "Assumptions", "Settings", "Simulated ECG records", "Per test patient")
    for words in (*headings, *others):
        assert words in page
    assert "day 1 20:00" in page


@pytest.mark.parametrize("rows", [0, 1, 4, 17, 40, 61])
def test_report_of_a_log_cut_short(tmp_path, rows):
    page = render(tmp_path, small_log(tmp_path / "events").iloc[:rows], small_plan())
    check(page)
    assert "all figures are of the part that was carried out" in page


def test_report_of_an_empty_log(tmp_path):
    check(render(tmp_path, pd.DataFrame(columns=list(Event._fields)), small_plan()))


def test_names_from_outside_are_escaped(tmp_path):
    hostile = "<script>alert('x')</script>\"&"
    events = small_log(tmp_path / "events", hostile)
    events.loc[events["kind"] == "metric", "note"] += "<img src=x>"
    page = render(tmp_path, events, small_plan(hostile), question="<b>bold</b>")
    check(page)
    parser = Balance()
    parser.feed(page)
    assert page.count("<script>") == 1  # our own
    assert "img" not in parser.tags
    assert "b" not in parser.tags
    assert "&lt;b&gt;bold" in page


def test_question_comes_from_the_scenario_file(tmp_path):
    (tmp_path / "scenario.yaml").write_text("# Question: is it\n# worth it?\n\nname: x\n# not this\n")
    page = render(tmp_path, small_log(tmp_path / "events"), small_plan())
    assert "Question: is it worth it?" in page
    assert "not this" not in page


def test_unknown_figures_say_so(tmp_path):
    page = render(tmp_path, small_log(tmp_path / "events"), small_plan())
    assert '<td class="n unknown">unknown</td>' in page
    assert "nan" not in re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)


def test_a_large_run_is_cut_with_a_note(tmp_path):
    plan = clinic_plan(90)
    page = render(tmp_path, clinic_log(tmp_path / "events", plan, 30), plan)
    check(page)
    assert "the 40 of 90 clients" in page
    assert len(page.encode()) < 2_000_000


def test_report_is_repeatable(clinic, tmp_path):
    plan, events, _ = clinic
    assert render(tmp_path, events, plan) == render(tmp_path, events, plan)


def test_figures(clinic, tmp_path):
    plan, events, tables = clinic
    paths = write_figures(tmp_path / "one", events, tables, plan)
    names = {path.name for path in paths}
    assert {"timeline.svg", "timeline.png", "topology.svg", "breakdown.png", "links.svg", "quality-scores.svg"} <= names
    again = write_figures(tmp_path / "two", events, tables, plan)
    for first, second in zip(paths, again, strict=True):
        assert first.read_bytes() == second.read_bytes()
        if first.suffix == ".svg":
            assert ET.parse(first).getroot().tag.endswith("svg")
        else:
            assert first.read_bytes().startswith(b"\x89PNG")


def test_figures_of_an_empty_log(tmp_path):
    plan, events = small_plan(), pd.DataFrame(columns=list(Event._fields))
    paths = write_figures(tmp_path, events, build_tables(events, plan), plan, formats=("svg",))
    assert {path.name for path in paths} == {"timeline.svg", "topology.svg", "links.svg"}


def test_topology_without_a_run(tmp_path):
    for suffix in (".svg", ".png"):
        assert draw_topology(small_plan(), tmp_path / f"net{suffix}").stat().st_size > 500
    with pytest.raises(ValueError, match=r"\.svg or \.png"):
        draw_topology(small_plan(), tmp_path / "net.jpg")


def test_topology_with_a_cycle_and_a_node_out_of_reach(tmp_path):
    nodes = [Node("server", "server"), *(Node(name, "router") for name in "xyz"), Node("alone", "router")]
    pairs = [("x", "server"), ("y", "x"), ("z", "y"), ("z", "server")]
    links = [constant_link(f"{a}-{b}", a, b, up_bps=1e6, down_bps=1e6) for a, b in pairs]
    ET.parse(draw_topology(make_plan(nodes, links, {}), tmp_path / "net.svg", {"x-server": 5.0, "y-x": 1.0}))


def test_clock_labels():
    assert clock(0, 20 * 3600) == "day 1 20:00"
    assert clock(4 * 3600 + 61, 20 * 3600, seconds=True) == "day 2 00:01:01"
    labels = [label for _, label in clock_ticks(6 * 3600, 20 * 3600, 6)]
    assert labels == ["day 1 20:00", "21:00", "22:00", "23:00", "day 2 00:00", "01:00", "02:00"]
    assert len(clock_ticks(400 * 86400.0, 0, 10)) <= 12


def test_labels_are_pushed_apart():
    assert spread([10, 11, 50], 15, 0, 100) == [10, 25, 50]
    assert spread([95, 96], 15, 0, 100) == [85, 100]
