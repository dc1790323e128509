"""What one run knows of a WebUI's own settings, which it holds, and puts back at its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..api.client import ApiError, Client, unexpected
from ..api.inventory import CHECKPOINT, named_again
from ..api.payloads import NULLABLE, OVERRIDDEN, with_whole_numbers
from .shared_settings import SharedSettings

_SET_SECONDS = 120.0
"""A checkpoint among the settings may be loaded."""


class HeldSettings:
    """The settings of one WebUI; runs name it to each other by `turn_name`."""

    def __init__(self, client: Client, turn_name: str) -> None:
        self._client, self._turn_name = client, turn_name
        self._before: dict[str, Any] | None = None
        self._shared: SharedSettings | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_shared": None}  # a file that each process opens for itself

    @property
    def own(self) -> Mapping[str, Any]:
        """The WebUI's own settings as far as they are held."""
        return self._before or {}

    def hold(self, more: Iterable[str] = ()) -> None:
        """Write our options' present values into the WebUI's own config, once; so for `more`.

        Only options that its config.json holds are put back by the WebUI; others stick.
        """
        if self._before is None:
            was_drawing, options = self._is_drawing(), self._options()
            self._before = self._write(
                {
                    name: options[name]
                    for name in OVERRIDDEN
                    if options.get(name) is not None or (name in NULLABLE and name in options)
                },
                is_drawing=was_drawing or self._is_drawing(),
            )
        if missing := [one for one in more if one not in self._before]:
            options = self._options()
            known = {one: options[one] for one in missing if options.get(one) is not None}
            self._before |= self._write(known)

    def take_earlier(self, earlier: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the WebUI's own settings; `earlier` are those that a killed run did not put back.

        They count only where nobody has chosen another VAE by hand since.
        """
        self.hold()
        assert self._before is not None  # it was read just now
        if self._before.get("sd_vae") in earlier.get("left", ()):
            known = {name: value for name, value in earlier.items() if name in self._before}
            self._before.update(known)
        return self._before

    def put_back(self) -> bool:
        """Put the settings back; tell whether the WebUI took them. A lost WebUI is left alone."""
        before, self._before = self._before, None
        if before is not None:
            before = self._shared_settings().to_put_back(self._turn_name, before)
        try:
            if before:
                self._set_back(before)
        except ApiError as error:
            if error.status:
                raise
            return False
        return True

    def forget(self) -> None:
        """Read them again: a WebUI that was restarted has its own."""
        self._before = None

    def close(self) -> None:
        """Close the file that runs share."""
        if self._shared is not None:
            self._shared.close()

    def _is_drawing(self) -> bool:
        """Tell whether the WebUI draws, for whomever: its options may be those of one picture."""
        path = "/sdapi/v1/progress?skip_current_image=true"
        answer = self._client.get(path)
        try:
            return bool(answer["state"]["job"])
        except (KeyError, TypeError) as error:
            raise unexpected(self._client.url, path, error) from error

    def _write(self, settings: Mapping[str, Any], *, is_drawing: bool = False) -> dict[str, Any]:
        """Write settings into its config, but those that another run of ours has written there.

        Where an A1111 has 2.0 it takes 2 for the same and keeps 2.0: another value goes before.
        """
        own, new = self._shared_settings().share(self._turn_name, settings, is_drawing=is_drawing)
        held = {name: value for name, value in new.items() if name != CHECKPOINT}
        # 1.0 does no harm, and most WebUIs have 1: those are never given another value
        other = {
            name: value - 1 for name, value in held.items() if type(value) is int and value > 1
        }
        for changes in (other, held):
            if changes:
                self._client.post("/sdapi/v1/options", changes, seconds=_SET_SECONDS)
        return own

    def _set_back(self, before: Mapping[str, Any]) -> None:
        try:
            self._client.post("/sdapi/v1/options", before, seconds=_SET_SECONDS)
        except ApiError as error:
            again = (
                named_again(self._client, before) if error.status and CHECKPOINT in before else {}
            )
            if again in ({}, before):
                raise
            self._client.post("/sdapi/v1/options", again, seconds=_SET_SECONDS)

    def _options(self) -> dict[str, Any]:
        """Return the options as they may be written back: its API tells whole numbers as reals."""
        return with_whole_numbers(self._client.get("/sdapi/v1/options"))

    def _shared_settings(self) -> SharedSettings:
        if self._shared is None:
            self._shared = SharedSettings()
        return self._shared
