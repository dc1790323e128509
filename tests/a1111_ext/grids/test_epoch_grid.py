"""The epoch grid as a plan: epochs by header, shared seeds, the control row, templates."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from loras import save_lora

from a1111_ext.cells.cell_plan import plan_cells
from a1111_ext.grids.expansion import make_expand
from a1111_ext.grids.grid import prepare_grid
from a1111_ext.grids.plan import (
    GridPlan,
    GridRequest,
    GridSubject,
    plan_grid,
    request_from,
    select_epochs,
    with_placeholder,
)
from kohya_ext.project import Project, RuleError, ToolError
from kohya_ext.project.epochs import Run, require_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Ten epochs; the last one has no number, as sd-scripts writes it."""
    for epoch in (1, 2, 10, 9):
        save_lora(tmp_path / "model", f"fox-{epoch:06d}", epoch=epoch, epochs=11)
    save_lora(tmp_path / "model", "fox", epoch=11, epochs=11)
    return require_run(tmp_path / "model")


def subject(run: Run, text: str = "all") -> GridSubject:
    names = {one.name: f"linked-{one.name}" for one in run.files}
    return GridSubject(select_epochs(run, text), names, "Quillfox")


def plan(run: Run, *, seed: int = 1, epochs: str = "all", **changes) -> GridPlan:
    request = GridRequest(**{"prompt": "{lora} photo of {trigger}", "seeds": (1, 2)} | changes)
    return plan_grid(
        request, subject(run, epochs), rng=random.Random(seed), expand=make_expand(None)
    )


def test_epochs_are_ordered_by_training(run: Run):
    assert [one.name for one in select_epochs(run)] == [
        "fox-000001",
        "fox-000002",
        "fox-000009",
        "fox-000010",
        "fox",
    ]


@pytest.mark.parametrize(
    ("text", "epochs"),
    [("2,9", [2, 9]), ("1-11 (+9)", [1, 10]), ("last", [11]), ("1,last", [1, 11]), ("all", None)],
)
def test_epochs_can_be_chosen(run: Run, text: str, epochs: list[int] | None):
    assert [one.epoch for one in select_epochs(run, text)] == (epochs or [1, 2, 9, 10, 11])


@pytest.mark.parametrize("text", ["77", "", " , ,"])
def test_epochs_that_are_not_there(run: Run, text: str):
    with pytest.raises(ToolError, match="LL509"):
        select_epochs(run, text)
    with pytest.raises(ToolError, match="LL506"):
        select_epochs(run, "first")


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "{lora} {trigger}, a naked child"},
        {"prompt": "{lora} {trigger}, {a child|a kid}, naked"},
        {"prompt": "{lora} a fox, naked", "axes": ("Prompt S/R=fox, child",)},
    ],
    ids=["written", "drawn", "by-an-axis"],
)
def test_no_grid_is_past_the_rule_on_minors(run: Run, changes: dict[str, object]):
    with pytest.raises(RuleError, match="LL616"):
        plan(run, **changes)
    plan(run, prompt="{lora} a fox, naked", negative_prompt="child")


def test_every_row_has_the_same_seeds(run: Run):
    grid = plan(run, seeds=(-1, -1, 5))
    rows: dict[int, list[int]] = {}
    for place in grid.places:
        rows.setdefault(place.at[0], []).append(place.cell.seed)
    assert len(rows) == 6
    assert len({tuple(row) for row in rows.values()}) == 1
    assert rows[0][2] == 5


def test_prompts_name_whole_files(run: Run):
    prompts = [place.cell.prompt for place in plan(run, seeds=(1,)).places]
    assert prompts == [
        "photo of Quillfox",
        "<lora:linked-fox-000001:1> photo of Quillfox",
        "<lora:linked-fox-000002:1> photo of Quillfox",
        "<lora:linked-fox-000009:1> photo of Quillfox",
        "<lora:linked-fox-000010:1> photo of Quillfox",
        "<lora:linked-fox:1> photo of Quillfox",
    ]


def test_epochs_times_weights(run: Run):
    grid = plan(run, epochs="1,2", lora_weights=(0.5, 1.0), seeds=(1,))
    prompts = [place.cell.prompt.partition(">")[0] for place in grid.places]
    assert prompts == [
        "photo of Quillfox",
        "<lora:linked-fox-000001:0.5",
        "<lora:linked-fox-000001:1",
        "<lora:linked-fox-000002:0.5",
        "<lora:linked-fox-000002:1",
    ]
    assert len(grid.controls) == 4


def test_a_weight_of_zero_needs_no_control(run: Run):
    grid = plan(run, epochs="1", lora_weights=(0.0, 1.0), seeds=(1,))
    assert len(grid.controls) == 1


def test_without_a_control_row(run: Run):
    grid = plan(run, control=False)
    assert (grid.has_control, grid.controls, len(grid.places)) == (False, {}, 10)


def test_any_number_of_axes(run: Run):
    grid = plan(
        run,
        epochs="1,2",
        axes=("CFG Scale=5,7", "Sampler=Euler,DDIM", "Size=64x64,128x128", "Clip skip=1,2"),
    )
    assert len(grid.places) == 3 * 16 * 2
    assert len({place.cell.key for place in grid.places}) == 96


def test_skipped_cells_are_counted(run: Run):
    grid = plan(run, epochs="1,2", skip=("LoRA epoch=epoch 1 & Seed=2",))
    assert (grid.skipped, len(grid.places)) == (1, 5)


