"""Follow-up posts: the pictures that a person rated 2, in posts of at most so many, arranged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from .album import ShowPicture
from .arrangement import arrange
from .ratings import Rating
from .selection import MOST_PICTURES, SelectionOptions, drawn_otherwise, with_ratings


@dataclass(frozen=True)
class FollowUps:
    """The posts in their order; `left_out` names pictures and why they cannot be in one."""

    posts: tuple[tuple[ShowPicture, ...], ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()


def plan_follow_ups(
    album: Sequence[ShowPicture],
    lora: str,
    lora_hash: str,
    ratings: Mapping[str, Rating],
    selected: Sequence[str] = (),
) -> FollowUps:
    """Arrange what is rated 2 into posts of nearly equal size; `selected` ones are placed."""
    found, left_out = [], []
    for picture, rating in with_ratings(album, SelectionOptions(ratings=ratings)):
        if rating is not Rating.FOLLOW_UP or picture.file in selected:
            continue
        other = drawn_otherwise(picture, lora, lora_hash)
        if other:
            left_out.append((picture.file, f"it was drawn {other}"))
        else:
            found.append(picture)
    if not found:
        return FollowUps((), tuple(left_out))
    posts = ceil(len(found) / MOST_PICTURES)
    shares = [found[number::posts] for number in range(posts)]
    return FollowUps(tuple(arrange(one) for one in shares), tuple(left_out))
