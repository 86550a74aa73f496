# SPDX-License-Identifier: Apache-2.0
"""Checks that a quote stands word for word in its source file. Shares nothing with the answering path: it opens the
file the quote names and reads it with its own few lines, never Cloister's parser, chunker or store.

Compared is what a reader sees: white space counts as one blank, Markdown's marks (quote bars, emphasis, link targets,
escapes, entities) and HTML's tags are taken off, and nothing else. Letters, digits, signs and case must be equal.
"""
import html
import html.parser
import pathlib
import re
import shutil
import subprocess
import unicodedata

_BLOCKS = {"p", "div", "li", "ul", "ol", "table", "tr", "td", "th", "br", "h1", "h2", "h3", "h4", "h5", "h6", "section"}


class _TagsOff(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.parts, self._hidden = [], 0

    def handle_starttag(self, tag, attrs):
        if tag in ("script", "style"):
            self._hidden += 1
        if tag in _BLOCKS:
            self.parts.append(" ")

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self._hidden = max(0, self._hidden - 1)
        if tag in _BLOCKS:
            self.parts.append(" ")

    def handle_data(self, data):
        if not self._hidden:
            self.parts.append(data)


def one_blank(text):
    return " ".join(unicodedata.normalize("NFC", text).split())


def read_markdown(text):
    text = re.sub(r"\A\ufeff?---\n.*?\n---\n", "", text, flags=re.S)
    text = re.sub(r"!?\[((?:[^\[\]]|\[[^\]]*\])*)\]\([^()\s]*(?:\s+\"[^\"]*\")?\)", r"\1", text)
    lines = []
    for line in text.split("\n"):
        line = re.sub(r"^[ \t]*(?:>[ \t]*)+", "", line)
        line = re.sub(r"^[ \t]*#{1,6}[ \t]+", "", line)
        line = re.sub(r"^[ \t]*[-*+][ \t]+", "", line)
        lines.append(line)
    text = html.unescape("\n".join(lines))
    text = re.sub(r"(\*\*|__|`)(?=\S)(.+?)(?<=\S)\1", r"\2", text)
    text = re.sub(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])", r"\1", text)
    text = re.sub(r"(?<![\w_])_(?=\S)([^_\n]+?)(?<=\S)_(?![\w_])", r"\1", text)
    return re.sub(r"\\([\\`*_{}\[\]()#+\-.!>|&])", r"\1", text)


def read_source(path):
    """The visible text of a source file, or None when this checker cannot read the format."""
    path = pathlib.Path(path)
    suffix = path.suffix.lower()
    if suffix == ".pdf":
        if shutil.which("pdftotext") is None:
            return None
        done = subprocess.run(["pdftotext", "-raw", str(path), "-"], capture_output=True, check=False, timeout=120)
        return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
    text = path.read_bytes().decode("utf-8", "replace")
    if suffix in (".md", ".markdown"):
        return read_markdown(text)
    if suffix in (".html", ".htm"):
        parser = _TagsOff()
        parser.feed(text)
        return "".join(parser.parts)
    return text


class VerbatimChecker:
    """`roots`: the corpus folders; a quote's source is a path below one of them."""

    def __init__(self, roots):
        self._roots = [pathlib.Path(root).resolve() for root in roots]
        self._texts = {}

    def find_file(self, source):
        for root in self._roots:
            for base in (root, root.parent):
                path = (base / source).resolve()
                if path.is_file() and path.is_relative_to(root):
                    return path
        return None

    def stands(self, quote, source):
        """True or False; False too when the named file does not exist. None: the format cannot be checked."""
        path = self.find_file(source)
        if path is None:
            return False
        if path not in self._texts:
            text = read_source(path)
            self._texts[path] = None if text is None else one_blank(text)
        text = self._texts[path]
        return None if text is None else bool(quote.strip()) and one_blank(quote) in text
