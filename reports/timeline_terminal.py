"""A witness on a terminal: a lane for each client and service instance, and locks as bars.

The lanes stand side by side as the guide draws them; where they would be too narrow to read, the
steps stand below each other, each with its lane's name. Nothing is told by colour alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

from rich.text import Text

from engine.money import show_cents
from engine.results import TimelineEvent, Witness
from reports.reading import in_order
from reports.telling import Lane, numbered, timeline_lanes
from reports.timeline_bars import Bar, bars, lane_at
from reports.timeline_words import step_words, wrong_words

_STEP_W = 5
# Narrower lanes would break most sentences; then one column tells all of them.
_LANE_W_MIN = 21
# How a bar is drawn: its first line, those between, its last.
_MUTEX, _LEASE, _WAIT = "┏┃┗", "╔║╚", "┊┊┊"
LEGEND = {
    "asks": "» asks the service",
    "mutex": "┃ mutex held",
    "lease": "║ lease held",
    "waits": "┊ waits for a lock",
}


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which lane stands in which column, how wide, and where each lock's bar is drawn."""

    lanes: list[Lane]
    shared: bool
    width: int
    slots: list[list[tuple[str, str]]]

    @property
    def several(self) -> bool:
        """More than one service instance took part."""
        return len({instance for _, instance in self.lanes if instance >= 0}) > 1

    def name(self, lane: Lane, pattern: str) -> str:
        """The lane's client, and its service instance where there are several."""
        return pattern.format(*lane) if self.several and lane[1] >= 0 else lane[0]

    def column(self, lane: Lane) -> int:
        return 0 if self.shared else self.lanes.index(lane)


def draw(witness: Witness, width: int) -> list[Text]:
    """The lines of the picture, `width` characters at most unless a balance is very wide."""
    if not witness.events:
        return []
    lanes = timeline_lanes(witness.events)
    accounts = in_order(account for event in witness.events for account in event.balances)
    money_w = {name: _money_width(name, witness.events) for name in accounts}
    drawn = bars(witness.events)
    room = width - _STEP_W - sum(money_w.values())
    layout = _layout(lanes, drawn, room)
    lines = [_heading(layout, money_w)]
    numbers = numbered(witness.events)
    before: TimelineEvent | None = None
    for number, event in enumerate(witness.events):
        told = _told(witness, number, lanes[number], layout)
        for line, height in _lines(told, layout, lanes[number], drawn, number):
            row = Text(f" {numbers[number] if not height else '':3} ")
            row.append_text(line)
            for name in accounts if not height else ():
                changed = before is None or event.balances.get(name) != before.balances.get(name)
                held = f"{show_cents(event.balances.get(name, 0)):>{money_w[name]}}"
                row.append(held, style="bold" if changed else "dim")
            if event.wrong and witness.findings:
                row.stylize("bold red")
            row.rstrip()
            lines.append(row)
        before = event
    return [*lines, *_stuck(witness, lanes, layout, drawn), *_legend(witness.events, drawn)]


def _money_width(name: str, events: Sequence[TimelineEvent]) -> int:
    amounts = [show_cents(event.balances.get(name, 0)) for event in events]
    return max(map(len, [name, *amounts])) + 2


def _layout(lanes: Sequence[Lane], drawn: Sequence[Bar], room: int) -> _Layout:
    columns = sorted(set(lanes))
    width = room // len(columns)
    locks = in_order((bar.client, bar.lock) for bar in drawn)
    if width < _LANE_W_MIN:
        return _Layout(columns, True, room, [locks])
    first = {bar: lane_at(lanes, bar) for bar in drawn}
    slots = [
        [key for key in locks if lane in {first[b] for b in drawn if (b.client, b.lock) == key}]
        for lane in columns
    ]
    return _Layout(columns, False, width, slots)


def _heading(layout: _Layout, money_w: dict[str, int]) -> Text:
    names = [layout.name(lane, "{}, service {}") for lane in layout.lanes]
    if layout.shared:
        names = ["client/service: step" if layout.several else "client: step"]
    row = Text(" " * _STEP_W)
    for name, slots in zip(names, layout.slots, strict=True):
        row.append((" " * _gutter_w(slots) + name)[: layout.width - 1].ljust(layout.width))
    for account, wide in money_w.items():
        row.append(f"{account:>{wide}}")
    row.stylize("bold")
    return row


def _gutter_w(slots: Sequence[object]) -> int:
    return len(slots) + 1 if slots else 0


def _told(witness: Witness, number: int, lane: Lane, layout: _Layout) -> list[str]:
    """The lines of text of one step, without the bars."""
    event = witness.events[number]
    how = "" if event.how in ("go", "cancelled", "crashed") else f" [{event.how}]"
    name = f"{layout.name(lane, '{}/{}')}: " if layout.shared else ""
    room = layout.width - 1 - _gutter_w(layout.slots[layout.column(lane)])
    return [
        line
        for words in (f"{name}{step_words(event)}{how}", *wrong_words(witness, number))
        for line in wrap(words, max(room, 8), subsequent_indent="  ")
    ]


def _lines(
    told: Sequence[str], layout: _Layout, lane: Lane, drawn: Sequence[Bar], number: int
) -> list[tuple[Text, int]]:
    """Each line of a step across all lanes, with its bars."""
    lines = []
    for height in range(len(told)):
        line = Text()
        for column, slots in enumerate(layout.slots):
            gutter = "".join(_mark(drawn, slot, number, height, len(told)) for slot in slots)
            gutter += " " if slots else ""
            words = told[height] if column == layout.column(lane) else ""
            line.append(gutter, style="magenta")
            line.append(words.ljust(layout.width - len(gutter)))
        lines.append((line, height))
    return lines


def _mark(
    drawn: Sequence[Bar], slot: tuple[str, str], number: int, height: int, heights: int
) -> str:
    """What a slot shows beside one line: a bar that is held goes before one that is awaited."""
    here = [bar for bar in drawn if (bar.client, bar.lock) == slot and bar.covers(number)]
    if not here:
        return " "
    bar = min(here, key=lambda bar: bar.waiting)
    shape = _WAIT if bar.waiting else _LEASE if bar.lease else _MUTEX
    if number == bar.first and not height:
        return shape[0]
    return shape[2] if number == bar.last and height == heights - 1 else shape[1]


def _stuck(
    witness: Witness, lanes: Sequence[Lane], layout: _Layout, drawn: Sequence[Bar]
) -> list[Text]:
    """A line for each client that never goes on."""
    lines = []
    for client, lock in witness.events[-1].waits.items() if witness.events else ():
        lane = next(lane for lane in reversed(lanes) if lane[0] == client)
        name = f"{layout.name(lane, '{}/{}')}: " if layout.shared else ""
        told = wrap(f"{name}✗ waits for {lock} for ever", layout.width - 4)
        for line, _ in _lines(told, layout, lane, drawn, len(witness.events)):
            row = Text(" " * _STEP_W)
            row.append_text(line)
            row.stylize("bold red")
            row.rstrip()
            lines.append(row)
    return lines


def _legend(events: Sequence[TimelineEvent], drawn: Sequence[Bar]) -> list[Text]:
    kinds = {"waits" if bar.waiting else "lease" if bar.lease else "mutex" for bar in drawn}
    kinds |= {"asks"} if any(step_words(event).startswith("»") for event in events) else set()
    told = "   ".join(text for kind, text in LEGEND.items() if kind in kinds)
    return [Text(" " * _STEP_W + told, style="dim")] if told else []
