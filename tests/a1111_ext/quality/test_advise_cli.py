"""`loraloom advise` on a small project with a grid from the simulated WebUI."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from loras import save_lora
from PIL import Image
from user_folders import user_folder_in

from a1111_ext.cells import Ledger
from a1111_ext.grids.page.votes import keep_votes
from a1111_ext.quality import embedding
from a1111_ext.quality.embedding import open_embedding
from a1111_ext.quality.gathering import Sources, gather
from a1111_ext.quality.probes import make_probes
from a1111_ext.quality.shots import grid_folders, read_shots
from a1111_ext.quality.signal import SignalName
from a1111_ext.simulator import SimulatedWebui, start_webui
from kohya_ext.cli import main
from kohya_ext.project import Project, ToolError, open_project
from kohya_ext.project.decisions import DecisionKind, DecisionStore
from kohya_ext.project.kept_advice import read_advice, sparkline
from kohya_ext.simulator import tagger_model
from kohya_ext.simulator.tagger_model import write_tagger_model

EPOCHS = 3


@pytest.fixture
def trained(project: Project) -> Project:
    return train(project)


def train(project: Project) -> Project:
    for epoch in range(1, EPOCHS + 1):
        save_lora(project.model_dir, f"Quillfox-{epoch:06d}", epoch=epoch, epochs=EPOCHS)
    text = project.manifest_path.read_text(encoding="utf-8")
    text = text.replace("grid:\n", "grid:\n  picture: {width: 64, height: 64, steps: 2}\n")
    project.manifest_path.write_text(text, encoding="utf-8")
    folder = project.source_dir
    folder.mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (64, 64), (40 * number, 90, 200)).save(folder / f"{number}.png")
    return project


@pytest.fixture(scope="module")
def first_drawn(_first_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """To be copied: a grid takes longer than the advice on it."""
    folder = tmp_path_factory.mktemp("drawn")
    project = train(open_project(shutil.copytree(_first_project, folder / "first")))
    with user_folder_in(folder), start_webui(folder / "webui") as webui:
        assert main(["grid", str(project.root), "--webui", webui.url, "--seeds", "1,2"]) == 0
    return project.root


@pytest.fixture
def drawn(first_drawn: Path, tmp_path: Path) -> Project:
    return open_project(shutil.copytree(first_drawn, tmp_path / "my quillfox"))


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tagger_model(tmp_path_factory.mktemp("tagger"))


def advise(project: Project, *options: str) -> int:
    return main(["advise", str(project.root), *options])


def code_of(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.rstrip()[-6:-1]


def test_without_a_tagger_it_says_what_was_not_measured(drawn: Project, capsys):
    capsys.readouterr()
    assert advise(drawn) == 5
    out, err = capsys.readouterr()
    assert "only a guess" in out
    assert "Not measured, learned: It needs a WD14 tagger" in out
    assert "Next: loraloom promote" in err


def test_json_is_kept_in_the_project(drawn: Project, capsys):
    capsys.readouterr()
    advise(drawn, "--json")
    data = json.loads(capsys.readouterr().out)
    kept = read_advice(drawn.root)
    assert kept is not None
    assert kept.summary == data["summary"]
    assert kept.epochs == tuple(f"Quillfox-{n:06d}" for n in range(1, EPOCHS + 1))
    assert {"fried", "copying", "variety"} <= set(data["signals"])
    assert all(sparkline(curve).startswith("<svg") for curve in kept.curves)


def test_a_tagger_adds_its_signals(drawn: Project, tagger: Path, capsys):
    capsys.readouterr()
    code = advise(drawn, "--model", str(tagger), "--json")
    out, err = capsys.readouterr()
    data = json.loads(out)
    assert code == {"take": 0, "train-on": 3, "all-fried": 4, "undecided": 5}[data["verdict"]]
    assert {"learned", "leakage"} <= set(data["signals"]) | set(data["not_measured"])
    assert "The tagger is simulated" in err


def test_a_damaged_kept_advice_counts_as_none(project: Project):
    assert read_advice(project.root) is None
    (project.root / "advice.json").write_text('{"format": 1}', encoding="utf-8")
    assert read_advice(project.root) is None


def test_without_epochs_there_is_nothing_to_advise(project: Project, capsys):
    assert advise(project) == 1
    assert code_of(capsys) == "LL133"


def test_without_a_grid_weights_and_the_reason_remain(trained: Project, capsys):
    assert advise(trained, "--json") == 5
    data = json.loads(capsys.readouterr().out)
    assert "loraloom grid" in data["not_measured"]["fried"]


def test_an_unknown_grid_is_refused(drawn: Project, capsys):
    assert advise(drawn, "--grid", "nowhere") == 1
    assert code_of(capsys) == "LL530"


def test_shots_pair_epochs_with_the_control(drawn: Project):
    (folder,) = grid_folders(drawn)
    with Ledger(drawn.cells_db, drawn.cells_dir) as ledger:
        found = read_shots(folder, ledger)
    assert len(found.shots) == (EPOCHS + 1) * 2
    control = {one.pair for one in found.shots if not one.file}
    assert control == {one.pair for one in found.shots if one.file.startswith("Quillfox-000002")}
    assert len({one.group for one in found.shots}) == 1


def test_a_second_look_measures_nothing_again(drawn: Project, monkeypatch):
    sources = Sources(drawn, grid_folders(drawn))
    with Ledger(drawn.cells_db, drawn.cells_dir) as ledger:
        first = gather(sources, ledger)
        monkeypatch.setattr("a1111_ext.quality.measures.texture_of", None)
        assert gather(sources, ledger) == first


def test_votes_of_the_page_are_counted(drawn: Project):
    (folder,) = grid_folders(drawn)
    with Ledger(drawn.cells_db, drawn.cells_dir) as ledger:
        keys = {one.file: one.key for one in read_shots(folder, ledger).shots if one.file}
        first, second, third = (keys[f"Quillfox-{n:06d}.safetensors"] for n in (1, 2, 3))
        votes = [{"left": first, "right": second, "answer": "right"}] * 9
        votes += [{"left": second, "right": third, "answer": "same"}]
        kept = {"votes": votes, "choice": None}
        (folder / "votes.json").write_text(json.dumps(kept), encoding="utf-8")
        evidence = gather(Sources(drawn, (folder,)), ledger)
    assert [(one.better, one.draw, one.worse) for one in evidence.ballots] == [
        (0, 0, 9),
        (9, 1, 0),
        (0, 1, 0),
    ]


def test_votes_among_the_decisions_outrank_the_file(drawn: Project):
    (folder,) = grid_folders(drawn)
    with Ledger(drawn.cells_db, drawn.cells_dir) as ledger:
        keys = [one.key for one in read_shots(folder, ledger).shots if one.file]
        vote = {"left": keys[0], "right": keys[-1], "answer": "left"}
        kept = {"votes": [vote], "choice": keys[-1]}
        keep_votes(folder / "grid.html", json.dumps(kept))
        evidence = gather(Sources(drawn, (folder,)), ledger)
    assert [one.better for one in evidence.ballots] == [1, 0, 0]
    assert [one.is_chosen for one in evidence.ballots] == [False, False, True]


def test_ratings_of_grid_pictures_are_counted(drawn: Project):
    (folder,) = grid_folders(drawn)
    with Ledger(drawn.cells_db, drawn.cells_dir) as ledger:
        shots = [one for one in read_shots(folder, ledger).shots if one.file]
        words = {shots[0].key: "1", shots[1].key: "drop", shots[2].key: "3", "0" * 64: "1"}
        with DecisionStore(drawn.reviews_db) as store:
            store.decide(DecisionKind.RATING, words, "board")
        evidence = gather(Sources(drawn, (folder,)), ledger)
    assert sum(one.better for one in evidence.ballots) == 1
    assert sum(one.worse for one in evidence.ballots) == 1


# -- probes -------------------------------------------------------------------------------------


def test_probes_ask_for_what_the_set_never_shows():
    probes = make_probes({"umbrella": 9, "snow": 12, "forest": 1})
    prompts = [one.prompt for one in probes]
    assert 6 <= len(probes) <= 10
    assert prompts[0] == "{lora} photo of {trigger}"
    assert not any("umbrella" in one for one in prompts)
    assert prompts[-1].endswith(", snow")


def test_probes_are_printed(trained: Project, capsys):
    assert advise(trained, "--probes", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["about"] == "trigger only"


# -- embeddings ---------------------------------------------------------------------------------


class Brightness:
    """An embedding that sees one number."""

    key = "brightness"

    def __init__(self, path: Path) -> None:
        self.is_of_faces = path.name == "faces"

    def embed(self, path: Path) -> list[float]:
        with Image.open(path) as opened:
            (value,) = opened.convert("L").resize((1, 1)).tobytes()
        return [float(value), 50.0]


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(embedding.FALLBACK, "light", "brightness_plugin:Brightness")
    monkeypatch.setitem(
        __import__("sys").modules, "brightness_plugin", type("M", (), {"Brightness": Brightness})
    )


@pytest.mark.usefixtures("plugin")
def test_an_embedding_plugin_measures_likeness(drawn: Project):
    opened = open_embedding(drawn, "light=anything")
    with Ledger(drawn.cells_db, drawn.cells_dir) as ledger:
        evidence = gather(Sources(drawn, grid_folders(drawn), embedding=opened), ledger)
    signal = evidence.signals[SignalName.LIKENESS]
    assert len(signal.values) == EPOCHS
    assert signal.is_measured or "just as similar" in signal.unmeasured


@pytest.mark.usefixtures("plugin")
def test_faces_need_a_consent(drawn: Project, capsys):
    assert advise(drawn, "--embedding", "light=faces") == 1
    assert code_of(capsys) == "LL533"


def test_an_unknown_plugin_is_named(drawn: Project, capsys):
    assert advise(drawn, "--embedding", "nosuch=x") == 1
    assert code_of(capsys) == "LL531"


def test_a_tagger_is_no_embedding(drawn: Project, tagger: Path, capsys):
    assert advise(drawn, "--embedding", str(tagger / "model.onnx")) == 1
    assert code_of(capsys) == "LL532"
    assert advise(drawn, "--embedding", str(drawn.root / "nothing.onnx")) == 1
    assert code_of(capsys) == "LL532"


def test_an_onnx_model_gives_its_vector(project: Project, tmp_path: Path):
    model = tmp_path / "model.onnx"
    model.write_bytes(_mean_colour_model(8))
    opened = open_embedding(project, str(tmp_path))
    Image.new("RGB", (20, 30), (255, 0, 0)).save(tmp_path / "red.png")
    config = {"image_mean": [0, 0, 0], "image_std": [1, 1, 1]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config), encoding="utf-8")
    assert open_embedding(project, str(model)).embed(tmp_path / "red.png") == [1.0, 0.0, 0.0]
    assert not opened.is_of_faces


def _mean_colour_model(pixels: int) -> bytes:
    """An ONNX model that averages each colour, made as the simulated tagger is."""
    made = tagger_model
    pool = made._ints("kernel_shape", [pixels, pixels])
    nodes = (
        made._node("AveragePool", ["input"], "means", pool),
        made._node("Flatten", ["means"], "output", b""),
    )
    graph = b"".join(
        (
            *(made._field(1, node) for node in nodes),
            made._field(2, b"mean colour"),
            made._field(11, made._value("input", ["N", 3, pixels, pixels])),
            made._field(12, made._value("output", ["N", 3])),
        )
    )
    return made._number(1, 8) + made._field(7, graph) + made._field(8, made._number(2, 17))


def test_a_library_error_is_a_tool_error(project: Project, tmp_path: Path):
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(ToolError, match="LL532"):
        open_embedding(project, str(tmp_path))


# -- where it shows -----------------------------------------------------------------------------


def test_the_page_of_a_grid_shows_the_advice(drawn: Project):
    (folder,) = grid_folders(drawn)
    kept = read_advice(drawn.root)
    assert kept is not None
    assert kept.grids == (folder.name,)
    page = (folder / "grid.html").read_text(encoding="utf-8")
    assert json.dumps(kept.summary, ensure_ascii=False)[1:-1] in page
    assert "data:image/svg+xml;base64," in page


def test_a_grid_draws_probes_when_asked(trained: Project, webui: SimulatedWebui, capsys):
    arguments = ["grid", str(trained.root), "--webui", webui.url, "--seeds", "1", "--probes"]
    assert main([*arguments, "--dry-run", "--json"]) == 0
    axes = json.loads(capsys.readouterr().out)["axes"]
    assert "full body" in axes
    assert "oil painting" in axes


def test_a_grid_can_do_without_advice(trained: Project, webui: SimulatedWebui, capsys):
    arguments = ["grid", str(trained.root), "--webui", webui.url, "--seeds", "1", "--no-advice"]
    assert main([*arguments, "--json"]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["advice"] is None
    assert read_advice(trained.root) is None


def test_a_tagger_that_is_gone_does_not_cost_the_grid(
    trained: Project, webui: SimulatedWebui, capsys
):
    text = trained.manifest_path.read_text(encoding="utf-8")
    text = text.replace("  model: ''", "  model: gone")
    trained.manifest_path.write_text(text, encoding="utf-8")
    assert main(["grid", str(trained.root), "--webui", webui.url, "--seeds", "1"]) == 0
    out, err = capsys.readouterr()
    assert "page: " in out
    assert "no advice: " in err
