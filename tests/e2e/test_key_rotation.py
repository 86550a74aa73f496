#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Data keys of a running appliance are replaced and everything sealed anew while people ask and ingest and services are killed:
nothing is lost, the former keys open a backup of before until they are destroyed, and afterwards nothing opens it.

Rotations with kills: CLOISTER_KILL_ROUNDS (default 3). Seed: CLOISTER_SEED; it is printed."""
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from appliance import Appliance, CommandFailed  # noqa: E402
from lockers import READY_SECONDS, WithAppliance, await_ready, keyring  # noqa: E402

ROUNDS = int(os.environ.get("CLOISTER_KILL_ROUNDS", "3"))
SEED = int(os.environ.get("CLOISTER_SEED", random.SystemRandom().randrange(2**32)))
ROTATING = ("retrieval", "audit", "ingest", "gateway")


class KeyRotation(WithAppliance):
    def setUp(self):
        super().setUp()
        self.appliance.init()
        self.appliance.up()
        self.fill()

    def rotation(self):
        return json.loads(self.appliance.cli("keys", "status", "--json").stdout)["rotation"]

    def await_rotation(self):
        """A service that was killed is restarted meanwhile."""
        deadline = time.monotonic() + 3 * READY_SECONDS
        while time.monotonic() < deadline:
            try:
                state = self.rotation()
                if state is not None and not state["running"]:
                    return
            except (CommandFailed, OSError, ValueError):
                pass
            time.sleep(0.2)
        raise AssertionError(self.appliance.cli("keys", "status", check=False).stdout)

    def unfinished(self):
        return [service for service in ROTATING if (self.appliance.data / service / "rotation").exists()]

    def test_everything_is_sealed_anew_while_asks_and_ingest_go_on(self):
        stop, failures, asked = threading.Event(), [], [0]

        def ask():
            while not stop.is_set():
                try:
                    self.assertTrue(self.quotes())
                    asked[0] += 1
                except (CommandFailed, OSError, ValueError, AssertionError) as error:
                    failures.append(str(error))

        def ingest():
            number = 100
            while not stop.is_set():
                number += 1
                self.write_document(number)
                try:
                    self.appliance.ingest(self.documents, "c")
                except CommandFailed as error:
                    failures.append(str(error))

        workers = [threading.Thread(target=step) for step in (ask, ingest)]
        for worker in workers:
            worker.start()
        said = [self.appliance.cli("keys", "rotate", "data").stdout for _ in range(2)]
        while asked[0] < 2 and not failures:
            time.sleep(0.1)
        stop.set()
        for worker in workers:
            worker.join()
        self.assertEqual(failures, [])
        self.assertEqual(self.unfinished(), [])
        for text in said:
            self.assertIn("cloister keys destroy-former", text)
            self.assertIn("documents, rows, segments, volumes", text)
        self.assertGreater(keyring(self.appliance)["former_keys"], 20)
        self.assertIn("former, the last replaced at", self.appliance.cli("keys", "status").stdout)
        refused = self.appliance.cli("keys", "destroy-former", check=False)
        self.assertIn("say --yes", refused.stderr)
        self.assertIn("former key(s) destroyed", self.appliance.cli("keys", "destroy-former", "--yes").stdout)
        self.assertEqual(keyring(self.appliance)["former_keys"], 0)
        self.assertIn("no former keys", self.appliance.cli("keys", "destroy-former", "--yes").stdout)
        self.appliance.down()
        self.appliance.up()
        self.assertTrue(self.quotes())
        self.assertIn("Healthy.", self.appliance.cli("doctor").stdout)

    def test_one_level_alone(self):
        before = keyring(self.appliance)
        self.appliance.cli("keys", "rotate", "data", "--level", "documents")
        after = keyring(self.appliance)
        documents = before["keys_by_kind"]["document"]
        self.assertEqual(after["keys_by_kind"]["subject"], before["keys_by_kind"]["subject"])
        self.assertGreaterEqual(after["keys_by_kind"]["document"], documents + 8)
        self.assertEqual(after["former_keys"], 8)
        self.assertNotEqual(self.appliance.cli("keys", "rotate", "data", "--level", "moons", check=False).returncode, 0)

    def test_killed_at_any_moment_it_goes_on(self):
        rng = random.Random(SEED)
        for _ in range(ROUNDS):
            self.appliance.cli("keys", "rotate", "data", "--no-wait")
            for _ in range(rng.randint(1, 4)):
                time.sleep(rng.uniform(0, 0.4))
                victims = self.appliance.pids()
                victim = victims.get(rng.choice((*ROTATING, "keys")))
                if victim:
                    os.kill(victim, signal.SIGKILL)
            if rng.random() < 0.3:
                self.appliance.down(check=False)
                self.appliance.up()
            await_ready(self.appliance)
            self.await_rotation()
            self.assertEqual(self.unfinished(), [])
            self.assertTrue(self.quotes())
        self.appliance.cli("keys", "destroy-former", "--yes")
        self.assertEqual(keyring(self.appliance)["former_keys"], 0)
        self.appliance.down()
        self.appliance.up()
        self.assertTrue(self.quotes())
        self.assertIn("Healthy.", self.appliance.cli("doctor").stdout)

    def test_a_backup_of_before_opens_until_the_former_keys_are_destroyed(self):
        backups = self.appliance.folder / "backups"
        before = json.loads(self.appliance.cli("backup", "create", "--to", backups, "--json").stdout)["id"]
        self.appliance.cli("keys", "rotate", "data")
        self.appliance.down()
        other = self.restored(backups, before)
        self.assertTrue(self.quotes(other))
        # What came under former keys again is sealed anew before those go.
        self.assertIn("retrieval: ", other.cli("keys", "destroy-former", "--yes").stdout)
        self.assertTrue(self.quotes(other))
        other.close()
        self.appliance.up()
        since = json.loads(self.appliance.cli("backup", "create", "--to", backups, "--json").stdout)["id"]
        self.appliance.cli("keys", "destroy-former", "--yes")
        self.appliance.down()
        refused = self.restore(backups, before, check=False)[1]
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("keys that were rotated and destroyed", refused.stderr)
        other = self.restored(backups, since)
        self.assertTrue(self.quotes(other))

    def restore(self, backups, backup, check=True):
        folder = self.appliance.folder / f"restored-{random.randrange(2**32)}"
        other = Appliance(self.appliance.binaries, folder)
        folder.mkdir()
        other.data.mkdir(mode=0o700)
        shutil.copytree(self.appliance.data / "keys", other.data / "keys")
        other.passphrase_file = self.appliance.passphrase_file
        done = other.cli("backup", "restore", backups, "--id", backup, "--passphrase-file", other.passphrase_file,
                         check=check)
        (other.data / "cloister.toml").write_text('[gateway]\nlisten = ""\n')
        return other, done

    def restored(self, backups, backup):
        other, _ = self.restore(backups, backup)
        self.addCleanup(other.close)
        other.up()
        return other


if __name__ == "__main__":
    print(f"seed {SEED}, {ROUNDS} rounds")
    unittest.main(verbosity=2)
