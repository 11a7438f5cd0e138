"""The geometry of the plots: what the templates draw as SVG, in units of the view box."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise

from risk_assets.domain.morning.facts import Figure
from risk_assets.pages.formats import number, percent, signed
from risk_assets.pages.scales import RootScale, Scale, ticks

WIDTH, HEIGHT = 360, 190
LEFT, RIGHT, TOP, BOTTOM = 40, 352, 22, 164
COLORS = 7  # the style sheet has so many colors of bands, from the safest to the riskiest
MOST_SHARES = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
RATE_TICKS = (0.0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
NAME_WIDTH, VALUE_WIDTH, BAR_ROW, BAR_HEIGHT, BAR_TOP = 132, 34, 19, 11, 6
STRIP_MARGIN = 0.6  # of the range's width, on either side of it


@dataclass(frozen=True)
class Tick:
    """A number at an axis: its coordinate and its text."""

    at: float
    text: str


@dataclass(frozen=True)
class Mark:
    """A date with an event: its coordinate, its number in the legend, and whether it is an incident."""

    x: float
    number: int
    incident: bool


@dataclass(frozen=True)
class Box:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Frame:
    """The size of a plot, and the area inside its axes."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int


@dataclass(frozen=True)
class Strip:
    """A value and its usual range in percent of a strip."""

    low: float
    width: float
    at: float


@dataclass(frozen=True)
class History:
    """A number by date: `lines` are the points of consecutive dates, `dots` those of single dates, `last` is the newest one."""

    usual: Box | None
    lines: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    last: tuple[float, float] | None
    marks: tuple[Mark, ...]
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]


@dataclass(frozen=True)
class Area:
    """A range of the vertical axis with a name: its rectangle, its color, and where its name is written."""

    name: str
    color: int
    box: Box
    text_y: float


@dataclass(frozen=True)
class Ranges:
    """A number by date in front of named ranges."""

    line: History
    areas: tuple[Area, ...]


@dataclass(frozen=True)
class Float:
    """A bar of a waterfall: where it starts and ends, and its name and value; `kind` is `sum`, `safer` or `riskier`."""

    name: str
    value: str
    box: Box
    text_y: float
    kind: str


@dataclass(frozen=True)
class Waterfall:
    """Bars from a first sum to a last one, each from the sum so far; `steps` are the lines between them."""

    bars: tuple[Float, ...]
    steps: tuple[tuple[float, float, float], ...]
    height: float


@dataclass(frozen=True)
class Layer:
    """A band in the stacked plot: its name, its color, and the path of its bars."""

    name: str
    color: int
    path: str


@dataclass(frozen=True)
class Stack:
    """Stacked shares by date."""

    layers: tuple[Layer, ...]
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]


@dataclass(frozen=True)
class Distribution:
    """A histogram, and the outline of the usual one if it is known."""

    bars: tuple[Box, ...]
    usual: str | None
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]


@dataclass(frozen=True)
class BandRate:
    """A band's column: the expected rate, and the observed one with its interval."""

    name: str
    x: float
    expected: float
    observed: float
    low: float
    high: float
    outside: bool


@dataclass(frozen=True)
class Calibration:
    """Expected and observed rates by band."""

    bands: tuple[BandRate, ...]
    y: tuple[Tick, ...]


@dataclass(frozen=True)
class Bar:
    """A bar with its name and value; `x` and `anchor` place the value beside its end."""

    name: str
    box: Box
    value: str
    x: float
    anchor: str
    y: float
    safer: bool
    beyond: bool


@dataclass(frozen=True)
class Shifts:
    """Bars to the left and right of zero."""

    bars: tuple[Bar, ...]
    zero: float
    height: float


def range_strip(figure: Figure) -> Strip | None:
    """Return where a figure is compared with its usual range; None if either is not known."""
    if figure.value is None or figure.normal is None:
        return None
    low, high = figure.normal.low, figure.normal.high
    margin = max(high - low, abs(high) * 0.02, 1e-9) * STRIP_MARGIN
    scale = Scale(min(low - margin, figure.value), max(high + margin, figure.value), 0, 98)
    return Strip(scale.at(low), round(max(scale.at(high) - scale.at(low), 1.0), 1), scale.at(figure.value))


def history(
    dates: Sequence[str],
    values: Sequence[float | None],
    usual: tuple[float, float] | None,
    events: Mapping[str, tuple[int, bool]],
    labels: Mapping[str, str],
) -> History:
    """Return the plot of a number over dates, oldest first.

    Parameters
    ----------
    values
        The number of each date; None leaves a gap.
    usual
        The ends of the usual range.
    events
        The dates with an event: its number in the legend, and whether it is an incident.
    labels
        The dates with a text at the axis.
    """
    return _history(dates, values, usual, events, labels, _numbers([*values, *(usual or ())]))


