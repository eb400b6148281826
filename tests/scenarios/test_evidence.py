"""What explore and replay leave behind: files that know their code, and pictures."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import UsageError
from scenarios import saved
from scenarios.catalogue import SCENARIOS
from scenarios.cli import run
from scenarios.evidence import Evidence
from scenarios.fingerprint import fingerprints

RACE = SCENARIOS["documented-race"]
KEPT = Path(__file__).parent.parent / "schedules" / "documented-race-none-one-service.json"

RACY = '''"""A lock strategy of a user's."""
from engine.locks.body import read_apply_write

class Mine:
    def __init__(self, runtime):
        self.mutex = runtime.mutex("everybody")

    async def run(self, call, store):
        return await read_apply_write(call, store)
'''
MENDED = RACY.replace(
    "        return await", "        async with self.mutex:\n            return await"
)
READS_TWICE = RACY.replace(
    "        return await", "        await store.read(call.accounts)\n        return await"
)

Write = Callable[[str], str]


@pytest.fixture
def user_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a user's lock strategy; the answer is its name. The next import sees the new text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def write(text: str) -> str:
        (tmp_path / "evidence_lock.py").write_text(text)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        monkeypatch.delitem(sys.modules, "evidence_lock", raising=False)
        return "evidence_lock:Mine"

    return write


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


# -- fingerprints ------------------------------------------------------------------------------


def test_comments_docstrings_and_layout_do_not_count_as_a_change(user_code: Write) -> None:
    before = fingerprints(RACE, user_code(RACY))
    changed = RACY.replace("a user's", "somebody's").replace("(call, store)", "( call,\n store )")
    assert changed != RACY
    assert fingerprints(RACE, user_code(changed + "# the end\n")) == before


def test_a_change_of_the_strategy_changes_its_fingerprint_and_no_other(user_code: Write) -> None:
    before = fingerprints(RACE, user_code(RACY))
    after = fingerprints(RACE, user_code(MENDED))
    assert after["lock"] != before["lock"]
    assert after["scenario"] == before["scenario"]
    assert fingerprints(SCENARIOS["double-spend"], "none")["scenario"] != before["scenario"]


def test_a_module_beside_the_strategys_belongs_to_it(user_code: Write, tmp_path: Path) -> None:
    helper = tmp_path / "evidence_helper.py"
    helper.write_text("LIMIT = 1\n")
    name = user_code(f"import evidence_helper, json\n{RACY}")
    before = fingerprints(RACE, name)
    helper.write_text("LIMIT = 2\n")
    assert fingerprints(RACE, name)["lock"] != before["lock"]


# -- files and replays -------------------------------------------------------------------------


def keep(lock: str, file: Path) -> None:
    options = ["--lock", lock, "--expect", "broken", "--save", str(file)]
    assert run(["explore", "documented-race", *options]) == 0


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize(
    ("now", "status", "says"),
    [
        (RACY, 0, "it recurs; the code is unchanged"),
        (RACY + "# reviewed\n", 0, "it recurs; the code is unchanged"),
        (RACY + "LIMIT = 5\n", 0, "although the lock strategy changed since: not mended"),
        (MENDED, 1, "mended, as far as this schedule goes (the lock strategy changed since"),
        (READS_TWICE, 1, "yet the run is still wrong: money (the lock strategy changed"),
    ],
    ids=["same", "comment", "other code", "mended", "other steps"],
)
def test_a_replay_says_whether_the_code_is_still_the_same(
    now: str,
    status: int,
    says: str,
    store: str,
    user_code: Write,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "kept.json"
    keep(user_code(RACY), file)
    capsys.readouterr()
    user_code(now)
    assert run(["replay", str(file), "--store", store]) == status
    answer = told(capsys)
    assert says in answer
    again = "walletrace explore documented-race --lock evidence_lock:Mine"
    assert (again in answer) is bool(status)


def test_no_recurrence_with_the_same_code_names_the_suspects(
    user_code: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "kept.json"
    keep(user_code(MENDED.replace("self.mutex:", "__import__('contextlib').nullcontext():")), file)
    kept = json.loads(file.read_text())
    right = {"schedule": ["A", "A", "A", "B", "B", "B"], "walletrace": "0.0.1"}
    file.write_text(json.dumps(kept | right))
    assert run(["replay", str(file), "--store", "sqlite"]) == 1
    answer = told(capsys)
    assert "it does not recur, though the code is unchanged" in answer
    for suspect in ("Runtime.cell", "0.0.1 then", "sqlite differs from memory:sqlite"):
        assert suspect in answer


def test_a_run_that_is_wrong_in_another_way_is_never_called_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "kept.json"
    kept = json.loads(KEPT.read_text())
    file.write_text(json.dumps(kept | {"schedule": ["A", "A", "B", "B", "B", "A"]}))
    assert run(["replay", str(file), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert "still wrong: money" in answer["says"]
    assert "mended" not in answer["says"]
    assert answer["code"] in ("unchanged", "changed")


def test_a_file_of_format_1_is_read_and_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = ("walletrace", "wallet", "kind", "code")
    old = {key: value for key, value in json.loads(KEPT.read_text()).items() if key not in new}
    file = tmp_path / "old.json"
    file.write_text(json.dumps(old | {"walletrace_schedule": 1, "found_in": "memory"}))
    assert saved.load(file).found_in == "memory:sqlite"
    assert run(["replay", str(file), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["recurs"], answer["code"], answer["changed"]) == (True, "unknown", [])


def test_a_file_of_a_newer_format_asks_for_a_newer_walletrace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new.json"
    file.write_text(json.dumps(json.loads(KEPT.read_text()) | {"walletrace_schedule": 3}))
    assert run(["replay", str(file)]) == 2
    assert "newer walletrace" in capsys.readouterr().err


def test_a_kept_file_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    kept = saved.load(KEPT)
    saved.save(kept, tmp_path / "again.json")
    assert saved.load(tmp_path / "again.json") == kept
    assert (kept.found_in, kept.store, kept.kind) == ("memory:sqlite", "memory", "money")
    assert set(kept.code) == {"scenario", "lock"}


# -- pictures and the screen -------------------------------------------------------------------


@pytest.mark.parametrize("file", ["race.svg", "race.png"])
def test_explore_and_replay_draw_the_same_picture(file: str, tmp_path: Path) -> None:
    found, again = tmp_path / file, tmp_path / f"again-{file}"
    run(["explore", "documented-race", "--lock", "none", "--figure", str(found)])
    assert run(["replay", str(KEPT), "--figure", str(again)]) == 0
    if file.endswith(".svg"):
        assert "A's withdrawal" in found.read_text()
        assert "writes alice 1300.00" in again.read_text()
    else:
        assert found.read_bytes()[:4] == again.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("option", "file", "says"),
    [("--figure", "race.pdf", ".svg or .png"), ("--pytest", "race.py", "test_….py")],
)
def test_a_file_of_the_wrong_kind_is_refused_before_the_work(
    option: str, file: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explore", "documented-race", "--lock", "none", option, file]) == 2
    answer = capsys.readouterr()
    assert says in answer.err
    assert answer.out == ""


def test_the_documented_race_fits_one_screen_of_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for topology in ("one-service", "two-processes"):
        run(["explore", "documented-race", "--lock", "none", "--topology", topology])
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) <= 40
        assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("option", ["--save", "--figure", "--pytest"])
@pytest.mark.parametrize(
    ("folder", "says"), [("none/", "there is no folder"), ("file/", "there is no folder")]
)
def test_a_place_where_nothing_can_be_written_is_told_before_the_search(
    option: str,
    folder: str,
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("")
    name = {"--save": "a.json", "--figure": "a.svg", "--pytest": "test_a.py"}[option]
    file = f"{tmp_path}/{folder}{name}"
    assert run(["explore", "documented-race", "--lock", "none", option, file]) == 2
    shown = capsys.readouterr()
    assert says in shown.err
    assert "exploring" not in shown.err
    assert shown.out == ""


def test_a_folder_is_no_file_to_write_and_nothing_is_touched(tmp_path: Path) -> None:
    race = ["explore", "documented-race", "--lock", "none"]
    assert run([*race, "--save", str(tmp_path)]) == 2
    kept = tmp_path / "kept.json"
    kept.write_text("precious")
    with pytest.raises(UsageError, match="there is no folder"):
        Evidence(kept, tmp_path / "none" / "a.svg").check()
    assert kept.read_text() == "precious"


def test_a_replay_says_which_cell_it_repeats_and_under_which_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "race.json")
    race = ["explore", "documented-race", "--lock", "none", "--faults", "cancel=1"]
    run([*race, "--save", file])
    capsys.readouterr()
    figure = tmp_path / "race.svg"
    assert run(["replay", file, "--figure", str(figure)]) == 0
    where = "one-service, replayed on memory, cancel=1"
    assert capsys.readouterr().out.startswith(f"documented-race with none, {where}\n")
    assert where in figure.read_text()
