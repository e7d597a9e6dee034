"""Several nights by one command: each by itself, those that are there left out, and the worst exit code of all."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from rich.console import Console

from hs.errors import ContractBroken, Interrupted, NothingToRead, NotPublished
from hs_audit.backfill import run_nights
from hs_audit.cli import main
from tests.archives import RED, findings_of, picture, row, write_archive

FIRST = date(2026, 11, 20)


def nights(*outcomes: object) -> tuple[list[date], Callable[[date], tuple[int, str]], list[date]]:
    """Nights that end so, and a list of those that were audited."""
    days = [FIRST + timedelta(days=number) for number in range(len(outcomes))]
    audited = []

    def audit(night: date) -> tuple[int, str]:
        audited.append(night)
        outcome = outcomes[days.index(night)]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome, "said"

    return days, audit, audited


@pytest.mark.parametrize(
    ("outcomes", "worst"),
    [
        ((0, 0), 0),
        ((0, 3, 0), 3),
        ((3, NothingToRead("no file"), 0), 7),
        ((NotPublished("too much"), NothingToRead("no file"), 0), 4),
        ((ContractBroken("absent"), NotPublished("too much"), 3), 6),
    ],
)
def test_a_night_that_fails_keeps_none_from_its_turn_and_the_worst_code_is_that_of_all(outcomes, worst):
    days, audit, audited = nights(*outcomes)

    code = run_nights(days, audit, lambda night: False, False, Console(quiet=True))

    assert (code, audited) == (worst, days)


def test_nights_that_are_published_are_passed_over_unless_they_are_wanted_again():
    days, audit, audited = nights(0, 0, 0)

    passed_over = run_nights(days, audit, lambda night: night == days[1], False, Console(quiet=True))

    assert (passed_over, audited) == (0, [days[0], days[2]])
    run_nights(days, audit, lambda night: True, True, Console(quiet=True))
    assert audited[2:] == days


@pytest.mark.parametrize("stopped", [Interrupted("interrupted"), KeyboardInterrupt()])
def test_an_interruption_ends_all_nights(stopped):
    days, audit, audited = nights(0, stopped, 0)

    code = run_nights(days, audit, lambda night: False, False, Console(quiet=True))

    assert (code, audited) == (130, days[:2])


def test_a_bug_ends_it_after_the_table(capsys):
    days, audit, _ = nights(0, ZeroDivisionError(), 0)

    with pytest.raises(ZeroDivisionError):
        run_nights(days, audit, lambda night: False, False, Console(stderr=True))

    assert "2026-11-20" in capsys.readouterr().err


def test_a_week_is_audited_and_the_next_time_only_what_is_missing(tmp_path, colour_server, capsys):
    for day in ("2026-11-20", "2026-11-22"):
        write_archive(tmp_path / day / "a.parquet", [row("A1", RED, picture(RED))])
    (tmp_path / "c.yaml").write_text(f"input: {tmp_path}/{{run_date}}/*.parquet\n")
    flags = [f"--config={tmp_path / 'c.yaml'}", f"--output={tmp_path / 'audits'}", f"--server={colour_server}"]
    week = ["run", *flags, "--run-date=2026-11-20..2026-11-22"]

    first = main(week)
    said = capsys.readouterr().err
    write_archive(tmp_path / "2026-11-21" / "a.parquet", [row("A1", RED, picture(RED))])
    second = main(week)

    assert (first, second) == (7, 0)
    assert "2026-11-21: no file matches the input" in said
    assert [len(findings_of(tmp_path / "audits" / f"run_date=2026-11-{day}")) for day in (20, 21, 22)] == [1, 1, 1]
    assert capsys.readouterr().err.count("published already") == 2


@pytest.mark.parametrize("written", ["2026-11-22..2026-11-20", "2026-11-20..", "2026-11-20..soon"])
def test_nights_that_are_none_are_told(written, capsys):
    with pytest.raises(SystemExit) as refused:
        main(["run", "--config=c.yaml", f"--run-date={written}"])

    assert refused.value.code == 2
    assert "--run-date" in capsys.readouterr().err
