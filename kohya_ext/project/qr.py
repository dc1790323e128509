"""An address as a QR code for a terminal: bytes, error correction level L, versions 1 to 5.

What ISO/IEC 18004 asks for and a phone's camera reads; 106 bytes at most. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_DATA = (19, 34, 55, 80, 108)
"""Codewords of data for each version at level L; there is a single block up to version 5."""
_CORRECTION = (7, 10, 15, 20, 26)
_QUIET = 2
"""Light modules around the code; four are the rule, two suffice on a screen."""
_MASK = 0
_LEVEL_L = 1

Matrix = list[list[bool]]
Cell = tuple[int, int]


def qr_matrix(text: str) -> Matrix | None:
    """Return the dark modules, row by row; None for a text that is too long."""
    content = text.encode("utf-8")
    version = next((v for v, size in enumerate(_DATA, 1) if len(content) + 2 <= size), None)
    if version is None:
        return None
    data = _data_codewords(content, _DATA[version - 1])
    codewords = data + _remainder(data, _CORRECTION[version - 1])
    bits = [bool(word >> shift & 1) for word in codewords for shift in range(7, -1, -1)]
    side = 17 + 4 * version
    fixed = _fixed_modules(version, side)
    matrix = [[fixed.get((row, column), False) for column in range(side)] for row in range(side)]
    waiting = iter(bits)
    for row, column in _zigzag(side):
        if (row, column) not in fixed:
            matrix[row][column] = next(waiting, False) ^ ((row + column) % 2 == 0)  # mask 0
    return matrix


def qr_lines(matrix: Matrix, *, blocks: bool = True) -> list[str]:
    """Return the code for a dark terminal: two rows a line in half blocks, or `##` for light."""
    side = len(matrix) + 2 * _QUIET
    light = [[True] * side for _ in range(side + side % 2)]
    for row, modules in enumerate(matrix):
        for column, dark in enumerate(modules):
            light[row + _QUIET][column + _QUIET] = not dark
    if not blocks:
        return ["".join("##" if one else "  " for one in row) for row in light[:side]]
    letters = {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}
    pairs = zip(light[::2], light[1::2], strict=True)
    return ["".join(letters[both] for both in zip(*two, strict=True)) for two in pairs]


def _data_codewords(content: bytes, size: int) -> list[int]:
    bits = f"0100{len(content):08b}" + "".join(f"{byte:08b}" for byte in content) + "0000"
    words = [int(bits[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(bits), 8)][:size]
    return words + [(0xEC, 0x11)[number % 2] for number in range(size - len(words))]


def _multiply(left: int, right: int) -> int:
    """Multiply in the field of 256 that QR codes use (polynomial 0x11D)."""
    product = 0
    while right:
        product ^= left if right & 1 else 0
        left = left << 1 ^ (0x11D if left & 0x80 else 0)
        right >>= 1
    return product


def _remainder(data: Sequence[int], count: int) -> list[int]:
    """Return the Reed-Solomon codewords."""
    generator, root = [1], 1
    for _ in range(count):
        shifted = [*generator, 0]
        generator = [
            shifted[at] ^ (_multiply(generator[at - 1], root) if at else 0)
            for at in range(len(shifted))
        ]
        root = _multiply(root, 2)
    rest = [0] * count
    for byte in data:
        factor = byte ^ rest[0]
        rest = [
            old ^ _multiply(part, factor)
            for old, part in zip([*rest[1:], 0], generator[1:], strict=True)
        ]
    return rest


def _zigzag(side: int) -> Iterator[Cell]:
    """Yield the modules in the order of the bits: pairs of columns, up and down, from the right."""
    upward = True
    for right in (*range(side - 1, 6, -2), *range(5, 0, -2)):
        for row in range(side - 1, -1, -1) if upward else range(side):
            yield row, right
            yield row, right - 1
        upward = not upward


def _fixed_modules(version: int, side: int) -> dict[Cell, bool]:
    """Return finders, timing, alignment, format and the dark module."""
    fixed: dict[Cell, bool] = {}
    for top, left in ((0, 0), (0, side - 7), (side - 7, 0)):
        for row in range(-1, 8):
            for column in range(-1, 8):
                place = (top + row, left + column)
                if 0 <= place[0] < side and 0 <= place[1] < side:
                    ring = max(abs(row - 3), abs(column - 3))
                    fixed[place] = ring not in (2, 4)
    for at in range(8, side - 8):
        fixed[6, at] = fixed[at, 6] = at % 2 == 0
    if version > 1:
        middle = side - 7
        for row in range(-2, 3):
            for column in range(-2, 3):
                fixed[middle + row, middle + column] = max(abs(row), abs(column)) != 1
    return fixed | _format_modules(side)


def _format_modules(side: int) -> dict[Cell, bool]:
    value = _LEVEL_L << 3 | _MASK
    rest = value << 10
    for shift in range(4, -1, -1):
        rest ^= 0x537 << shift if rest >> (shift + 10) & 1 else 0
    bits = (value << 10 | rest) ^ 0x5412
    around = [*((row, 8) for row in (0, 1, 2, 3, 4, 5, 7)), (8, 8)]
    around += [(8, column) for column in (7, 5, 4, 3, 2, 1, 0)]
    apart = [(8, side - 1 - at) for at in range(8)]
    apart += [(side - 7 + at, 8) for at in range(7)]
    found = {(side - 8, 8): True}
    for at in range(15):
        found[around[at]] = found[apart[at]] = bool(bits >> at & 1)
    return found
