"""A stack's settings as the program's configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtms_infra.rehearsal import stack_file

SETTINGS = """
config:
  gcp:project: acme
  rtmskit:protect: false
  rtmskit:backupDays: 0
  rtmskit:alertEmails:
    - a@example.com
  recallRegion: us-east-1
  zoomSecretToken:
    secure: AAABAMF
  rtmskit:alertSlackToken:
    secure: AAABAMF
"""
MADE_UP = {"zoomSecretToken": "t", "recallApiKey": "k", "alertSlackToken": "s", "alertPagerdutyKey": "p"}


def written(folder: Path, text: str) -> Path:
    path = folder / "Pulumi.prod.yaml"
    path.write_text(text)
    return path


def test_values_are_text_as_pulumi_hands_them_over(tmp_path: Path) -> None:
    path = written(tmp_path, SETTINGS)
    assert stack_file.read(path) == {
        "gcp:project": "acme",
        "rtmskit:protect": "false",
        "rtmskit:backupDays": "0",
        "rtmskit:alertEmails": '["a@example.com"]',
        "rtmskit:recallRegion": "us-east-1",
    }
    assert stack_file.written(path)["rtmskit:protect"] is False
    assert stack_file.encrypted(path) == ["rtmskit:zoomSecretToken", "rtmskit:alertSlackToken"]


def test_secrets_are_made_up_where_they_are_needed_or_held(tmp_path: Path) -> None:
    path = written(tmp_path, SETTINGS)
    config, secrets = stack_file.complete(stack_file.read(path), stack_file.encrypted(path), MADE_UP)
    assert secrets == ["rtmskit:alertSlackToken", "rtmskit:recallApiKey", "rtmskit:zoomSecretToken"]
    assert config["rtmskit:zoomSecretToken"] == "t"
    assert "rtmskit:alertPagerdutyKey" not in config


def test_a_secret_in_plain_text_stays_one_for_the_program_to_refuse() -> None:
    config, secrets = stack_file.complete({"rtmskit:recallApiKey": "plain"}, [], MADE_UP)
    assert config["rtmskit:recallApiKey"] == "plain"
    assert "rtmskit:recallApiKey" not in secrets


@pytest.mark.parametrize("text", ["", "- a\n", "config: [1]\n", "config: {a: [\n", "name: x\n"])
def test_another_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(stack_file.StackFileError, match=r"Pulumi\.prod\.yaml"):
        stack_file.read(written(tmp_path, text))
