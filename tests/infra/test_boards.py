"""The registered dashboard, drawn as text with the values that the counters have."""

from __future__ import annotations

import json

import pytest

from rtms_infra.rehearsal.boards import Board
from rtms_infra.rehearsal.logfilter import FilterError
from rtms_infra.rehearsal.monitoring import Monitoring
from rtms_infra.rehearsal.registered import Dashboard, Registered
from tests.infra.deployment import Runner
from tests.infra.logged import printed
from tests.infra.rehearsed import registered

pytestmark = pytest.mark.xdist_group("infra")

WORKER, WEBHOOK = "rtmskit-prod-worker", "rtmskit-prod-webhook"


@pytest.fixture
def whole(runner: Runner) -> Registered:
    return registered(runner)


def board(whole: Registered) -> Board:
    [registered_board] = whole.of(Dashboard).values()
    return Board.of(registered_board)


def altered(whole: Registered, index: int, **tile: object) -> Board:
    """With other fields of one tile."""
    [one] = whole.of(Dashboard).values()
    page = json.loads(one.dashboard_json)
    page["mosaicLayout"]["tiles"][index] |= tile
    return Board.of(Dashboard(dashboard_json=json.dumps(page)))


def under(lines: list[str], title: str) -> list[str]:
    """The lines of one chart."""
    at = lines.index(f"  {title}") + 1
    below = [index for index, line in enumerate(lines) if index >= at and not line.startswith("    ")]
    return [line.strip() for line in lines[at : min(below, default=len(lines))]]


def test_a_chart_shows_each_time_series_with_its_values_of_each_minute(whole: Registered) -> None:
    monitoring = Monitoring(whole)
    monitoring.line(10.0, WEBHOOK, printed("NOTICE", "start_acked"))
    for at in (11.0, 12.0, 130.0):
        monitoring.line(at, WORKER, printed("INFO", "start_seen"))
    lines = board(whole).text(monitoring, 180.0)
    assert lines[0] == "Dashboard rtmskit-prod"
    assert under(lines, "Starts: acknowledged and seen") == [
        "start_acked: █·· now -, highest 1",
        "start_seen: █·▅ now 1, highest 2",
    ]
    assert under(lines, "Hand-offs") == ["no value yet"]


def test_a_platform_metric_is_drawn_like_a_counter(whole: Registered) -> None:
    monitoring = Monitoring(whole)
    for at, code in ((5.0, "2xx"), (6.0, "2xx"), (7.0, "5xx")):
        own = {"response_code": code[0] + "00", "response_code_class": code}
        monitoring.point(at, "run.googleapis.com/request_count", "cloud_run_revision", {"service_name": WEBHOOK}, own, 1.0)
    lines = board(whole).text(monitoring, 60.0)
    assert under(lines, "Webhook: answers") == ["2xx: █ now 2, highest 2", "5xx: █ now 1, highest 1"]
    assert under(lines, "Worker: answers") == ["no value yet"]


def test_the_registered_dashboard_has_no_problem_and_every_chart_is_drawn(whole: Registered) -> None:
    one = board(whole)
    assert one.problems(Monitoring(whole)) == []
    assert len([line for line in one.text(Monitoring(whole), 0.0) if line.startswith("    ")]) == 10


def test_a_tile_beyond_the_columns_is_a_problem(whole: Registered) -> None:
    found = altered(whole, 1, xPos=30).problems(Monitoring(whole))
    assert found == ["the tile 'Hand-offs' reaches column 54 of 48"]


def test_a_chart_of_a_counter_that_is_not_registered_is_a_problem(whole: Registered) -> None:
    without = Registered([entry for entry in whole.entries if entry.name != "metric-handoffs"], whole.outputs, whole.project)
    [problem] = board(whole).problems(Monitoring(without))
    assert problem == "the tile 'Hand-offs' asks for logging.googleapis.com/user/rtmskit-prod-handoffs, which nothing counts"


def test_a_widget_that_is_not_read_is_an_error(whole: Registered) -> None:
    with pytest.raises(FilterError, match="not read here"):
        altered(whole, 0, widget={"title": "t", "pieChart": {}})
