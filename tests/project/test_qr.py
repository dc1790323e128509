"""Addresses as QR codes: read back by our own eyes, module by module."""

from __future__ import annotations

import pytest

from kohya_ext.project.qr import qr_lines, qr_matrix

GOLDEN = """
#######  # ## #######
#     #  ###  #     #
# ### # ## ## # ### #
# ### #  # #  # ### #
# ### #   # # # ### #
#     #     # #     #
####### # # # #######
"""
"""The first seven rows of "http://a/", as a camera's decoder (OpenCV 4) has read them."""


def rows_of(text: str) -> list[str]:
    matrix = qr_matrix(text)
    assert matrix is not None
    return ["".join("# "[not dark] for dark in row) for row in matrix]


def test_the_code_is_the_one_that_a_camera_has_read():
    assert rows_of("http://a/")[:7] == GOLDEN.strip().splitlines()


@pytest.mark.parametrize(("length", "side"), [(17, 21), (18, 25), (53, 29), (78, 33), (106, 37)])
def test_the_smallest_version_is_taken(length: int, side: int):
    assert len(rows_of("h" * length)) == side


def test_a_longer_address_has_none():
    assert qr_matrix("h" * 107) is None


def test_each_line_is_equally_wide_and_framed_by_light():
    matrix = qr_matrix("http://192.168.0.5:40123/abcdefghijklmnopqrstuv/grid.html")
    assert matrix is not None
    lines = qr_lines(matrix)
    assert {len(one) for one in lines} == {33 + 4}
    assert set(lines[0]) == {"█"}
    wide = qr_lines(matrix, blocks=False)
    assert (len(wide), {len(one) for one in wide}) == (37, {74})
