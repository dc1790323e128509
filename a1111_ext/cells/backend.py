"""Backends: whoever turns a cell into a picture. The WebUI over HTTP is one."""

from __future__ import annotations

import binascii
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from kohya_ext.project import HostError, InputError, ToolError
from kohya_ext.project.json_reader import parse_json
from kohya_ext.project.wording import counted

from ..api.capabilities import Capabilities
from ..api.client import PICTURE_SECONDS, ApiError, Client
from ..api.forgetting import (
    forget_checkpoint,
    forget_loras,
    forget_vae,
    has_one_checkpoint,
)
from ..api.inventory import fetch_capabilities
from ..api.lora_links import FOLDER
from ..api.payloads import VAE_OPTIONS, picture_request, task_id
from .cell import BATCH_SIZE, Cell
from .held_settings import HeldSettings
from .model_files import replaced_since
from .own_vae import OwnVae, VaePictures
from .verify import Generated, pixels_digest

STARTUP_SECONDS = 15.0
"""How long a WebUI that has just opened its port is left alone: a request in the second between
port and API makes it start without API permanently."""

_POLL_SECONDS = 0.5
_UNLOAD_SECONDS = 120.0
_EARLIER_SECONDS = 1800.0

_PIXEL_BYTES = 6
"""More than a pixel of a PNG without loss takes as base64."""

_ANSWER_BYTES = 16_000_000
"""What an answer may have beside its pictures: infotexts, and extensions that say much."""


class DrawingStopped(Exception):  # not an error: the user pressed Interrupt
    """Raised by a backend, so that the unfinished picture is not kept and the run stops."""


