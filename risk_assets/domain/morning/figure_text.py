"""The values of key figures as texts, the same in the verdict and on the page."""

from risk_assets.domain.morning.facts import Figure, FigureName

MINUS = "\N{MINUS SIGN}"
MILLIONS_FROM, BILLIONS_FROM = 1e7, 1e10
SMALL_SHARE, SMALL_COUNT = 0.1, 10  # smaller values have one more digit
MOST_MORE = 4  # more digits by which a value and the end of its range can differ


def value_text(name: FigureName, value: float, more: int = 0) -> str:
    """Return the value of a figure in its unit, with so many more digits than usual."""
    if name == "mean probability":
        return f"{_number(value * 100, share_digits(value) + more)}%"
    if name == "flagged exposure":
        return amount(value, more)
    return _number(value, count_digits(name, value) + more)


def figure_texts(figure: Figure) -> tuple[str, str | None]:
    """Return the value of a known figure and its usual range, such as "40 to 52"; None if the range is not known.

    The value of a figure outside its range has as many digits as it takes to differ from the ends of the range.
    """
    assert figure.value is not None
    if figure.normal is None:
        return value_text(figure.name, figure.value), None
    for more in range(MOST_MORE + 1):
        value, low, high = (value_text(figure.name, each, more) for each in (figure.value, figure.normal.low, figure.normal.high))
        if not figure.unusual or value not in (low, high):
            break
    return value, low if low == high else f"{low} to {high}"


def amount(value: float, more: int = 0) -> str:
    """Return an amount of money; from ten million on in millions or billions: "214,900", "12.3M", "45.0bn"."""
    size = abs(value)
    if size >= BILLIONS_FROM:
        return f"{_number(value / 1e9, 1 + more)}bn"
    return f"{_number(value / 1e6, 1 + more)}M" if size >= MILLIONS_FROM else _number(value, more)


def share_digits(share: float) -> int:
    """Return the digits of a share in percent."""
    return 1 if abs(share) >= SMALL_SHARE else 2


def count_digits(name: FigureName, count: float) -> int:
    """Return the digits of a number of accounts."""
    return 1 if name == "expected bads" and abs(count) < SMALL_COUNT else 0


def _number(value: float, digits: int) -> str:
    return f"{value:z,.{digits}f}".replace("-", MINUS)
