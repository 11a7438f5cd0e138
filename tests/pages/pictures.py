"""Make the pictures of the morning report in `.github/`: `python -m tests.pages.pictures`. Their figures are those of a test."""

import io
import tempfile
from pathlib import Path

from PIL import Image

from risk_assets.pages.morning import Links, render
from tests.browser import open_page, require_chromium
from tests.pages import samples

FOLDER = Path(__file__).resolve().parents[2] / ".github"
HEIGHT, COLORS = 1360, 128


def main() -> None:
    """Write the top of the page in light colours, and its end in dark ones."""
    with tempfile.TemporaryDirectory() as folder, open_page(require_chromium()) as page:
        file = Path(folder) / "morning.html"
        file.write_text(render(samples.unusual(), Links("index.html", "previous.html")), encoding="utf-8")
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
