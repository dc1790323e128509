"""Our routes: start a grid, follow it, fetch what was drawn; and what they refuse."""

from __future__ import annotations

import base64
import io
import json
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from asgi import Answer, ask
from loras import save_lora
from until import wait_until

from a1111_ext.webui.routes import MOST_BYTES, add_routes, endpoint
from kohya_ext.project import Project, ToolError, apply_init, plan_init
from kohya_ext.project.kept_advice import read_advice
from kohya_ext.project.server import LARGEST_BYTES

V1 = "/loraloom/v1"
SMALL = {"width": 64, "height": 64, "steps": 2, "seeds": [5, 7]}
FOX = SMALL | {"prompt": "<lora:Quillfox:1> a fox", "epochs": "1, last"}


@pytest.fixture
def app(host: Any) -> Any:
    """What the WebUI serves, with our routes."""
    from fastapi import FastAPI

    made = FastAPI()
    add_routes(made)
    return made


def finish(app: Any, body: Any) -> dict[str, Any]:
    """Start a grid and wait until it is at its end."""
    started = ask(app, "POST", f"{V1}/grids", body)
    assert started.status == 200, started.json
    for one in threading.enumerate():
        if one.name == f"loraloom-{started.json['grid']}":
            one.join(timeout=100)
    status: dict[str, Any] = ask(app, "GET", started.json["status"]).json
    return status


def test_a_grid_is_drawn_and_fetched(app: Any, host: Any):
    from PIL import Image

    status = finish(app, FOX)
    assert (status["state"], status["done"], status["total"]) == ("done", 6, 6)
    result = ask(app, "GET", status["result"]).json
    assert [(one["epoch"], one["seed"]) for one in result["cells"]] == [
        (epoch, seed) for epoch in ("no LoRA", "Quillfox-000001", "Quillfox") for seed in (5, 7)
    ]
    cell = result["cells"][2]
    assert cell["infotext"].startswith("<lora:Quillfox-000001:1> a fox\nSteps: 2, ")
    picture = ask(app, "GET", cell["picture"])
    assert picture.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(picture.body)).info["parameters"] == cell["infotext"]
    assert ask(app, "GET", result["sheet"]).body.startswith(b"\x89PNG")
    assert Path(result["folder"]).parent == host.data / "loraloom" / "grids"
    assert ask(app, "GET", f"{V1}/grids").json["grids"] == [status]


def test_slips_are_reported_when_a_grid_is_started(app: Any, host: Any):
    slipped = FOX | {"prompt": "<lora:Quillfox:1> a $fox", "negative_prompt": "{blurry, dark}"}
    started = ask(app, "POST", f"{V1}/grids", slipped).json
    assert [one.partition(' "')[0] for one in started["hints"]] == [
        "the prompt: This variable has no braces and stays as it is:",
        "the negative prompt: This variant has one option:",
    ]
    ask(app, "POST", f"{started['status']}/stop", {})
    assert finish(app, FOX)["state"] == "done"


def test_what_is_left_out_is_as_the_host_is_set(app: Any, host: Any):
    """The page draws so; the default of Forge Neo is clip skip 2."""
    host.sd_vae.vae_dict["other.pt"] = str(host.data / "models" / "other.pt")
    host.shared.opts.data.update({"CLIP_stop_at_last_layers": 2, "sd_vae": "other.pt"})
    texts = []
    for more in ({}, {"clip_skip": 1}):
        result = ask(app, "GET", finish(app, FOX | more)["result"]).json
        texts.append([one["infotext"] for one in result["cells"]])
    assert all("Clip skip: 2" in one and "VAE: other.pt" in one for one in texts[0])
    assert not any("Clip skip: 2" in one for one in texts[1])


def test_a_vae_that_was_replaced_draws_again(app: Any, host: Any):
    """The host keeps its name; the pictures of before are those of another file."""
    path = host.data / "models" / "other.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    host.sd_vae.vae_dict["other.pt"] = str(path)
    host.shared.opts.data["sd_vae"] = "other.pt"
    drawn = []
    for content in ("old", "old", "new", "old"):
        path.write_text(content, encoding="utf-8")
        before = len(host.drawn)
        assert finish(app, FOX)["state"] == "done"
        drawn.append(len(host.drawn) - before)
    assert (drawn[0] > 0, drawn[1], drawn[2], drawn[3]) == (True, 0, drawn[0], 0)


