"""One short session for each Python that the machine has: the locked packages, then the suite.

By default the versions other than the one nox runs on, since `make test` has covered that one.
Everything: `nox -f .ci/noxfile.py --session tests-3.12 -- -m ""`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent.parent
RUNNING = "{}.{}".format(*sys.version_info)
VERSIONS = ("3.11", "3.12", "3.13")
PROBE_S_MAX = 20
SHORT = ("-m", "not slow")

nox.options.envdir = str(ROOT / ".nox")
# uv installs the lock in seconds where pip takes a minute; without uv nox falls back to the other.
nox.options.default_venv_backend = "uv|virtualenv"


def interpreter(version: str) -> Path | None:
    """The first Python on this machine that is really `version`, or None.

    pyenv's own folders come before PATH: a pyenv shim is there for every version that was ever
    installed, and answers "command not found" unless that version is selected.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [*pyenv.glob(f"versions/{version}.*/bin/python{version}")]
    on_path = shutil.which(f"python{version}")
    candidates = [Path(sys.executable), *found, *([Path(on_path)] if on_path else [])]
    return next((path for path in candidates if answers_as(path, version)), None)


def answers_as(path: Path, version: str) -> bool:
    """Whether the program at `path` runs and says that it is Python `version`."""
    question = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run(
            [path, "-c", question], capture_output=True, text=True, timeout=PROBE_S_MAX, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and answer.stdout.strip() == version


def add_session(version: str, python: Path) -> None:
    """Register `tests-<version>`: the lock and walletrace into an environment, then pytest."""
    covered_by_make_test = version == RUNNING

    @nox.session(name=f"tests-{version}", python=str(python), default=not covered_by_make_test)
    def tests(session: nox.Session) -> None:
        session.chdir(ROOT)
        session.install("--quiet", "--require-hashes", "-r", "requirements.lock")
        session.install("--quiet", "--no-deps", "--no-build-isolation", "-e", ".")
        session.run("pytest", *(session.posargs or SHORT))


for wanted in VERSIONS:
    if python := interpreter(wanted):
        add_session(wanted, python)
