"""How somebody else's log is to be read: a mapping of its columns and words, written as TOML.

>>> mapping = parse_mapping('''
... [columns]
... account = "Account No"
... debit = "Paid out"
... credit = "Paid in"
... after = "Balance"
... [money]
... point = ","
... ''')
>>> mapping.theirs("after"), mapping.theirs("version"), mapping.money.point
('Balance', 'version', ',')
"""

import tomllib
from collections.abc import Mapping as Named
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Struct, field

from engine.errors import UsageError
from engine.recording import Ended, Kind

# What `table.history_from_table` takes, and what is turned into it: `debit` and `credit` are what
# an amount took away or gave, `sign` is the word that tells which of the two an amount did.
COLUMNS = (
    *("record", "operation", "client", "kind", "account", "amount", "need", "before", "after"),
    *("version", "key", "invoked", "completed", "outcome", "code", "clock"),
)
EXTRA = ("debit", "credit", "sign")
MONEY = ("amount", "need", "before", "after", "debit", "credit")
TIMES = ("invoked", "completed")
KINDS = tuple(kind.name.lower() for kind in Kind)
OUTCOMES = tuple(ended.name.lower() for ended in Ended)
# The word in [kinds] and [outcomes] that stands for all that are not named.
OTHERS = "*"
DECIMALS_MAX = 9

Decimals = Annotated[int, Meta(ge=0, le=DECIMALS_MAX)]
Sign = Literal["+", "-"]


class Money(Struct, frozen=True):
    """How money is written. `decimals` fixes their number (else: what is found).

    `round`: to so many decimals, each of which must then be within a millionth of that unit: the
    way to read floating-point numbers, which do not hold 0.10.
    """

    decimals: Decimals | None = None
    round: Decimals | None = None
    point: Annotated[str, Meta(pattern=r"^[.,]$")] = "."
    thousands: Annotated[str, Meta(max_length=1)] = ""


class Times(Struct, frozen=True):
    """`unit` of whole numbers; `format` of texts in strptime's letters, where not ISO 8601."""

    unit: Literal["ns", "us", "ms", "s"] = "ns"
    format: str = ""


class File(Struct, frozen=True):
    """How the file is written. An empty `delimiter` is found from the header (of a CSV).

    `skip`: lines before the header. `complete`: nothing happened that is not in here (see History).
    """

    delimiter: Annotated[str, Meta(max_length=1)] = ""
    encoding: str = "utf-8"
    skip: Annotated[int, Meta(ge=0, le=1_000)] = 0
    order: Literal["oldest-first", "newest-first"] = "oldest-first"
    complete: bool | None = None


class Mapping(Struct, frozen=True):
    """A whole mapping; without any of it, columns have our names and words.

    `columns`: ours to theirs (dots lead into nested JSON). `constants`: ours to a text that holds
    for every row. `only`: their column to the words of the rows that are read. `kinds`, `outcomes`:
    their word to ours ("refused:insufficient_funds" is an outcome and its code). `signs`: their
    word to "+" or "-", for amounts written without a sign.
    """

    columns: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    only: dict[str, str | list[str]] = field(default_factory=dict)
    kinds: dict[str, Literal[KINDS]] = field(default_factory=dict)  # type: ignore[valid-type]
    outcomes: dict[str, str] = field(default_factory=dict)
    signs: dict[str, Sign] = field(default_factory=dict)
    money: Money = Money()
    times: Times = Times()
    file: File = File()

    def theirs(self, ours: str) -> str:
        """What the column is called in their file."""
        return self.columns.get(ours, ours)

    def wanted(self) -> tuple[str, ...]:
        """Every column of theirs that is read where it is there."""
        ours = (name for name in (*COLUMNS, *EXTRA) if name not in self.constants)
        return tuple(dict.fromkeys([*map(self.theirs, ours), *self.only]))


def read_mapping(path: Path) -> Mapping:
    """The mapping in a file. UsageError says what is wrong in it, and what is known."""
    try:
        return parse_mapping(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"mapping {path} cannot be read: {error}", "name another") from error


def parse_mapping(text: str, name: str = "mapping") -> Mapping:
    """The mapping that `text` is; `name` for messages."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name} is no TOML: {error}", "see docs/check.md") from error
    _known(raw, _fields(Mapping), name, "section")
    for section, kind in (("money", Money), ("times", Times), ("file", File)):
        _known(raw.get(section, {}), _fields(kind), f"{name}, [{section}]", "key")
    for section, columns in (("columns", (*COLUMNS, *EXTRA)), ("constants", COLUMNS)):
        _known(raw.get(section, {}), columns, f"{name}, [{section}]", "column of ours")
    try:
        mapping = msgspec.convert(raw, Mapping)
    except msgspec.ValidationError as error:
        raise UsageError(f"{name}: {error}", _way_out(str(error))) from error
    for word, outcome in mapping.outcomes.items():
        _known({outcome.partition(":")[0]: ""}, OUTCOMES, f"{name}, [outcomes] {word!r}", "outcome")
    return mapping


def _way_out(error: str) -> str:
    if "$.kinds" in error:
        return f"kinds: {', '.join(KINDS)}"
    if "$.signs" in error:
        return f"signs: {', '.join(get_args(Sign))}"
    return "see docs/check.md"


def _fields(kind: type[Struct]) -> tuple[str, ...]:
    return tuple(each.name for each in msgspec.structs.fields(kind))


def _known(given: Any, known: tuple[str, ...], where: str, what: str) -> None:
    """UsageError for the first key of `given` that is not known."""
    if not isinstance(given, Named):
        raise UsageError(f"{where} is {given!r}", "write it as a section, [name]")
    for key in given:
        if key not in known:
            near = get_close_matches(key, known, 1)
            meant = f"did you mean {near[0]!r}? " if near else ""
            way_out = f"{meant}known: {', '.join(known)}"
            raise UsageError(f"{where}: no {what} {key!r}", way_out)
