"""Selection: which pictures of the album go into the post, and in which order.

People win: what they kept is in, what they dropped is out; the rest is chosen so that all
checkpoints and framings are there. Files that were not chosen stay where they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kohya_ext.project import InputError, MissingError, Project
from kohya_ext.project.decisions import DecisionKind, DecisionStore
from kohya_ext.project.files import explained, move_file
from kohya_ext.project.json_reader import read_json, read_picture_bytes
from kohya_ext.project.pictures.identity import digest_without_xmp
from kohya_ext.project.wording import counted

from ..api.lora_tags import changes_nothing, lora_tags
from .album import ShowPicture
from .arrangement import Distance, arrange, can_be_arranged, no_distance
from .ratings import Rating

MOST_PICTURES = 20
"""A post on the largest site holds no more."""

FREE_PLACES = 2
"""Left free where pictures are chosen for the user: a better one may come."""

SELECTION_NAME = "selection.json"
KIND = "loraloom-selection"
_NEAR_COPY = 0.05
"""Below this distance two pictures look the same at a glance: an upscaled one, one more try."""


@dataclass(frozen=True)
class Chosen:
    """One picture of the selection, and why it is in."""

    picture: ShowPicture
    reason: str


@dataclass(frozen=True)
class Selection:
    """The pictures of a post in their order; `left_out` counts the others by reason."""

    lora: str
    lora_hash: str
    chosen: tuple[Chosen, ...]
    left_out: Mapping[str, int]

    @property
    def files(self) -> tuple[str, ...]:
        """The file names in their order."""
        return tuple(one.picture.file for one in self.chosen)


@dataclass(frozen=True)
class SelectionOptions:
    """What is asked for: at most `most` pictures; `kept` are in whatever happens.

    `order` is a person's own: those pictures as they are, and no others. `fill` takes unrated
    ones too; None: unless some are rated 1.
    """

    most: int = MOST_PICTURES
    kept: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    ratings: Mapping[str, Rating] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    fill: bool | None = None

    @property
    def fills(self) -> bool:
        """Whether unrated pictures may be chosen."""
        if self.fill is not None:
            return self.fill
        rated = (name for name, rating in self.ratings.items() if rating is Rating.SHOWCASE)
        return all(name in self.dropped for name in rated)

    def rating_of(self, name: str) -> Rating | None:
        """Return a person's word on a picture; the command line goes before files."""
        if name in self.dropped:
            return Rating.DROP
        if name in self.kept:
            return Rating.SHOWCASE
        return self.ratings.get(name)


_WITHOUT = "drawn without a LoRA of its prompt"
_REASONS = {
    Rating.DROP: "dropped",
    Rating.FOLLOW_UP: "for a follow-up post",
    Rating.PLACED: "already posted",
}


def plan_selection(
    album: Sequence[ShowPicture],
    lora: str,
    lora_hash: str,
    options: SelectionOptions,
    distance: Distance = no_distance,
) -> Selection:
    """Choose and arrange.

    Raises MissingError (nothing to choose from) or InputError (more kept than fit; a kept one that
    cannot be in).
    """
    _require_one_word(options)
    left_out: Counter[str] = Counter()
    kept, free = list[ShowPicture](), list[ShowPicture]()
    for picture, rating in with_ratings(album, options):
        other = drawn_otherwise(picture, lora, lora_hash)
        if other and rating is Rating.SHOWCASE:
            raise InputError(
                "LL641",
                f"{picture.file} is kept or rated 1, but it was drawn {other}.",
                "Draw it again with the promoted file, or drop it: "
                f"loraloom select PROJECT --drop {picture.file}",
            )
        if other:
            left_out[_why_out(picture, lora_hash)] += 1
        elif picture.is_grid and rating is None:
            left_out["a grid of many pictures"] += 1
        elif picture.lora != lora and rating is not Rating.SHOWCASE:
            left_out["drawn under another name"] += 1
        elif rating in _REASONS:
            left_out[_REASONS[rating]] += 1
        elif rating is Rating.SHOWCASE:
            kept.append(picture)
        elif rating is not None or not options.fills:
            left_out["not rated 1"] += 1
        else:
            free.append(picture)
    left_out["an upscaled version exists"] = len(album) - sum(left_out.values()) - len(kept + free)
    _require_some(kept, free, lora, left_out)
    _require_room(kept, options.most)
    ordered = _by_hand(kept, options.order)
    if not ordered:
        room = options.most - FREE_PLACES if options.most > FREE_PLACES else options.most
        added = _choose(kept, free, max(len(kept), room), distance)
        spare = [one for one in free if one not in added]
        copies = sum(_is_near_copy(one, kept + added, distance) for one in spare)
        left_out["looks like another"] += copies
        left_out["not needed"] += len(spare) - copies
        chosen = _without_crowding(kept, added)
        left_out["too many of one framing"] += len(kept) + len(added) - len(chosen)
        ordered = arrange(chosen, distance)
    return Selection(
        lora,
        lora_hash,
        tuple(Chosen(one, "kept" if one in kept else "chosen") for one in ordered),
        {reason: count for reason, count in left_out.items() if count},
    )


