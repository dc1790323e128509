"""Addresses that are handed to other programs: a password in one would be seen and kept there."""

from __future__ import annotations

import re

from .errors import InputError

_SECRET = re.compile(r"[a-z][a-z0-9+.-]*://([^/@:]*:[^/]*@)", re.IGNORECASE)
_TOKEN = re.compile(r"https?://[^/]*@", re.IGNORECASE)


def require_no_password(address: str, whose: str, cure: str) -> str:
    """Return an address without a password; a user alone may stand in one for ssh.

    Raises InputError, which does not repeat the address.
    """
    if _SECRET.match(address) or _TOKEN.match(address):
        raise InputError(
            "LL187",
            f"The address {whose} holds a user name or a password; it is not repeated here, and "
            "other users of this machine could read it while it is in use.",
            cure,
        )
    return address
