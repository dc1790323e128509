"""Asks a WebUI what it is and has: a dozen short requests, and hashes where it has none yet."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from kohya_ext.project import ConflictError
from kohya_ext.project.addresses import is_this_machine
from kohya_ext.project.json_reader import ShapeError

from .capabilities import AlwaysOn, Capabilities, Checkpoint, Lora
from .client import SERVER_ERROR, ApiError, Client, unexpected
from .file_hashes import hash_of_file, is_here, known_hash
from .forge_modules import chosen_among, text_encoder_names
from .lora_list import list_lora_files, read_metadata, walk_files
from .payloads import small_picture

_log = logging.getLogger(__name__)

LOAD_SECONDS = 600.0
"""How long loading a checkpoint may take."""

HIDDEN = "list_hidden_files"
"""A1111's option to list files in folders whose name begins with a dot; it is on by default."""

OF_REFORGE = "sd_text_encoder"
"""An option that reForge has, and neither A1111 nor Forge: reForge has the routes of A1111."""

CHECKPOINT = "sd_model_checkpoint"
"""The option that names the checkpoint to be loaded."""


_STARTING_TRIES = 8
_STARTING_PAUSE = 2.0
"""Seconds; 14 in all. A Forge whose port was open failed for 4, measured on two busy cores."""


def fetch_capabilities(
    client: Client, *, sleep: Callable[[float], None] = time.sleep
) -> Capabilities:
    """Ask a WebUI what it has: a dozen short requests. Raises HostError.

    One that has just opened its port may fail in some of them: it is asked again for some seconds.
    """
    for attempt in range(_STARTING_TRIES):
        try:
            return _fetch_capabilities(client)
        except ApiError as error:
            if error.status < SERVER_ERROR or attempt == _STARTING_TRIES - 1:
                raise
            if attempt == 0:
                _log.warning("%s It may still be starting: asking again.", error.problem)
            sleep(_STARTING_PAUSE)
        except (KeyError, TypeError, AttributeError, ShapeError) as error:
            raise unexpected(client.url, client.last_path, error) from error
    raise AssertionError("the loop returns or raises")


def fetch_loras(client: Client, capabilities: Capabilities) -> Capabilities:
    """Return capabilities with the LoRAs that the WebUI has now; the rest is not asked for again.

    Raises HostError.
    """
    try:
        flags = client.get("/sdapi/v1/cmd-flags")
        return replace(capabilities, loras=_fetch_loras(client, flags, capabilities.settings))
    except (KeyError, TypeError, AttributeError, ShapeError) as error:
        raise unexpected(client.url, client.last_path, error) from error


