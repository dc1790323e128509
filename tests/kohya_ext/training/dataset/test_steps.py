"""Exact steps: the resolutions that sd-scripts chooses, and what follows for batches and files."""

from __future__ import annotations

import pytest

from kohya_ext.training.dataset.steps import (
    BucketedDataset,
    BucketRules,
    ImageRepeats,
    Size,
    StepPlan,
    bucket_sizes,
    choose_bucket,
    is_trainable,
    length_line,
    plan_steps,
    rules_of,
    skipped_area_of,
    with_regularisation,
)

NO_UPSCALE = BucketRules(no_upscale=True)
WIDE = BucketRules((768, 512), no_upscale=True)
FINE = BucketRules(no_upscale=True, step=32)
CHOSEN = [
    (BucketRules(), {
        (512, 512): (512, 512),
        (1000, 500): (704, 320),
        (500, 1000): (320, 704),
        (600, 512): (576, 448),
        (4000, 100): (1024, 256),
        (100, 4000): (256, 1024),
        (576, 448): (576, 448),
        (570, 450): (576, 448),
        (1, 1): (512, 512),
    }),
    (BucketRules((768, 512)), {
        (512, 512): (576, 576),
        (1000, 500): (832, 448),
        (500, 1000): (448, 832),
        (600, 512): (640, 576),
        (4000, 100): (1024, 256),
        (100, 4000): (256, 1024),
        (576, 448): (704, 512),
        (570, 450): (704, 512),
        (1, 1): (576, 576),
    }),
    (NO_UPSCALE, {
        (512, 512): (512, 512),
        (513, 512): (512, 512),
        (511, 513): (448, 512),
        (300, 200): (256, 192),
        (500, 300): (448, 256),
        (65, 64): (64, 64),
        (1000, 500): (640, 320),
        (500, 1000): (320, 640),
        (1023, 767): (512, 384),
        (767, 1023): (384, 512),
        (640, 480): (512, 384),
        (4000, 300): (1664, 128),
        (300, 4000): (128, 1664),
        (1111, 777): (576, 384),
        (777, 1111): (384, 576),
        (2000, 1999): (512, 512),
        (600, 450): (512, 384),
        (1234, 567): (704, 320),
        (1600, 800): (640, 320),
    }),
    (WIDE, {
        (512, 512): (512, 512),
        (513, 512): (512, 512),
        (511, 513): (448, 512),
        (300, 200): (256, 192),
        (500, 300): (448, 256),
        (65, 64): (64, 64),
        (1000, 500): (768, 384),
        (500, 1000): (384, 768),
        (1023, 767): (704, 512),
        (767, 1023): (512, 704),
        (640, 480): (640, 448),
        (4000, 300): (1664, 128),
        (300, 4000): (128, 1664),
        (1111, 777): (704, 512),
        (777, 1111): (512, 704),
        (2000, 1999): (576, 576),
        (600, 450): (576, 448),
        (1234, 567): (832, 384),
        (1600, 800): (768, 384),
    }),
    (FINE, {
        (512, 512): (512, 512),
        (513, 512): (512, 512),
        (511, 513): (480, 512),
        (300, 200): (288, 192),
        (500, 300): (480, 288),
        (65, 64): (64, 64),
        (1000, 500): (704, 352),
        (500, 1000): (352, 704),
        (1023, 767): (544, 416),
        (767, 1023): (416, 544),
        (640, 480): (544, 416),
        (4000, 300): (1696, 128),
        (300, 4000): (128, 1696),
        (1111, 777): (608, 416),
        (777, 1111): (416, 608),
        (2000, 1999): (512, 512),
        (600, 450): (544, 416),
        (1234, 567): (672, 320),
        (1600, 800): (704, 352),
    }),
]  # fmt: skip
"""What the trainer makes of pictures, by rules; compared with its own in tests/hosts."""


@pytest.mark.parametrize(("rules", "chosen"), CHOSEN)
def test_each_picture_gets_the_trainers_resolution(rules: BucketRules, chosen: dict[Size, Size]):
    sizes = bucket_sizes(rules)
    assert {size: choose_bucket(size, rules, sizes) for size in chosen} == chosen


