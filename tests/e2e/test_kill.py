#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of any service, or of the supervisor, at any moment: what was acknowledged is there afterwards, and the
appliance comes back by itself (or by `up`, when the supervisor was killed).

Rounds: CLOISTER_KILL_ROUNDS (default 50). Seed: CLOISTER_SEED; it is printed."""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from appliance import SERVICES, Appliance, CommandFailed, alive, binaries_from_environment  # noqa: E402

ROUNDS = int(os.environ.get("CLOISTER_KILL_ROUNDS", "50"))
SEED = int(os.environ.get("CLOISTER_SEED", random.SystemRandom().randrange(2**32)))
RECOVERY_SECONDS = 90


class KillStorm(unittest.TestCase):
    def setUp(self):
        self.appliance = Appliance(binaries_from_environment())
        self.addCleanup(self.appliance.close)
        self.appliance.init()
        self.appliance.up()
        self.appliance.add_user("u", ["g"])
        self.appliance.add_collection("c", ["g"])
        self.key = self.appliance.api_key("u")
        self.documents = self.appliance.folder / "documents"
        self.documents.mkdir()
        self.acknowledged_documents = []   # Numbers whose ingest was reported done.
        self.acknowledged_records = []     # Log indices that an answer named.

    def write_document(self, number):
        (self.documents / f"d{number}.md").write_text(
            f"# Locker {number}\n\nThe locker with number {number} belongs to cabinet {number * 7 + 3}.\n")

    def work(self, number, stop):
        """One ingest and asks until told to stop. Only what was acknowledged counts."""
        self.write_document(number)
        try:
            done = self.appliance.ingest(self.documents, "c", check=False, timeout=120)
            if done.returncode == 0:
                self.acknowledged_documents.append(number)
            while not stop.is_set():
                answer = self.appliance.ask(f"To which cabinet belongs locker {number}?", self.key)
                self.acknowledged_records.extend(answer["records"].values())
        except (CommandFailed, OSError, ValueError, subprocess.TimeoutExpired):
            pass  # In flight when the service died: not acknowledged.

    def await_recovery(self):
        deadline = time.monotonic() + RECOVERY_SECONDS
        while time.monotonic() < deadline:
            try:
                if self.appliance.http("GET", "/readyz", timeout=5)[0] == 200:
                    self.appliance.ask("Is it back?", self.key)
                    return
            except (OSError, CommandFailed, ValueError):
                pass
            time.sleep(0.1)
        self.fail(f"not ready {RECOVERY_SECONDS} s after the kill; {self.appliance.cli('status', check=False).stdout}")

    def kill_one(self, rng):
        victim = rng.choice((*SERVICES, "supervisor"))
        if victim == "supervisor":
            pid = json.loads((self.appliance.data / "run" / "status.json").read_text())["pid"]
            services = list(self.appliance.pids().values())
            os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + 10
            while any(alive(p) for p in services) and time.monotonic() < deadline:
                time.sleep(0.05)
            self.assertFalse([p for p in services if alive(p)], "services outlive their supervisor")
            self.appliance.up()
        else:
            os.kill(self.appliance.pids()[victim], signal.SIGKILL)
        return victim

    def test_nothing_acknowledged_is_lost(self):
        rng = random.Random(SEED)
        killed = {}
        for number in range(ROUNDS):
            stop = threading.Event()
            worker = threading.Thread(target=self.work, args=(number, stop))
            worker.start()
            time.sleep(rng.uniform(0.0, 1.5))
            victim = self.kill_one(rng)
            killed[victim] = killed.get(victim, 0) + 1
            stop.set()
            worker.join()
            self.await_recovery()
        self.check_everything_acknowledged_is_there()
        print(f"kill storm: seed {SEED}, {ROUNDS} rounds {killed}, {len(self.acknowledged_documents)} documents and "
              f"{len(self.acknowledged_records)} records acknowledged, 0 lost")

    def check_everything_acknowledged_is_there(self):
        status, listing = self.appliance.http("POST", "/v1/search", {"query": "locker", "mode": "lexical", "limit": 1000},
                                              key=self.key)
        self.assertEqual(status, 200)
        present = {hit["source"] for hit in listing["results"]}
        self.assertEqual([n for n in self.acknowledged_documents if f"d{n}.md" not in present], [])
        folder = self.appliance.folder / "export"
        self.appliance.cli("audit", "export", folder)
        key = self.appliance.folder / "log.vkey"
        key.write_text(self.appliance.http("GET", "/admin/v1/status")[1]["audit"]["verifier_key"] + "\n")
        done = subprocess.run([self.appliance.binaries / "cloister-verify", folder, "--key", key, "--json"],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        size = json.loads(done.stdout)["size"]
        self.assertLess(max(self.acknowledged_records, default=-1), size)
        self.assertTrue(self.acknowledged_records)
        self.assertTrue(self.acknowledged_documents)


if __name__ == "__main__":
    print(f"seed {SEED}, {ROUNDS} rounds", flush=True)
    unittest.main(verbosity=2)
