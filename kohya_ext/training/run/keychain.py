"""Secrets that a run needs and the environment lacks: from the system's keyring, if it is there.

Needs the extra `loraloom[keyring]`; stored by `keyring set loraloom WANDB_API_KEY`. They go into
the trainer's environment, never into a file or a command.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping

from ..config.kohya_json import SECRETS

SERVICE = "loraloom"

_USES = {
    "wandb_api_key": r'^log_with = "(wandb|all)"',
    "huggingface_token": r"^(huggingface_repo_id|resume_from_huggingface) = ",
}

Read = Callable[[str, str], "str | None"]


def missing_secrets(config_text: str, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the variables that a config makes the trainer ask for, and that are not set."""
    used = (SECRETS[key] for key, uses in _USES.items() if re.search(uses, config_text, re.M))
    return tuple(name for name in used if not environment.get(name))


def with_stored_secrets(
    environment: Mapping[str, str], config_text: str, read: Read | None = None
) -> dict[str, str]:
    """Return the environment, with what the keyring has of the secrets that are missing there."""
    found = dict(environment)
    for name in missing_secrets(config_text, environment):
        if secret := _stored(name, read or _keyring()):
            found[name] = secret
    return found


def _keyring() -> Read | None:
    try:
        import keyring
    except ImportError:  # the extra is not installed
        return None
    read: Read = keyring.get_password
    return read


def _stored(name: str, read: Read | None) -> str | None:
    if read is None:
        return None
    try:
        return read(SERVICE, name)
    except Exception as error:  # noqa: BLE001  # each system's keyring has errors of its own
        logging.getLogger(__name__).warning("the keyring gives no %s: %s", name, error)
        return None