def ranges(
    dates: Sequence[str],
    values: Sequence[float | None],
    areas: Sequence[tuple[str, float | None, float | None]],
    labels: Mapping[str, str],
) -> Ranges:
    """Return the plot of a number over dates, oldest first, in front of ranges: name, low end and high end, None for no end.

    The axis covers the range of the newest number, so that its ends are seen.
    """
    newest = next((value for value in reversed(values) if value is not None), None)
    rounds, y = _numbers([*values, *([] if newest is None else _around(newest, areas))])
    shown = [
        (at, name, max(rounds[0] if low is None else low, rounds[0]), min(rounds[-1] if high is None else high, rounds[-1]))
        for at, (name, low, high) in enumerate(areas)
    ]
    line = _history(dates, values, None, {}, labels, (rounds, y))
    return Ranges(line, tuple(_area(at, len(areas), name, y.at(low), y.at(high)) for at, name, low, high in shown if low < high))


def waterfall(first: tuple[str, float], parts: Sequence[tuple[str, float]], last: tuple[str, float]) -> Waterfall:
    """Return the bars from a first sum over its parts, in their order, to the last sum; each has a name and a number."""
    sums = list(accumulate((part for _, part in parts), initial=first[1]))
    low, high = min(*sums, last[1]), max(*sums, last[1])
    margin = max(high - low, 1.0) * 0.06
    x = Scale(low - margin, high + margin, NAME_WIDTH, WIDTH - VALUE_WIDTH)
    floats = [
        _float(at, name, signed(part), (x.at(before), x.at(after)), "safer" if part >= 0 else "riskier")
        for at, ((name, part), (before, after)) in enumerate(zip(parts, pairwise(sums), strict=True), start=1)
    ]
    whole = [_float(at, name, number(value), (NAME_WIDTH, x.at(value)), "sum") for at, (name, value) in ((0, first), (len(sums), last))]
    steps = tuple((x.at(value), BAR_ROW * at + BAR_TOP + BAR_HEIGHT, BAR_ROW * (at + 1) + BAR_TOP) for at, value in enumerate(sums))
    return Waterfall((whole[0], *floats, whole[1]), steps, BAR_ROW * (len(sums) + 1) + BAR_TOP)


def stack(dates: Sequence[str], bands: Sequence[str], counts: Sequence[Sequence[int] | None], labels: Mapping[str, str]) -> Stack:
    """Return the share of accounts in each band by date, the riskiest band at the bottom. `counts` are by date and band."""
    return Stack(
        layers=tuple(Layer(name, color(at, len(bands)), _layer(counts, at)) for at, name in enumerate(bands)),
        x=_date_ticks(dates, labels),
        y=tuple(Tick(_SHARE.at(each), percent(each, 0)) for each in (0.0, 0.25, 0.5, 0.75, 1.0)),
    )


def distribution(
    edges: Sequence[float], counts: Sequence[float], usual: Sequence[float] | None, shown: Mapping[float, str]
) -> Distribution:
    """Return the shares of a histogram. `usual` are shares, `shown` the numbers at the axis with their texts."""
    total = sum(counts) or 1.0
    today = [count / total for count in counts]
    x, y = Scale(edges[0], edges[-1], LEFT, RIGHT), _rates([*today, *(usual or ())])
    sides = [(x.at(low), x.at(high)) for low, high in pairwise(edges)]
    bars = [
        Box(left + 0.5, y.at(share), round(max(right - left - 1, 0.5), 1), round(BOTTOM - y.at(share), 1))
        for (left, right), share in zip(sides, today, strict=True)
    ]
    outline = None if usual is None else _outline(sides, [y.at(share) for share in usual])
    return Distribution(bars=tuple(bars), usual=outline, x=tuple(Tick(x.at(at), text) for at, text in shown.items()), y=_rate_ticks(y))


def calibration(bands: Sequence[tuple[str, float, float, tuple[float, float], bool]]) -> Calibration:
    """Return the rates of bands: name, expected rate, observed rate, its interval, and whether it is outside its limits."""
    y = _rates([max(expected, interval[1]) for _, expected, _, interval, _ in bands])
    width = (RIGHT - LEFT) / max(len(bands), 1)
    return Calibration(
        bands=tuple(
            BandRate(name, round(LEFT + width * (at + 0.5), 1), y.at(expected), y.at(observed), y.at(low), y.at(top), outside)
            for at, (name, expected, observed, (low, top), outside) in enumerate(bands)
        ),
        y=_rate_ticks(y),
    )


def shifts(features: Sequence[tuple[str, float, bool]]) -> Shifts:
    """Return the bars of features: name, points by which it shifted the mean score, and whether that is beyond its limit."""
    most = max((abs(points) for _, points, _ in features), default=0.0) or 1.0
    zero, reach = (NAME_WIDTH + WIDTH) / 2, (WIDTH - NAME_WIDTH) / 2 - 34
    return Shifts(
        bars=tuple(_bar(at, *feature, zero, reach / most) for at, feature in enumerate(features)),
        zero=zero,
        height=BAR_ROW * len(features) + 24,
    )


def color(at: int, bands: int) -> int:
    """Return the number of the color of the band at a position."""
    return COLORS - 1 if bands < 2 else round(at * (COLORS - 1) / (bands - 1))


BOX = Frame(WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM)
_SHARE = Scale(0.0, 1.0, BOTTOM, TOP)


