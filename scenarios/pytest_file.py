"""`--pytest`: a regression test for a kept schedule, as one would have written it by hand.

The test fails as long as the schedule (or any other interleaving, up to a number) breaks what it
broke, and passes once the code is right, whatever steps it takes then; see
`engine.explore.regression`. With `--expect broken` it is the other way round: for code that is
wrong on purpose, and has to stay so.
"""

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

from engine.errors import UsageError
from engine.results import TimelineEvent
from reports.telling import numbered
from scenarios.saved import Saved

# Formatters' usual width: the file is then as they would leave it.
_LINE_MAX = 88
_FACTS = {
    "money": "keeps_the_money_right",
    "liveness": "never_gets_stuck",
    "order": "answers_in_an_order_that_fits_real_time",
    "reads": "never_tells_a_stale_balance",
}


def write_test(
    kept: Saved, events: Sequence[TimelineEvent], story: str, path: Path, *, broken: bool = False
) -> None:
    """Write the test to `path`. UsageError if it is no Python file or cannot be written."""
    check(path)
    try:
        path.write_text(source_of_test(kept, events, story, broken=broken), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path} ({error.strerror})", "name another file") from error


def check(path: Path) -> None:
    """UsageError unless pytest would find the file."""
    if not re.fullmatch(r"(test_.*|.*_test)\.py", path.name):
        raise UsageError(f"pytest does not look into {path.name}", "name it test_….py or …_test.py")


def source_of_test(
    kept: Saved, events: Sequence[TimelineEvent], story: str, *, broken: bool
) -> str:
    """The text of the test. `events` are the schedule's steps; without them it has no comments."""
    imported, scenario = _scenario(kept.scenario)
    moves = "\n".join(f"        {line}" for line in _moves(kept.schedule, events))
    call = _call(scenario, kept)
    wanted = (
        'assert wrong == "", wrong' if not broken else 'assert wrong, "nothing breaks any more"'
    )
    return f'''"""A schedule that once broke {kept.scenario}; written by walletrace."""

from engine.explore.regression import what_breaks
{imported}


def {_name(kept, broken=broken)}() -> None:
    """{_story(kept, story)}
    """
    schedule = [
{moves}
    ]
    wrong = {call}
    {wanted}
'''


def _scenario(name: str) -> tuple[str, str]:
    """The import that a scenario needs, and how it is then called."""
    module, colon, attribute = name.partition(":")
    if not colon:
        return "from scenarios.catalogue import SCENARIOS", f'SCENARIOS["{name}"]'
    return f"from {module} import {attribute.partition('.')[0]}", attribute


def _name(kept: Saved, *, broken: bool) -> str:
    parts = [kept.scenario, "with", kept.wallet or kept.lock]
    if kept.topology != "one-service":
        parts += ["in", kept.topology]
    words = "_".join(part.rpartition(":")[2] for part in parts)
    fact = "is_still_found_broken" if broken else _FACTS.get(kept.kind, "stays_right")
    return "test_" + re.sub(r"\W+", "_", f"{_snake(words)}_{fact}")


def _snake(words: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", words).lower()


def _story(kept: Saved, story: str) -> str:
    """The docstring: what happens, and how it went once."""
    held = kept.outcome.partition(": ")[0]
    ended = f"{held}: {kept.explanation}" if held != "deadlock" else f"a {kept.explanation}"
    once = f"This schedule once ended in {ended}."
    wrapped = textwrap.wrap(once, _LINE_MAX - 4)
    first = textwrap.wrap(f"{story.rstrip('.')}.", _LINE_MAX - 7)
    text = "\n".join(f"    {line}".rstrip() for line in [*first, "", *wrapped])
    return text.strip().replace("\\", "\\\\").replace('"""', "'''")


def _moves(schedule: Sequence[str], events: Sequence[TimelineEvent]) -> list[str]:
    """A line for each move, with what it did as a comment."""
    if len(events) != len(schedule):
        return [f'"{move}",' for move in schedule]
    lines = []
    for move, event, number in zip(schedule, events, numbered(events), strict=True):
        step = f"{number} " if number else ""
        wrong = "  <- here it breaks" if event.wrong else ""
        lines.append(f'"{move}",  # {step}{event.text}{wrong}'[: _LINE_MAX - 8].rstrip())
    return lines


def _call(scenario: str, kept: Saved) -> str:
    options = {
        "wallet": kept.wallet or "",
        "topology": kept.topology,
        "store": kept.store,
        "faults": kept.faults,
    }
    defaults = {"wallet": "", "topology": "one-service", "store": "memory", "faults": ""}
    lock = "None" if kept.lock == kept.wallet else f'"{kept.lock}"'
    named = [f'{name}="{value}"' for name, value in options.items() if value != defaults[name]]
    arguments = [scenario, lock, "schedule", *named]
    one_line = f"what_breaks({', '.join(arguments)})"
    if len(one_line) + 12 <= _LINE_MAX:
        return one_line
    return "what_breaks(\n        " + ",\n        ".join(arguments) + ",\n    )"
