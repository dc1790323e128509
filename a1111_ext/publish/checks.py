"""Is everything of a pack true and allowed? Each check says what it found; refusals have a code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise

from kohya_ext.project import DamagedError, RuleError
from kohya_ext.project.consent import Use, require_uses
from kohya_ext.project.families import Family, family_named
from kohya_ext.project.manifest import SubjectKind
from kohya_ext.project.wording import counted

from .check import Check, CheckState, passed, refused, to_do
from .content import PackContent, judge_content
from .content_checks import Seen, check_content
from .material import Material
from .site import AS_OF, MOST_PICTURES, base_model_problem, is_listed, trained_on


def check_material(material: Material, seen: Seen, *, tagger_note: str = "") -> tuple[Check, ...]:
    """Return every check in the order of a checklist; nothing is raised."""
    content = material.content or judge_content(material.every_picture, seen)
    return tuple(_checks(material, content, seen, tagger_note))


def require_all(checks: Iterable[Check]) -> None:
    """Raise the first refusal as ToolError."""
    for one in checks:
        one.require()


def _checks(
    material: Material, content: PackContent, seen: Seen, tagger_note: str
) -> Iterator[Check]:
    yield _check_consent(material)
    yield _check_header(material)
    yield _check_number(material)
    yield _check_unchanged(material)
    yield _check_infotexts(material)
    yield _check_file(material)
    yield _check_ignored(material)
    yield _check_checkpoints(material)
    yield _check_weights(material)
    yield _check_base_model(material)
    yield _check_trigger(material)
    yield from check_content(material, content, seen, tagger_note)
    yield _check_neighbours(material)
    yield from _check_follow_ups(material)
    yield from _to_do(material)


def _check_consent(material: Material) -> Check:
    subject, what = material.manifest.subject, "Consent"
    if subject.kind is not SubjectKind.PERSON:
        return passed(what, f"The subject is not a real person ({subject.kind.value}).")
    if subject.consent is None:
        return refused(
            what,
            "LL113",
            "The subject is a real person, and no consent is recorded.",
            "Record it under subject.consent in the manifest: who agreed, when, and to what.",
            RuleError,
        )
    consent = subject.consent
    try:
        require_uses(consent, (Use.TRAINING, Use.PICTURES, Use.PUBLISHING))
    except RuleError as error:
        return refused(what, error.code, error.problem, error.cure, RuleError)
    return passed(what, f"{consent.name} agreed on {consent.date}: {consent.scope}.")


def _check_header(material: Material) -> Check:
    what, promoted = "The file's own hash", material.promoted
    stored = promoted.metadata.get("sshs_model_hash", "")
    if stored and stored != promoted.tensors_sha256:
        return refused(
            what,
            "LL625",
            f"The header of {promoted.path.name} says that its tensors have the hash "
            f"{stored[:12]}, but they have {promoted.autov3}; every picture would contain the "
            "wrong hash.",
            "Promote the epoch again.",
            DamagedError,
        )
    return passed(what, f"AutoV3 {promoted.autov3} is the hash of its tensors.")


def _check_number(material: Material) -> Check:
    what, count = "Number of pictures", len(material.pictures)
    if count > MOST_PICTURES:
        return refused(
            what,
            "LL620",
            f"The selection has {counted(count, 'picture')}; a post has at most {MOST_PICTURES}.",
            "Select again: loraloom select PROJECT (if you have written "
            "showcase/selection.json yourself, remove some there instead).",
        )
    return passed(what, f"{count} of at most {MOST_PICTURES}.")


def _check_unchanged(material: Material) -> Check:
    what = "Pictures as they were selected"
    for one in material.every_picture:
        if one.selected_sha256 and one.selected_sha256 != one.sha256:
            return refused(
                what,
                "LL623",
                f"{one.path.name} was changed after it was selected.",
                "Check it, and select again: loraloom select PROJECT",
                DamagedError,
            )
    return passed(what, "Unchanged, except for ratings and labels in their XMP.")


def _check_infotexts(material: Material) -> Check:
    what = "Generation data"
    for one in material.every_picture:
        if one.infotext is None:
            return refused(
                what,
                "LL624",
                f"{one.path.name} has no generation data: another program has probably removed it.",
                "Select a picture as the WebUI made it.",
                DamagedError,
            )
    return passed(what, "Every picture contains it, as the WebUI wrote it.")


def _check_file(material: Material) -> Check:
    """Compare hashes; another name in the prompt is reported, since sites link by hash."""
    what, promoted = "Drawn with the published file", material.promoted
    renamed: dict[str, str] = {}
    for one in material.every_picture:
        got = one.lora_hashes.get(promoted.name)
        names = [name for name, digest in one.lora_hashes.items() if digest == promoted.autov3]
        if not names:
            found = (
                f"another {promoted.name} ({got}) than the one that is published "
                f"({promoted.autov3})"
            )
            used = ", ".join(one.lora_hashes) or "no LoRA at all"
            why = f"with {found}" if got else f"without {promoted.name}: it has {used}"
            return refused(
                what,
                "LL626",
                f"{one.path.name} was drawn {why}.",
                "Draw the showcase again with the promoted file: loraloom showcase PROJECT",
            )
        if promoted.name not in names:
            renamed[one.path.name] = names[0]
    if renamed:
        first, name = next(iter(renamed.items()))
        return to_do(
            what,
            f"It is, by its hash {promoted.autov3}; but "
            f"{counted(len(renamed), 'prompt calls', 'prompts call')} it by another "
            f"name, which readers do not have ({first}: {name}).",
        )
    return passed(what, f"Every picture's Lora hashes say {promoted.name}: {promoted.autov3}.")


def _check_ignored(material: Material) -> Check:
    what = "LoRAs of the prompts"
    for one in material.every_picture:
        if one.ignored:
            return refused(
                what,
                "LL642",
                f"The prompt of {one.path.name} names the LoRA {one.ignored[0]}, but its "
                "generation data has no hash of it: the WebUI ignored that tag.",
                "Install that LoRA and draw the picture again, or drop it: loraloom select "
                "PROJECT "
                f"--drop {one.path.name}",
            )
    others = ", ".join(f"{name}: {digest}" for name, digest in material.helpers)
    return passed(what, f"Each was used; others than this one: {others or 'none'}.")


def _check_trigger(material: Material) -> Check:
    """Accept another trigger word than that of the header only where the training knows it."""
    what, word = "Trigger word", material.manifest.trigger_word
    metadata = material.promoted.metadata
    said = metadata.get("modelspec.trigger_phrase", "")
    trained = _plain(" ".join(metadata.get(key, "") for key in _TRAINED_WORDS))
    if said and said != word and _plain(word) not in trained:
        return refused(
            what,
            "LL643",
            f'The header of {material.promoted.path.name} has the trigger word "{said}", the '
            f'manifest "{word}", which no caption of the training has.',
            "Correct trigger_word in the manifest.",
        )
    return passed(what, f"{word}.")


_TRAINED_WORDS = ("ss_tag_frequency", "ss_dataset_dirs")


def _plain(text: str) -> str:
    return text.casefold().replace("_", " ")


def _check_checkpoints(material: Material) -> Check:
    what = "Checkpoints"
    names = [f"{name} [{digest}]" if digest else name for name, digest in material.checkpoints]
    missing = [one.path.name for one in material.pictures if not one.fields.get("Model hash")]
    if missing:
        return Check(
            what,
            CheckState.TO_DO,
            f"{missing[0]} does not contain the hash of its checkpoint; name the checkpoint by "
            "hand.",
        )
    return passed(what, f"{', '.join(names)}.")


def _check_weights(material: Material) -> Check:
    what, weights = "Recommended weight", material.weights
    if len(weights) == 1:
        return passed(what, f"{weights[0]:g}: every picture was made with it.")
    shown = ", ".join(f"{one:g}" for one in weights)
    return passed(what, f"{material.weight:g}; the pictures were made with {shown}.")


def _check_base_model(material: Material) -> Check:
    what, name = "Base model", material.base_model
    family, facts_of_file = material.manifest.base_model.family, material.promoted.facts
    if facts_of_file is not None and facts_of_file.contradicts(family):
        return refused(
            what,
            "LL135",
            f"{material.promoted.path.name} is a LoRA for {facts_of_file.family_title}, but the "
            f"project is for {family.facts.title}.",
            "Correct base_model.family in the manifest, or promote a file of this model.",
        )
    for key in ("modelspec.architecture", "ss_base_model_version"):
        said = material.promoted.metadata.get(key, "")
        named = family_named(said)
        if named is not None and named is not family and not _names(family, said):
            return refused(
                what,
                "LL643",
                f"The header of {material.promoted.path.name} says {said} ({key}), but the "
                f"project is for {family.facts.title}.",
                "Correct base_model.family in the manifest, or promote a file of this model.",
            )
    version_2 = material.promoted.metadata.get("ss_v2")
    if version_2 in ("True", "False") and (version_2 == "True") is not (family is Family.SD2):
        return refused(
            what,
            "LL643",
            f"The header of {material.promoted.path.name} says that it was "
            f"{'' if version_2 == 'True' else 'not '}trained as {Family.SD2.facts.title} "
            f"(ss_v2: {version_2}), but the project is for {family.facts.title}.",
            "Correct base_model.family in the manifest, or promote a file of this model.",
        )
    problem = base_model_problem(name, material.manifest.base_model.family)
    if problem is not None:
        sentence, cure = problem
        return refused(
            what, "LL627", f"{sentence}.", f"{cure} Correct publish.base_model in the manifest."
        )
    if not is_listed(name):
        return Check(
            what,
            CheckState.TO_DO,
            f'"{name}" is not in the list as of {AS_OF}: check whether the site has it now.',
        )
    trained = material.promoted.metadata.get("ss_sd_model_name", "")
    listed = trained_on(trained)
    if listed and listed != name:
        return to_do(
            what,
            f"The header says that it was trained on {trained}, which sounds like {listed}, but "
            f"{'publish.base_model' if material.publish.base_model else 'the family'} says {name}: "
            "write the right one under publish.base_model.",
        )
    return passed(what, f"{name}, as Civitai's list spells it.")


def _names(family: Family, said: str) -> bool:
    """Tell whether a header's name of a model is one that `family` shares with another."""
    known = (*family.facts.architectures, *family.facts.base_versions)
    return said.split("/")[0].casefold() in {one.casefold() for one in known}


