"""A file written and read again, and the documented race as a CSV, for the tests of reading."""

from pathlib import Path

from engine.histories.columns import History
from engine.histories.mapping import parse_mapping
from engine.histories.reading import Reading, read_files
from engine.recording import Ended, Kind

HEADER = "operation,client,kind,account,amount,before,after,version,invoked,completed,outcome"
RACE = f"""{HEADER}
w1,A,withdraw,u,-500.00,1000.00,500.00,2,0,10,ok
a1,B,add,u,300.00,1000.00,1300.00,3,5,20,ok
"""


def read(tmp_path: Path, text: str | bytes, mapping: str = "", name: str = "log.csv") -> Reading:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_files([path], parse_mapping(mapping))


def rows(history: History) -> list[tuple[object, ...]]:
    """What each call did to each account."""
    return [
        (
            history.operations[history.operation[call]],
            history.accounts[history.account[entry]],
            Kind(int(history.kind[call])),
            Ended(int(history.ended[call])),
            *(int(getattr(history, name)[entry]) for name in ("amount", "before", "after")),
        )
        for entry, call in enumerate(history.call_of_entry().tolist())
    ]