class Backend:
    """Draws cells, one at a time at least; `name` says where, for people.

    What only some backends can do is here too, as one that cannot do it answers.
    """

    name: str
    is_remote = False
    """Draws elsewhere: its last picture is checked beside the next, and it may be lost and back."""
    takes_turns = False
    """Shares its order of checkpoints with other runs, as `turns` has it."""
    draws_rows = False
    """Draws several seeds of one row in one request."""

    @property
    def turn_name(self) -> str:
        """What turns are taken at."""
        return self.name

    @property
    def loaded(self) -> str:
        """The title of the checkpoint that is loaded when nobody draws; "" where it is unknown."""
        return ""

    def may_keep(self, name: str) -> bool:
        """Whether it may draw with an earlier file of a LoRA's name until it is made to forget."""
        return False

    def forget_loras(self, checkpoint: str) -> None:
        """Let the host read LoRA files again, where it keeps those that it drew with.

        `checkpoint` is the title of the one that the next picture wants.
        """

    def forget_vae(self, checkpoint: str) -> None:
        """Let the host read the next picture's VAE from its file, whatever it has loaded."""

    def prepare_vae(self, cell: Cell) -> str:
        """Have the checkpoint's own VAE loaded for a cell that names none; say why it cannot be."""
        return ""

    def lose_sight(self) -> None:
        """Hear that others may have drawn there."""

    def forget_checkpoint(self, title: str) -> bool:
        """Let the host read a checkpoint from its file again; tell whether it can."""
        return False

    def forget_embeddings(self, title: str) -> bool:
        """Let the host read embeddings again for this checkpoint; tell whether it can."""
        return True

    def generate(self, cell: Cell) -> Generated:
        """Draw a cell. Raises ToolError when no picture comes."""
        raise NotImplementedError

    def generate_row(self, cells: Sequence[Cell]) -> Sequence[Generated]:
        """Draw cells that differ in seed only, in one request. Raises InputError."""
        raise InputError(
            "LL454", f"{self.name} draws single pictures only.", "Draw without batches."
        )

    def hand_over(self, cells: Iterable[Cell], stop: threading.Event) -> None:
        """Hear, before the first, of all cells that are to be drawn."""

    def close(self) -> None:
        """End the work: put back what was changed."""

    def lacks(self, cell: Cell) -> str:
        """Say what it lacks for a cell; "" when it has everything."""
        return ""

    def replaced(self, cell: Cell) -> str:
        """Name a file of a cell that was replaced since it was pinned; "" for none."""
        return ""

    def interrupt(self, cells: Sequence[Cell]) -> bool:
        """End the job of these cells, never that of somebody else; tell whether it was ended."""
        return False

    def has_task(self, cells: Sequence[Cell]) -> bool:
        """Tell whether our request for these cells waits or is in progress there."""
        return False

    def is_back(self) -> bool:
        """Tell whether one that was lost answers again."""
        return False

    def await_earlier(self, cell: Cell, stop: threading.Event) -> None:
        """Wait until an earlier request for this cell is no longer worked on."""

    def save_settings(self, earlier: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the WebUI's own settings, among them those that a killed run left changed.

        None where drawing changes no settings.
        """
        return None

    def put_back(self) -> bool:
        """Put the WebUI's settings back; tell whether it took them."""
        return True

    def free_memory(self) -> None:
        """Unload what is loaded, where that can be; the next picture loads it again."""


class HttpBackend(Backend):
    """The WebUI at the other end of a client; its settings are put back by `close`.

    It can be pickled, for an executor whose workers are other processes.
    """

    is_remote = takes_turns = draws_rows = True

    def __init__(
        self,
        client: Client,
        capabilities: Capabilities | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        startup_seconds: float = STARTUP_SECONDS,
    ) -> None:
        self.client = client
        self.name = client.url
        self.capabilities = capabilities or fetch_capabilities(client)
        self._clock, self._sleep, self._startup_seconds = clock, sleep, startup_seconds
        self._settings = HeldSettings(client, self.turn_name)
        self._vaes = OwnVae(self._has_own_vae, self.forget_checkpoint, self._note_own_vae)
        self._was_down = False
        self._lacks: dict[object, str] = {}
        self._lacks_of: Capabilities | None = None

    @property
    def loaded(self) -> str:
        """The title of the checkpoint that the WebUI is set to, as cells have it."""
        return self.capabilities.loaded.partition(" [")[0]

    def may_keep(self, name: str) -> bool:
        """LoRAs of the same names and weights are taken for those of the picture before.

        Those that we linked have names that no other file ever has.
        """
        found = self.capabilities.find_lora(name)
        return found is None or PurePath(found.path).parent.name != FOLDER

    def forget_loras(self, checkpoint: str) -> None:
        """Let the WebUI draw without LoRAs, after which it reads their files again."""
        self.hold_settings()  # it draws nothing with a clip skip of 2.0
        forget_loras(self.client, checkpoint)

    def forget_vae(self, checkpoint: str) -> None:
        """Let the WebUI draw without a VAE."""
        self.hold_settings()
        has = self.capabilities
        forget_vae(self.client, checkpoint, has.text_encoders if has.is_forge else None)

    def prepare_vae(self, cell: Cell) -> str:
        """Have the checkpoint's own VAE loaded, by a small picture with another checkpoint."""
        if not self.capabilities.keeps_vae:
            return ""
        self.hold_settings()
        settings = {**self.capabilities.settings, **self._settings.own}
        return self._vaes.prepare(cell, settings, has_one=has_one_checkpoint(settings))

    def lose_sight(self) -> None:
        """Hear that others may have drawn there."""
        self._vaes.forget()

    def _has_own_vae(self, cell: Cell) -> bool:
        with closing(VaePictures()) as pictures:
            known = pictures.known(self.turn_name, cell.checkpoint.title)
        return bool(known) and known == self._small_picture(cell)

    def _note_own_vae(self, cell: Cell) -> None:
        with closing(VaePictures()) as pictures:
            pictures.note(self.turn_name, cell.checkpoint.title, self._small_picture(cell))

    def _small_picture(self, cell: Cell) -> str:
        """Return the digest of a picture that differs with the VAE alone."""
        small = Cell("", 1, width=64, height=64, steps=1, sampler=self.capabilities.samplers[0])
        small = replace(small, checkpoint=cell.checkpoint, vae=cell.vae)
        return pixels_digest(HttpBackend.generate_row(self, [small])[0].png)  # by no queue

    def forget_checkpoint(self, title: str) -> bool:
        """Let the WebUI draw with another checkpoint, if it has one."""
        self.hold_settings()
        return forget_checkpoint(self.client, self.capabilities, title)

    def forget_embeddings(self, title: str) -> bool:
        """Let a Forge load the checkpoint again: only then it reads embeddings.

        A1111 reads them where LoRAs are forgotten.
        """
        return not self.capabilities.is_forge or self.forget_checkpoint(title)

    # -- drawing --------------------------------------------------------------------------

    def generate(self, cell: Cell) -> Generated:
        """Draw a cell over the API.

        Raises HostError (for an answer without a picture).
        """
        return self.generate_row([cell])[0]

    def generate_row(self, cells: Sequence[Cell]) -> Sequence[Generated]:
        """Draw cells that differ in seed only, in one request.

        Cells of a batch come out of the whole batch, whichever of them are asked for.
        """
        first = cells[0]
        self._settings.hold(first.override_settings)
        is_batch = first.batch.kind == BATCH_SIZE
        base = first.seed - first.batch.index
        count = first.batch.size if is_batch else len(cells)
        route, body = self.request_of(first, count)
        started = self._clock()
        width, height = first.final_size
        most = _ANSWER_BYTES + count * width * height * _PIXEL_BYTES
        answer = self.client.post(
            route, body, seconds=PICTURE_SECONDS, most_bytes=most, has_pictures=True
        )
        seconds = (self._clock() - started) / count
        generated = _read_answer(answer, count, seconds, self.name)
        return [
            generated[cell.seed - base if is_batch else index] for index, cell in enumerate(cells)
        ]

    def request_of(self, cell: Cell, count: int = 1) -> tuple[str, dict[str, Any]]:
        """Return the route and body for a cell, or for `count` of its row that begin with it."""
        route, body = picture_request(cell, self.capabilities, count=count)
        # after the checkpoint: A1111 sets them in this order, and needs a model to set a VAE
        body["override_settings"] = {**body["override_settings"], **self._own_vae(cell)}
        return route, body

    def _own_vae(self, cell: Cell) -> dict[str, Any]:
        """Return the WebUI's own VAE for a cell that names none: another run may have set its own.

        That run leaves it set from its first picture to its last. Forge Neo would take A1111's
        option for a path.
        """
        own = self._settings.own
        option = VAE_OPTIONS[self.capabilities.is_forge]
        named = bool(cell.vae or cell.modules) or not cell.override_settings.keys().isdisjoint(
            VAE_OPTIONS
        )
        return {option: own[option]} if option in own and not named else {}

    def lacks(self, cell: Cell) -> str:
        """Say what this WebUI lacks for a cell; "" when it has everything."""
        upscaler = cell.hires_fix.upscaler if cell.hires_fix else ""
        is_img2img = cell.source is not None
        wanted = (
            (cell.checkpoint, cell.loras, cell.sampler, cell.scheduler, upscaler),
            (cell.vae, cell.scripts, is_img2img),
        )
        if self._lacks_of is not self.capabilities:
            self._lacks_of, self._lacks = self.capabilities, {}
        if wanted not in self._lacks:
            self._lacks[wanted] = self._find_lack(cell)
        return self._lacks[wanted]

    def replaced(self, cell: Cell) -> str:
        """Name a file of a cell that was replaced since it was pinned; "" for none."""
        return replaced_since(cell, self.capabilities)

    def _find_lack(self, cell: Cell) -> str:
        has = self.capabilities
        try:
            found = has.require_checkpoint(cell.checkpoint.title)
            has.require_names(
                sampler=cell.sampler,
                scheduler=cell.scheduler,
                upscaler=cell.hires_fix.upscaler if cell.hires_fix else None,
            )
            has.require_vae(cell.vae)
            for script in cell.scripts:
                is_img2img = cell.source is not None
                has.require_script(script.name, len(script.args), is_img2img=is_img2img)
            loras = [(use, has.require_lora(use.name, use.weight)) for use in cell.loras]
        except ToolError as error:
            return error.problem
        pinned = cell.checkpoint.sha256
        if pinned and found.sha256 and pinned != found.sha256:
            return f"The checkpoint {found.title} of {self.name} is another file."
        other = [use.name for use, one in loras if use.hash and one.hash and use.hash != one.hash]
        return f"The LoRA {other[0]} of {self.name} is another file." if other else ""

    # -- its settings ---------------------------------------------------------------------

    def hold_settings(self) -> None:
        """Let the WebUI put back by itself, after each picture, what pictures override."""
        self._settings.hold()

    def save_settings(self, earlier: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the WebUI's own settings; `earlier` are those that a killed run did not put back.

        They count only where nobody has chosen another VAE by hand since.
        """
        return self._settings.take_earlier(earlier)

    def put_back(self) -> bool:
        """Put the WebUI's settings back; tell whether it took them. A lost WebUI is left alone."""
        return self._settings.put_back()

    def close(self) -> None:
        """Put the WebUI's settings back and close the connection; a lost WebUI is left alone."""
        try:
            self.put_back()
        finally:
            self._settings.close()
            self.client.close()

    # -- our own task ---------------------------------------------------------------------

    def await_earlier(self, cell: Cell, stop: threading.Event) -> None:
        """Wait until an earlier request for this cell is no longer queued or drawn there."""
        until = self._clock() + _EARLIER_SECONDS
        while not stop.is_set() and self._clock() < until:
            if not self._has_task(self.client, cell):
                return
            stop.wait(_POLL_SECONDS)

    def has_task(self, cells: Sequence[Cell]) -> bool:
        """Tell whether our request waits or is in progress; False where the WebUI does not tell."""
        with self.client.another() as client:
            return self._has_task(client, cells[0])

    def _has_task(self, client: Client, cell: Cell) -> bool:
        state = self._ask_progress(client, cell)
        return bool(state.get("active") or state.get("queued"))

    def interrupt(self, cells: Sequence[Cell]) -> bool:
        """End the job of these cells, if it is running and nobody else's could be hit instead.

        Tells whether it may have been ended, so that its picture is none. To be called again while
        it should end: a job of the WebUI's page that ends just then takes the interrupt away.
        """
        with self.client.another() as client:
            try:
                is_waited_for = bool(client.get("/internal/pending-tasks").get("size"))
                state = client.get("/sdapi/v1/progress?skip_current_image=true").get("state", {})
                if not self._ask_progress(client, cells[0]).get("active"):
                    return False  # asked last: what was read before may be of the job after ours
                if state.get("interrupted"):
                    return True
                if is_waited_for and state.get("job_count", 0) - state.get("job_no", 0) <= 1:
                    return False  # somebody's job may begin before the interrupt arrives
                client.post("/sdapi/v1/interrupt")
            except ApiError:
                pass  # it is stopping anyway
        return True

    def _ask_progress(self, client: Client, cell: Cell) -> dict[str, Any]:
        """Ask for the state of our task; {} where the WebUI does not tell, as under --nowebui."""
        try:
            state = client.post(
                "/internal/progress", {"id_task": task_id(cell), "live_preview": False}
            )
        except ApiError:
            return {}
        return state if isinstance(state, dict) else {}

    def free_memory(self) -> None:
        """Unload the checkpoint; the next picture loads it again."""
        self.client.post("/sdapi/v1/unload-checkpoint", seconds=_UNLOAD_SECONDS)

    # -- going and coming back ------------------------------------------------------------

    def is_back(self) -> bool:
        """Tell whether the WebUI answers again; one that has just started is left in peace."""
        if not self.client.is_listening():
            self._was_down = True
            return False
        if self._was_down:
            self._sleep(self._startup_seconds)
            self._was_down = False
        try:
            self.capabilities = fetch_capabilities(self.client)
        except ApiError:
            return False
        self._settings.forget()
        self._vaes.forget()
        return True


def _picture(text: str | memoryview) -> bytes:
    """Decode base64, with or without the head of a data URI."""
    if bytes(text[:5]) == b"data:" if isinstance(text, memoryview) else text[:5] == "data:":
        plain = bytes(text).decode("ascii") if isinstance(text, memoryview) else text
        text = plain.rpartition(",")[2]
    try:
        from pybase64 import b64decode  # the extra "speed": Python's own takes 6 ms of our 9
    except ImportError:
        return binascii.a2b_base64(text)
    return b64decode(text)


def _read_answer(answer: Any, count: int, seconds: float, where: str) -> list[Generated]:
    try:
        info = parse_json(answer["info"])
        pictures = [_picture(one) for one in answer["images"]]
        infotexts = [str(text) for text in info["infotexts"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise HostError(
            "LL451",
            f"The WebUI at {where} answered without a usable picture.",
            "See the WebUI's console; an extension may be the cause.",
        ) from error
    if len(pictures) != count or len(infotexts) < count:
        raise HostError(
            "LL451",
            f"The WebUI at {where} sent {counted(len(pictures), 'picture')}, {count} were asked "
            "for.",
            "Switch off the extension that adds or removes pictures.",
        )
    checkpoint = str(info.get("sd_model_hash") or "")
    return [Generated(png, text, checkpoint, seconds) for png, text in zip(pictures, infotexts)]  # noqa: B905 - a grid of the batch may follow