def restarted() -> Any:
    """What the WebUI serves when it was started again."""
    from fastapi import FastAPI

    made = FastAPI()
    add_routes(made)
    return made


def test_a_grid_is_found_after_a_restart(app: Any, host: Any):
    status = finish(app, FOX)
    before = ask(app, "GET", status["result"]).json
    after = restarted()
    assert ask(after, "GET", f"{V1}/grids").json["grids"] == [status]
    assert ask(after, "GET", status["result"]).json == before
    picture = before["cells"][2]["picture"]
    assert ask(after, "GET", picture).body == ask(app, "GET", picture).body


def test_a_grid_whose_folder_is_gone_says_so(app: Any):
    status = finish(app, FOX)
    shutil.rmtree(ask(app, "GET", status["result"]).json["folder"])
    answer = ask(restarted(), "GET", status["result"])
    assert (answer.status, answer.json["error"]) == (404, "LL766")


def test_a_grid_leaves_the_host_idle(app: Any, host: Any):
    finish(app, FOX)
    assert host.shared.state.job == ""
    assert not host.call_queue.queue_lock.locked()
    assert all(p.do_not_save_samples and p.is_api for p in host.drawn)


def test_finished_pictures_are_not_drawn_again(app: Any, host: Any):
    finish(app, FOX)
    count = len(host.drawn)
    assert finish(app, FOX | {"seeds": [5, 7, 9]})["done"] == 9
    assert len(host.drawn) == count + 3


def test_interrupt_stops_a_grid_and_keeps_what_is_finished(app: Any, host: Any):
    host.before_drawing(lambda p: len(host.drawn) == 3 and host.shared.state.interrupt())
    status = finish(app, FOX)
    assert (status["state"], status["done"]) == ("stopped", 2)
    cells = ask(app, "GET", status["result"]).json["cells"]
    assert [bool(one["picture"]) for one in cells] == [True, True, False, False, False, False]


def test_stop_is_a_route_too(app: Any, host: Any):
    """The first picture waits until the stop has arrived."""
    arrived = threading.Event()
    host.before_drawing(lambda p: arrived.wait(60))
    started = ask(app, "POST", f"{V1}/grids", FOX).json
    ask(app, "POST", f"{started['status']}/stop")
    arrived.set()
    for one in threading.enumerate():
        if one.name == f"loraloom-{started['grid']}":
            one.join(timeout=100)
    assert ask(app, "GET", started["status"]).json["state"] == "stopped"


def test_pause_is_a_route_too(app: Any, host: Any):
    """The first picture waits until the pause has arrived; it is kept, and nothing follows it."""
    began, arrived = threading.Event(), threading.Event()
    host.before_drawing(lambda p: began.set() or arrived.wait(60))
    started = ask(app, "POST", f"{V1}/grids", FOX).json
    assert began.wait(60)
    ask(app, "POST", f"{started['status']}/pause")
    wait_until(lambda: ask(app, "GET", started["status"]).json["state"] == "paused")
    arrived.set()
    wait_until(lambda: ask(app, "GET", started["status"]).json["done"] == 1)
    assert ask(app, "GET", started["status"]).json["state"] == "paused"
    assert len(host.drawn) == 1
    ask(app, "POST", f"{started['status']}/resume")
    for one in threading.enumerate():
        if one.name == f"loraloom-{started['grid']}":
            one.join(timeout=100)
    assert ask(app, "GET", started["status"]).json["state"] == "done"
    assert len(host.drawn) == 6


