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


WORDS = canary_words(6)
SENTENCE = f"The {WORDS[0]} valve of the {WORDS[1]} unit is replaced every 417 days by the {WORDS[2]} technician."
QUESTION = f"How often is the {WORDS[0]} valve of the {WORDS[1]} unit replaced?"
TITLE = f"Maintenance of the {WORDS[3]} plant"
SUBJECT = f"subject-{WORDS[4]}"
USER = f"u.{WORDS[5]}"


def embed(texts):
    """Vectors as ingest makes them, from the embedder the appliance uses."""
    tool = pathlib.Path(os.environ["CLOISTER_EMBED_TEXT"])
    done = subprocess.run([tool], input="\n".join(texts) + "\n", capture_output=True, text=True, check=True, timeout=120)
    return [json.loads(line) for line in done.stdout.splitlines()]


class Canary(unittest.TestCase):
    def run_appliance(self, binaries):
        """Ingests, asks, is answered; returns the folders to scan. One service is left crashed by a signal."""
        appliance = Appliance(binaries)
        self.addCleanup(appliance.close)
        documents = appliance.folder / "documents"
        documents.mkdir()
        (documents / "plant.md").write_text(
            f"---\ntitle: {TITLE}\nsubjects: [{SUBJECT}]\n---\n# {TITLE}\n\n{SENTENCE}\n")
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

    def needles(self):
        strings = sorted({s for w in WORDS for s in canary_scan.stems(w)})
        strings += ["is replaced every 417", "Maintenance of the"]
        vectors = embed([SENTENCE])
        return strings, vectors

    def test_the_scan_finds_what_is_planted(self):
        self.assertEqual(canary_scan.self_test(), 0)

    def test_nothing_is_found_on_the_disk(self):
        folders, key = self.run_appliance(binaries_from_environment())
        strings, vectors = self.needles()
        findings, files, size = canary_scan.scan(folders, strings + [key.rsplit("_", 1)[-1]], vectors)
        print(f"canary: {files} files, {size} bytes, {len(strings)} strings, {len(vectors)} vectors: {len(findings)} hits")
        self.assertGreater(files, 20)
        self.assertEqual(findings, [])
        cores = [p for f in folders for p in f.rglob("core*") if p.is_file()]
        self.assertEqual(cores, [])

    def test_without_sealing_the_same_scan_finds_them(self):
        plain = os.environ.get("CLOISTER_PLAINTEXT_BINARIES")
        self.assertTrue(plain, "CLOISTER_PLAINTEXT_BINARIES names the binaries without sealing")
        folders, _ = self.run_appliance(plain)
        strings, vectors = self.needles()
        findings, _, _ = canary_scan.scan(folders, strings, vectors)
        kinds = {f.what for f in findings}
        print(f"canary control: {len(findings)} hits of {len(kinds)} kinds")
        self.assertTrue(any(k.startswith("string") for k in kinds), kinds)
        self.assertTrue(any("32-bit floats" in k for k in kinds), kinds)


if __name__ == "__main__":
    unittest.main(verbosity=2)