def _fetch_capabilities(client: Client) -> Capabilities:
    options = client.get("/sdapi/v1/options")
    # Forge has this route in place of A1111's /sd-vae: a VAE is a module there
    modules = _get_or(client, "/sdapi/v1/sd-modules", None)
    flags = client.get("/sdapi/v1/cmd-flags")
    encoders = text_encoder_names(modules or (), flags)
    if modules is None:
        vaes = _get_or(client, "/sdapi/v1/sd-vae", None)
    else:
        vaes = [one for one in modules if one["model_name"] not in encoders]
    scripts = client.get("/sdapi/v1/scripts")
    samplers = client.get("/sdapi/v1/samplers")
    upscaler_rows = client.get("/sdapi/v1/upscalers")
    upscalers = [one["name"] for one in upscaler_rows]
    answer = _get_or(client, "/sdapi/v1/embeddings", {})
    found_embeddings = answer if isinstance(answer, dict) else {}
    latent = [one["name"] for one in _get_or(client, "/sdapi/v1/latent-upscale-modes", [])]
    is_reforge = modules is None and OF_REFORGE in options
    # reForge lists hypernetworks, and draws with none
    hypernetworks = None if is_reforge else _get_or(client, "/sdapi/v1/hypernetworks", None)
    embedding_files = _embedding_files(found_embeddings, flags, client.url)
    return Capabilities(
        url=client.url,
        checkpoints=tuple(_checkpoint(one) for one in client.get("/sdapi/v1/sd-models")),
        loaded=str(options.get(CHECKPOINT) or ""),
        samplers=tuple(one["name"] for one in samplers),
        own_schedules=own_schedules((one["name"], one.get("options")) for one in samplers),
        schedulers=tuple(one["label"] for one in _get_or(client, "/sdapi/v1/schedulers", [])),
        upscalers=(*latent, *upscalers),
        latent_upscalers=tuple(latent),
        loras=_fetch_loras(client, flags, options),
        scripts=tuple(scripts.get("txt2img", ())),
        lora_dir=str(flags.get("lora_dir") or ""),
        is_simulated=bool(flags.get("simulated")),
        has_agent_scheduler=_get_or(client, "/agent-scheduler/v1/queue?limit=1", None) is not None,
        is_forge=modules is not None,
        keeps_vae=is_reforge,
        extensions=tuple(
            str(one.get("name"))
            for one in _get_or(client, "/sdapi/v1/extensions", [])
            if one.get("enabled", True)
        ),
        vaes=None if vaes is None else tuple(str(one["model_name"]) for one in vaes),
        modules=None if modules is None else tuple(str(one["model_name"]) for one in modules),
        missing_files=_missing_files(client.url, vaes or ()),
        text_encoders=chosen_among(options.get("forge_additional_modules"), encoders),
        hashes_files=not flags.get("no_hashing"),
        hypernetworks=(
            None if hypernetworks is None else tuple(str(one["name"]) for one in hypernetworks)
        ),
        detectors=_detectors(client, scripts),
        embeddings={
            name: hash_of_file(Path(embedding_files[name]))[:12] if name in embedding_files else ""
            for name in found_embeddings.get("loaded") or ()
        },
        files={
            "VAE": _paths(client.url, vaes, "model_name", "filename"),
            "module": _paths(client.url, modules, "model_name", "filename"),
            "hypernetwork": _paths(client.url, hypernetworks, "name", "path"),
            "upscaler": _paths(client.url, upscaler_rows, "name", "model_path"),
            "embedding": embedding_files,
        },
        skipped_embeddings=tuple(found_embeddings.get("skipped") or ()),
        img2img_upscaler=str(options.get("upscaler_for_img2img") or ""),
        settings=dict(options),
        always_on=tuple(
            AlwaysOn(one["name"], len(one["args"]), bool(one["is_img2img"]))
            for one in _get_or(client, "/sdapi/v1/script-info", [])
            if one["is_alwayson"]
        ),
    )


def own_schedules(samplers: Iterable[tuple[str, object]]) -> tuple[str, ...]:
    """Return those of some sampling methods, each with its options, that ignore the schedule type.

    UniPC does so where it is without options, as in A1111 and Forge; Forge Neo has another one.
    """
    return tuple(
        name
        for name, options in samplers
        if name in ("DDIM", "DDIM CFG++", "PLMS") or (name == "UniPC" and not options)
    )


def _fetch_loras(
    client: Client, flags: Mapping[str, Any], options: Mapping[str, Any]
) -> tuple[Lora, ...]:
    """List the LoRAs: from the WebUI's folders on this machine, by its API from any other."""
    folders = lora_folders_of(flags)
    if is_this_machine(client.url) and folders and folders[0].is_dir():
        found = list_lora_files(folders, with_hidden=options.get(HIDDEN) is not False)
        return tuple(_lora_of(path) for path in found)
    return tuple(_lora(one) for one in client.get("/sdapi/v1/loras", seconds=60))


