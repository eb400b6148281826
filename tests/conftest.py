"""Hypothesis profiles, after every failure the one command that runs it again, and a PostgreSQL.

`ci` repeats the same examples on every run; `dev` draws fresh ones; `hunt` looks for a long time:
`pytest tests --hypothesis-profile=hunt`.
"""

import asyncio
import contextlib
import os
import shlex
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

from engine.errors import StoreUnavailable, UsageError
from engine.stores.postgres_server import embedded_server

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


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The one embedded server of this run, started when the first test asks for it."""
    # Nothing here has to survive the machine; and what deadlocks on purpose should not take long.
    # No vacuum: it would wait for locks, and be waited for, beside tests that ask who waits.
    settings = {
        "fsync": "off",
        "deadlock_timeout": "50ms",
        "max_connections": "100",
        "autovacuum": "off",
    }
    try:
        server = embedded_server(settings=settings)
        url = server.__enter__()
    except (StoreUnavailable, UsageError) as error:
        pytest.skip(f"PostgreSQL cannot start here: {error}")
    with contextlib.ExitStack() as stop:
        stop.push(server)
        yield url


@pytest.fixture(scope="session")
def explored_url(postgres_url: str) -> str:
    """A database of its own on that server, which explorations empty as they like."""
    import asyncpg

    async def create() -> None:
        connection = await asyncpg.connect(postgres_url)
        await connection.execute("CREATE DATABASE explored")
        await connection.close()

    asyncio.run(create())
    return postgres_url.replace("@/postgres", "@/explored")
