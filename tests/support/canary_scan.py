# SPDX-License-Identifier: Apache-2.0
"""Searches every byte of a set of folders for things that must not be there: strings, and vectors as 32-bit floats
or 8-bit integers. Does not know what Cloister stores or where. Needs numpy.

A vector counts as found when WINDOW consecutive components stand in a file, each within a tolerance, because the same
text embedded in another batch differs in its last bits.
"""
import dataclasses
import pathlib

import numpy

WINDOW = 24           # Components in a row. By chance: never, in a file of any size that exists.
FLOAT_TOLERANCE = 2e-3
INT8_TOLERANCE = 2
BLOCK = 64 * 1024 * 1024
OVERLAP = 8192


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    path: str
    what: str


def stems(text, least=8):
    """Words of at least `least` letters, and what is left of them without their last two: index terms are stemmed."""
    out = set()
    for word in text.lower().split():
        word = "".join(c for c in word if c.isalnum())
        if len(word) >= least:
            out.add(word)
        if len(word) >= least + 2:
            out.add(word[:-2])
    return sorted(out)


def _find_floats(data, vector):
    if len(data) < 4 * WINDOW + 3:
        return False
    for offset in range(4):
        usable = (len(data) - offset) // 4 * 4
        for order in ("<f4", ">f4"):
            values = numpy.frombuffer(data, dtype=order, count=usable // 4, offset=offset)
            if _has_run(values, vector, FLOAT_TOLERANCE):
                return True
    return False


def _find_int8(data, vector):
    # Symmetric quantisation with the largest component at 127, or with 1.0 at 127.
    values = numpy.frombuffer(data, dtype=numpy.int8).astype(numpy.int16)
    for scale in (127.0 / float(numpy.abs(vector).max()), 127.0):
        if _has_run(values, numpy.rint(vector * scale), INT8_TOLERANCE):
            return True
    return False


def _has_run(values, vector, tolerance):
    windows = len(values) - WINDOW + 1
    if windows <= 0:
        return False
    for start in (0, len(vector) // 2):
        # Narrow the places down component by component: after the first few, hardly any are left.
        with numpy.errstate(invalid="ignore"):
            places = numpy.flatnonzero(numpy.abs(values[:windows] - vector[start]) <= tolerance)
            for step in range(1, WINDOW):
                if places.size == 0:
                    break
                places = places[numpy.abs(values[places + step] - vector[start + step]) <= tolerance]
        if places.size:
            return True
    return False


def _text_needles(strings):
    """(bytes, what is reported) for each text of each class."""
    for kind, texts in strings.items():
        for text in texts:
            yield text.lower().encode(), f"{kind} in UTF-8"
            yield text.lower().encode("utf-16-le"), f"{kind} in UTF-16"


def _blocks(path):
    """Pieces of a file with what of the one before could hold the beginning of a needle; and how many bytes are new."""
    with open(path, "rb") as stream:
        tail = b""
        while block := stream.read(BLOCK):
            yield tail + block, len(block)
            tail = block[-OVERLAP:]


def scan(folders, strings, vectors=None):
    """`strings` and `vectors` are lists by class, the name a finding gets. Texts are matched as UTF-8 and UTF-16, whatever
    their case, in file names too. Returns (findings, files, bytes)."""
    texts = list(_text_needles(strings))
    numbers = [(kind, numpy.asarray(v, dtype=numpy.float32)) for kind, many in (vectors or {}).items() for v in many]
    findings, files, size = set(), 0, 0
    for folder in folders:
        for path in sorted(pathlib.Path(folder).rglob("*")):
            name = str(path.relative_to(folder)).lower().encode()
            findings |= {Finding(str(path), f"{what}, in a file name") for needle, what in texts if needle in name}
            if not path.is_file() or path.is_symlink():
                continue
            files += 1
            for data, new in _blocks(path):
                size += new
                lowered = data.lower()
                findings |= {Finding(str(path), what) for needle, what in texts if needle in lowered}
                findings |= {Finding(str(path), f"{k} as 32-bit floats") for k, v in numbers if _find_floats(data, v)}
                findings |= {Finding(str(path), f"{k} as 8-bit integers") for k, v in numbers if _find_int8(data, v)}
    return sorted(findings), files, size


def self_test():
    """Each kind of needle is found where it was put, and not elsewhere. Returns the number of failures."""
    import tempfile
    rng = numpy.random.default_rng(7)
    vector = rng.normal(size=384)
    vector /= numpy.linalg.norm(vector)
    vector = vector.astype(numpy.float32)
    noise = rng.integers(0, 256, 300_000, dtype=numpy.uint8).tobytes()
    plants = {
        "utf8": b"Xylophonkoffer", "utf16": "xylophonkoffer".encode("utf-16-le"),
        "float": vector.tobytes(), "float-odd": b"\1" + vector.astype(">f4").tobytes(),
        "int8": numpy.rint(vector * 127.0 / numpy.abs(vector).max()).astype(numpy.int8).tobytes(),
    }
    expected = {"utf8": {"text in UTF-8"}, "utf16": {"text in UTF-16"}, "float": {"vector as 32-bit floats"},
                "float-odd": {"vector as 32-bit floats"}, "int8": {"vector as 8-bit integers"}, "nothing": set()}
    failures = 0
    for name, plant in {**plants, "nothing": b""}.items():
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "f").write_bytes(noise[:100_001] + plant + noise[100_001:])
            found = {f.what for f in scan([folder], {"text": ["xylophonkoffer"]}, {"vector": [vector]})[0]}
            if found != expected[name]:
                failures += 1
                print(f"canary_scan: {name}: {found}")
    return failures
