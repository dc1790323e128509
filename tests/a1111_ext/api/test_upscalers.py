"""An upscaler that is only listed: without its weights the WebUI does a plain resize."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageOps
from promotions import promote_epoch, with_manifest
from shown import copied, draw_showcase

from a1111_ext.api.client import Client
from a1111_ext.api.inventory import fetch_capabilities
from a1111_ext.api.upscalers import is_resize, needs_weights, prove_upscalers
from a1111_ext.simulator import SimulatedWebui, server, start_webui
from kohya_ext.cli import main
from kohya_ext.project import MissingError, Project

HEAVY = "R-ESRGAN 4x+"
MANIFEST = """
showcase:
  template: "{lora} photo of {trigger}"
  checkpoints: [simulated-a]
  count: 2
  picture: {width: 64, height: 64, steps: 2}
"""
HIRES = f'  hires_fix: {{upscaler: "{HEAVY}", scale: 1.5}}\n'


@pytest.fixture
def complete(tmp_path: Path) -> Iterator[SimulatedWebui]:
    """A WebUI that has the weights of its upscalers."""
    with start_webui(tmp_path / "complete", weights=(HEAVY,)) as running:
        yield running


@pytest.fixture(scope="module")
def first_shown(_first_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_showcase(_first_project, tmp_path_factory.mktemp("shown"), MANIFEST)


@pytest.fixture
def shown(first_shown: Path, webui: SimulatedWebui, tmp_path: Path) -> Project:
    return copied(first_shown, tmp_path, webui.url)


def test_a_listed_upscaler_is_not_yet_there(client: Client):
    found = prove_upscalers(client, fetch_capabilities(client), [HEAVY, "Lanczos", "Latent", ""])
    assert found.without_weights == (HEAVY,)
    with pytest.raises(MissingError, match=r"has no weights for it; it would silently.*LL419"):
        found.require_names(sampler="Euler", scheduler="Karras", upscaler=HEAVY)
    found.require_names(sampler="Euler", scheduler="Karras", upscaler="Lanczos")


def test_one_with_weights_is_proved_once(complete: SimulatedWebui, monkeypatch):
    asked = []
    enlarge = server._POST["/sdapi/v1/extra-single-image"]
    monkeypatch.setitem(
        server._POST,
        "/sdapi/v1/extra-single-image",
        lambda host, body: asked.append(body["upscaler_1"]) or enlarge(host, body),
    )
    with Client(complete.url) as client:
        found = prove_upscalers(client, fetch_capabilities(client), [HEAVY, HEAVY, "no such"])
        assert prove_upscalers(client, found, [HEAVY]) == found
    assert (found.proved_upscalers, found.without_weights) == ((HEAVY,), ())
    assert asked == [HEAVY]


def test_what_cannot_be_checked_is_reported(
    shown: Project, webui: SimulatedWebui, monkeypatch, capsys
):
    monkeypatch.delitem(server._POST, "/sdapi/v1/extra-single-image")
    words = ["upscale", str(shown.root), *small_files(shown), "--webui", webui.url]
    assert main([*words, "--upscaler", HEAVY]) == 0
    assert f"could not show whether it has the upscaler {HEAVY}" in capsys.readouterr().err


def small_files(shown: Project) -> list[str]:
    return sorted(one.name for one in shown.showcase_dir.glob("*.png"))


@pytest.mark.parametrize("by_setting", [False, True], ids=["named", "the-webuis-own-setting"])
def test_upscale_does_not_resize_instead(
    shown: Project, webui: SimulatedWebui, capsys, by_setting: bool
):
    before = webui.host.counters.pictures
    words = ["upscale", str(shown.root), *small_files(shown), "--webui", webui.url]
    if by_setting:
        webui.host.set_options({"upscaler_for_img2img": HEAVY})
    assert main([*words, *([] if by_setting else ["--upscaler", HEAVY])]) == 1
    assert "LL419" in capsys.readouterr().err
    assert webui.host.counters.pictures == before


@pytest.mark.parametrize("by_setting", [False, True], ids=["named", "the-webuis-own-setting"])
@pytest.mark.parametrize("name", ["Latent", "4x-Removed"])
def test_upscale_knows_what_img2img_does_not_have(
    shown: Project, webui: SimulatedWebui, capsys, by_setting: bool, name: str
):
    """A1111 takes the first upscaler, a plain resize, for a name that only Hires. fix knows."""
    before = webui.host.counters.pictures
    words = ["upscale", str(shown.root), *small_files(shown), "--webui", webui.url]
    if by_setting:
        webui.host.set_options({"upscaler_for_img2img": name})
    assert main([*words, *([] if by_setting else ["--upscaler", name])]) == 1
    said = capsys.readouterr().err
    assert ("LL419" if by_setting else "LL410") in said
    assert webui.host.counters.pictures == before
    if by_setting:
        assert main([*words, "--upscaler", "Lanczos"]) == 0


def test_upscale_continues_where_the_weights_are(shown: Project, webui: SimulatedWebui):
    webui.host.weights = (HEAVY,)
    words = ["upscale", str(shown.root), *small_files(shown), "--webui", webui.url]
    assert main([*words, "--upscaler", HEAVY]) == 0


def test_hires_fix_does_not_resize_instead(project: Project, webui: SimulatedWebui, capsys):
    promote_epoch(project)
    project = with_manifest(project, MANIFEST + HIRES)
    assert main(["showcase", str(project.root), "--webui", webui.url]) == 1
    assert "LL419" in capsys.readouterr().err
    assert webui.host.counters.pictures == 0
    webui.host.weights = (HEAVY,)
    assert main(["showcase", str(project.root), "--webui", webui.url, "--json"]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["drawn"] == 2


def test_a_vae_whose_file_is_gone_is_noticed(client: Client, tmp_path: Path, monkeypatch):
    """The WebUI read its folder at its start; a file that was removed since is still listed."""
    rows = [
        {"model_name": name, "filename": str(tmp_path / name)} for name in ("soft.pt", "gone.pt")
    ]
    (tmp_path / "soft.pt").write_bytes(b"x")
    monkeypatch.setitem(server._GET, "/sdapi/v1/sd-vae", lambda host, body: rows)
    found = fetch_capabilities(client)
    found.require_vae("soft.pt")
    with pytest.raises(MissingError, match=r"lists the VAE gone\.pt, but its file is gone.*LL419"):
        found.require_vae("gone.pt")


def test_detail_is_reported_from_a_resize():
    small = Image.radial_gradient("L").resize((32, 32)).convert("RGB")
    larger = small.resize((64, 64), Image.Resampling.BICUBIC)
    assert is_resize(small, larger)
    assert is_resize(small, small)
    assert not is_resize(small, ImageOps.posterize(larger, 2))


def test_which_upscalers_need_weights():
    names = ("", "None", "Lanczos", "Nearest", "Latent (nearest)", "ESRGAN_4x", HEAVY)
    assert [one for one in names if needs_weights(one)] == ["ESRGAN_4x", HEAVY]
