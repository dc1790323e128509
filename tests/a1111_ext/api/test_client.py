"""Talking to a WebUI: what goes wrong is one clear sentence."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import requests
from loras import save_lora

from a1111_ext.api.client import (
    ApiError,
    Client,
    ConnectionLost,
    OutOfMemory,
    _reason,
    parse_credentials,
)
from a1111_ext.api.infotext import format_infotext, parse_infotext, read_infotext
from a1111_ext.api.inventory import fetch_capabilities, fetch_hashed
from a1111_ext.api.lora_links import (
    apply_links,
    find_linked,
    linked_name,
    linked_names,
    plan_links,
    remove_links,
    with_run,
)
from a1111_ext.api.lora_tags import lora_tag, lora_tags, replace_lora, strip_loras
from a1111_ext.api.payloads import picture_request
from a1111_ext.cells.cell import Cell, HiresFix
from a1111_ext.simulator import SimulatedWebui, start_webui
from a1111_ext.simulator import server as simulated_server
from a1111_ext.simulator.refusal import HttpRefusal
from kohya_ext.project import InputError, Project, ToolError
from kohya_ext.project.epochs import require_run
from kohya_ext.project.files import sha256_of
from kohya_ext.project.lora_file import rewrite_metadata, tensor_sha256


@contextmanager
def server(status: int, body: bytes) -> Iterator[str]:
    """Something that answers every request in the same way."""

    class Handler(BaseHTTPRequestHandler):
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with serving(Handler) as url:
        yield url


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    running = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.005})
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_address[1]}"
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


def asked(url: str) -> ToolError:
    with Client(url) as client, pytest.raises(ToolError) as caught:
        client.get("/sdapi/v1/options", seconds=2)
    return caught.value


def test_an_address_needs_no_scheme(webui: SimulatedWebui):
    with Client(webui.url.removeprefix("http://")) as client:
        assert client.get("/sdapi/v1/options")


def test_windows_tells_a_refusal_in_its_own_words():
    error = OSError("[WinError 10061] Es konnte keine Verbindung hergestellt werden")
    assert _reason(error) == "connection refused"


def test_nothing_listens():
    with server(200, b"") as url:
        pass
    error = asked(url)
    assert error.code == "LL401"
    assert "--api" in error.cure


@pytest.mark.parametrize("url", ["nonsense", "http://", "ftp://x"])
def test_addresses_that_are_none(url: str):
    assert asked(url).code == "LL401"


@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (404, b'{"detail": "Not Found"}', "LL402", "Start it with --api"),
        (401, b'{"detail": "Incorrect username or password"}', "LL403", "Incorrect username"),
        (500, b'{"error": "KeyError", "errors": "colour"}', "LL405", "colour"),
        (500, b"<html>", "LL405", "Internal Server Error"),
        (200, b"<html>", "LL406", "is not a WebUI"),
        (422, b'{"detail": [{"loc": ["body"], "msg": "x"}]}', "LL405", "loc"),
        (500, b"[]", "LL405", "500"),
    ],
)
def test_refusals_are_sentences(status: int, body: bytes, code: str, words: str):
    with server(status, body) as url:
        error = asked(url)
    assert error.code == code
    assert words in str(error)


def test_an_answer_that_the_hosts_own_schema_refuses_is_read():
    """Forge started with --port says its flags like this, with status 500."""
    flags = {"lora_dir": "/loras", "port": 7861}
    refused = {"error": "ResponseValidationError", "detail": "", "body": flags, "message": "x"}
    with server(500, json.dumps(refused).encode()) as url, Client(url) as client:
        assert client.get("/sdapi/v1/cmd-flags") == flags
    for body in (b'{"error": "ResponseValidationError"', b'{"error": "ResponseValidationError"}'):
        with server(500, body) as url:
            assert asked(url).code == "LL405"


def test_a_connection_that_ends_after_an_error_is_not_used_again():
    """As uvicorn ends it, without saying so; on a busy machine later than the next request."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        has_failed = False

        def do_GET(self) -> None:
            self.has_failed = True
            self._answer(500, b'{"message": "no"}')

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if self.has_failed:
                self.close_connection = True
                return
            self._answer(200, b'"done"')

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with serving(Handler) as url, Client(url) as client:
        with pytest.raises(ToolError, match="LL405"):
            client.get("/sdapi/v1/cmd-flags", seconds=2)
        assert client.post("/sdapi/v1/refresh-loras", seconds=2) == "done"


