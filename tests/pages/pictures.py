"""Make the pictures in `.github/` from the newest morning report of the demo: `make demo`, then `python -m tests.pages.pictures`."""

import io
import tempfile
from pathlib import Path

from PIL import Image

from risk_assets.lake import layout, morning_files
from risk_assets.lake.dates import committed_dates
from risk_assets.lake.store import open_store
from risk_assets.pages.morning import Links, render
from tests.browser import open_page, require_chromium

LAKE = "bank-lakehouse"
FOLDER = Path(__file__).resolve().parents[2] / ".github"
HEIGHT, COLORS = 1360, 128


def main() -> None:
    """Write the top of the page in light colours, and its end in dark ones."""
    lake = open_store(LAKE)
    newest = committed_dates(lake, layout.MORNING)[-1]
    with tempfile.TemporaryDirectory() as folder, open_page(require_chromium()) as page:
        file = Path(folder) / "morning.html"
        file.write_text(render(morning_files.read(lake, newest).report, Links("index.html", "previous.html")), encoding="utf-8")
        page.set_viewport_size({"width": 1120, "height": HEIGHT})
        page.goto(file.as_uri())
        _save(page.screenshot(), "light")
        page.emulate_media(color_scheme="dark")
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        _save(page.screenshot(), "dark")


def _save(picture: bytes, scheme: str) -> None:
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(
        FOLDER / f"morning-{scheme}.png", optimize=True
    )


if __name__ == "__main__":
    main()
