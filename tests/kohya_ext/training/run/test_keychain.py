"""Secrets of the system's keyring reach the trainer's environment, and nothing else."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from kohya_ext.training.run.keychain import missing_secrets, with_stored_secrets

WANDB = 'lr = 1\nlog_with = "wandb"\n'
HUB = 'huggingface_repo_id = "me/fox"\n'


@pytest.mark.parametrize(
    ("config", "environment", "missing"),
    [
        (WANDB, {}, ("WANDB_API_KEY",)),
        (WANDB, {"WANDB_API_KEY": "x"}, ()),
        (WANDB + HUB, {}, ("WANDB_API_KEY", "HF_TOKEN")),
        ('log_with = "tensorboard"\n', {}, ()),
    ],
)
def test_only_what_is_used_and_not_set_is_asked_for(config, environment, missing):
    assert missing_secrets(config, environment) == missing


def test_the_keyring_fills_what_is_missing():
    stored = {("loraloom", "WANDB_API_KEY"): "hush"}
    found = with_stored_secrets({"A": "1"}, WANDB, lambda *names: stored.get(names))
    assert found == {"A": "1", "WANDB_API_KEY": "hush"}
    assert with_stored_secrets({}, HUB, lambda *names: stored.get(names)) == {}


def test_a_locked_keyring_does_not_stop_a_training(caplog: pytest.LogCaptureFixture):
    def read(service: str, name: str) -> str:
        raise RuntimeError("locked")

    assert with_stored_secrets({}, WANDB, read) == {}
    assert "the keyring gives no WANDB_API_KEY: locked" in caplog.text


def test_the_package_is_used_where_it_is(monkeypatch: pytest.MonkeyPatch):
    fake = SimpleNamespace(get_password=lambda service, name: f"{service} {name}")
    monkeypatch.setitem(sys.modules, "keyring", fake)
    assert with_stored_secrets({}, WANDB) == {"WANDB_API_KEY": "loraloom WANDB_API_KEY"}
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert with_stored_secrets({}, WANDB) == {}
