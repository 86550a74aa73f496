#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Canaries: unique strings are ingested, asked for and answered; then every byte that the appliance left on the disk
is searched for them, for stems of their words, and for their vectors as floats and as 8-bit integers. The same scan over
an appliance whose sealing is replaced by a no-op must find them, or the scan proves nothing."""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import canary_scan  # noqa: E402
from appliance import Appliance, binaries_from_environment  # noqa: E402

SEED = int(os.environ.get("CLOISTER_SEED", "20261122"))
SYLLABLES = ["bra", "quon", "thel", "mizz", "orf", "plax", "uvin", "dre", "skol", "ejan", "warb", "xith"]


def canary_words(count):
    rng = random.Random(SEED)
    words = set()
    while len(words) < count:
        words.add("".join(rng.choice(SYLLABLES) for _ in range(5)))
    return sorted(words)


WORDS = canary_words(8)
BEFORE = f"Spare parts of the {WORDS[2]} workshop lie in the cellar."
SENTENCE = f"The {WORDS[0]} valve of the {WORDS[1]} unit is replaced every 417 days by a technician."
QUESTION = f"How often is the {WORDS[0]} valve of the {WORDS[1]} unit replaced, asks {WORDS[7]}?"
TITLE = f"Maintenance of the {WORDS[3]} plant"
SUBJECT = f"subject-{WORDS[4]}"
USER = f"u.{WORDS[5]}"
FILE = f"{WORDS[6]}.md"
DOCUMENT = f"---\ntitle: {TITLE}\nsubjects: [{SUBJECT}]\n---\n# {TITLE}\n\n{BEFORE} {SENTENCE}\n"

# What the control cannot find, because the appliance writes it nowhere even unsealed. It is searched for all the same: a
# quantised index, a library that keeps wide strings or a key kept whole would leave it. That the scan can find the first
# two is shown by its self test.
NOT_WRITTEN = ("as 8-bit integers", "in UTF-16", "API key")


def embed(texts):
    """Vectors as ingest makes them, from the embedder the appliance uses."""
    tool = pathlib.Path(os.environ["CLOISTER_EMBED_TEXT"])
    lines = "".join(text.replace("\n", "\\n") + "\n" for text in texts)
    done = subprocess.run([tool], input=lines, capture_output=True, text=True, check=True, timeout=120)
    return [json.loads(line) for line in done.stdout.splitlines()]


def embedded_texts():
    """What ingest embeds of the document, by class, said by the code that ingest uses."""
    parse = pathlib.Path(binaries_from_environment()) / "cloister-parse"
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / FILE
        path.write_text(DOCUMENT)
        dump = json.loads(subprocess.run([parse, "--dump", path], capture_output=True, text=True, check=True,
                                         timeout=120).stdout)
    sentences = [sentence for chunk in dump["chunks"] for sentence in chunk["sentences"]]
    return {"vector of a chunk": [chunk["embedding_text"] for chunk in dump["chunks"]],
            "vector of a sentence in context": [sentence["context_text"] for sentence in sentences],
            "vector of a sentence alone": [sentence["alone_text"] for sentence in sentences]}


class Canary(unittest.TestCase):
    def run_appliance(self, binaries):
        """Ingests, asks, is answered; returns the folders to scan. One service is left crashed by a signal."""
        appliance = Appliance(binaries)
        self.addCleanup(appliance.close)
        documents = appliance.folder / "documents"
        documents.mkdir()
        (documents / FILE).write_text(DOCUMENT)
        temporary = appliance.folder / "tmp"
        temporary.mkdir()
        os.environ["TMPDIR"] = str(temporary)
        appliance.init()
        appliance.up()
        appliance.add_user(USER, ["engineers"])
        appliance.add_collection("plant", ["engineers"])
        appliance.ingest(documents, "plant")
        answer = appliance.ask(QUESTION, appliance.api_key(USER))
        self.assertIn("417 days", " ".join(q["text"] for q in answer["quotes"]))
        self.assertIn(WORDS[0], json.dumps(answer))
        # A crash must leave no core file either, whatever the core pattern is.
        victim = appliance.pids()["retrieval"]
        os.kill(victim, signal.SIGSEGV)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and appliance.pids().get("retrieval") in (victim, 0, None):
            time.sleep(0.2)
        appliance.down()
        key = appliance.api_key(USER)
        return [appliance.data, temporary], key

    def needles(self, key):
        places = {"text": WORDS[:3], "title": WORDS[3:4], "subject": WORDS[4:5], "user": WORDS[5:6],
                  "file": WORDS[6:7], "question": WORDS[7:8]}
        strings = {f"word of the {place}": words for place, words in places.items()}
        # An index keeps stems, not words; each stem is the beginning of its word.
        strings["stem"] = sorted({s for w in WORDS for s in canary_scan.stems(w)} - set(WORDS))
        strings["phrase"] = ["is replaced every 417", "Maintenance of the"]
        strings["API key"] = [key.rsplit("_", 1)[-1]]
        vectors = {}
        for kind, texts in embedded_texts().items():
            vectors |= {f"{kind} ({n})": [v] for n, v in enumerate(embed(texts), 1)}
        return strings, vectors

    def test_the_scan_finds_what_is_planted(self):
        self.assertEqual(canary_scan.self_test(), 0)

    def test_the_texts_that_are_embedded_are_three_different_ones(self):
        texts = embedded_texts()
        self.assertIn(SENTENCE, texts["vector of a sentence alone"])
        self.assertIn(f"{TITLE}\n{BEFORE}\n{SENTENCE}", texts["vector of a sentence in context"])
        self.assertTrue(any(SENTENCE in text and BEFORE in text for text in texts["vector of a chunk"]), texts)

    def test_nothing_is_found_on_the_disk(self):
        folders, key = self.run_appliance(binaries_from_environment())
        strings, vectors = self.needles(key)
        findings, files, size = canary_scan.scan(folders, strings, vectors)
        print(f"canary: {files} files, {size} bytes, {sum(map(len, strings.values()))} strings, {len(vectors)} vectors: "
              f"{len(findings)} hits")
        self.assertGreater(files, 20)
        self.assertEqual(findings, [])
        cores = [p for f in folders for p in f.rglob("core*") if p.is_file()]
        self.assertEqual(cores, [])

    def test_without_sealing_the_same_scan_finds_them(self):
        """Each class of needles, each vector on its own."""
        plain = os.environ.get("CLOISTER_PLAINTEXT_BINARIES")
        self.assertTrue(plain, "CLOISTER_PLAINTEXT_BINARIES names the binaries without sealing")
        folders, key = self.run_appliance(plain)
        strings, vectors = self.needles(key)
        findings, _, _ = canary_scan.scan(folders, strings, vectors)
        kinds = {f.what for f in findings}
        wanted = {f"{kind} in UTF-8" for kind in strings if kind not in NOT_WRITTEN}
        wanted |= {f"{kind} as 32-bit floats" for kind in vectors}
        print(f"canary control: {len(findings)} hits, {len(kinds & wanted)} of {len(wanted)} classes found; cannot occur: "
              f"{', '.join(NOT_WRITTEN)}")
        self.assertEqual(wanted - kinds, set(), "the scan over unsealed data does not find these")
        unexpected = {kind for kind in kinds if any(name in kind for name in NOT_WRITTEN)}
        self.assertEqual(unexpected, set(), "these do occur: take them off NOT_WRITTEN, and on the list of what is found")


if __name__ == "__main__":
    unittest.main(verbosity=2)
