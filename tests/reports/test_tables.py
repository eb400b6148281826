"""Tables: documented columns, and the same content in every format."""

import json
from pathlib import Path

import pandas as pd
import pytest

from reports import Found
from reports.tables import COLUMNS, SAMPLES_MAX, export, tables


@pytest.mark.parametrize("name", COLUMNS)
def test_every_table_has_exactly_the_documented_columns_and_types(found: Found, name: str) -> None:
    frame = tables(found)[name]
    assert list(frame.columns) == list(COLUMNS[name])
    assert len(frame) > 0
    expected = [pd.api.types.pandas_dtype(kind) for kind, _ in COLUMNS[name].values()]
    assert list(frame.dtypes) == expected


def test_empty_findings_give_empty_tables_with_the_same_types() -> None:
    for name, frame in tables(Found(())).items():
        assert len(frame) == 0
        assert list(frame.columns) == list(COLUMNS[name])


@pytest.mark.parametrize("name", ["verdicts", "loads", "ratios", "programs", "claims", "samples"])
def test_parquet_gives_back_what_was_written(small: Found, tmp_path: Path, name: str) -> None:
    frames = tables(small)
    export(frames, tmp_path)
    back = pd.read_parquet(tmp_path / f"{name}.parquet")
    pd.testing.assert_frame_equal(back, frames[name], check_dtype=False)


@pytest.mark.parametrize("name", ["verdicts", "loads"])
def test_csv_and_json_hold_the_same_rows(small: Found, tmp_path: Path, name: str) -> None:
    frames = tables(small)
    export(frames, tmp_path)
    csv = pd.read_csv(tmp_path / f"{name}.csv", keep_default_na=False)
    records = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
    assert list(csv.columns) == list(COLUMNS[name])
    assert list(csv["lock"]) == [record["lock"] for record in records] == list(frames[name]["lock"])


def test_the_columns_are_described_beside_the_data(small: Found, tmp_path: Path) -> None:
    export(tables(small), tmp_path)
    described = json.loads((tmp_path / "columns.json").read_text(encoding="utf-8"))
    assert described["loads"]["lock_wait_p99_ms"] == {"type": "float64", "meaning": "of lock wait"}


def test_a_long_run_keeps_an_even_share_of_its_samples(found: Found) -> None:
    samples = tables(found)["samples"]
    assert samples.groupby(["run", "column"]).size().max() <= SAMPLES_MAX
    run = found.load_runs[0]
    kept = samples[(samples["run"] == 0) & (samples["column"] == "lock_wait")]
    assert list(kept["value_ns"]) == list(run.samples["lock_wait"])
