"""A small project with every kind of file that loraloom keeps or reads, made by its commands."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from a1111_ext.grids.choice import KIND as CHOICE_KIND
from a1111_ext.grids.page.share import GridShare
from a1111_ext.grids.page.votes import keep_votes
from a1111_ext.showcase.review import KIND as REVIEW_KIND
from a1111_ext.showcase.selection import KIND as SELECTION_KIND
from a1111_ext.showcase.showcase_view import ShowcaseView
from a1111_ext.webui.grid_jobs import GridJobs
from kohya_ext.captions.desk import CaptionDesk
from kohya_ext.project import ToolError, open_project
from kohya_ext.project.decisions.board import BoardShare
from kohya_ext.project.decisions.pictures_view import PicturesView
from kohya_ext.project.server import Share, Shares
from kohya_ext.project.settings import remember_webuis
from kohya_ext.simulator.base_model import write_base_model
from kohya_ext.simulator.creature import recipes, write_pictures
from kohya_ext.simulator.tagger_model import write_tagger_model
from kohya_ext.simulator.walk import DemoFolder, fill_manifest, newest_grid, stations

Run = Callable[..., int]

_SHORTER = (
    ("max_train_epochs: 6", "max_train_epochs: 1"),
    ("seeds: [11, 12, 13, 14]", "seeds: [11]"),
    ("checkpoints: [simulated-a.safetensors, simulated-b.safetensors]", "checkpoints: []"),
    ("count: 8 ", "count: 1 "),
    ("undesired_tags: [", "undesired_tags_file: undesired.txt\n  undesired_tags: ["),
    (
        "  lora_weight: 1.0",
        "  wildcards: ../wildcards\n  styles_file: ../styles.csv\n  lora_weight: 1.0",
    ),
)  # fmt: skip


def prepare(place: DemoFolder) -> None:
    """Write what lies there before the first command."""
    write_pictures(place.pictures, recipes(3))
    write_tagger_model(place.tagger)
    write_base_model(place.base_model)
    root = place.root
    files: Mapping[str, str] = {
        "styles.csv": 'name,prompt,negative_prompt\nfox,"a fox, {prompt}",blurry\n',
        "wildcards/colour.txt": "red\nblue\n",
        "wildcards/more.yaml": "a: [x, y]\nb:\n  c: [z]\n",
        "wildcards/sizes.json": '{"size": ["big", "small"]}',
        "template.txt": "{lora} photo of {trigger}, __colour__ __a__ __size__ fur",
        "ratings.csv": "nothing.png,1\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def walk(place: DemoFolder, url: str, run: Run) -> None:
    """Run the commands of the road, and add what they leave out."""
    project = str(place.project)
    run("init", project, "--trigger", "Quillfox", "--kind", "creature", "--description", "x")
    fill_manifest(place)
    manifest = open_project(place.project).manifest_path
    text = manifest.read_text(encoding="utf-8")
    for old, new in _SHORTER:
        assert old in text, old
        text = text.replace(old, new, 1)
    manifest.write_text(text, encoding="utf-8")
    (place.project / "undesired.txt").write_text("chair, table\n", encoding="utf-8")
    for station in stations(place, url):
        words = [one if one != "4" else "1" for one in station.words]
        if station.command not in ("check", "epochs"):
            run(*words, *(("--save-states",) if station.command == "train" else ()))
    run("queue", "add", project)
    _add_what_pages_keep(place)


def _add_what_pages_keep(place: DemoFolder) -> None:
    """Files of an earlier loraloom, of a page that was saved, and of the WebUI's tab."""
    project = open_project(place.project)
    grid = newest_grid(project)
    left, right = "ab" * 32, "cd" * 32
    votes = {"votes": [{"left": left, "right": right, "answer": "left"}], "choice": None}
    keep_votes(grid / "grid.html", json.dumps(votes))
    picture = next(project.showcase_dir.glob("*.png")).name
    (grid / "votes.json").write_text(json.dumps(votes), encoding="utf-8")
    review = {"kind": REVIEW_KIND, "format": 1, "ratings": {picture: "1"}, "upscale": [picture]}
    (project.showcase_dir / "review.json").write_text(json.dumps(review), encoding="utf-8")
    selection = {"kind": SELECTION_KIND, "pictures": [{"file": picture}]}
    (project.showcase_dir / "selection.json").write_text(json.dumps(selection), encoding="utf-8")
    source = next(project.images_dir.rglob("*.txt")).stem
    project.captions_dir.mkdir(exist_ok=True)
    edit = project.captions_dir / f"{source}.json"
    edit.write_text(json.dumps({"added": ["hat"], "text": ""}), encoding="utf-8")
    choice = {
        "kind": CHOICE_KIND, "format": 1, "grid": grid.name, "epoch": "1",
        "epoch_file": "Quillfox.safetensors", "cell": left, "values": {"Epoch": "1"}, "votes": [],
    }  # fmt: skip
    (place.root / "choice.json").write_text(json.dumps(choice), encoding="utf-8")
    (place.root / "roles.csv").write_text(f"{source}.png,primary\n", encoding="utf-8")
    started = {
        "grid": "1",
        "state": "done",
        "done": 1,
        "total": 1,
        "message": "",
        "root": "",
        "name": "",
    }
    (place.root / "started-grids.json").write_text(json.dumps([started]), encoding="utf-8")
    remember_webuis(["http://127.0.0.1:1"], project.root)


