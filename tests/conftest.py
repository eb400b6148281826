"""Hypothesis profiles, and after every failure the one command that runs it again.

`ci` repeats the same examples on every run; `dev` draws fresh ones; `hunt` looks for a long time:
`pytest tests --hypothesis-profile=hunt`.
"""

import os
import shlex
from collections.abc import Generator

import pytest
from hypothesis import settings

HUNT_EXAMPLES = 20_000

# No deadline: a shared machine stalls for longer than any example should take.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("dev", deadline=None, print_blob=True)
settings.register_profile("hunt", max_examples=HUNT_EXAMPLES, deadline=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failure's report how to run that test alone, with the same examples.

    Outside of `ci` Hypothesis keeps a failing example under .hypothesis/ and tries it first.
    """
    report = yield
    if report.failed:
        profile = settings.get_current_profile_name()
        command = f"pytest {shlex.quote(item.nodeid)} --hypothesis-profile={profile}"
        report.sections.append(("replay", command))
    return report