def _missing_files(url: str, vaes: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    if not is_this_machine(url):
        return ()
    paths = {str(one["model_name"]): str(one.get("filename") or "") for one in vaes}
    return tuple(name for name, path in paths.items() if path and _is_gone(Path(path)))


def _is_gone(path: Path) -> bool:
    """Tell that a file was removed: its folder is seen from here, it is not."""
    return path.is_absolute() and path.parent.is_dir() and not path.exists()


def _detectors(client: Client, scripts: Mapping[str, Any]) -> tuple[str, ...] | None:
    if "adetailer" not in scripts.get("txt2img", ()):
        return None
    answer = _get_or(client, "/adetailer/v1/ad_model", None)
    return None if answer is None else tuple(map(str, answer["ad_model"]))


def _embedding_files(
    answer: Mapping[str, Any], flags: Mapping[str, Any], url: str
) -> dict[str, str]:
    """Return the files of the loaded model's embeddings, where they are seen from here."""
    names = list(answer.get("loaded") or ())
    folder = Path(str(flags.get("embeddings_dir") or ""))
    if not names or not is_this_machine(url) or not folder.is_absolute():
        return {}
    files = {one.stem: one for one in walk_files(folder) if one.suffix.lower() in _EMBEDDINGS}
    return {name: str(files[name]) for name in names if name in files}


def _paths(
    url: str, rows: Iterable[Mapping[str, Any]] | None, name: str, path: str
) -> dict[str, str]:
    """Return the paths of a list's files by their names, as far as they are seen from here."""
    found = {str(one[name]): str(one.get(path) or "") for one in rows or ()}
    return {one: where for one, where in found.items() if is_here(Path(where), url)}


_EMBEDDINGS = (".pt", ".safetensors", ".bin")


def lora_folders_of(flags: Mapping[str, Any]) -> list[Path]:
    """Return the folders in which a WebUI looks for LoRAs, by its command-line flags.

    The first is where it keeps its own; Forge Neo takes more of them with `--lora-dirs`.
    """
    more = flags.get("lora_dirs") or ()
    named = [flags.get("lora_dir"), flags.get("lyco_dir_backcompat"), *more]
    return list(dict.fromkeys(Path(str(one)) for one in named if one))


def _lora_of(path: Path) -> Lora:
    metadata = read_metadata(path)
    return Lora(
        path.stem,
        str(metadata.get("ss_output_name") or path.stem),
        str(metadata.get("sshs_model_hash") or "")[:12],
        str(path),
    )


def fetch_hashed(client: Client, capabilities: Capabilities, *words: str) -> Capabilities:
    """Return capabilities in which the checkpoints called `words` have their SHA-256.

    Files of this machine are hashed here, each content once: they count as they are now. Elsewhere
    a WebUI hashes a checkpoint when it first loads it, so unhashed ones are loaded now, and then
    the one that was loaded before. Forge loads one for a small picture only. Raises InputError for
    an unknown name, ConflictError for a file that the WebUI takes for another one.
    """
    capabilities = look_at_checkpoints(client, capabilities, *words)
    named = (capabilities.require_checkpoint(word) for word in words)
    unhashed = {one.title: one for one in named if not one.sha256}
    if not unhashed or (capabilities.is_forge and not capabilities.hashes_files):
        return capabilities
    if capabilities.is_forge:
        for title in unhashed:
            client.post("/sdapi/v1/txt2img", small_picture(title), seconds=LOAD_SECONDS)
    else:
        loaded = capabilities.find_checkpoint("")
        for title in (*unhashed, *([loaded.title] if loaded and capabilities.loaded else ())):
            client.post("/sdapi/v1/options", {CHECKPOINT: title}, seconds=LOAD_SECONDS)
    own = {one.title: one.sha256 for one in capabilities.checkpoints}
    rows = [_checkpoint(row) for row in client.get("/sdapi/v1/sd-models")]
    return replace(
        capabilities,
        checkpoints=tuple(
            replace(one, sha256=one.sha256 or own.get(one.title, "")) for one in rows
        ),
    )


def named_again(client: Client, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with the checkpoint named as a WebUI names it now.

    A1111 keeps the name with the hash of a file that was replaced, and refuses to be set to it.
    """
    plain = str(settings.get(CHECKPOINT) or "").partition(" [")[0]
    titles = [str(row["title"]) for row in client.get("/sdapi/v1/sd-models")]
    found = next((one for one in titles if one.partition(" [")[0] == plain), plain)
    return {**settings, CHECKPOINT: found}


def look_at_checkpoints(client: Client, capabilities: Capabilities, *words: str) -> Capabilities:
    """Return capabilities in which checkpoints of this machine are as their files are now.

    Nothing is loaded. Raises InputError and ConflictError as `fetch_hashed` does.
    """
    return _with_own_hashes(_refreshed(client, capabilities, words), words)


def unread_checkpoints(capabilities: Capabilities, *words: str) -> list[tuple[Path, int]]:
    """Return the files, and their bytes, that `look_at_checkpoints` has to read: it takes a while.

    Raises InputError for an unknown name.
    """
    found: list[tuple[Path, int]] = []
    for path in {Path(capabilities.require_checkpoint(word).path): None for word in words}:
        with suppress(OSError):
            if is_here(path, capabilities.url) and not known_hash(path):
                found.append((path, path.stat().st_size))
    return found


def _refreshed(client: Client, capabilities: Capabilities, words: Sequence[str]) -> Capabilities:
    """Let a WebUI list its checkpoints again where a file here may not be the one that it knows.

    A1111 then forgets the hash of a file whose date is newer than that of the one before.
    """
    named = [capabilities.require_checkpoint(word) for word in words]
    if all(_is_known(one, capabilities) for one in named):
        return capabilities
    try:
        client.post("/sdapi/v1/refresh-checkpoints", seconds=LOAD_SECONDS)
    except ApiError as error:
        if error.status not in (404, 405):
            raise
        return capabilities
    loaded = client.get("/sdapi/v1/options").get(CHECKPOINT)
    rows = client.get("/sdapi/v1/sd-models")
    return replace(
        capabilities, checkpoints=tuple(map(_checkpoint, rows)), loaded=str(loaded or "")
    )


def _is_known(one: Checkpoint, capabilities: Capabilities) -> bool:
    """Tell whether a WebUI's hash of a checkpoint is that of the file, as far as is seen here."""
    return not one.sha256 or capabilities.checkpoint_hash_now(one) in ("", one.sha256)


def _with_own_hashes(capabilities: Capabilities, words: Iterable[str]) -> Capabilities:
    """Return capabilities with the hashes of the files that are here, whatever a WebUI has loaded.

    A1111 keeps the hash of an earlier file where the new one has an older date.
    Raises ConflictError.
    """
    own: dict[str, str] = {}
    for one in map(capabilities.require_checkpoint, words):
        now = capabilities.checkpoint_hash_now(one)
        if now not in ("", one.sha256):
            own[one.title] = now
        if one.sha256 and one.title in own:
            raise ConflictError(
                "LL427",
                f"The file {one.path} is another one ({own[one.title][:10]}) than "
                f"{capabilities.where} takes it for ({one.sha256[:10]}): its date is older "
                "than that of the file before, by which A1111 goes.",
                "Give the file today's date, for example by copying it, and run this again.",
            )
    if not own:
        return capabilities
    rows = capabilities.checkpoints
    return replace(
        capabilities,
        checkpoints=tuple(replace(one, sha256=own.get(one.title, one.sha256)) for one in rows),
    )


def _get_or(client: Client, path: str, otherwise: Any) -> Any:
    """Return a route's answer, or `otherwise` when this WebUI has no such route."""
    try:
        return client.get(path)
    except ApiError as error:
        if error.status in (404, 405, 501):
            return otherwise
        raise


def _checkpoint(row: dict[str, Any]) -> Checkpoint:
    return Checkpoint(
        row["title"], row["model_name"], row.get("sha256") or "", row.get("filename") or ""
    )


def _lora(row: dict[str, Any]) -> Lora:
    metadata = row.get("metadata") or {}
    return Lora(
        row["name"],
        row.get("alias") or row["name"],
        str(metadata.get("sshs_model_hash") or "")[:12],
        row.get("path") or "",
    )