def test_out_of_memory_has_its_own_class():
    with server(500, b'{"errors": "CUDA out of memory. Tried to allocate"}') as url:
        error = asked(url)
    assert isinstance(error, OutOfMemory)
    assert error.code == "LL407"


def test_a_slow_webui_times_out(monkeypatch: pytest.MonkeyPatch):
    import requests

    def too_slow(*arguments: object, **more: object) -> None:
        raise requests.exceptions.ReadTimeout("slow")

    monkeypatch.setattr(requests.Session, "request", too_slow)
    assert asked("http://127.0.0.1:1").code == "LL404"


def test_credentials_open_a_locked_webui(tmp_path: Path):
    with start_webui(tmp_path, auth="mira:geheim") as webui:
        assert asked(webui.url).code == "LL403"
        with Client(webui.url, parse_credentials("mira:geheim")) as client:
            assert fetch_capabilities(client).is_simulated


@pytest.mark.parametrize("text", ["mira", ":x"])
def test_credentials_need_a_colon(text: str):
    with pytest.raises(ToolError, match="LL403"):
        parse_credentials(text)


def test_capabilities_are_read(client: Client):
    found = fetch_capabilities(client)
    assert [one.name for one in found.checkpoints] == ["simulated-a", "simulated-b"]
    assert found.require_checkpoint("").name == "simulated-a"
    assert found.require_checkpoint(found.checkpoints[1].sha256[:10]).name == "simulated-b"
    assert "Latent" in found.upscalers
    assert not found.has_agent_scheduler
    assert (found.kind, found.extensions) == ("simulated", ("Lora",))
    assert fetch_hashed(client, found, "simulated-b") is found


def test_hashing_a_checkpoint_leaves_the_loaded_one(client: Client):
    found = fetch_capabilities(client)
    fresh = replace(found, checkpoints=tuple(replace(c, sha256="") for c in found.checkpoints))
    hashed = fetch_hashed(client, fresh, "simulated-b", "", "simulated-b.safetensors")
    assert hashed.checkpoints == found.checkpoints
    assert fetch_capabilities(client).loaded == found.loaded


def test_routes_that_are_not_simulated_say_so(client: Client):
    with pytest.raises(ToolError, match="not simulated"):
        client.get("/sdapi/v1/memory")


INFOTEXT = (
    "a fox, <lora:x:1>\nsecond line\nNegative prompt: bad\nSteps: 20, Sampler: Euler a, "
    'CFG scale: 7.0, Seed: 5, Size: 512x512, Model: a b, Lora hashes: "x: abc, y: def", '
    "Version: v1.10.1"
)


def test_an_infotext_reads_and_writes_back():
    found = parse_infotext(INFOTEXT)
    assert found.prompt == "a fox, <lora:x:1>\nsecond line"
    assert found.negative_prompt == "bad"
    assert found.fields["Model"] == "a b"
    assert found.lora_hashes() == {"x": "abc", "y": "def"}
    assert format_infotext(found) == INFOTEXT


def test_text_without_parameters_is_no_infotext():
    with pytest.raises(ValueError, match="no line of parameters"):
        parse_infotext("a fox")


def test_a_picture_without_infotext(tmp_path: Path):
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert read_infotext((tmp_path / "a.png").read_bytes()) == ""


def test_lora_tags_are_taken_out_with_their_spaces():
    prompt = "<lora:a:1> fox,  <lora:b>  red <lora:a:0.5"
    assert strip_loras(prompt, "b") == "<lora:a:1> fox, red <lora:a:0.5"
    assert strip_loras(prompt) == "fox, red <lora:a:0.5"