def test_failed_pictures_have_their_reason(app: Any, host: Any):
    def fail(p: Any) -> None:
        if p.seed == 7:
            raise RuntimeError("no such tensor")

    host.before_drawing(fail)
    status = finish(app, FOX)
    assert (status["state"], status["done"]) == ("done", 3)
    assert status["message"].startswith("3 pictures failed, the first: no LoRA, seed 7: ")
    cell = ask(app, "GET", status["result"]).json["cells"][1]
    assert (cell["picture"], "no such tensor" in cell["problem"]) == (None, True)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"prompt": "a fox"}, 400, "LL751"),
        ({"prompt": "<lora:Heron:1>"}, 400, "LL752"),
        ({"prompt": "<lora:Lantern:1>"}, 400, "LL753"),
        ({"seeds": "-7"}, 400, "LL759"),
        ({"wdith": 3}, 400, "LL761"),
        ({"checkpoint": "tiny-x"}, 400, "LL408"),
        ({"sampler": "euler a"}, 400, "LL410"),
        ({"epochs": "9"}, 400, "LL509"),
        ({"prompt": "<lora:Quillfox:1> {a|b"}, 400, "LL513"),
        ({"prompt": "<lora:Quillfox:1> {a|0.001::<lora:Gone:1>}"}, 400, "LL409"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_request_is_refused(app: Any, change: dict[str, Any], status: int, code: str):
    answer = ask(app, "POST", f"{V1}/grids", FOX | change)
    assert (answer.status, answer.json["error"]) == (status, code)
    assert answer.json["errors"].endswith(f"[{code}]")


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b"{", "application/json", "The request is not valid JSON: "),
        (b"[1]", "application/json; charset=utf-8", "but not an object"),
        (b"{}", "text/plain", 'is "text/plain", not application/json'),
        (b" " * (MOST_BYTES + 1), "application/json", "longer than a megabyte"),
    ],
    ids=["no-json", "no-object", "other-type", "too-long"],
)
def test_only_json_objects_are_read(app: Any, body: bytes, kind: str, says: str):
    answer = ask(app, "POST", f"{V1}/grids", body, kind=kind)
    assert (answer.status, answer.json["error"]) == (415, "LL764")
    assert says in answer.json["detail"]


def test_a_grid_that_is_not_there(app: Any):
    answer = ask(app, "GET", f"{V1}/grids/abc")
    assert (answer.status, answer.json["error"]) == (404, "LL762")


def test_a_grid_that_failed_has_no_result(app: Any, host: Any):
    (host.data / "loraloom").mkdir(parents=True)
    (host.data / "loraloom" / "cells.db").mkdir()
    status = finish(app, FOX)
    assert status["state"] == "failed"
    assert "LL450" in status["message"]
    answer = ask(app, "GET", status["result"])
    assert (answer.status, answer.json["error"]) == (409, "LL763")


@pytest.mark.parametrize("name", ["grid.json", "../../cells.db", "cells/abc.png"])
def test_only_files_of_the_result_are_sent(app: Any, name: str):
    status = finish(app, FOX)
    answer = ask(app, "GET", f"{status['status']}/files/{name}")
    assert (answer.status, answer.json["error"]) == (404, "LL765")


def test_pages_of_the_tab_are_served_in_a_sandbox(app: Any, host: Any):
    """A page may come from somebody else's project: it must not reach the WebUI around it."""
    from a1111_ext.webui.addresses import address
    from a1111_ext.webui.tab import read_host_shelf

    finish(app, FOX)
    host.shared.cmd_opts.subpath = "/sd/"
    (entry,) = read_host_shelf().entries
    (grid,) = entry.grids
    path = address(grid.page)
    assert path.startswith("/sd/loraloom/pages/")
    page = ask(app, "GET", path.removeprefix("/sd"))
    assert page.status == 200
    policy = page.headers["content-security-policy"]
    assert policy.startswith("sandbox ")
    assert "allow-same-origin" not in policy
    stranger = path.removeprefix("/sd").replace(path.split("/")[4], "x" * 22)
    assert ask(app, "GET", stranger).status == 404
    assert ask(app, "POST", stranger, VOTES).status == 404
    assert ask(app, "GET", path.removeprefix("/sd").replace("/grids/", "/cells/")).status == 404


VOTES = {"votes": [], "choice": "a" * 64}