def test_an_unknown_column_axis(run: Run):
    with pytest.raises(ToolError, match="LL505"):
        plan(run, columns="Sampler")
    assert plan(run, axes=("Sampler=Euler,DDIM",), columns="sampler").columns == 2


def test_a_template_is_drawn_once_per_seed(run: Run):
    """Apples with apples: every epoch has the same text under the same seed."""
    grid = plan(run, prompt="{lora} {red|blue|green|white} __x {trigger}", seeds=(1, 2, 3, 4))
    texts: dict[int, set[str]] = {}
    for place in grid.places:
        text = place.cell.prompt.partition("> ")[2] or place.cell.prompt
        texts.setdefault(place.cell.seed, set()).add(text)
    assert all(len(one) == 1 for one in texts.values())
    assert len(set.union(*texts.values())) > 1


def test_an_unlinked_text_differs_between_other_axes(run: Run):
    many = "|".join(f"word{number}" for number in range(500))
    grid = plan(
        run,
        epochs="1",
        prompt="{lora} {" + many + "}",
        axes=("CFG Scale=5,7",),
        seeds=(1,),
        unlink_seed=True,
    )
    texts = {place.cell.prompt.rpartition(" ")[2] for place in grid.places}
    assert len(texts) == 2


def test_a_template_that_cannot_be_read(run: Run):
    with pytest.raises(ToolError, match=r'(?s)"\$\{lora\} \{red\|blue".*LL513'):
        plan(run, prompt="{lora} {red|blue")
    with pytest.raises(ToolError, match=r'"__gone__".*LL513'):
        plan(run, prompt="{lora}", negative_prompt="__gone__")


def test_a_prompt_may_name_an_epoch_itself():
    assert with_placeholder("<lora:fox-000002:0.8> x", ("fox-000002",), "T") == "{lora} x"
    with pytest.raises(ToolError, match="LL504"):
        with_placeholder("a photo", (), "T")


def test_a_negative_prompt_has_no_tag_and_no_word_lora(run: Run):
    grid = plan(run, epochs="1", negative_prompt="bad, {lora}, {dull|dim} {trigger}", seeds=(1, 2))
    assert {one.negative_prompt for one in grid.cells} <= {
        "bad, dull Quillfox",
        "bad, dim Quillfox",
    }
    axis = plan(run, epochs="1", axes=("Negative prompt={lora} {trigger}",), seeds=(1,))
    assert {cell.negative_prompt for cell in axis.cells} == {"Quillfox"}


def test_a_template_draws_one_text_whatever_the_lora_is_called(run: Run):
    """Names that would be templates themselves, a weight axis, and the tag inside an option."""
    names = {one.name: f"my__fox#{one.epoch}|{{x}}" for one in run.files}
    request = GridRequest("{a|b|c} {{lora} red|{lora} blue} {1|2|3}", seeds=tuple(range(30)))
    own = GridSubject(run.epochs, names, "Quillfox")
    grid = plan_grid(request, own, rng=random.Random(1), expand=make_expand(None))
    texts: dict[int, set[str]] = {}
    for place in grid.places:
        prompt = place.cell.prompt
        for name in names.values():
            prompt = prompt.replace(f"<lora:{name}:1> ", "")
        texts.setdefault(place.cell.seed, set()).add(prompt)
    assert all(len(one) == 1 for one in texts.values())
    assert not any("lora" in text for one in texts.values() for text in one)


@pytest.mark.parametrize("label", ["epoch 9", "step 90", "fox-000009", "epoch 9 · *"])
def test_a_skip_rule_names_an_epoch_in_any_of_its_ways(run: Run, label: str):
    grid = plan(run, skip=(f"LoRA epoch={label}",), seeds=(1,))
    assert grid.skipped >= 1
    assert "fox-000009" not in "".join(cell.prompt for cell in grid.cells)


def test_a_prompt_axis_has_its_own_subject(run: Run):
    grid = plan(run, epochs="1", axes=('Prompt="{lora} a, b",{lora} c',), seeds=(1,))
    assert [place.cell.prompt for place in grid.places][2:] == [
        "<lora:linked-fox-000001:1> a, b",
        "<lora:linked-fox-000001:1> c",
    ]


def test_loads_and_swaps_ignore_the_axes_order(run: Run):
    grid = plan(run, axes=("Checkpoint name=a,b",), seeds=(1, 2, 3))
    cells = plan_cells(grid.cells, grid.controls)
    assert (cells.checkpoint_loads, cells.lora_swaps) == (2, 12)


def test_the_same_request_keeps_its_seeds(project: Project, run: Run):
    request = request_from(project.manifest, prompt="{lora} x")
    made = iter([7, 8, 9])

    def prepare(**more):
        return prepare_grid(project, request, subject(run), draw_number=lambda: next(made), **more)

    from a1111_ext.grids.grid import write_about

    first = prepare()
    write_about(first)
    assert prepare().plan == first.plan
    assert prepare(new_seeds=True).plan != first.plan


def test_a_damaged_grid_json_is_named(project: Project, run: Run):
    request = request_from(project.manifest)
    grid = prepare_grid(project, request, subject(run))
    grid.folder.mkdir(parents=True)
    (grid.folder / "grid.json").write_text("{", encoding="utf-8")
    with pytest.raises(ToolError, match="LL512"):
        prepare_grid(project, request, subject(run))
