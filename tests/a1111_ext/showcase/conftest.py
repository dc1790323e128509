"""A showcase of eight pictures, shared as a board, and its address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from showcase_board import draw

from a1111_ext.showcase.showcase_view import ShowcaseView
from kohya_ext.project import Project
from kohya_ext.project.decisions.board import PAGE_NAME, BoardShare
from kohya_ext.project.server import PageServer


@pytest.fixture
def drawn(project: Project) -> Project:
    for number in range(8):
        draw(project, number)
    return project


@pytest.fixture
def share(drawn: Project) -> Iterator[BoardShare]:
    made = BoardShare(ShowcaseView(drawn))
    yield made
    made.close()


@pytest.fixture
def url(share: BoardShare) -> Iterator[str]:
    with PageServer() as server:
        yield server.url_of(share, PAGE_NAME)