def test_an_epoch_is_promoted_from_the_tab(app: Any, host: Any, fox: Project):
    from a1111_ext.webui.addresses import address
    from a1111_ext.webui.tab import read_host_shelf

    finish(app, {"project": str(fox.root), "seeds": "1", "epochs": "1"})
    (grid,) = next(one for one in read_host_shelf().entries if one.grids).grids
    choice = {
        "kind": "loraloom-grid-choice",
        "format": 1,
        "grid": grid.name,
        "epoch": "Quillfox-000001",
        "epoch_file": "Quillfox-000001.safetensors",
        "cell": "abc",
        "values": {},
        "votes": [],
    }
    body = json.dumps({"name": "fox-v1", "choice": choice}).encode()
    beside = address(grid.page).replace("grid.html", "promote")
    answer = ask(app, "POST", beside, body, kind="text/plain;charset=UTF-8")
    assert answer.status == 200
    assert answer.body.decode().endswith("This WebUI has it: <lora:fox-v1:1>")
    assert (host.loras / "fox-v1.safetensors").is_file()


def test_votes_in_the_tab_are_kept(app: Any, host: Any):
    """The page sends them as plain text: a sandbox must not ask before it sends."""
    from a1111_ext.webui.addresses import address
    from a1111_ext.webui.tab import read_host_shelf

    finish(app, FOX)
    (grid,) = read_host_shelf().entries[0].grids
    path = address(grid.page)
    content = json.dumps(VOTES, separators=(",", ":")).encode()
    assert ask(app, "POST", path, content, kind="text/plain;charset=UTF-8").status == 200
    assert b'"kept":' + content in ask(app, "GET", path).body
    assert ask(app, "POST", path, b"{}").status == 400
    assert ask(app, "POST", path, b" " * (LARGEST_BYTES + 1)).status == 413
    assert ask(app, "POST", path.replace("grid.html", "sheet.png"), content).status == 404


# -- projects ---------------------------------------------------------------------------------


@pytest.fixture
def fox(host: Any, tmp_path: Path) -> Project:
    """A trained project in a folder that the settings name."""
    project = apply_init(plan_init(tmp_path / "my loras" / "fox", "Quillfox"))
    for epoch, name in ((1, "Quillfox-000001"), (2, "Quillfox")):
        save_lora(project.model_dir, name, epoch=epoch, epochs=2, session="987654")
    settings = "  picture: {width: 64, height: 64, steps: 2}\n  seeds: [5, 7]\n"
    text = f"format: 1\ntrigger_word: Quillfox\ngrid:\n{settings}"
    project.manifest_path.write_text(text, encoding="utf-8")
    host.shared.opts.data["loraloom_project_folders"] = f"\n{tmp_path / 'my loras'}\n"
    return project


def test_a_project_is_drawn_as_its_manifest_says(app: Any, host: Any, fox: Project):
    status = finish(app, {"project": str(fox.root)})
    assert (status["state"], status["done"]) == ("done", 6)
    assert sorted(path.name for path in (host.loras / "loraloom").iterdir()) == [
        "Quillfox-987654-000001.safetensors",
        "Quillfox-987654-000002.safetensors",
    ]
    listed = ask(app, "GET", f"{V1}/projects").json["projects"]
    assert [(one["name"], one["epoch_files"], len(one["grids"])) for one in listed] == [
        ("fox", 2, 1)
    ]
    entry = fox.journal.last("grid")
    assert entry is not None
    assert (entry.facts["drawn"], entry.facts["failed"]) == (6, 0)
    advice = read_advice(fox.root)
    assert advice is not None
    (page,) = fox.grids_dir.glob("*/grid.html")
    assert f'"summary":{json.dumps(advice.summary)}' in page.read_text(encoding="utf-8")
    assert "does not run the tagger" in dict(advice.not_measured)["learned"]


def test_a_project_that_was_closed_is_closed_to_old_numbers_too(app: Any, host: Any, fox: Project):
    status = finish(app, {"project": str(fox.root)})
    assert ask(restarted(), "GET", status["result"]).status == 200
    host.shared.opts.data["loraloom_project_folders"] = ""
    for path in (status["result"], f"{status['status']}/files/sheet.png"):
        answer = ask(restarted(), "GET", path)
        assert (answer.status, answer.json["error"]) == (403, "LL755")