def test_lora_tags_are_whole_tokens():
    prompt = "<lora:fox-000001:1> and <lora:fox-0000010:0.5> <lora:x>"
    assert [(tag.name, tag.weight) for tag in lora_tags(prompt)] == [
        ("fox-000001", "1"), ("fox-0000010", "0.5"), ("x", "1"),
    ]  # fmt: skip
    assert replace_lora(prompt, "fox-000001", lora_tag("new", 0.8)) == (
        "<lora:new:0.8> and <lora:fox-0000010:0.5> <lora:x>"
    )


@pytest.fixture
def trained(project: Project) -> Project:
    for epoch in (1, 2):
        save_lora(
            project.model_dir, f"Quill fox-{epoch:06d}", epoch=epoch, output_name="Quill__fox"
        )
    save_lora(project.model_dir, "Quill fox", epoch=3, output_name="Quill__fox")
    return project


def test_linked_files_have_names_of_their_own(trained: Project, client: Client):
    run = require_run(trained.model_dir)
    plan = plan_links(run, fetch_capabilities(client))
    names = [link.name for link in plan.links]
    assert names == [f"Quill_fox-123456-00000{epoch}" for epoch in (1, 2, 3)]
    capabilities = apply_links(trained, plan, client)
    assert {one.name for one in capabilities.loras} == set(names)
    assert plan_links(run, capabilities).new == ()
    assert linked_name(run.files[0]) == names[0]


def test_two_files_of_one_epoch_get_two_linked_names(trained: Project, client: Client):
    source = trained.model_dir / "Quill fox-000002.safetensors"
    rewrite_metadata(source, source.with_name("again.safetensors"), {"note": "other"})
    run = require_run(trained.model_dir)
    names = linked_names(run.files)
    assert len(set(names.values())) == len(run.files) == 4
    assert linked_names(tuple(reversed(run.files))) == names
    capabilities = apply_links(trained, plan_links(run, fetch_capabilities(client)), client)
    assert set(names.values()) <= {one.name for one in capabilities.loras}


def test_a_file_without_a_hash_is_hashed_as_the_webui_does(trained: Project, client: Client):
    """A1111 hashes the tensors alone; Forge the whole file, header and all."""
    run = require_run(trained.model_dir)
    has = fetch_capabilities(client)
    path = run.files[0].path
    expected = {False: tensor_sha256(path)[:12], True: sha256_of(path)[:12]}
    for is_forge, shown in expected.items():
        linked = with_run(replace(has, is_forge=is_forge), run).require_lora(
            linked_name(run.files[0])
        )
        assert linked.hash == shown


def test_linking_twice_is_harmless(trained: Project, client: Client):
    plan = plan_links(require_run(trained.model_dir), fetch_capabilities(client))
    apply_links(trained, plan, client)
    apply_links(trained, plan, client)
    assert len(find_linked(trained)) == 3


def test_linking_asks_again_for_the_loras_only(
    trained: Project, client: Client, monkeypatch: pytest.MonkeyPatch
):
    run, has = require_run(trained.model_dir), fetch_capabilities(client)
    asked, get = [], client.get
    monkeypatch.setattr(client, "get", lambda path, **named: asked.append(path) or get(path))
    found = apply_links(trained, plan_links(run, has), client, has)
    assert asked == ["/sdapi/v1/cmd-flags"]
    assert len(found.loras) == 3
    assert replace(found, loras=()) == has


def test_a_foreign_file_is_not_overwritten(trained: Project, client: Client):
    plan = plan_links(require_run(trained.model_dir), fetch_capabilities(client))
    plan.links[0].target.parent.mkdir(parents=True)
    plan.links[0].target.write_bytes(b"another")
    with pytest.raises(ToolError, match="LL112"):
        apply_links(trained, plan, client)


def test_linked_files_are_removed(trained: Project, client: Client, webui: SimulatedWebui):
    plan = plan_links(require_run(trained.model_dir), fetch_capabilities(client))
    apply_links(trained, plan, client)
    remove_links(trained, find_linked(trained), [client])
    assert find_linked(trained) == ()
    assert list(webui.host.lora_dir.iterdir()) == []
    assert fetch_capabilities(client).loras == ()


