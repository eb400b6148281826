"""Real Locust processes against a real service: what a run ends with."""

import json
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from engine.checks import judge
from engine.checks.verdict import Level
from engine.histories.folder import recorded_in
from engine.verdicts import Verdict

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SERVE = """
import json, sys
from engine.service.serve import Settings, run
if __name__ == "__main__":
    sys.exit(run(Settings(**json.loads(sys.argv[1]))))
"""


@pytest.fixture
def service(tmp_path):
    """A service with one worker and per-user locks: (process, URL)."""
    settings = {"database": str(tmp_path / "wallets.db"), "port": 0}
    command = [sys.executable, "-c", SERVE, json.dumps(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, process.stdout.readline().split()[3]
        finally:
            process.kill()


@contextmanager
def locust(url, tmp_path, *arguments, file="wallet"):
    """A headless Locust of 20 users; its result goes to result.json."""
    command = [
        *(sys.executable, "-m", "locust", "-f", f"locustfiles/{file}.py", "--headless"),
        *("--only-summary", "-u", "20", "-r", "20", "--host", url),
        *("--result", str(tmp_path / "result.json"), *arguments),
    ]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def result(tmp_path):
    return json.loads((tmp_path / "result.json").read_text())


def wallet_under_load(tmp_path):
    """The account of a run with one hot account, as soon as a hundred operations were written."""
    for _ in range(300):
        with closing(sqlite3.connect(tmp_path / "wallets.db")) as database:
            rows = database.execute(
                "SELECT account FROM wallets WHERE account GLOB 'load-*' AND version > 100"
            ).fetchall()
        if rows:
            return rows[0][0]
        time.sleep(0.05)
    raise AssertionError("no load within 15 s")


def test_two_processes_of_the_mix_over_three_wallets_are_judged_as_one_run(service, tmp_path):
    _, url = service
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    options = (
        *("-t", "2s", "--accounts", "3", "--processes", "2", "--service-workers", "1"),
        *("--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port),
        *("--record", str(tmp_path)),
    )
    with locust(url, tmp_path, *options) as process:
        words, _ = process.communicate(timeout=60)
    assert "the wallets hold exactly what the" in words
    assert "withdraw lock wait" in words
    document = result(tmp_path)
    assert (process.returncode, document["verdict"], document["lost_cents"]) == (0, "clean", 0)
    assert set(document["ok"]) == {"withdraw", "add", "transfer", "batch", "balance"}
    assert document["sent"] == document["completed"] > 100
    assert document["service_workers"] == ["0"]
    waits = document["percentiles"]["transfer"]
    assert 0 < waits["lock_wait"]["p50_ms"] < waits["latency"]["max_ms"]
    history = recorded_in(tmp_path).history()
    judged = judge(history)
    assert (judged.verdict, judged.level) == (Verdict.CLEAN, Level.STRICT_SERIALIZABLE)
    assert (history.calls, len(set(history.clock))) == (document["sent"], 1)
    users = {history.clients[place].split("-")[0] for place in set(history.client)}
    assert users == {"user 0", "user 1"}


def test_refusals_are_results_and_no_failures(service, tmp_path):
    _, url = service
    options = ("-t", "2s", "--opening", "1.00", "WithdrawUser")
    with locust(url, tmp_path, *options) as process:
        words, _ = process.communicate(timeout=60)
    document = result(tmp_path)
    assert document["refused"]["insufficient_funds"] > 10
    assert document["errors"] == {}
    assert "withdraw refused: insufficient_funds" in words
    assert "Error report" not in words
    assert document["lost_cents"] == 0


def test_money_that_came_from_elsewhere_is_found_to_the_cent(service, tmp_path):
    _, url = service
    with locust(url, tmp_path, "-t", "3s", file="steady") as process:
        account = wallet_under_load(tmp_path)
        connection = HTTPConnection(url.removeprefix("http://"))
        connection.request("POST", f"/wallets/{account}/add", '{"amount": "12.34"}')
        assert connection.getresponse().status == 200
        words, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert result(tmp_path)["lost_cents"] == -1234
    assert "the wallets hold 12.34 more than the" in words
    assert '{"MixUser": 20}' in words  # nobody was named, so the mix runs alone


def test_a_service_that_dies_under_load_leaves_the_verdict_unknown(service, tmp_path):
    serving, url = service
    with locust(url, tmp_path, "-t", "3s") as process:
        wallet_under_load(tmp_path)
        serving.kill()
        process.communicate(timeout=60)
    assert process.returncode == 3
    document = result(tmp_path)
    assert document["verdict"] == "unknown"
    assert document["unanswered"] > 0


def test_ctrl_c_ends_a_run_with_its_verdict(service, tmp_path):
    _, url = service
    with locust(url, tmp_path, "-t", "60s", "AddUser") as process:
        wallet_under_load(tmp_path)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert result(tmp_path)["verdict"] == "clean"


def test_transfers_on_one_account_do_not_start(service, tmp_path):
    _, url = service
    with locust(url, tmp_path, "-t", "60s", "TransferUser") as process:
        words, _ = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "undecided: the run could not start: TransferUser with 1 accounts" in words


def test_an_option_out_of_bounds_is_wrong_usage(tmp_path):
    with locust("http://127.0.0.1:9", tmp_path, "--amount-max", "0.001") as process:
        process.communicate(timeout=60)
    assert process.returncode == 2


def test_what_judges_needs_neither_locust_nor_gevent():
    needless = {"__init__", "ramp", "run", "shapes", "spike", "steady", "wallet"}
    names = {file.stem for file in (ROOT / "locustfiles").glob("*.py")} - needless
    assert len(names) > 5
    program = (
        f"import sys; {'; '.join(f'import locustfiles.{name}' for name in names)};"
        " sys.exit(bool({'locust', 'gevent'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