def test_scripts_of_a_project_are_not_left_out(app: Any, fox: Project):
    text = fox.manifest_path.read_text(encoding="utf-8")
    text = text.replace("steps: 2}", "steps: 2, scripts: {ADetailer: [true]}}")
    fox.manifest_path.write_text(text, encoding="utf-8")
    answer = ask(app, "POST", f"{V1}/grids", {"project": str(fox.root)})
    assert (answer.status, answer.json["error"]) == (400, "LL767")
    assert "ADetailer" in answer.json["detail"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need special rights on Windows")
def test_a_picture_that_leads_out_of_the_folders_is_not_sent(
    app: Any, fox: Project, tmp_path: Path
):
    """A project from somebody else may hold links."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"nobody's business")
    status = finish(app, {"project": str(fox.root)})
    cell = ask(app, "GET", status["result"]).json["cells"][0]
    (path,) = (fox.root / "cells").rglob(f"{cell['key']}.png")
    path.unlink()
    path.symlink_to(secret)
    answer = ask(app, "GET", cell["picture"])
    assert (answer.status, answer.json["error"]) == (404, "LL765")


def test_some_things_may_be_asked_for_otherwise(app: Any, fox: Project):
    status = finish(app, {"project": str(fox.root), "seeds": [9], "control": False})
    assert status["done"] == 2


def test_a_project_elsewhere_is_refused(app: Any, tmp_path: Path):
    secret = apply_init(plan_init(tmp_path / "secret", "Quillfox"))
    answer = ask(app, "POST", f"{V1}/grids", {"project": str(secret.root)})
    assert (answer.status, answer.json["error"]) == (403, "LL755")


def test_a_folder_without_a_manifest_is_no_project(app: Any, fox: Project):
    answer = ask(app, "POST", f"{V1}/grids", {"project": str(fox.root.parent)})
    assert (answer.status, answer.json["error"]) == (404, "LL101")


# -- who may call, and what breaks ------------------------------------------------------------


def test_a_password_is_asked_for_where_the_host_has_one(host: Any):
    from fastapi import FastAPI

    host.shared.cmd_opts.api_auth = "mira:fox,otto:hen"
    app = FastAPI()
    add_routes(app)
    assert ask(app, "GET", f"{V1}/grids").status == 401
    assert ask(app, "POST", f"{V1}/grids", FOX).status == 401
    word = base64.b64encode(b"otto:hen").decode()
    assert ask(app, "GET", f"{V1}/grids", headers={"authorization": f"Basic {word}"}).status == 200


def test_there_are_no_routes_without_the_hosts_api(host: Any):
    from fastapi import FastAPI

    host.shared.cmd_opts.api = False
    app = FastAPI()
    add_routes(app)
    assert ask(app, "GET", f"{V1}/grids").status == 404
    assert ask(app, "GET", "/loraloom/pages/x/0/grids/a/grid.html").status == 404


def test_axes_may_be_asked_for(app: Any, fox: Project):
    for more in ({"project": str(fox.root)}, FOX):
        request = {**more, "seeds": "1", "epochs": "1", "axes": ["CFG Scale=5,7", "Steps=2,3"]}
        status = finish(app, request | {"control": False})
        assert (status["done"], status["total"]) == (4, 4)


def answer_of(work: Any) -> Answer:
    from fastapi import FastAPI

    app = FastAPI()
    app.add_route("/x", endpoint(work, {}), methods=["GET"])
    return ask(app, "GET", "/x")


def test_a_broken_route_says_what_is_wrong(caplog: pytest.LogCaptureFixture):
    answer = answer_of(lambda call: 1 // 0)
    assert answer.status == 500
    assert answer.json["error"] == "ZeroDivisionError"
    assert "ZeroDivisionError" in caplog.text


def test_an_error_of_ours_is_worded_as_the_hosts():
    def refuse(call: Any) -> Any:
        raise ToolError("LL110", "The disk is full.", "Free some space.")

    assert answer_of(refuse).json == {
        "error": "LL110",
        "detail": "The disk is full.",
        "body": "Free some space.",
        "errors": "The disk is full. Free some space. [LL110]",
        "message": "The disk is full. Free some space. [LL110]",
    }
