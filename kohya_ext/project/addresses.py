"""Addresses: which are of this machine, and passwords in them, which no program may keep."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from .errors import InputError

_SECRET = re.compile(
    r"\b(https?:[/\\]{1,2}|[a-z][a-z0-9+.-]{0,20}:[/\\]{1,2}(?=[^/\\:@\s]{0,250}:))[^/\\\s]{0,500}@",
    re.IGNORECASE,
)
"""A user with a password, over http a user or token alone; also in an address that was taken for a
path, here or on Windows."""


def hide_passwords(text: str) -> str:
    """Return a text in which `***` replaces the user and password of each address."""
    return _SECRET.sub(r"\1***@", text) if "@" in text else text


def require_no_password(address: str, whose: str, cure: str) -> str:
    """Return an address without a password; one for ssh may have a user.

    Raises InputError, which does not repeat the address.
    """
    if _SECRET.match(address):
        raise InputError(
            "LL187",
            f"The address {whose} contains a user name or a password; it is not shown here, and "
            "other users of this machine could read it while the program runs.",
            cure,
        )
    return address


def is_this_machine(url: str) -> bool:
    """Tell whether an address is a loopback one."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
