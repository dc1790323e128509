"""Slips that a pattern finds in the text of one sequence: pattern, code, sentence, hint.

In that text every construct of the language is one mark; what needs the tree is in `slips`.
"""

from __future__ import annotations

import re

NETWORK = "(?:lora|lyco|hypernet)"
RULES: tuple[tuple[re.Pattern[str], str, str, str], ...] = tuple(
    (re.compile(pattern), code, message, hint)
    for pattern, code, message, hint in (
        (r"(?<!\d)\d+(?:-\d*)?\$\$(?=\s*\x01)", "DP221",
         "this number of options is outside of brackets",
         "Write it inside: {2$$__name__}."),
        (r"\$\$", "DP221", 'this "$$" belongs to no number of options',
         "Write the number first, inside the brackets: {2$$a|b}."),
        (r"(?<![\w$])\$(?:\(\s*[A-Za-z_][\w-]*\s*\)|\[\s*[A-Za-z_][\w-]*\s*\])|(?<![\w$\\])\$[A-Za-z_][A-Za-z0-9_]*(?![\w$])",
         "DP224", "this variable has no braces and stays as it is", "Write ${name}."),
        (r"\$(?=\{?\s+\{)", "DP224", 'this "$" starts nothing', "Write ${name}, without spaces."),
        (r"(?<![^\W_])__(?=[^\W_])(?!\w*__)", "DP223", "this wildcard is never closed",
         "Two underscores are expected after its name, too: __name__."),
        (r"(?<=[^\W_])__(?![\w_])", "DP223", 'this "__" opens no wildcard',
         "Two underscores are expected before its name, too: __name__."),
        (r"\uff3f{2}|[\uff5b\uff5d]|\d\s*(?:\uff1a\uff1a|\uff04\uff04)", "DP220",
         "this is a full-width mark and stays as it is",
         "Write { } | __ :: $$ in their usual width."),
        (rf"<\s+{NETWORK}\s*:|<{NETWORK}[-;\s][^<>:]+[:;]|<{NETWORK}:(?:\s|[^<>:|]*\s:)"
         r"|<(?:loar|lroa|olra|loras|loara|lor|lroas|locon|loha|lokr):[^<>:|]+:",
         "DP226", "this is not read as a network",
         "Write <lora:name:weight>, without spaces."),
        (rf"<{NETWORK}:[^<>]*:\s*-?\d+,\d+\s*>", "DP226", "this weight has a comma",
         "Use a decimal point: <lora:name:0.8>."),
        (rf"(?<![<\w/]){NETWORK}:[^\s<>|,:]+:-?[\d.]+" r"(?=[\s>)\]},|]|$)", "DP226",
         'a "<" is missing before this', "Write <lora:name:weight>."),
        (r"\([^()\n,:;]+(?:;\s*\d*\.\d+|:\s*\d*\.[\d.]*\.[\d.]*)\s*\)", "DP226",
         "this is not read as a weight", "Write (text:1.2)."),
        (r"\([^()\n,:]+:\s*\d+,\d+\s*\)", "DP226", "this weight has a comma",
         "Use a decimal point: (text:1.2)."),
        (r"\[[^\[\]\n,:]*:[^\[\]\n,:]*:\s*\d+,\d+\s*\]", "DP226", "this number has a comma",
         "Use a decimal point: [from:to:0.5]."),
        (r"\uff08[^\uff08\uff09\n]*[:\uff1a]\s*\d+(?:\.\d+)?\uff09", "DP220",
         "this is a full-width mark and stays as it is", "Write (text:1.2)."),
        (r"<(?=[A-Za-z]+:)(?!lora|lyco|hypernet)(?i:lora|lyco|hypernet):|<(?:lora|lyco)=", "DP226",
         "this is not read as a network", "Write <lora:name:weight>, in small letters."),
        (r"<(?:lora|lyco):[^<>:|\n]+[,;]\s*-?(?:\d+(?:\.\d+)?|\.\d+)>", "DP226",
         "this weight has no colon", "Write <lora:name:weight>."),
        (rf"<{NETWORK}:[^<>:|\n]+\s-?[01]?\.\d+>", "DP226", "this weight has no colon",
         "Write <lora:name:weight>."),
        (rf"<{NETWORK}:\s*[:>]", "DP226", "this network has no name", "Write <lora:name:weight>."),
        (rf"<{NETWORK}:[^<>:|\x01]+:(?![^<>:]*[=\x01])(?!\s*[-+]?(?:\d+\.?\d*|\.\d+)\s*[:>])"
         r"[^<>:]*[:>]|" rf"<{NETWORK}:[^<>:|]+:[^<>:|]+:>",
         "DP226", "this is not read as a weight", "Write <lora:name:0.8>."),
        (rf"<<(?={NETWORK}:)|(?<=[\d.])>>", "DP226", "this bracket is doubled",
         "Write <lora:name:weight>."),
        (r"\uff1c\s*(?:lora|lyco)|<(?:lora|lyco)\uff1a", "DP220",
         "this is a full-width mark and stays as it is", "Write <lora:name:weight>."),
        (r"(?:^|(?<=[,\n]))\s*[Bb]reak(?=\s*(?:[,\n]|$))", "DP226",
         "this divides a prompt in capitals only", "Write BREAK."),
    )
)  # fmt: skip
