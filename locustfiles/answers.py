"""What an HTTP answer says about its call: it happened, it was refused, it failed, or who knows.

Refusals are results: the wallet was asked and said no. A failure changed nothing either, but is the
system's; where nobody can tell whether the call happened, it is unknown.
"""

import json
from enum import StrEnum

from engine.errors import SystemFault


class Answer(StrEnum):
    OK = "ok"
    REFUSED = "refused"  # a business error: nothing happened, and rightly so
    FAILED = "failed"  # a system fault that changed nothing
    UNKNOWN = "unknown"  # it may have happened, now or later


# Only what promises that nothing happened is taken at its word; any other 5xx is unknown.
_NOTHING_HAPPENED = frozenset(
    fault.code for fault in SystemFault.__subclasses__() if not fault.may_have_happened
)


def classify(status: int, code: str) -> Answer:
    """What the answer means; status 0: no answer came. `code` is the problem's, if any.

    >>> classify(409, "insufficient_funds"), classify(503, "conflict"), classify(0, "")
    (<Answer.REFUSED: 'refused'>, <Answer.FAILED: 'failed'>, <Answer.UNKNOWN: 'unknown'>)
    """
    if 200 <= status < 300:
        return Answer.OK
    if 400 <= status < 500 and status != 408:
        return Answer.REFUSED if code else Answer.FAILED
    return Answer.FAILED if code in _NOTHING_HAPPENED else Answer.UNKNOWN


def problem_code(body: bytes | None) -> str:
    """The stable code in an RFC 9457 problem, or "" where the body is none."""
    try:
        problem = json.loads(body or b"null")
    except ValueError:
        return ""
    return str(problem.get("code", "")) if isinstance(problem, dict) else ""