def _check_neighbours(material: Material) -> Check:
    """The selection keeps framings apart; an order by hand may not, and is the user's choice."""
    what = "Order"
    pairs = pairwise(material.pictures)
    alike = [(a, b) for a, b in pairs if a.framing and a.framing == b.framing]
    if alike:
        one, other = alike[0]
        return Check(
            what,
            CheckState.TO_DO,
            f"{one.path.name} and {other.path.name} are next to each other and both "
            f"{one.framing}: move one of them.",
        )
    framings = Counter(one.framing for one in material.pictures if one.framing)
    listed = ", ".join(f"{name} ({count})" for name, count in framings.most_common())
    said = f"No two of the same framing next to each other: {listed or 'framing is unknown'}."
    return passed(what, said)


def _check_follow_ups(material: Material) -> Iterator[Check]:
    """Say what the pictures rated 2 became; those that cannot be in a post are named."""
    what = "Follow-up posts"
    if material.not_followed:
        file, why = material.not_followed[0]
        more = f" {len(material.not_followed) - 1} more." if len(material.not_followed) > 1 else ""
        yield to_do(what, f"{file} is rated 2, but {why}.{more}")
    elif material.follow_ups:
        counts = ", ".join(str(len(post)) for post in material.follow_ups)
        yield passed(what, f"{len(material.follow_ups)}; pictures in each: {counts}.")


def _to_do(material: Material) -> Iterator[Check]:
    publish = material.publish
    if not publish.source_link:
        yield Check(
            "Source",
            CheckState.TO_DO,
            "The manifest has no publish.source_link: write where the training pictures are from.",
        )
    if not material.description:
        yield Check("Description", CheckState.TO_DO, "Write publish.description in the manifest.")
    if not publish.license:
        yield Check(
            "Licence",
            CheckState.TO_DO,
            "The manifest has no publish.license: write what others may do.",
        )
    if material.promoted.steps is None:
        yield Check(
            "Steps", CheckState.TO_DO, "The file does not contain its steps: fill them in by hand."
        )
