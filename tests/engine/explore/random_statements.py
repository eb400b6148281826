"""Random steps of lanes beside each other, for the model of a database and for the real one."""

import random
from collections.abc import Mapping
from typing import Any

from engine.errors import WalletraceError
from engine.explore.steps import Step
from engine.locks.body import changes
from engine.operations import Add, Batch, Open, Operation, Transfer, Withdraw
from engine.ports import Call, Change, Row

LANES = "ABC"
ACCOUNTS = ("x", "y", "z")  # z is not there in the beginning
OPENINGS = {"x": 3, "y": 3}
KEYS = (None, None, "k", "l")
LEVELS = ("read-committed", "read-committed", "repeatable-read")


class Drawer:
    """Draws each lane's next step; a write is computed from what the lane has read before."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.inside: set[str] = set()
        self.seen: dict[str, Mapping[str, Row]] = {}
        self.tokens: dict[tuple[str, str], int] = {}
        self.calls = 0

    def told(self, lane: str, step: Step, answer: Any) -> None:
        """What a lane knows after its step."""
        if step.kind in ("commit", "rollback"):
            self.inside.discard(lane)
        elif isinstance(answer, WalletraceError):
            return
        elif step.kind == "begin":
            self.inside.add(lane)
        elif step.kind == "read":
            self.seen[lane] = {**self.seen.get(lane, {}), **answer.rows}
        elif step.kind == "take":
            self.tokens[lane, step.args[0]] = answer

    def step(self, lane: str) -> Step:
        """The lane's next step; now and then one that is out of place."""
        rng, inside = self.rng, lane in self.inside
        if rng.random() < 0.03:
            inside = not inside
        if inside:
            kinds = ("read", "lock", "lock", "write", "write", "advisory", "end")
        else:
            kinds = ("begin", "begin", "begin", "read", "write", "guarded", "group", "lease")
        kind = rng.choice(kinds)
        match kind:
            case "read":
                return Step("read", (self._accounts(), rng.choice(KEYS)))
            case "lock":
                lock = ("lock", rng.choice(("wait", "wait", "nowait")))
                return Step("read", (self._accounts(), rng.choice(KEYS)), (lock,))
            case "advisory":
                return Step("advisory", (self._accounts(),))
            case "begin" if lane not in self.inside:
                return Step("begin", (rng.choice(LEVELS),))
            case "guarded":
                return Step("guarded", (self._call(lane),))
            case "group":
                return Step("group", (tuple(self._call(lane) for _ in range(rng.randint(1, 3))),))
            case "lease":
                key = rng.choice(ACCOUNTS)
                verbs = (
                    ("take", key, lane),
                    ("give", key, rng.choice(LANES)),
                    ("decide", key, lane),
                )
                verb, *args = rng.choice(verbs)
                return Step(verb, tuple(args))
            case "end":
                return Step(rng.choice(("commit", "commit", "rollback")))
        return self._write(lane)

    def _write(self, lane: str) -> Step:
        """Of what the lane has seen; where nothing fits, of a wallet as it was opened."""
        rng, call = self.rng, self._call(lane)
        rows = {
            **{name: Row(cents, 1) for name, cents in OPENINGS.items()},
            **self.seen.get(lane, {}),
        }
        try:
            wanted = changes(call, {name: rows[name] for name in call.accounts if name in rows})
        except WalletraceError:
            wanted = (Change("z", 0, 1, 0),)
            call = Call(call.id, Open("z", 1), call.key)
        held = [key for owner, key in self.tokens if owner == lane]
        fence = {key: self.tokens[lane, key] for key in held if rng.random() < 0.4}
        return Step("write", (call, wanted), (("if_version", rng.random() < 0.4), ("fence", fence)))

    def _call(self, lane: str) -> Call:
        self.calls += 1
        return Call(f"{lane}{self.calls}", self._operation(), self.rng.choice(KEYS))

    def _operation(self) -> Operation:
        account, other = self.rng.sample(ACCOUNTS, 2)
        amount = self.rng.choice((1, 2, 4))
        return self.rng.choice(
            (
                Withdraw(account, amount),
                Add(account, amount),
                Transfer(account, other, amount),
                Batch((Withdraw(account, amount), Add(account, 1))),
                Open(account, amount),
            )
        )

    def _accounts(self) -> tuple[str, ...]:
        return tuple(sorted(self.rng.sample(ACCOUNTS, self.rng.choice((1, 1, 2)))))
