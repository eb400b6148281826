"""Histories of a register in etcd that Jepsen recorded and Porcupine published: see data/NOTICE."""

import json
import lzma
from functools import cache
from pathlib import Path
from typing import NamedTuple

from engine.checks.models import Register
from engine.checks.search import Operation

FILE = Path(__file__).parent / "data" / "etcd.jsonl.xz"


class Published(NamedTuple):
    """One history, and what is known of it."""

    log: int
    linearizable: bool
    operations: tuple[Operation, ...]


@cache
def published() -> tuple[Published, ...]:
    """All 102 of them."""
    requests = {"read": Register.read, "write": Register.write, "cas": Register.cas}
    with lzma.open(FILE, "rt") as lines:
        logs = [json.loads(line) for line in lines]
    return tuple(
        Published(
            log["log"],
            log["linearizable"],
            tuple(
                Operation(str(client), requests[verb](*values), *rest)
                for client, verb, values, *rest in log["operations"]
            ),
        )
        for log in logs
    )