COMMANDS: Mapping[str, tuple[str, ...]] = {
    "show": ("show", "{P}"),
    "show --verify": ("show", "{P}", "--verify"),
    "import": ("import", "{P}", "{R}/collected pictures", "--dry-run"),
    "ratings": ("ratings", "{P}", "{R}/collected pictures"),
    "trigger": ("trigger", "{P}"),
    "stage": ("stage", "{P}"),
    "stage --roles": ("stage", "{P}", "--roles", "{R}/roles.csv", "--dry-run"),
    "caption": ("caption", "{P}"),
    "caption --dry-run": ("caption", "{P}", "--dry-run"),
    "config": ("config", "{P}"),
    "config --from json": ("config", "--from", "{P}/config/Quillfox.json", "--to", "{R}/out.json"),
    "config --from toml": ("config", "--from", "{P}/config/Quillfox.toml", "--to", "{R}/out.json"),
    "check": ("check", "{P}", "--trainer", "simulated"),
    "check --config": ("check", "--config", "{P}/config/Quillfox.toml", "--trainer", "simulated"),
    "train --dry-run": ("train", "{P}", "--trainer", "simulated", "--dry-run", "--move-old"),
    "train --stop": ("train", "{P}", "--stop"),
    "train --resume": ("train", "{P}", "--resume", "--dry-run", "--trainer", "simulated"),
    "queue add": ("queue", "add", "{P}"),
    "queue list": ("queue", "list"),
    "queue clear": ("queue", "clear"),
    "queue run": ("queue", "run", "--trainer", "simulated"),
    "epochs": ("epochs", "{P}"),
    "report": ("report", "{P}"),
    "trainer show": ("trainer", "show"),
    "pause": ("pause", "{P}"),
    "advise": ("advise", "{P}"),
    "prompts": ("prompts", "@{R}/template.txt", "--wildcards", "{R}/wildcards"),
    "templates": ("templates", "creature", "--styles", "{R}/styles.csv"),
    "wildcards": ("wildcards", "{R}/wildcards", "--no-serve"),
    "promote": ("promote", "{P}", "1", "quillfox-v2", "--dry-run", "--webui", "{U}"),
    "review --report": ("review", "{P}", "--report"),
    "select": ("select", "{P}"),
    "select --ratings": ("select", "{P}", "--ratings", "{R}/ratings.csv"),
    "publish": ("publish", "{P}"),
    "grid --choice": ("grid", "{P}", "--choice", "{R}/choice.json"),
    "webui": ("webui", "{P}"),
    "grid": ("grid", "{P}", "--webui", "{U}"),
    "tryout": ("tryout", "{P}", "--webui", "{U}", "--dry-run"),
    "showcase": ("showcase", "{P}", "--webui", "{U}", "--style", "fox"),
    "showcase --template": (
        "showcase", "{P}", "--webui", "{U}", "--dry-run", "--template", "{R}/template.txt"
    ),
    "upscale": ("upscale", "{P}", "--webui", "{U}", "--dry-run"),
    "link-loras": ("link-loras", "{P}", "--webui", "{U}", "--dry-run"),
}  # fmt: skip


def _ask(share: Share, paths: Sequence[str]) -> None:
    """Ask a page's share as a browser does; a refusal is printed as a command prints it."""
    shares = Shares()
    token = shares.add(share)
    for path in paths:
        answer = shares.answer(f"{token}/{path}")
        if answer.status == 400:
            raise ToolErrorTold(answer.body.decode())
        assert answer.status in (200, 404), answer.body


class ToolErrorTold(ToolError):
    """What a page was told."""

    def __init__(self, sentence: str) -> None:
        super().__init__("LL000", sentence)

    def __str__(self) -> str:
        return self.problem


def _board(place: DemoFolder) -> None:
    project = open_project(place.project)
    share = BoardShare(PicturesView(project), lambda: CaptionDesk(project))
    _ask(share, ("state.json", "captions.json", "changes.json", "report.json", "tags.json"))


def _review(place: DemoFolder) -> None:
    share = BoardShare(ShowcaseView(open_project(place.project)))
    _ask(share, ("state.json", "report.json", "changes.json"))


def _grid(place: DemoFolder) -> None:
    name = newest_grid(open_project(place.project)).name
    _ask(GridShare(place.project), (f"grids/{name}/grid.html", f"grids/{name}/votes.json"))


def _jobs(place: DemoFolder) -> None:
    GridJobs(place.root / "started-grids.json").all()


PAGES: Mapping[str, Callable[[DemoFolder], None]] = {
    "board page": _board,
    "review page": _review,
    "grid page": _grid,
    "grids of the WebUI": _jobs,
}
