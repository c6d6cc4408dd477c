"""What is printed is whole where a program reads it."""

from __future__ import annotations

import datetime as dt
import json

import pytest
import yaml

from mcli.cli.output import FORMATS, Listing, Table, duration, moment, print_fields, print_table, show
from mcli.models.run_status import RunStatus

LONG = "a reason that is " + "very " * 100 + "long"
RECORDS = [
    {"name": "a", "status": RunStatus.RUNNING, "at": dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "reason": LONG},
    {"name": "b", "status": RunStatus.FAILED, "at": None, "reason": "line one\nline two: ü ≤ \x1b[31m"},
]
LISTING = Listing(
    names=["a", "b"],
    records=lambda: RECORDS,
    table=lambda: Table(("NAME", "ID", "REASON"), [["a", None, LONG], ["longer", None, None]]),
)


def test_a_table_that_is_read_by_a_program_is_neither_wrapped_nor_cut(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show(LISTING, "table")
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["NAME", "REASON"]
    assert first == f"a       {LONG}"
    assert second == "longer"


def test_json_is_valid_and_complete(capsys: pytest.CaptureFixture[str]) -> None:
    show(LISTING, "json")
    first, second = json.loads(capsys.readouterr().out)
    assert first == {"name": "a", "status": "RUNNING", "at": "2026-01-02T00:00:00+00:00", "reason": LONG}
    assert second["reason"] == RECORDS[1]["reason"]


def test_yaml_says_the_same_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    show(LISTING, "json")
    as_json = json.loads(capsys.readouterr().out)
    show(LISTING, "yaml")
    assert yaml.safe_load(capsys.readouterr().out) == as_json


def test_names_are_a_line_each_and_nothing_for_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show(LISTING, "name")
    assert capsys.readouterr().out == "a\nb\n"
    show(Listing([], list, lambda: Table((), [])), "name")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("output", FORMATS)
def test_nothing_at_all_can_be_printed_in_every_form(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    show(Listing([], list, lambda: Table(("NAME", "STATUS"), [])), output)
    assert "Traceback" not in capsys.readouterr().err


def test_fields_that_are_not_known_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    print_fields({"Name": "x", "Image": None, "Max retries": 0})
    assert capsys.readouterr().out == "Name         x\nMax retries  0\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0042, "4 ms"),
        (9.876, "9.9 s"),
        (42.4, "42 s"),
        (75, "1 min 15 s"),
        (7265, "2 h 1 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_a_length_of_time_is_told_in_the_units_that_matter(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_time_that_has_not_come_is_a_dash() -> None:
    assert moment(None) == "-"


def test_a_row_is_a_line_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(Table(("NAME", "REASON"), [["a", "one\ntwo"], ["b", "x\r\ny"]]))
    assert capsys.readouterr().out.splitlines() == ["NAME  REASON", "a     one two", "b     x y"]