def _history(
    dates: Sequence[str],
    values: Sequence[float | None],
    usual: tuple[float, float] | None,
    events: Mapping[str, tuple[int, bool]],
    labels: Mapping[str, str],
    axis: tuple[list[float], Scale],
) -> History:
    x, (rounds, y) = _dates(dates), axis
    points = [(x.at(at), None if value is None else y.at(value)) for at, value in enumerate(values)]
    runs = [[(across, down) for across, down in run if down is not None] for _, run in groupby(points, lambda point: point[1] is None)]
    return History(
        usual=None if usual is None else Box(LEFT, y.at(usual[1]), RIGHT - LEFT, round(y.at(usual[0]) - y.at(usual[1]), 1)),
        lines=tuple(" ".join(f"{across},{down}" for across, down in run) for run in runs if len(run) > 1),
        dots=tuple(run[0] for run in runs if len(run) == 1),
        last=next(((across, down) for across, down in reversed(points) if down is not None), None),
        marks=tuple(Mark(x.at(at), *events[date]) for at, date in enumerate(dates) if date in events),
        x=_date_ticks(dates, labels),
        y=tuple(Tick(y.at(each), number(each)) for each in rounds),
    )


def _around(value: float, areas: Sequence[tuple[str, float | None, float | None]]) -> list[float]:
    """Return the ends of the range that has a value."""
    inside = ((low, high) for _, low, high in areas if (low is None or low < value) and (high is None or value <= high))
    return [end for ends in inside for end in ends if end is not None]


def _numbers(values: Sequence[float | None]) -> tuple[list[float], Scale]:
    """Return the round numbers at the vertical axis of some values, and its scale."""
    rounds = ticks(*_padded([value for value in values if value is not None]), smallest=1.0)
    return rounds, Scale(rounds[0], rounds[-1], BOTTOM, TOP)


def _area(at: int, areas: int, name: str, low: float, high: float) -> Area:
    """Return the range from `low`, below, to `high`, both in units of the view box."""
    box = Box(LEFT, high, RIGHT - LEFT, round(low - high, 1))
    return Area(name, color(at, areas), box, round((low + high) / 2 + 3, 1))


def _float(at: int, name: str, value: str, ends: tuple[float, float], kind: str) -> Float:
    y = BAR_ROW * at + BAR_TOP
    return Float(name, value, Box(min(ends), y, round(max(abs(ends[1] - ends[0]), 0.8), 1), BAR_HEIGHT), y + 9.5, kind)


def _padded(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    margin = max((high - low) * 0.1, 1.0)
    return max(low - margin, 0.0) if low >= 0 else low - margin, high + margin


def _dates(dates: Sequence[str]) -> Scale:
    return Scale(0, max(len(dates) - 1, 1), LEFT + 4, RIGHT - 6)


def _date_ticks(dates: Sequence[str], labels: Mapping[str, str]) -> tuple[Tick, ...]:
    scale = _dates(dates)
    return tuple(Tick(scale.at(at), labels[date]) for at, date in enumerate(dates) if date in labels)


def _rates(shares: Sequence[float]) -> RootScale:
    most = min(max(shares, default=0.0), 1.0)
    return RootScale(next(share for share in MOST_SHARES if share >= most), BOTTOM, TOP)


def _rate_ticks(scale: RootScale) -> tuple[Tick, ...]:
    return tuple(Tick(scale.at(each), percent(each, 0)) for each in RATE_TICKS if each <= scale.high)


def _layer(counts: Sequence[Sequence[int] | None], band: int) -> str:
    """Return the path of a band's bars; of a date without accounts there is none."""
    width = (RIGHT - LEFT) / max(len(counts), 1)
    bars = [_segment(LEFT + at * width, width, each, band) for at, each in enumerate(counts) if each and sum(each)]
    return "".join(bars)


def _segment(x: float, width: float, counts: Sequence[int], band: int) -> str:
    total = sum(counts)
    bottom, top = _SHARE.at(sum(counts[band + 1 :]) / total), _SHARE.at(sum(counts[band:]) / total)
    return f"M{x:.1f} {top:.1f}h{max(width - 0.6, 0.6):.1f}V{bottom:.1f}h-{max(width - 0.6, 0.6):.1f}z" if bottom > top else ""


def _outline(sides: Sequence[tuple[float, float]], heights: Sequence[float]) -> str:
    steps = "".join(f"L{left} {height}L{right} {height}" for (left, right), height in zip(sides, heights, strict=True))
    return f"M{sides[0][0]} {BOTTOM}{steps}L{sides[-1][1]} {BOTTOM}"


def _bar(at: int, name: str, points: float, beyond: bool, zero: float, scale: float) -> Bar:
    y, end = 20 + BAR_ROW * at, zero + points * scale
    safer = points >= 0
    box = Box(round(min(zero, end), 1), y, round(abs(end - zero), 1), 11)
    return Bar(name, box, signed(points, 1), round(end + (4 if safer else -4), 1), "start" if safer else "end", y + 9.5, safer, beyond)
