"""The pages are valid HTML."""

import subprocess
from pathlib import Path

from risk_assets.pages.messages import render_message, render_sign_in
from risk_assets.pages.morning import IndexEntry, render, render_index
from tests.npm import NpmPackages, existing, node_binary
from tests.pages import work_lists
from tests.pages.conftest import LINKS, REPORTS, SERVED

HERE = Path(__file__).resolve().parent


def test_pages_are_valid_html(tmp_path: Path) -> None:
    pages = {name: render(make(), LINKS) for name, make in REPORTS.items()}
    pages |= {f"served {name}": render(make(), LINKS, SERVED) for name, make in REPORTS.items()}
    pages["message"] = render_message("No report", ("There is none.", "Make one."))
    pages["sign in"] = render_sign_in(tokens=True, single_sign_on=True)
    pages["index"] = render_index([IndexEntry(make().date, f"{name}.html", make().verdict) for name, make in REPORTS.items()])
    pages |= {f"work list {name}": make() for name, make in work_lists.PAGES.items()}
    files = [tmp_path / f"{name.replace(' ', '_')}.html" for name in pages]
    for file, page in zip(files, pages.values(), strict=True):
        file.write_text(page, encoding="utf-8")
    validator = existing(NpmPackages(HERE).installed() / "html-validate" / "bin" / "html-validate.mjs")
    command = [node_binary(), validator, "--config", HERE / "htmlvalidate.json", "--formatter", "text", *files]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
