"""Published tags that speak of a minor or are sexual, and those that only look so."""

from __future__ import annotations

import shlex

import pytest
from PIL import Image

from kohya_ext.cli import main
from kohya_ext.project import Project
from kohya_ext.project.content import forbidden_picture
from kohya_ext.project.files import sha256_of
from kohya_ext.project.tagging import Scores, write_scores

Capture = pytest.CaptureFixture[str]

MINOR = """
loli, shota, child, female_child, male_child, toddler, baby, aged_down, age_regression,
onee-shota, onee-loli, onii-shota, oppai_loli, child_on_child, toddlercon, kindergarten_uniform,
kindergarten_bag, randoseru, pacifier, diaper, child_carry, baby_carry, holding_baby,
babywearing, baby_carrier, mesugaki, lolidom, shotadom, lolibaba, kodomo_doushi,
tomoeda_elementary_school_uniform, tokyo-3_middle_school_uniform,
nanairogaoka_middle_school_uniform, mihama_junior_high_school_uniform,
elementary_schoolmate_(idolmaster), father_and_child, lost_child, diaper_changing, young, cub,
young_anthro, young_penetrated, adult_on_young, infant, preteen, underage, little_girl
"""
NO_MINOR = """
childhood_friend, child's_drawing, gothic_lolita, sweet_lolita, lolita_hairband, wa_lolita,
lolita_fashion, mature_female, high_school_dxd, school_bag, tiger_cub, cube, honda_super_cub,
labia_minora, minor_arcana, baby's-breath, babydoll, chibi, petite, age_difference, mini_person,
children's_book, young_adult, aged_up, kidnapping, skid_marks, teenage_mutant_ninja_turtles
"""
SEXUAL = """
nude, completely_nude, topless, bottomless, nipples, areolae, pussy, penis, testicles, anus,
sex, sex_from_behind, clothed_sex, tentacle_sex, vaginal, anal, oral, fellatio, paizuri,
handjob, footjob, cowgirl_position, reverse_cowgirl_position, squatting_cowgirl_position,
missionary, doggystyle, mating_press, 69, girl_on_top, gangbang, group_sex, mmf_threesome,
futanari, futa_with_female, bukkake, cum, cum_on_breasts, cumdrip, internal_cumshot,
ejaculation, orgasm, ahegao, masturbation, fingering, vibrator, egg_vibrator, dildo, sex_toy,
condom, used_condom, condom_in_mouth, object_insertion, imminent_penetration, male_penetrated,
breast_grab, grabbing_another's_breast, breast_sucking, grabbing_own_ass, ass, ass_focus,
huge_ass, butt_crack, butt_plug, black_panties, panty_peek, panty_pull, black_bra, bra_pull,
sports_bra_lift, lingerie, black_babydoll, garter_belt, thong, fundoshi, underwear,
male_underwear, white_bikini, micro_bikini, slingshot_swimsuit, bikini_bottom_aside,
swimsuit_aside, clothes_lift, shirt_lift, skirt_pull, lifting_own_clothes, undressing_another,
see-through_shirt, wardrobe_malfunction, cleavage, underboob, sideboob, backboob,
covering_breasts, covering_crotch, female_pubic_hair, cameltoe, crotch_rope, bulge, erection,
lactation, breasts_apart, spread_legs, spread_pussy, bondage, bdsm, shibari, bound_wrists,
ball_gag, spanked, rape, molestation, groping, incest, netorare, prostitution, exhibitionism,
public_indecency, voyeurism, bestiality, stomach_bulge, censored, mosaic_censoring,
convenient_censoring, heart_censor, uncensored, french_kiss, after_sex, implied_sex,
imminent_vaginal, nipple_tweak, pasties, maebari, nearly_naked_apron, playboy_bunny,
virgin_killer_sweater, surrounded_by_penises, artificial_vagina, naizuri, tribadism, deepthroat
"""
NOT_SEXUAL = """
barefoot, swimsuit, school_swimsuit, navel, thighhighs, pantyhose, large_breasts, thighs, sweat,
wet, bath, onsen, kiss, kissing_cheek, hug, sitting_on_lap, all_fours, crawling, princess_carry,
ass_support, assault_rifle, bass_guitar, grass, glass, glasses, sheath, rope, tied_hair,
hair_ribbon, licking_lips, tied_up_(nonsexual), tentacles, object_on_head, cumulonimbus_cloud,
sextuplets, same-sex_couple, cross-laced_footwear, identity_censor, jacket_removed,
breast_pocket, breastplate, wind_lift, finger_to_mouth, stuffed_toy, cheek_bulge,
see-through_sleeves, hand_on_own_thigh, leg_lift, breastfeeding
"""


