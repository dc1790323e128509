"""The one error that reaches the user as a sentence: what is wrong, then what to do.

Its codes are listed in `catalogue`; programmers' mistakes stay ValueError and TypeError.
"""

from __future__ import annotations


class ToolError(Exception):
    """Tell the user what is wrong with which value and what to do about it.

    `code` is a key of `catalogue.CATALOGUE`; `problem` and `cure` are whole sentences.
    """

    def __init__(self, code: str, problem: str, cure: str = "") -> None:
        super().__init__(code, problem, cure)
        self.code = code
        self.problem = problem
        self.cure = cure

    def __str__(self) -> str:
        sentence = f"{self.problem} {self.cure}".strip()
        return f"{sentence} [{self.code}]"
