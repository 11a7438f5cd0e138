"""What executors do with the parts of a landed file: they measure them, and stage copies in the lake.

A task has several parts if they are small. It returns counts, hashes and positions, at most those that a manifest stores.
"""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from risk_assets.engine.jobs import CopiedPart, CopyJob, Failure, MeasuredPart, MeasureJob, Result
from risk_assets.engine.tasks import lake_at, reported, store_at
from risk_assets.lake import landed_parts
from risk_assets.lake.landed_parts import LandedFile, PartReader, count_part, require_dialect
from risk_assets.lake.objects import Entry
from risk_assets.lake.staging import stage


def measure(job: MeasureJob, numbers: Sequence[int]) -> list[Result]:
    """Read some parts of a landed file, and return what they contain."""

    def measured(reader: PartReader, part: str, number: int) -> Result:
        require_dialect(reader, part, job.dialect, job.parts[0])
        return MeasuredPart(number, count_part(reader, part, job.dialect))

    return _without_many_positions(_each(job, numbers, job.expected, measured))


def copy(job: CopyJob, numbers: Sequence[int]) -> list[Result]:
    """Stage copies of some parts of a landed file."""

    def copied(reader: PartReader, part: str, number: int) -> Result:
        return CopiedPart(number, stage(lake_at(job.lake), job.targets[number], job.token, number, reader.chunks(part)))

    return _each(job, numbers, (), copied)


def _each(
    job: MeasureJob | CopyJob, numbers: Sequence[int], expected: tuple[str, ...], task: Callable[[PartReader, str, int], Result]
) -> list[Result]:
    """Return the results of a task for each part: of small ones in threads."""
    reader = reported(numbers[0], job, lambda: _reader(job, numbers, expected))
    if isinstance(reader, Failure):
        return [reader]
    number_of = dict(zip(reader.landed.parts, numbers, strict=True))
    return reader.each(
        lambda part: reported(number_of[part], job, lambda: task(reader, part, number_of[part])),
        reader.landed.parts,
    )


def _reader(job: MeasureJob | CopyJob, numbers: Sequence[int], expected: tuple[str, ...]) -> PartReader:
    """Return a reader of some parts. The lake is opened too: executors must find it before parts of an earlier file are moved away."""
    lake_at(job.lake)
    entries = tuple(Entry(job.parts[number], job.sizes[number], "", 0) for number in numbers)
    landing = store_at(job.landing.url, job.landing.retry_seconds)
    return PartReader(LandedFile(landing, tuple(entry.path for entry in entries), expected, entries))


def _without_many_positions(results: list[Result]) -> list[Result]:
    """Return results without positions of lines if they have more together than a manifest stores."""
    counts = [result.counts for result in results if isinstance(result, MeasuredPart)]
    if sum(sum(found.lines.values()) for found in counts) <= landed_parts.MAX_RAGGED_ROWS:
        return results
    return [replace(r, counts=replace(r.counts, ragged=None)) if isinstance(r, MeasuredPart) else r for r in results]
