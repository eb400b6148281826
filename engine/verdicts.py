"""One table of verdicts and exit statuses for the whole tool.

| verdict   | who may say it       | meaning                                               | exit |
|-----------|----------------------|-------------------------------------------------------|------|
| `safe`    | exploration only     | every interleaving was explored and nothing broke     | 0    |
| `clean`   | load runs and logs   | nothing was found in what happened                    | 0    |
| `broken`  | all                  | money, order, reads or liveness broke, with a witness | 1    |
| `bounded` | exploration          | part was explored, nothing found                      | 3    |
| `unknown` | all                  | the judge could not decide                            | 3    |

2 is wrong usage, 70 a fault of walletrace itself. With an expectation, the expected verdict exits
0 and another decided one 1; undecided is 3 whatever was expected, unless it was itself expected.

>>> exit_status(Verdict.BROKEN), exit_status(Verdict.BROKEN, expected=Verdict.BROKEN)
(1, 0)
>>> exit_status(Verdict.SAFE, expected=Verdict.BROKEN)
1
"""

from dataclasses import dataclass
from enum import StrEnum

EXIT_OK, EXIT_DECIDED_OTHERWISE, EXIT_USAGE, EXIT_UNDECIDED, EXIT_FAULT = 0, 1, 2, 3, 70


class Verdict(StrEnum):
    SAFE = "safe"
    CLEAN = "clean"
    BROKEN = "broken"
    BOUNDED = "bounded"
    UNKNOWN = "unknown"


class Break(StrEnum):
    """What broke, worst first."""

    MONEY = "money"
    LIVENESS = "liveness"
    ORDER = "order"
    READS = "reads"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `cents`: money made (positive) or lost (negative), where known.

    `client`: to whom it happened, where that is one.
    """

    kind: Break
    message: str
    cents: int = 0
    client: str = ""


def exit_status(
    verdict: Verdict, *, expected: Verdict | None = None, allow_bounded: bool = False
) -> int:
    """The process's exit status for `verdict`; see the table above.

    `allow_bounded`: whoever asks is content if nothing broke in what was explored.
    """
    if verdict == expected or (allow_bounded and verdict is Verdict.BOUNDED):
        return EXIT_OK
    if verdict in (Verdict.BOUNDED, Verdict.UNKNOWN):
        return EXIT_UNDECIDED
    wanted = (Verdict.SAFE, Verdict.CLEAN) if expected is None else ()
    return EXIT_OK if verdict in wanted else EXIT_DECIDED_OTHERWISE
