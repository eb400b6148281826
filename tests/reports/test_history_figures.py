"""The picture of money lost and made over time."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.checks import judge
from engine.checks.view import view_of
from engine.errors import UsageError
from engine.results import HistoryView
from reports.history_figures import POINTS_MAX, thinned, write_money_figure
from tests.reports.history_samples import clean, racing


@pytest.fixture(scope="module")
def lossy() -> HistoryView:
    history = racing()
    return view_of(history, judge(history), title="racing")


def drawn(path: Path, view: HistoryView) -> str:
    write_money_figure(path, view)
    return path.read_text(encoding="utf-8")


def test_the_figure_names_the_total_and_the_worst_accounts(
    tmp_path: Path, lossy: HistoryView
) -> None:
    text = drawn(tmp_path / "money.svg", lossy)
    for words in ("racing: 55.96 lost", "55.96 lost in total", "25.02 lost on user-4"):
        assert words in text
    assert "violation, 100 of 103 shown" in text
    assert "nothing wrong until its end" in text


def test_a_figure_without_losses_says_so(tmp_path: Path) -> None:
    text = drawn(tmp_path / "money.svg", clean())
    assert "no money was seen to be lost or made" in text
    assert "nothing found wrong" in text


def test_a_name_with_dollar_signs_is_drawn_as_it_stands(tmp_path: Path, lossy: HistoryView) -> None:
    money = (lossy.money[0], (r"$\frac{1$ <b>", [5], [7]))
    text = drawn(tmp_path / "money.svg", replace(lossy, money=money, title="$x_"))
    assert r"on $\frac{1$ &lt;b&gt;" in text


def test_the_same_history_gives_the_same_figure_byte_for_byte(
    tmp_path: Path, lossy: HistoryView
) -> None:
    assert drawn(tmp_path / "a.svg", lossy) == drawn(tmp_path / "b.svg", lossy)


def test_a_png_is_a_png(tmp_path: Path) -> None:
    write_money_figure(tmp_path / "money.png", clean())
    assert (tmp_path / "money.png").read_bytes().startswith(b"\x89PNG")


def test_another_ending_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"money\.gif.*name it \.svg or \.png"):
        write_money_figure(tmp_path / "money.gif", clean())


def test_a_million_losses_are_drawn_in_few_points_and_end_where_they_should() -> None:
    at, made = range(1, 1_000_001), range(-1, -1_000_001, -1)
    x, y = thinned(at, made, 1_000_000)
    assert len(x) == len(y) == POINTS_MAX
    assert (y[0], y[-1]) == (0, -1_000_000)
    assert (np.diff(y) <= 0).all()


def test_a_short_curve_keeps_every_step() -> None:
    x, y = thinned([3, 8], [5, -2], 10)
    assert (x.tolist(), y.tolist()) == ([0, 3, 8, 10], [0, 5, -2, -2])
