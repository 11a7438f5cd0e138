"""Make the pictures of the morning report in `.github/`: `python -m tests.pages.pictures`. Their figures are those of a test."""

import io
import tempfile
from pathlib import Path

import msgspec
from PIL import Image

from risk_assets.domain.morning.facts import MorningReport, WorkList
from risk_assets.pages.morning import Links, render
from tests.browser import open_page, require_chromium
from tests.pages import samples

FOLDER = Path(__file__).resolve().parents[2] / ".github"
LISTED = 20  # accounts: fewer than the test has, so that the picture is not long
COLORS = 128


def main() -> None:
    """Write a light and a dark picture of the whole page."""
    with tempfile.TemporaryDirectory() as folder, open_page(require_chromium()) as page:
        file = Path(folder) / "morning.html"
        file.write_text(render(_report(), Links("index.html", "previous.html")), encoding="utf-8")
        page.set_viewport_size({"width": 1120, "height": 900})
        page.goto(file.as_uri())
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            picture = Image.open(io.BytesIO(page.screenshot(full_page=True)))
            picture.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(FOLDER / f"morning-{scheme}.png", optimize=True)


def _report() -> MorningReport:
    report = samples.unusual()
    return msgspec.structs.replace(report, work_list=WorkList(report.work_list.items[:LISTED], flagged=268))


if __name__ == "__main__":
    main()