def test_a_linked_file_that_is_held_is_named(
    trained: Project, client: Client, monkeypatch: pytest.MonkeyPatch
):
    """Windows refuses to remove what a WebUI has loaded."""
    run = require_run(trained.model_dir)
    apply_links(trained, plan_links(run, fetch_capabilities(client)), client)

    def held(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "used by another process")

    monkeypatch.setattr(Path, "unlink", held)
    with pytest.raises(ToolError, match=r"\.safetensors .*used by another process.*LL111"):
        remove_links(trained, find_linked(trained), [client])
    assert find_linked(trained)


def test_a_folder_on_another_machine(trained: Project, client: Client, tmp_path: Path):
    from dataclasses import replace

    far = replace(fetch_capabilities(client), lora_dir=str(tmp_path / "nowhere"))
    run = require_run(trained.model_dir)
    with pytest.raises(ToolError, match=r"--lora-folder PATH.*LL411"):
        plan_links(run, far)
    (tmp_path / "shared").mkdir()
    plan = plan_links(run, far, tmp_path / "shared")
    with pytest.raises(ToolError, match="LL412"):
        apply_links(trained, plan, client)


def test_forge_is_reported_from_a1111(client: Client, monkeypatch: pytest.MonkeyPatch):
    from dataclasses import replace

    rows = [{"model_name": "other.safetensors", "filename": "/vae/other.safetensors"}]
    monkeypatch.setitem(simulated_server._GET, "/sdapi/v1/sd-modules", lambda host, body: rows)
    found = replace(fetch_capabilities(client), is_simulated=False)
    assert found.kind == "Forge"
    assert found.vaes == ("other.safetensors",)
    assert replace(found, is_forge=False).kind == "A1111"


def test_forge_is_asked_in_its_own_words(client: Client):
    """It ignores A1111's sd_vae, and its Hires. fix fails without a word on modules."""
    from dataclasses import replace

    one = Cell("a fox", 5, vae="other.pt", hires_fix=HiresFix())
    here = replace(fetch_capabilities(client), is_forge=False)
    _, body = picture_request(one, here)
    assert body["override_settings"]["sd_vae"] == "other.pt"
    assert "forge_additional_modules" not in body["override_settings"]
    forge = replace(here, is_forge=True)
    _, body = picture_request(one, forge)
    assert body["override_settings"]["forge_additional_modules"] == ["other.pt"]
    assert "sd_vae" not in body["override_settings"]
    assert body["hr_additional_modules"] == ["Use same choices"]
    _, body = picture_request(replace(one, vae="None"), forge)
    assert body["override_settings"]["forge_additional_modules"] == []
    _, body = picture_request(replace(one, vae=""), forge)
    assert "forge_additional_modules" not in body["override_settings"]


def test_an_untrusted_certificate_has_its_own_cure(monkeypatch: pytest.MonkeyPatch):
    def refuse(*args: object, **words: object) -> None:
        raise requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed")

    monkeypatch.setattr(requests.Session, "request", refuse)
    with (
        Client("https://127.0.0.1:7860") as client,
        pytest.raises(ConnectionLost, match=r"its certificate is not trusted.*REQUESTS_CA_BUNDLE"),
    ):
        client.get("/sdapi/v1/options")


def test_a_certificate_file_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/own.pem")
    with (
        Client("https://127.0.0.1:7860") as client,
        pytest.raises(InputError, match=r"/nowhere/own.pem, which does not exist"),
    ):
        client.get("/sdapi/v1/options")


def test_a_list_that_is_just_read_again_is_asked_for_once_more(
    webui: SimulatedWebui, client: Client, monkeypatch
):
    """A1111 answers 500 to who asks in that moment, as when another command refreshes it."""
    left = [1, 1]

    def listed(host, body):
        if left:
            left.pop()
            problem = "dictionary changed size during iteration"
            raise HttpRefusal(500, "RuntimeError", problem)
        return host.sd_models()

    monkeypatch.setitem(simulated_server._GET, "/sdapi/v1/sd-models", listed)
    assert len(client.get("/sdapi/v1/sd-models")) == 2
    left += [1, 1, 1]
    with pytest.raises(ApiError, match="changed size"):
        client.get("/sdapi/v1/sd-models")