def with_ratings(
    album: Sequence[ShowPicture], options: SelectionOptions
) -> Iterator[tuple[ShowPicture, Rating | None]]:
    """Yield pictures with a person's word on each; an upscaled one stands for its small one."""
    upscaled = {one.upscaled_from for one in album if one.upscaled_from}
    out = {
        one.upscaled_from
        for one in album
        if one.upscaled_from and options.rating_of(one.file) not in (None, Rating.SHOWCASE)
    }
    for one in album:
        own = options.rating_of(one.file)
        is_wanted = one.file in options.kept or (own is Rating.SHOWCASE and one.file in out)
        if one.file not in upscaled or is_wanted:
            yield one, own if own or not one.upscaled_from else options.rating_of(one.upscaled_from)


def _require_one_word(options: SelectionOptions) -> None:
    both = [name for name in options.kept if name in options.dropped]
    if both:
        raise InputError(
            "LL641",
            f"{both[0]} is in both --keep and --drop.",
            "Use one of the two.",
        )


def _why_out(picture: ShowPicture, lora_hash: str) -> str:
    """Say in short what `drawn_otherwise` says of a picture."""
    if not picture.prompt:
        return "without generation data"
    if picture.lora_hash == lora_hash and picture.ignored:
        return _WITHOUT
    is_off = picture.lora_hash == lora_hash and changes_nothing(picture.lora_weight)
    return "drawn with a weight of 0" if is_off else "drawn with another file"


def drawn_otherwise(picture: ShowPicture, lora: str, lora_hash: str) -> str:
    """Say with which other file a picture was drawn, "" when it was this one: hashes decide."""
    if picture.lora_hash == lora_hash and (lora_hash or picture.lora == lora):
        if changes_nothing(picture.lora_weight):
            return f"with {picture.lora} at a weight of 0, which changes nothing"
        said = (
            f"without {picture.ignored}: the infotext has no hash for it, so the WebUI ignored it"
        )
        return said if picture.ignored else ""
    if not picture.prompt:
        return "with unknown settings: it has no generation data"
    if picture.lora == lora and picture.lora_hash:
        return f"with another {lora} ({picture.lora_hash}) than the promoted one ({lora_hash})"
    if any(tag.name == lora for tag in lora_tags(picture.prompt)):
        return f"without {lora}: the infotext has no hash for its tag, so the WebUI ignored it"
    found = f"it has {picture.lora}" if picture.lora else "the infotext has no hash of a LoRA"
    return f"without {lora}: {found}"


def _by_hand(kept: Sequence[ShowPicture], order: Sequence[str]) -> tuple[ShowPicture, ...]:
    """Return the kept pictures in a person's order; nothing when that does not cover them."""
    places = {name: number for number, name in enumerate(order)}
    numbered = [(places.get(one.file, places.get(one.upscaled_from)), one) for one in kept]
    if not order or any(place is None for place, _ in numbered):
        return ()
    return tuple(one for _, one in sorted(numbered, key=lambda pair: (pair[0] or 0, pair[1].file)))


def _require_some(
    kept: Sequence[ShowPicture],
    free: Sequence[ShowPicture],
    lora: str,
    left_out: Mapping[str, int],
) -> None:
    if kept or free:
        return
    others = ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count)
    raise MissingError(
        "LL617",
        f'The showcase has no picture of "{lora}" to choose{f" ({others})" if others else ""}.',
        "Draw some: loraloom showcase PROJECT",
    )


def _require_room(kept: Sequence[ShowPicture], most: int) -> None:
    if len(kept) > most:
        raise InputError(
            "LL620",
            f"{counted(len(kept), 'picture is', 'pictures are')} kept or rated 1, but a post has "
            f"at most {most}: {', '.join(one.file for one in kept[most:])}would be left out.",
            "Rate some of them 2, for a follow-up post.",
        )


