"""Films, refusals, results and delays by day, week or sender."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support.fakes import START, StoreHarness, full, reading_summary, refused
from typer.testing import CliRunner

from dicom_node.cli.app import app
from dicom_node.domain.reading import StageSummary
from dicom_node.store.figures import percentile


def _one_read_one_refused_next_week(node: StoreHarness) -> None:
    """The first film's two objects were committed after 60 and 120 seconds."""
    node.finish(node.work("1.2"), "pacs")
    for seconds, row in zip((60, 120), node.rows("deliveries"), strict=True):
        node.sql(
            "UPDATE deliveries SET status = 'committed', committed_at = :at WHERE id = :id",
            at=(START + timedelta(seconds=seconds)).isoformat(timespec="microseconds"),
            id=row["id"],
        )
    node.clock.tick(7 * 86400)
    node.store.jobs.finish(node.work("1.3"), [refused("1.3.1")], full("pacs"))


def test_films_are_counted_by_day_week_and_sender(node: StoreHarness) -> None:
    """With refusals by code, results by side of the cut-off, and delays by destination."""
    _one_read_one_refused_next_week(node)
    by_day = node.store.queries.figures("day", None)
    first, second = (group.as_json() for group in by_day.values())
    assert list(by_day) == [f"{START:%Y-%m-%d}", f"{node.clock.now:%Y-%m-%d}"]
    assert (first["films"], first["read"], first["refused"]) == (1, 1, {})
    assert first["above"] + first["near"] + first["below"] == 1
    assert first["destinations"] == {
        "pacs": {"committed": 2, "p50_seconds": 60.0, "p95_seconds": 120.0}
    }
    assert (second["films"], second["read"], sum(second["refused"].values())) == (1, 0, 1)
    assert len(node.store.queries.figures("week", None)) == 2
    [sender] = node.store.queries.figures("sender", None).values()
    assert sender.films == 2
    [late] = node.store.queries.figures("day", node.clock.now)
    assert late == f"{node.clock.now:%Y-%m-%d}"


def test_stats_prints_a_table_json_and_csv(node: StoreHarness, tmp_path: Path) -> None:
    """CSV has a column for each refusal code and destination."""
    _one_read_one_refused_next_week(node)
    config = tmp_path / "config.yaml"
    config.write_text(f"{{node: {{data_dir: {tmp_path}}}, store: {{url: '{node.url}'}}}}")

    def stats(*words: str) -> str:
        done = CliRunner().invoke(app, ["stats", *words, "--config", str(config)])
        assert done.exit_code == 0, done.output
        return done.stdout

    assert "pacs: 2, p50 60 s, p95 120 s" in stats()
    assert '"p95_seconds": 120.0' in stats("--json")
    first, second = csv.DictReader(io.StringIO(stats("--csv", "--by", "week")))
    assert (first["films"], first["pacs_committed"]) == ("1", "2")
    assert second["pacs_committed"] == ""
    assert sum(int(value) for name, value in second.items() if name.startswith("refused_")) == 1


@pytest.mark.parametrize(
    ("probability", "side"),
    [(0.56, "above"), (0.55, "near"), (0.45, "near"), (0.44, "below")],
)
def test_a_score_within_five_points_of_its_cut_off_is_near_it(
    probability: float, side: str
) -> None:
    """On either side; both are compared as they are printed."""
    stage = StageSummary(probability=probability, threshold=0.5, positive=probability >= 0.5)
    assert replace(reading_summary(), pneumonia=stage).pneumonia.side == side


def test_a_percentile_is_one_of_the_values() -> None:
    """Nearest rank, as for 1 to 20 and for a single value."""
    values = [float(each) for each in range(1, 21)]
    assert (percentile(values, 50), percentile(values, 95)) == (10.0, 19.0)
    assert percentile([7.0], 95) == 7.0