def test_a_tie_and_an_exact_area_are_the_trainers_too():
    assert choose_bucket((2826, 1256), WIDE, []) == (832, 384)
    assert choose_bucket((1568, 822), FINE, []) == (640, 352)
    assert choose_bucket((451, 1953), NO_UPSCALE, []) == (192, 768)
    exactly = BucketRules((640, 448), no_upscale=True)
    assert choose_bucket((140, 2048), exactly, []) == (128, 2048)


def test_predefined_resolutions_are_the_trainers():
    assert bucket_sizes(BucketRules((512, 512), minimum=0, maximum=512, step=128)) == [
        (128, 512), (256, 512), (384, 512), (512, 128), (512, 256), (512, 384), (512, 512)
    ]  # fmt: skip
    assert bucket_sizes(BucketRules((64, 64), minimum=256)) == [(256, 256)]
    assert bucket_sizes(BucketRules((320, 320), maximum=256)) == [(256, 256), (320, 320)]
    wide = [
        (576, 448), (640, 384), (704, 320), (768, 320), (832, 256), (896, 256), (960, 256),
        (1024, 256),
    ]  # fmt: skip
    turned = [(height, width) for width, height in wide]
    assert bucket_sizes(BucketRules()) == sorted([*wide, (512, 512), *turned])
    assert bucket_sizes(BucketRules((768, 512), minimum=320, maximum=896)) == [
        (320, 896), (384, 896), (448, 832), (512, 704), (512, 768), (576, 576), (576, 640),
        (640, 576), (704, 512), (768, 512), (832, 448), (896, 320), (896, 384),
    ]  # fmt: skip


def test_without_buckets_every_picture_has_one_resolution():
    rules = BucketRules((640, 448), enabled=False, no_upscale=True)
    assert choose_bucket((100, 900), rules, []) == (640, 448)
    assert is_trainable((1, 1), rules)


@pytest.mark.parametrize(
    ("size", "rules", "expected"),
    [
        ((64, 64), NO_UPSCALE, True),
        ((63, 64), NO_UPSCALE, False),
        ((64, 63), NO_UPSCALE, False),
        ((63, 63), FINE, True),
        ((31, 64), FINE, False),
        ((5000, 90), NO_UPSCALE, True),
        ((90, 5000), NO_UPSCALE, True),
        ((9000, 100), NO_UPSCALE, False),
        ((9000, 100), WIDE, True),
        ((8280, 67), WIDE, False),
        ((100, 20000), NO_UPSCALE, False),
        ((27099, 425), NO_UPSCALE, False),  # its height is lost in the last rounding alone
        ((16000, 65), FINE, True),
        ((262144, 1), FINE, False),
        ((1, 1), BucketRules(), True),
    ],
)
def test_a_picture_without_a_resolution_is_found(size: Size, rules: BucketRules, expected: bool):
    assert is_trainable(size, rules) is expected


def test_rules_are_read_as_the_trainer_reads_them():
    assert rules_of({}) == BucketRules(enabled=False)
    assert rules_of({"resolution": "768,512", "enable_bucket": True}) == BucketRules((768, 512))
    given = {"resolution": 640, "bucket_no_upscale": True, "bucket_reso_steps": 0}
    assert rules_of(given) == BucketRules((640, 640), False, True, 256, 1024, 1)
    given = {"min_bucket_reso": 300, "max_bucket_reso": 1001, "bucket_reso_steps": 100}
    assert rules_of(given) == BucketRules((512, 512), False, False, 300, 1100, 100)


@pytest.mark.parametrize(
    ("first", "second", "drawn"),
    [(3, 4, [4, 5]), (3, 2, [5, 4]), (1, 1, [5, 4]), (9, 1, [9])],
)
def test_regularisation_pictures_are_shown_as_often_as_needed(first, second, drawn):
    given = [ImageRepeats(64, 128, first), ImageRepeats(64, 64, second)]
    found = with_regularisation([ImageRepeats(8, 8, 4), ImageRepeats(8, 8, 5)], given)
    assert [one.repeats for one in found[2:]] == drawn
    assert (found[2].width, found[2].height) == (64, 128)


@pytest.mark.parametrize(
    ("value", "area"),
    [(64, 4096), ("64", 4096), ([64, 128], 8192), ("64, 128", 8192), ([64], 4096), (None, 0),
     ("1,2,3", 0), ([], 0), ("x", 0), ([64, "x"], 0)],
)  # fmt: skip
def test_a_smallest_size_is_one_number_or_two(value: object, area: int):
    assert skipped_area_of(value) == area


