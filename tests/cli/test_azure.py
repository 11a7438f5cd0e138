"""`risk azure export`: the live binding becomes a deployable folder."""

from pathlib import Path

import yaml

from tests.cli.conftest import Risk


def test_export_writes_deployments_of_the_binding(on_scored: Risk, scored: Path) -> None:
    done = on_scored("azure", "export", "endpoint", "--mirror", "20")
    assert "traffic blue 100 %; copies to green 20 %" in done.text
    assert "Next steps: endpoint/README.md" in done.text
    models = {name: yaml.safe_load((scored / f"endpoint/{name}.yml").read_text())["model"] for name in ("blue", "green")}
    assert models == {"blue": "azureml:credit_default:1", "green": "azureml:credit_default:2"}


def test_export_requires_an_empty_folder(on_scored: Risk) -> None:
    assert "data is not empty" in on_scored("azure", "export", "data", code=1).text


def test_export_rejects_an_endpoint_name(on_scored: Risk, scored: Path) -> None:
    assert "1st cannot name an endpoint" in on_scored("azure", "export", "endpoint", "--endpoint", "1st", code=1).text
    assert not (scored / "endpoint").exists()
