"""`loraloom promote`: the winner under a simple name, its header rewritten, its weights not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from loras import save_lora, save_tensors
from promotions import with_manifest

from a1111_ext.api.client import Client
from a1111_ext.api.inventory import fetch_capabilities
from a1111_ext.grids.plan import select_epochs
from a1111_ext.publish import promote as promoting
from a1111_ext.publish.promote import (
    apply_promotion,
    find_epoch,
    hand_over,
    plan_promotion,
)
from a1111_ext.publish.promoted import require_promoted
from a1111_ext.simulator import SimulatedWebui
from kohya_ext.cli import main
from kohya_ext.project import Project, RuleError, ToolError, open_project, write_setting
from kohya_ext.project.epochs import find_runs
from kohya_ext.project.lora_file import read_header, rewrite_metadata, tensor_sha256, write_lora
from kohya_ext.project.status import read_status


@pytest.fixture
def trained(project: Project) -> Project:
    """A project with three epoch files, the last one without a number."""
    for epoch in (1, 2):
        save_lora(project.model_dir, f"Quillfox-{epoch:06d}", epoch=epoch, epochs=3)
    save_lora(project.model_dir, "Quillfox", epoch=3, epochs=3)
    return project


def promote(project: Project, word: str = "2", name: str = "Quillfox-v1"):
    return apply_promotion(
        project, plan_promotion(project, find_epoch(find_runs(project.model_dir), word), name)
    )


@pytest.mark.parametrize(
    ("word", "file"),
    [
        ("2", "Quillfox-000002"),
        ("3", "Quillfox"),
        ("last", "Quillfox"),
        ("Quillfox-000001", "Quillfox-000001"),
        ("Quillfox-000001.safetensors", "Quillfox-000001"),
        ("Quillfox-123456-000002", "Quillfox-000002"),
    ],
)
def test_an_epoch_has_several_names(trained: Project, word: str, file: str):
    assert find_epoch(find_runs(trained.model_dir), word).name == file


@pytest.mark.parametrize("word", ["9", "0", "²", "zzz", "a", "LASTS"])
def test_an_unknown_epoch_is_named(trained: Project, word: str):
    save_lora(trained.model_dir, "Quillfox-000003", epoch=3, epochs=3)
    numbers = r"its number \(1, 2, 3, last\) or its file name, for example Quillfox\..*LL601"
    with pytest.raises(ToolError, match=numbers):
        find_epoch(find_runs(trained.model_dir), word)


def test_a_number_is_one_of_the_newest_training(trained: Project):
    later = {"session": "999999", "output_name": "Newer", "epochs": 9}
    save_lora(trained.model_dir, "Newer-000008", epoch=8, **later)
    runs = find_runs(trained.model_dir)
    assert find_epoch(runs, "8").name == "Newer-000008"
    with pytest.raises(ToolError, match="LL601"):
        find_epoch(runs, "2")


def test_only_the_header_changes(trained: Project):
    source = trained.model_dir / "Quillfox-000002.safetensors"
    before = source.read_bytes()
    done = promote(trained)
    header = read_header(done.path)
    assert tensor_sha256(done.path) == tensor_sha256(source) == header.metadata["sshs_model_hash"]
    assert done.path.read_bytes()[header.data_begin :] == before[read_header(source).data_begin :]
    assert source.read_bytes() == before
    assert header.metadata["ss_output_name"] == "Quillfox-v1"
    assert header.metadata["modelspec.title"] == "Quillfox-v1"
    assert header.metadata["modelspec.trigger_phrase"] == "Quillfox"
    assert header.metadata["modelspec.hash_sha256"] == "0x" + done.hash
    assert header.metadata["ss_epoch"] == "2"


def test_a_wrong_hash_in_the_header_is_corrected(project: Project):
    path = save_lora(project.model_dir, "Quillfox-000001")
    tensors = read_header(path)
    assert "sshs_model_hash" not in tensors.metadata
    from kohya_ext.project.lora_file import rewrite_metadata

    wrong = project.model_dir / "Quillfox-000002.safetensors"
    changes = {"ss_epoch": "2", "sshs_model_hash": "0" * 64, "sshs_legacy_hash": "e3b0c442"}
    rewrite_metadata(path, wrong, changes)
    done = promote(project, "2")
    metadata = read_header(done.path).metadata
    assert metadata["sshs_model_hash"] == tensor_sha256(path)
    assert "sshs_legacy_hash" not in metadata


def test_it_tells_epochs_and_steps_of_the_file(trained: Project):
    done = promote(trained)
    assert (done.epoch, done.steps) == (2, 20)
    entry = trained.journal.last("promote")
    assert entry is not None
    assert entry.facts["file"] == "publish/Quillfox-v1.safetensors"
    assert (entry.facts["name"], entry.facts["epoch"], entry.facts["steps"]) == (
        "Quillfox-v1",
        2,
        20,
    )
    assert read_status(trained).promoted == "Quillfox-v1"
    assert require_promoted(trained).path == done.path


def test_a_lost_promotion_does_not_count(trained: Project):
    promote(trained).path.unlink()
    with pytest.raises(ToolError, match="LL604"):
        require_promoted(trained)


def test_the_same_again_after_an_edit_of_the_manifest_renews_the_header(trained: Project):
    before = promote(trained)
    done = promote(with_manifest(trained, 'publish:\n  author: "Ada"', section="publish"))
    metadata = read_header(done.path).metadata
    assert metadata["modelspec.author"] == "Ada"
    assert (done.path, done.hash) == (before.path, before.hash)
    assert tensor_sha256(done.path) == done.hash


IDA = "subject: {kind: person, consent: {name: Ida Brook, date: 2026-02-28, scope: all}}"


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        ("subject: {kind: character}", "now says no person"),
        (IDA.replace("person", "character"), "now says no person"),
        (IDA.replace("Ida Brook", "Mira Fern"), "now says that Mira Fern agreed"),
    ],
)
def test_a_lora_stays_that_of_who_agreed(project: Project, subject: str, words: str):
    """What was trained with one person's consent is promoted as nobody else's."""
    comment = "trigger: Idabrook; consent: Ida Brook agreed on 2026-02-28 to: training"
    plain = save_lora(project.root, "plain", epoch=1, epochs=1)
    project.model_dir.mkdir()
    file = project.model_dir / "Idabrook.safetensors"
    rewrite_metadata(plain, file, {"ss_training_comment": comment})
    for now, is_refused in ((subject, True), (IDA, False)):
        project.manifest_path.write_text(f"trigger_word: Idabrook\n{now}\n", encoding="utf-8")
        changed = open_project(project.root)
        if is_refused:
            with pytest.raises(RuleError, match=rf"consent of Ida Brook; .*{words}.*LL222"):
                promote(changed, "1", "Ida-v1")
        else:
            assert promote(changed, "1", "Ida-v1").name == "Ida-v1"


@pytest.mark.parametrize("epoch", range(4, 10))
def test_nothing_is_overwritten(trained: Project, epoch: int):
    save_lora(trained.model_dir, f"Quillfox-{epoch:06d}", epoch=epoch, epochs=3)
    done = promote(trained)
    before = done.path.read_bytes()
    with pytest.raises(ToolError, match="LL112"):
        promote(trained, f"Quillfox-{epoch:06d}")
    assert done.path.read_bytes() == before


def test_what_is_no_lora_is_not_overwritten_either(trained: Project):
    trained.publish_dir.mkdir(exist_ok=True)
    (trained.publish_dir / "Quillfox-v1.safetensors").write_bytes(b"notes")
    with pytest.raises(ToolError, match="LL112"):
        promote(trained)


@pytest.mark.parametrize("word", ["1", "2"])
def test_capitals_alone_make_no_other_name(trained: Project, word: str):
    done = promote(trained)
    before = done.path.read_bytes()
    with pytest.raises(ToolError, match=r"Quillfox-v1\.safetensors exists already, and .*LL112"):
        promote(trained, word, "quillFox-V1")
    assert [one.name for one in trained.publish_dir.iterdir()] == [done.path.name]
    assert done.path.read_bytes() == before


def test_the_same_promotion_again_continues(trained: Project):
    """As after Ctrl-C, when the WebUI has not got the file yet."""
    done = promote(trained)
    before = done.path.stat()
    assert promote(trained) == done
    assert done.path.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Quill fox", "only letters"),
        ("../Quillfox", "only letters"),
        ("Quill__fox", "two underscores"),
        ("Quillfox-000004", "number of an epoch"),
        ("con", "Windows does not allow this file name"),
        ("", "only letters"),
    ],
)
def test_names_that_make_trouble(trained: Project, name: str, why: str):
    with pytest.raises(ToolError, match=rf"{why}.*LL602"):
        promote(trained, "1", name)


def test_a_lora_without_weights(project: Project):
    write_lora(project.model_dir / "Quillfox.safetensors", {}, {"ss_epoch": "1"})
    with pytest.raises(ToolError, match="LL606"):
        promote(project, "1")


@pytest.mark.parametrize("bit", [0, 1, 6, 7])
def test_a_copy_that_went_wrong_is_removed(
    trained: Project, monkeypatch: pytest.MonkeyPatch, bit: int
):
    """A bad disk: what is read back is not what was written."""
    write = promoting.rewrite_metadata

    def badly(source: Path, target: Path, changes: dict[str, str | None]) -> None:
        write(source, target, changes)
        data = bytearray(target.read_bytes())
        data[-1] ^= 1 << bit
        target.write_bytes(data)

    monkeypatch.setattr(promoting, "rewrite_metadata", badly)
    with pytest.raises(ToolError, match="LL603"):
        promote(trained)
    assert list(trained.publish_dir.iterdir()) == []
    assert trained.journal.last("promote") is None


# -- the command --------------------------------------------------------------------------------


def test_the_webui_sees_it(trained: Project, webui: SimulatedWebui, capsys):
    assert main(["promote", str(trained.root), "2", "Quillfox-v1", "--webui", webui.url]) == 0
    out, err = capsys.readouterr()
    assert "epochs: 2, steps: 20" in out
    assert "in prompts: <lora:Quillfox-v1:1>" in out
    assert "Next: loraloom showcase" in err
    (listed,) = webui.host.loras()
    assert (listed["name"], listed["alias"]) == ("Quillfox-v1", "Quillfox-v1")


def test_the_same_file_may_be_there_already(trained: Project, webui: SimulatedWebui):
    done = promote(trained)
    (webui.host.lora_dir / done.path.name).write_bytes(done.path.read_bytes())
    webui.host.refresh_loras()
    done.path.unlink()
    assert main(["promote", str(trained.root), "2", "Quillfox-v1", "--webui", webui.url]) == 0


def test_another_lora_of_that_name(trained: Project, webui: SimulatedWebui, capsys):
    save_lora(webui.host.lora_dir / "old", "whatever", epoch=9, output_name="quillfox-V1")
    webui.host.refresh_loras()
    assert main(["promote", str(trained.root), "2", "Quillfox-v1", "--webui", webui.url]) == 1
    err = capsys.readouterr().err
    assert "LL605" in err
    assert "whatever.safetensors" in err
    assert not trained.publish_dir.exists()


def test_a_linked_epoch_file_of_that_name_is_to_be_unlinked(
    trained: Project, webui: SimulatedWebui, capsys: pytest.CaptureFixture[str]
):
    """After a grid, "move that file away" meant a link that loraloom itself had made."""
    assert main(["link-loras", str(trained.root), "--webui", webui.url]) == 0
    words = ["promote", str(trained.root), "2", "Quillfox", "--webui", webui.url]
    assert main(words) == 1
    assert "loraloom link-loras PROJECT --remove" in capsys.readouterr().err
    assert main(["link-loras", str(trained.root), "--remove", "--webui", webui.url]) == 0
    assert main(words) == 0


def test_the_same_weights_under_another_header_may_be_there(
    trained: Project, webui: SimulatedWebui, client: Client
):
    there = webui.host.lora_dir / "Quillfox-v1.safetensors"
    there.write_bytes((trained.model_dir / "Quillfox-000002.safetensors").read_bytes())
    has = fetch_capabilities(client)
    path, found = hand_over(promote(trained), client, has, webui.host.lora_dir)
    assert (path, [one.name for one in found.loras]) == (there, ["Quillfox-v1"])
    for epoch in range(4, 10):
        save_lora(webui.host.lora_dir, "Quillfox-v1", epoch=epoch)
        with pytest.raises(ToolError, match="LL112"):
            hand_over(promote(trained), client, has, webui.host.lora_dir)


def test_the_webui_may_have_it_in_other_capitals(
    trained: Project, webui: SimulatedWebui, client: Client
):
    done = promote(trained)
    there = webui.host.lora_dir / "quillFOX-v1.safetensors"
    there.write_bytes(done.path.read_bytes())
    has = fetch_capabilities(client)
    if (webui.host.lora_dir / done.path.name).exists():  # Windows: one file
        with pytest.raises(ToolError, match=r"quillFOX-v1\.safetensors exists already, .*LL112"):
            hand_over(done, client, has, webui.host.lora_dir)
    else:
        path, _ = hand_over(done, client, has, webui.host.lora_dir)
        assert path.name == done.path.name


def test_a_folder_that_the_webui_does_not_read_is_named(
    trained: Project, webui: SimulatedWebui, client: Client, tmp_path: Path
):
    for name in ("A", "zzz"):
        save_lora(webui.host.lora_dir, name)
    (tmp_path / "other").mkdir()
    with pytest.raises(ToolError, match="LL412"):
        hand_over(promote(trained), client, fetch_capabilities(client), tmp_path / "other")


def test_a_remembered_webui_may_be_off(trained: Project, capsys):
    write_setting("webui_urls", ("http://127.0.0.1:9",))
    assert main(["promote", str(trained.root), "last", "Quillfox-v1"]) == 0
    assert "promoted anyway" in capsys.readouterr().err
    assert main(["promote", str(trained.root), "1", "B", "--webui", "http://127.0.0.1:9"]) == 1
    assert "LL401" in capsys.readouterr().err


def test_without_any_webui(trained: Project, capsys):
    assert main(["promote", str(trained.root), "1", "Quillfox-v1", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["steps"] == 10
    assert "no WebUI is given" in err


def test_a_dry_run_writes_nothing(trained: Project, capsys):
    assert main(["promote", str(trained.root), "1", "Quillfox-v1", "--dry-run"]) == 0
    assert "ss_output_name: Quillfox-v1" in capsys.readouterr().out
    assert main(["promote", str(trained.root), "1", "Quillfox-v1", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 10
    assert not trained.publish_dir.exists()


# -- other files and other trainers ---------------------------------------------------------------


def test_promote_takes_a_path(trained: Project, tmp_path: Path, capsys):
    path = save_lora(tmp_path, "from elsewhere", epoch=7)
    assert main(["promote", str(trained.root), str(path), "Quillfox-v7", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["epoch"] == 7


def test_promote_refuses_what_is_no_lora(trained: Project, tmp_path: Path, capsys):
    path = save_tensors(tmp_path / "vae.safetensors", {"encoder.conv_in.weight": (1,)}, {})
    assert main(["promote", str(trained.root), str(path), "Quillfox-v7"]) == 1
    assert "vae.safetensors is not a LoRA: it is a VAE" in capsys.readouterr().err


def test_promote_refuses_a_lora_of_another_family(trained: Project, tmp_path: Path, capsys):
    name = "lora_unet_single_blocks_0_linear2.lora_down.weight"
    path = save_tensors(tmp_path / "flux.safetensors", {name: (4, 15360)}, {})
    assert main(["promote", str(trained.root), str(path), "Quillfox-v7"]) == 1
    assert "is a LoRA for Flux or Chroma, but the project is for SD 1.5" in capsys.readouterr().err
    assert not list(trained.publish_dir.glob("*.safetensors"))


@pytest.mark.parametrize(
    ("name", "metadata", "implementation"),
    [
        ("lora_unet_mid_block_a.lora_down.weight", {}, "diffusers"),
        ("unet.mid_block.a.lora_A.weight", {}, "diffusers"),
        ("lora_unet_mid_block_a.lora_down.weight", {"ot_branch": "master"}, "diffusers"),
        ("diffusion_model.input_blocks.1.1.a.lora_A.weight", {}, "comfyanonymous"),
        ("mystery.lora_A.weight", {}, None),
    ],
)
def test_the_implementation_is_that_of_the_tensors_names(
    project: Project, name: str, metadata: dict[str, str], implementation: str | None
):
    source = save_tensors(project.model_dir / "a.safetensors", {name: (4, 8)}, metadata)
    written = promoting.header_changes(source, "Quillfox-v1", project.manifest)
    found = written.get("modelspec.implementation")
    assert found is None if implementation is None else implementation in str(found)


def test_what_the_trainer_wrote_stays(project: Project):
    said = {"modelspec.implementation": "mine", "modelspec.architecture": "stable-diffusion-v1"}
    name = "lora_unet_mid_block_a.lora_down.weight"
    source = save_tensors(project.model_dir / "a.safetensors", {name: (4, 8)}, said)
    changes = promoting.header_changes(source, "Quillfox-v1", project.manifest)
    assert not set(said) & set(changes)


def test_an_epoch_that_was_saved_by_steps_is_called_by_its_step(project: Project):
    name = "lora_unet_mid_block_a.lora_down.weight"
    for stem, step in (("fox_000000250", 250), ("fox_000000500", 500), ("fox", 750)):
        info = {"training_info": json.dumps({"step": step, "epoch": step // 100}), "name": "fox"}
        save_tensors(project.model_dir / f"{stem}.safetensors", {name: (4, 8)}, info)
    runs = find_runs(project.model_dir)
    assert find_epoch(runs, "500").name == "fox_000000500"
    with pytest.raises(ToolError, match="LL601"):
        find_epoch(runs, "249")
    assert [one.name for one in select_epochs(runs[-1], "250,last")] == ["fox_000000250", "fox"]