def dataset(draws: int, batch_size: int = 1) -> BucketedDataset:
    return BucketedDataset((ImageRepeats(512, 512, draws),), BucketRules(), batch_size)


def test_batches_of_datasets_add_up_and_are_shared_by_processes():
    plan = plan_steps(
        [dataset(7, 2), dataset(3)], gradient_accumulation=2, processes=2, epochs=5,
        save_every_n_epochs=2, output_name="fox",
    )  # fmt: skip
    assert (plan.draws, plan.batches_per_epoch, plan.steps_per_epoch, plan.steps) == (10, 7, 2, 10)
    assert plan.buckets == (((512, 512), 10),)
    assert plan.epoch_files == (("fox-000002", 2, 4), ("fox-000004", 4, 8), ("fox", 5, 10))


def test_a_run_is_of_whole_epochs_and_single_pictures_unless_it_is_said():
    assert BucketedDataset((), BucketRules()).batch_size == 1
    assert StepPlan(0, 0, 7, 3, (), ()).steps == 21
    plan = plan_steps([dataset(10)], epochs=3, save_every_n_epochs=0, output_name="fox")
    assert plan.epoch_files == (("fox", 3, 30),)


@pytest.mark.parametrize(("asked", "steps"), [(0, 30), (25, 25), (30, 30), (99, 30)])
def test_a_run_of_so_many_steps_may_end_inside_an_epoch(asked: int, steps: int):
    plan = plan_steps(
        [dataset(10)], epochs=3, save_every_n_epochs=9, output_name="fox", max_steps=asked
    )
    assert (plan.steps, plan.epoch_files) == (steps, (("fox", 3, steps),))


def test_the_length_is_one_sentence():
    assert length_line(1200, 1, 1200) == "1,200 steps in 1 epoch of 1,200"
    assert length_line(21, 3, 7, pictures=4, draws=14) == (
        "4 pictures, 14 draws: 21 steps in 3 epochs of 7"
    )


def test_buckets_keep_the_area():
    sizes = bucket_sizes(BucketRules())
    assert (512, 512) in sizes
    assert all(width * height <= 512 * 512 for width, height in sizes)
    assert choose_bucket((1000, 500), BucketRules(), sizes) == (704, 320)


def test_ends_of_buckets_move_to_whole_steps():
    rules = rules_of({"min_bucket_reso": 200, "max_bucket_reso": 1000})
    assert (rules.minimum, rules.maximum) == (192, 1024)
    assert (192, 1024) in bucket_sizes(rules)


def test_the_recorded_run_needs_18_steps_not_16():
    """16 draws in two buckets of batch 2 over two epochs, as a real run printed."""
    pictures = [ImageRepeats(512, 512, 5)] * 3 + [ImageRepeats(256, 512, 1)]
    shown = BucketedDataset(tuple(pictures), BucketRules(), batch_size=2)
    plan = plan_steps([shown], epochs=2, save_every_n_epochs=1, output_name="t")
    assert (plan.draws, plan.batches_per_epoch, plan.steps) == (16, 9, 18)
    assert plan.epoch_files == (("t-000001", 1, 9), ("t", 2, 18))


def test_no_epoch_file_without_saving():
    shown = BucketedDataset((ImageRepeats(512, 512, 1),), BucketRules(enabled=False))
    plan = plan_steps([shown], epochs=3, save_every_n_epochs=0, output_name="t")
    assert plan.epoch_files == (("t", 3, 3),)


@pytest.mark.parametrize(
    ("regular", "shown"),
    [
        ([(1, 1), (1, 1)], [4, 3]),  # 7 draws wanted: each once, then one more in turn
        ([(1, 5), (1, 5), (1, 5)], [5, 5]),  # the third is not used
        ([], []),
    ],
)
def test_regularisation_draws_match_the_others(regular, shown):
    pictures = [ImageRepeats(64, 64, 7)]
    given = [ImageRepeats(64, 64, repeats) for _, repeats in regular]
    assert [one.repeats for one in with_regularisation(pictures, given)[1:]] == shown
