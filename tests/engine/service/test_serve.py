"""The service as processes: starts, spreads, stops, and says in one line why it cannot."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from http.client import HTTPConnection

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import json, sys
from engine.service.serve import Settings, run
sys.exit(run(Settings(**json.loads(sys.argv[1]))))
"""
STOP_S = 20


def command(folder, options):
    settings = {"database": str(folder / "wallets.db"), "port": 0, **options}
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return {
        "args": [sys.executable, "-c", PROGRAM, json.dumps(settings)],
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
        "cwd": folder,
        "env": environment,
    }


@contextmanager
def serving(folder, **options):
    """The process and its port; it is ended in any case."""
    with subprocess.Popen(**command(folder, options)) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith("walletrace serves on http://127.0.0.1:"), process.stderr.read()
            assert line.endswith(f" with {options.get('workers', 1)} workers\n")
            yield process, int(line.split()[3].rsplit(":", 1)[1])
        finally:
            process.kill()


def ask(port, method, path, body=None):
    """Over a connection of its own: the answer, the worker that gave it."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, json.dumps(body) if body else None)
        answer = connection.getresponse()
        return answer.read().decode(), answer.headers["Walletrace-Worker"]
    finally:
        connection.close()


def balance(port):
    return json.loads(ask(port, "GET", "/wallets/alice?fresh=true")[0])["balance"]


def test_two_workers_share_the_port_and_the_metrics_and_stop_together(tmp_path):
    with serving(tmp_path, workers=2) as (process, port):
        ask(port, "POST", "/wallets", {"account": "alice"})
        seen, sent = set(), 0
        while len(seen) < 2 and sent < 100:
            sent += 1
            seen.add(ask(port, "POST", "/wallets/alice/add", {"amount": "1.00"})[1])
        assert seen == {"0", "1"}
        assert balance(port) == f"{sent}.00"
        metrics, _ = ask(port, "GET", "/metrics")
        assert f'walletrace_operations_total{{kind="add",outcome="ok"}} {sent}.0' in metrics
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=STOP_S)
        assert (process.returncode, out, err) == (0, "", "")


def test_a_request_under_way_is_finished_before_the_service_stops(tmp_path):
    with serving(tmp_path, work_ms=500) as (process, port):
        ask(port, "POST", "/wallets", {"account": "alice", "opening": "5"})
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("POST", "/wallets/alice/withdraw", json.dumps({"amount": "1"}))
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        answer = connection.getresponse()
        assert (answer.status, b'"after":"4.00"' in answer.read()) == (200, True)
        connection.close()
        process.communicate(timeout=STOP_S)
        assert process.returncode == 0


def test_a_client_that_goes_away_cancels_nothing_half_way(tmp_path):
    with serving(tmp_path, work_ms=200) as (_, port):
        ask(port, "POST", "/wallets", {"account": "alice", "opening": "5"})
        gone = HTTPConnection("127.0.0.1", port, timeout=10)
        gone.request("POST", "/wallets/alice/withdraw", json.dumps({"amount": "1"}))
        time.sleep(0.1)
        gone.close()
        after, _ = ask(port, "POST", "/wallets/alice/withdraw", {"amount": "1"})
        assert json.loads(after)["entries"][0]["before"] == "4.00"


def test_a_worker_that_dies_ends_the_whole_with_70(tmp_path):
    (tmp_path / "dying.py").write_text(
        "import os\n"
        "class Dying:\n"
        "    def __init__(self, runtime): pass\n"
        "    async def run(self, call, store): os._exit(9)\n"
    )
    with serving(tmp_path, workers=2, lock="dying:Dying") as (process, port):
        with pytest.raises(ConnectionError):
            ask(port, "POST", "/wallets", {"account": "alice"})
        _, err = process.communicate(timeout=STOP_S)
        assert process.returncode == 70
        assert "died (exit status 9)" in err


def test_workers_end_when_their_parent_is_killed(tmp_path):
    with serving(tmp_path, workers=2) as (process, port):
        process.kill()
        give_up = time.monotonic() + STOP_S
        while listens(port) and time.monotonic() < give_up:
            time.sleep(0.05)
        assert not listens(port)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def complaint(folder, **options):
    """What a service says that cannot start."""
    ended = subprocess.run(**command(folder, options), timeout=STOP_S, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr


def test_a_port_in_use_is_refused(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"cannot listen on 127.0.0.1 port {port}" in complaint(tmp_path, port=port)


def test_the_port_of_another_service_is_refused(tmp_path):
    with serving(tmp_path) as (_, port):
        assert f"cannot listen on 127.0.0.1 port {port}" in complaint(tmp_path, port=port)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"database": "/nowhere/at/all.db"}, "cannot open /nowhere/at/all.db"),
        ({"lock": "gloabl"}, "no lock strategy 'gloabl'; known: none, global"),
        ({"workers": 0}, "0 workers; use 1 or more"),
        ({"port": 70_000}, "cannot listen on 127.0.0.1 port 70000"),
    ],
)
def test_what_cannot_work_is_told_in_one_line(tmp_path, options, told):
    assert told in complaint(tmp_path, **options)
