"""Progress is for people at a terminal; a log gets one plain line for each phase."""

import io

import pytest
from rich.console import Console

from scenarios import console


def shown(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> str:
    """What two phases, the first of which advances, write to standard error."""
    text = io.StringIO()
    # Whoever runs the tests may have set NO_COLOR, TERM or FORCE_COLOR: none of it is asked.
    err = Console(file=text, force_terminal=terminal, width=80, _environ={"TERM": "xterm"})
    monkeypatch.setattr(console, "err", err)
    with console.progress("exploring [every] interleaving") as advance:
        advance(1, 3, "per-user")
        advance(3, 3, "db-row")
    with console.progress("drawing"):
        pass
    return text.getvalue()


def test_a_log_gets_one_plain_line_for_each_phase_and_no_blank_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert shown(monkeypatch, terminal=False) == "exploring [every] interleaving\ndrawing\n"


def test_a_terminal_sees_how_far_it_is_and_what_is_being_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = shown(monkeypatch, terminal=True)
    assert "3/3" in told
    assert "db-row" in told


def test_a_phase_that_fails_says_its_name_and_lets_the_error_through(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(RuntimeError, match="no such wallet"), console.progress("drawing"):
        raise RuntimeError("no such wallet")
    assert "drawing" in capsys.readouterr().err
