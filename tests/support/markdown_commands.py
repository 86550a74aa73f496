# SPDX-License-Identifier: Apache-2.0
"""Finds what a Markdown document tells its reader to type. Knows the few forms our documents use: fenced blocks, blocks
indented by four blanks, and code inside a line. Runs nothing."""
import dataclasses
import re

# What a block without a language must hold to be taken for commands.
_TYPED = re.compile(r"^(\$ |\./|(bench|tests|deploy)/[\w./-]+ |cloister(-\w+)? |curl |python3? |git |cmake |sudo |apt)")
_LANGUAGES = {"sh", "bash", "console", "python"}
# Data and settings, and the first word of their fences.
_DATA = {"hex", "example", "json", "toml"}


@dataclasses.dataclass(frozen=True)
class Block:
    document: str
    language: str  # The first word after the fence; empty for indented blocks.
    lines: tuple

    @property
    def key(self):
        """The document and the first line without its comment: how a test names a block."""
        return self.document, self.lines[0].split("  ")[0].strip()

    @property
    def text(self):
        return "\n".join(self.lines) + "\n"

    def is_typed(self):
        if self.language in _LANGUAGES:
            return True
        if self.language in _DATA:
            return False
        if self.language:
            raise ValueError(f"{self.document}: say in markdown_commands.py what a block of '{self.language}' is")
        return any(_TYPED.match(line.strip()) for line in self.lines)


def blocks(document, text):
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        begin = at
        if lines[at].startswith("```"):
            at += 1
            while not lines[at].startswith("```"):
                at += 1
            yield Block(document, (lines[begin][3:].split() or [""])[0], tuple(lines[begin + 1:at]))
        elif lines[at].startswith("    ") and (at == 0 or not lines[at - 1].strip()):
            while at < len(lines) and (lines[at].startswith("    ") or not lines[at].strip()):
                at += 1
            found = [line[4:] for line in lines[begin:at]]
            while not found[-1].strip():
                found.pop()
            yield Block(document, "", tuple(found))
            continue
        at += 1


def inline_commands(text):
    """Words of each `cloister SUBCOMMAND ...` or `cloister-PROGRAM --flag` that stands inside a line."""
    outside = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    return [span.split() for span in re.findall(r"`(cloister(?:-\w+)?(?: [^`]+))`", outside)]
