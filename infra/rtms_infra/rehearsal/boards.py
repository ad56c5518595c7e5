"""Registered dashboards as text: each chart with the values that this cloud's counters and metrics have. Pure.

Source: Cloud Monitoring API, `projects.dashboards` (MosaicLayout: tiles lie within its columns; XyChart; TimeSeriesFilter).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from rtms_infra.rehearsal.logfilter import FilterError
from rtms_infra.rehearsal.monitoring import ALIGNERS, REDUCERS, Monitoring
from rtms_infra.rehearsal.registered import Aggregation, Dashboard, Inputs, seconds

SHOWN_PERIODS = 30
"""How many alignment periods a line of a chart shows at most, the newest last."""

BARS = "▁▂▃▄▅▆▇█"
_TYPE = re.compile(r'metric\.type\s*=\s*"([^"]+)"')


class _Filtered(Inputs, frozen=True, kw_only=True):
    filter: str
    aggregation: Aggregation


class _Series(Inputs, frozen=True, kw_only=True):
    time_series_filter: _Filtered


class _DataSet(Inputs, frozen=True, kw_only=True):
    time_series_query: _Series


class _Chart(Inputs, frozen=True, kw_only=True):
    data_sets: list[_DataSet]


class _Widget(Inputs, frozen=True, kw_only=True):
    title: str
    xy_chart: _Chart


class _Tile(Inputs, frozen=True, kw_only=True):
    x_pos: int = 0
    y_pos: int = 0
    width: int
    height: int
    widget: _Widget


class _Mosaic(Inputs, frozen=True, kw_only=True):
    columns: int
    tiles: list[_Tile]


class _Page(Inputs, frozen=True, kw_only=True):
    display_name: str
    mosaic_layout: _Mosaic


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard."""

    page: _Page

    @classmethod
    def of(cls, registered: Dashboard) -> Board:
        """Raises `FilterError` for a dashboard beyond what is read here."""
        try:
            board = cls(msgspec.json.decode(registered.dashboard_json, type=_Page))
        except msgspec.MsgspecError as error:
            raise FilterError(f"a dashboard has what is not read here: {error}") from None
        for _, chart in board._charts():
            aggregation = chart.aggregation
            if aggregation.per_series_aligner not in ALIGNERS or aggregation.cross_series_reducer not in REDUCERS:
                raise FilterError(f"{aggregation.per_series_aligner} with {aggregation.cross_series_reducer} is not read here")
        return board

    def problems(self, monitoring: Monitoring) -> list[str]:
        """What Google refuses, or always shows as an empty chart: a tile beyond the columns, a metric that nobody writes."""
        mosaic = self.page.mosaic_layout
        problems = [
            f"the tile {tile.widget.title!r} reaches column {tile.x_pos + tile.width} of {mosaic.columns}"
            for tile in mosaic.tiles
            if tile.x_pos + tile.width > mosaic.columns
        ]
        for title, chart in self._charts():
            unknown = [metric for metric in _TYPE.findall(chart.filter) if not monitoring.knows(metric)]
            problems += [f"the tile {title!r} asks for {metric}, which nothing counts" for metric in unknown]
        return problems

    def text(self, monitoring: Monitoring, at: float) -> list[str]:
        """Each chart's title and a line for each of its time series: its labels, the values of the last periods up to `at` as bars, the
        newest value and the highest."""
        lines = [f"Dashboard {self.page.display_name}"]
        for title, chart in self._charts():
            drawn = list(_drawn(chart, monitoring, at))
            lines += [f"  {title}", *(f"    {line}" for line in drawn or ["no value yet"])]
        return lines

    def _charts(self) -> Iterator[tuple[str, _Filtered]]:
        for tile in sorted(self.page.mosaic_layout.tiles, key=lambda one: (one.y_pos, one.x_pos)):
            for data_set in tile.widget.xy_chart.data_sets:
                yield tile.widget.title, data_set.time_series_query.time_series_filter


def _drawn(chart: _Filtered, monitoring: Monitoring, at: float) -> Iterator[str]:
    period = seconds(chart.aggregation.alignment_period)
    began = monitoring.began()
    count = 0 if began is None else min(SHOWN_PERIODS, int((at - began) / period) + 1)
    periods = [monitoring.aligned(chart.filter, chart.aggregation, at - period * back) for back in reversed(range(count))]
    for group in sorted({group for values in periods for group in values}):
        values = [one.get(group) for one in periods]
        known = [value for value in values if value is not None]
        newest = "-" if values[-1] is None else f"{values[-1]:.4g}"
        yield f"{', '.join(group) or 'all'}: {_bars(values, max(known))} now {newest}, highest {max(known):.4g}"


def _bars(values: list[float | None], highest: float) -> str:
    """One sign a period; a point stands for no value."""
    scale = (len(BARS) - 1) / highest if highest > 0 else 0.0
    return "".join("·" if value is None else BARS[round(value * scale)] for value in values)
