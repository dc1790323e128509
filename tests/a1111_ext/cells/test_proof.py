"""`loraloom show --verify` reads every file of a project and says what is damaged."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from elsewhere import Elsewhere
from loras import save_lora

from a1111_ext.api.client import Client
from a1111_ext.cells import Cell, Ledger, run_cells
from a1111_ext.cells.backend import HttpBackend
from a1111_ext.cells.cell import CheckpointPin
from a1111_ext.cells.cell_plan import plan_cells
from kohya_ext.cli import main
from kohya_ext.project import Project, open_project
from kohya_ext.project.decisions import DecisionStore
from kohya_ext.project.lora_file import rewrite_metadata, tensor_sha256
from kohya_ext.project.proof import prove_project


@pytest.fixture
def drawn(project: Project, client: Client) -> list[Path]:
    """Three finished cells, an epoch file, scores, an edit and a decision."""
    backend = HttpBackend(client)
    title = backend.capabilities.checkpoints[0].title
    cells = [
        Cell(checkpoint=CheckpointPin(title), prompt="a fox", seed=seed, width=64, height=64)
        for seed in (1, 2, 3)
    ]
    with Ledger(project.cells_db, project.cells_dir) as ledger:
        run_cells(plan_cells(cells), ledger, [backend])
        paths = [ledger.picture_path(one.key) for one in cells]
    backend.close()
    (project.root / "made").mkdir()
    plain = save_lora(project.root / "made", "Quillfox-000001", epoch=1)
    project.model_dir.mkdir(exist_ok=True)
    rewrite_metadata(
        plain, project.model_dir / plain.name, {"sshs_model_hash": tensor_sha256(plain)}
    )
    for folder in (project.scores_dir, project.captions_dir):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "one.json").write_text("{}", encoding="utf-8")
    project.journal.append("import", pictures=1)
    DecisionStore(project.root / "reviews.db").close()
    return paths


def verify(project: Project, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict]:
    code = main(["show", str(project.root), "--verify", "--json"])
    return code, {one["kind"]: one for one in json.loads(capsys.readouterr().out)}


def test_a_sound_project_is_intact(project: Project, drawn, capsys: pytest.CaptureFixture[str]):
    code, found = verify(project, capsys)
    assert code == 0
    assert {kind: one["intact"] for kind, one in found.items() if kind != "decisions"} == {
        "journal": 2,
        "caption edits": 1,
        "tag scores": 1,
        "epoch files": 1,
        "pictures": 3,
    }
    assert not any(one["lost"] for one in found.values())


@pytest.mark.skipif(os.name != "nt", reason="only Windows has such paths")
def test_decisions_on_a_share_of_windows_are_read(project: Project, drawn):
    """A mapped drive becomes such a path, too, once it is resolved."""
    there = open_project(Path(f"\\\\?\\{project.root}"))
    assert [one.lost for one in prove_project(there) if one.lost] == []


def test_each_damage_is_named(project: Project, drawn, capsys: pytest.CaptureFixture[str]):
    drawn[0].write_bytes(b"")
    drawn[1].unlink()
    (project.captions_dir / "one.json").write_text("[" * 50_000, encoding="utf-8")
    (project.scores_dir / "one.json").write_bytes(b"\xff")
    (epoch,) = project.model_dir.glob("*.safetensors")
    content = bytearray(epoch.read_bytes())
    content[-1] ^= 1
    epoch.write_bytes(content)
    project.journal.path.write_text('{"at": 1}\n{"at": 2}\n', encoding="utf-8")
    code, found = verify(project, capsys)
    assert code == 1
    assert {kind: len(one["lost"]) for kind, one in found.items() if one["lost"]} == {
        "journal": 1,
        "caption edits": 1,
        "tag scores": 1,
        "epoch files": 1,
        "pictures": 2,
    }
    assert "do not match the hash" in found["epoch files"]["lost"][0]


def test_a_cluster_finds_the_same_damage(project: Project, drawn):
    sound, pool = prove_project(project), Elsewhere()
    assert prove_project(project, executor=pool) == sound
    assert pool.done == 4
    drawn[0].write_bytes(b"")
    (epoch,) = project.model_dir.glob("*.safetensors")
    epoch.write_bytes(epoch.read_bytes()[:-1] + b"?")
    found = {one.kind: len(one.lost) for one in prove_project(project, executor=Elsewhere())}
    assert (found["pictures"], found["epoch files"]) == (1, 1)


def test_a_damaged_ledger_is_repaired(project: Project, drawn, capsys: pytest.CaptureFixture[str]):
    project.cells_db.write_bytes(b"not a database" * 500)
    code, found = verify(project, capsys)
    assert (code, found["pictures"]["lost"]) == (0, [])
    assert "3 pictures are found again" in found["pictures"]["repaired"][0]


def test_damaged_decisions_are_named(project: Project, drawn, capsys: pytest.CaptureFixture[str]):
    (project.root / "reviews.db").write_bytes(b"not a database" * 500)
    code, found = verify(project, capsys)
    assert code == 1
    assert "restore it from a backup" in found["decisions"]["lost"][0]