def _choose(
    kept: Sequence[ShowPicture], free: Sequence[ShowPicture], room: int, distance: Distance
) -> list[ShowPicture]:
    """Fill up to `room`: always from the rarest checkpoint and framing, never a near copy."""
    chosen, waiting = list(kept), list(free)
    while waiting and len(chosen) < room:
        checkpoints = Counter(one.checkpoint for one in chosen)
        framings = Counter(one.framing for one in chosen)
        best = min(
            waiting,
            key=lambda one: (
                _is_near_copy(one, chosen, distance),
                checkpoints[one.checkpoint] + framings[one.framing],
                framings[one.framing],
                waiting.index(one),
            ),
        )
        if _is_near_copy(best, chosen, distance):
            break
        chosen.append(best)
        waiting.remove(best)
    return chosen[len(kept) :]


def _is_near_copy(one: ShowPicture, chosen: Sequence[ShowPicture], distance: Distance) -> bool:
    if distance is no_distance:
        return False
    return any(distance(one.file, other.file) < _NEAR_COPY for other in chosen)


def _without_crowding(
    kept: Sequence[ShowPicture], added: Sequence[ShowPicture]
) -> list[ShowPicture]:
    """Take added pictures of a framing that is too frequent out again, the last ones first.

    Kept ones stay, and so does everything where there is one framing only.
    """
    chosen, spare = list(kept), list(added)
    if len({one.framing for one in chosen + spare}) == 1:
        return chosen + spare
    while not can_be_arranged([one.framing for one in chosen + spare]):
        counts = Counter(one.framing for one in chosen + spare if one.framing)
        crowded = counts.most_common(1)[0][0]
        found = next((one for one in reversed(spare) if one.framing == crowded), None)
        if found is None:
            break
        spare.remove(found)
    return chosen + spare


# -- the file -----------------------------------------------------------------------------------


def apply_selection(project: Project, selection: Selection) -> Path:
    """Keep the selection in reviews.db and note the order in the journal."""
    values = {
        "kind": KIND,
        "format": 1,
        "lora": selection.lora,
        "lora_hash": selection.lora_hash,
        "pictures": [
            {
                "file": one.picture.file,
                "sha256": _digest_of(project.showcase_dir / one.picture.file),
                "framing": one.picture.framing,
                "checkpoint": one.picture.checkpoint,
                "seed": one.picture.seed,
                "reason": one.reason,
            }
            for one in selection.chosen
        ],
        "left_out": dict(selection.left_out),
    }
    with DecisionStore(project.reviews_db) as store:
        store.decide(DecisionKind.SELECTION, {"showcase": values}, "select")
    path = project.showcase_dir / SELECTION_NAME
    if path.exists():
        move_file(path, path.with_name(f"{SELECTION_NAME}.moved"))
    project.journal.append("select", pictures=len(selection.chosen), order=list(selection.files))
    return project.reviews_db


def _digest_of(path: Path) -> str:
    """Return what a picture is known by later on: ratings may be written into it meanwhile."""
    with explained(path, reading=True):
        return digest_without_xmp(read_picture_bytes(path))


@dataclass(frozen=True)
class SelectedFile:
    """One picture as the selection file names it."""

    file: str
    sha256: str = ""


def read_selection(project: Project) -> tuple[SelectedFile, ...]:
    """Return the selected pictures in their order; a selection.json put there by hand wins.

    Raises MissingError when there is none, or it cannot be used.
    """
    path = project.showcase_dir / SELECTION_NAME
    with DecisionStore(project.reviews_db) as store:
        kept = store.find(DecisionKind.SELECTION, "showcase")
    try:
        data: Any = kept.value if kept and not path.exists() else read_json(path)
        if data.get("kind") != KIND:
            raise ValueError(f'it is not of the kind "{KIND}"')
        found = tuple(
            SelectedFile(str(one["file"]), str(one.get("sha256", ""))) for one in data["pictures"]
        )
    except FileNotFoundError as error:
        raise MissingError(
            "LL622",
            f"Nothing is selected: {path} does not exist.",
            "Select pictures: loraloom select PROJECT",
        ) from error
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MissingError(
            "LL622",
            f"{path} is not a selection: {error}.",
            "Make it again: loraloom select PROJECT",
        ) from error
    return tuple(replace(one, file=_plain_name(one.file, path)) for one in found)


def _plain_name(name: str, path: Path) -> str:
    if Path(name).name != name or not name:
        raise MissingError(
            "LL622",
            f'{path} names "{name}", which is not a file of showcase/.',
            "Give file names without folders.",
        )
    return name