def tags(text: str) -> list[str]:
    return [one.strip() for one in text.replace("\n", " ").split(",") if one.strip()]


def scored(*names: str) -> Scores:
    return Scores("p", "m", {"general": 0.9}, dict.fromkeys(names, 0.2), {})


@pytest.mark.parametrize("spelling", ["_", " "])
def test_every_tag_of_a_minor_counts(spelling: str):
    names = [tag.replace("_", spelling) for tag in tags(MINOR)]
    assert [tag for tag in names if not forbidden_picture(scored(tag, "nude"))] == []
    assert [tag for tag in names if not forbidden_picture(None, f"{tag}, nude")] == []


def test_what_only_looks_so_does_not():
    assert [tag for tag in tags(NO_MINOR) if forbidden_picture(scored(tag, "nude"))] == []


def test_every_sexual_tag_counts():
    assert [tag for tag in tags(SEXUAL) if not forbidden_picture(scored("child", tag))] == []


def test_harmless_pictures_of_children_pass():
    assert [tag for tag in tags(NOT_SEXUAL) if forbidden_picture(scored("child", tag))] == []


@pytest.mark.parametrize("rating", ["sensitive", "questionable", "explicit"])
@pytest.mark.parametrize(("probability", "is_found"), [(0.25, True), (0.24, False)])
def test_ratings_count_from_a_quarter(rating: str, probability: float, is_found: bool):
    scores = Scores("p", "m", {rating: probability}, {"child": 0.15}, {})
    assert bool(forbidden_picture(scores)) is is_found


@pytest.mark.parametrize(("probability", "is_found"), [(0.15, True), (0.149, False)])
def test_tags_count_far_below_a_captions_threshold(probability: float, is_found: bool):
    minor = Scores("p", "m", {}, {"child": probability, "nude": 0.9}, {})
    sexual = Scores("p", "m", {}, {"child": 0.9, "nude": probability}, {})
    assert bool(forbidden_picture(minor)) is bool(forbidden_picture(sexual)) is is_found


def test_the_cure_takes_the_picture_out_for_good(project: Project, capsys: Capture):
    """What the message says is run as it stands; no later stage brings the picture back."""
    folder = project.source_dir / "primary"
    folder.mkdir(parents=True)
    for number, name in enumerate(("a b.png", "c.png", "d.png")):
        Image.new("RGB", (40, 40), (number, 1, 1)).save(folder / name)
    for name in ("a b.png", "d.png"):
        scores = Scores(sha256_of(folder / name), "m", {}, {"child": 0.9, "nude": 0.3}, {})
        write_scores(project.scores_dir, scores)
    assert main(["stage", str(project.root)]) == 1
    said = capsys.readouterr().err
    assert all(word in said for word in ("a b.png", "d.png", "LL258"))
    words = shlex.split(said.partition("run: loraloom ")[2].partition(". This")[0])
    assert words[0] == "stage"
    assert main(["stage", str(project.root), *words[words.index("--out") :]]) == 0
    assert main(["stage", str(project.root)]) == 0
    assert sorted(one.name for one in project.images_dir.rglob("*.png")) == ["c.png"]
    assert main(["stage", "--help"]) == 0
    options = capsys.readouterr().out
    assert not any(word in options for word in ("--force", "--allow", "--no-content", "--unsafe"))
