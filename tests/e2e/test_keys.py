#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The keyring of a running appliance: the epoch rotates while asks and ingest go on, the passphrase changes although keys
or the supervisor is killed in between, shares and an escrowed copy bring the keyring back elsewhere, and the epoch key
lives in a TPM (swtpm) or an HSM (SoftHSM) where those programs are installed.

Rounds of killing: CLOISTER_KILL_ROUNDS (default 4). Seed: CLOISTER_SEED; it is printed."""
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
from appliance import Appliance, CommandFailed, binaries_from_environment  # noqa: E402
from devices import PIN, SoftwareToken, SoftwareTpm  # noqa: E402
from lockers import READY_SECONDS, WithAppliance, await_ready, keyring, secret_file  # noqa: E402

ROUNDS = int(os.environ.get("CLOISTER_KILL_ROUNDS", "4"))
SEED = int(os.environ.get("CLOISTER_SEED", random.SystemRandom().randrange(2**32)))
WRONG_PASSPHRASE = 3


def events(appliance, wanted):
    """Bodies of the last records of these classes; records are made in the background, so this waits for `wanted`."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        lines = appliance.cli("audit", "show", "--last", "1000", "--json").stdout.splitlines()
        entries = [json.loads(line)["entry"] for line in lines if line.startswith("{")]
        found = [entry["body"] for entry in entries if entry["event"] in ("key.rotated", "key.destroyed")]
        if wanted(found) or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


class Software(WithAppliance):
    def setUp(self):
        super().setUp()
        self.appliance.init()
        self.appliance.up()
        self.fill()

    def test_the_epoch_rotates_while_asks_and_ingest_go_on(self):
        stop, failures, asked = threading.Event(), [], [0]

        def work(step):
            number = 100
            while not stop.is_set():
                number += 1
                try:
                    step(number)
                except (CommandFailed, OSError, ValueError) as error:
                    failures.append(str(error))

        def ask(_):
            self.assertTrue(self.quotes())
            asked[0] += 1

        def ingest(number):
            self.write_document(number)
            self.appliance.ingest(self.documents, "c")

        workers = [threading.Thread(target=work, args=(step,)) for step in (ask, ingest)]
        for worker in workers:
            worker.start()
        before = keyring(self.appliance)["epoch"]
        for _ in range(5):
            self.appliance.cli("keys", "rotate", "epoch")
        while asked[0] < 2 and not failures:
            time.sleep(0.1)
        stop.set()
        for worker in workers:
            worker.join()
        self.assertEqual(failures, [])
        now = keyring(self.appliance)
        self.assertEqual(now["epoch"], before + 5)
        self.assertEqual(now["escrow"]["epoch"], before + 5)
        self.assertIn("generation", self.appliance.cli("keys", "status").stdout)
        recorded = [body for body in events(self.appliance, lambda found: len(found) >= 5) if body["level"] == "epoch"]
        self.assertEqual([body["epoch"] for body in recorded], list(range(before + 1, before + 6)))
        self.appliance.down()
        self.appliance.up()
        self.assertTrue(self.quotes())

    def test_the_passphrase_changes_although_keys_is_killed(self):
        rng = random.Random(SEED)
        holds = self.appliance.passphrase_file
        self.assertEqual(self.rotate(secret_file(self.appliance.folder, "wrong", "wrong horse battery"), holds).returncode,
                         WRONG_PASSPHRASE)
        for number in range(ROUNDS):
            following = secret_file(self.appliance.folder, f"p{number}", f"random words, number {number}")
            victim = self.appliance.pids()["keys"]
            killer = threading.Timer(rng.uniform(0.0, 1.5), kill, (victim,))
            killer.start()
            done = self.rotate(holds, following)
            killer.join()
            if done.returncode == 0:
                holds = following
            else:
                self.assertIn("FORMER", done.stderr)
            await_ready(self.appliance)
            self.assertTrue(self.quotes())
        self.restart_with(holds)

    def test_the_passphrase_changes_although_the_supervisor_is_killed(self):
        rng = random.Random(SEED)
        holds = self.appliance.passphrase_file
        for number in range(ROUNDS):
            following = secret_file(self.appliance.folder, f"s{number}", f"random words, number {number}")
            supervisor = json.loads((self.appliance.data / "run" / "status.json").read_text())["pid"]
            killer = threading.Timer(rng.uniform(0.0, 1.0), kill, (supervisor,))
            killer.start()
            done = self.rotate(holds, following)
            killer.join()
            self.appliance.down(check=False)
            opened = [file for file in (following, holds) if self.opens(file)]
            self.assertEqual(len(opened), 1, done.stdout + done.stderr)
            if done.returncode == 0:
                self.assertEqual(opened, [following])
            holds = opened[0]
        self.assertTrue(self.quotes())

    def opens(self, file):
        if (self.appliance.data / "run" / "gateway-http.sock").exists() and self.is_ready():
            return False  # The other one did, and it runs.
        deadline = time.monotonic() + READY_SECONDS
        while True:
            done = self.appliance.up(check=False, passphrase_file=file)
            # Services of the one that was killed may still be ending.
            if "another process" not in done.stderr or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        if done.returncode != 0:
            self.assertEqual(done.returncode, WRONG_PASSPHRASE, done.stderr)
        return done.returncode == 0

    def is_ready(self):
        try:
            return self.appliance.http("GET", "/readyz", timeout=5)[0] == 200
        except (OSError, ValueError):
            return False

    def rotate(self, former, following):
        return self.appliance.cli("keys", "rotate", "passphrase", "--passphrase-file", former, "--new-passphrase-file",
                                  following, check=False)

    def restart_with(self, holds):
        """Stopped, once more: the former one no longer starts it."""
        self.appliance.down()
        following = secret_file(self.appliance.folder, "stopped", "while nothing runs at all")
        self.assertEqual(self.rotate(holds, following).returncode, 0)
        self.assertEqual(self.appliance.up(check=False, passphrase_file=holds).returncode, WRONG_PASSPHRASE)
        self.appliance.up(passphrase_file=following)
        self.assertTrue(self.quotes())

    def test_shares_bring_the_keyring_back_elsewhere(self):
        before = self.quotes()
        shares = self.appliance.folder / "shares"
        self.appliance.cli("keys", "split", "--threshold", "2", "--shares", "3", "--out", shares)
        files = sorted(shares.iterdir())
        self.assertEqual([file.stat().st_mode & 0o777 for file in files], [0o600] * 3)
        self.assertIn("--yes", self.appliance.cli("keys", "split", "-k", "2", "-n", "3", check=False).stderr)
        shown = self.appliance.cli("keys", "split", "-k", "2", "-n", "3", "--yes").stdout
        lines = [line for line in shown.splitlines() if line.startswith("cloister-share-1 ")]
        self.assertEqual(len(lines), 3)
        files = [secret_file(self.appliance.folder, f"share{i}", line) for i, line in enumerate(lines)]
        self.appliance.cli("keys", "escrow")
        copy = next(self.escrow.glob("*.escrow"))
        elsewhere = self.appliance.folder / "elsewhere"
        elsewhere.mkdir()
        self.assertIn("replace it after every erasure", self.appliance.cli("keys", "escrow", "--to", elsewhere).stdout)
        self.assertEqual([p.name for p in elsewhere.iterdir()], [copy.name])
        self.appliance.down()

        new = Appliance(self.appliance.binaries, self.appliance.folder / "n")
        new.folder.mkdir()
        new.passphrase_file = secret_file(new.folder, "passphrase", "a passphrase of the new machine")
        self.addCleanup(new.close)
        shutil.copytree(self.appliance.data, new.data, ignore=shutil.ignore_patterns("keys", "run"))
        new.data.chmod(0o700)
        (new.data / "cloister.toml").write_text('[gateway]\nlisten = ""\n')
        recover = ["keys", "recover", "--escrow", copy, "--passphrase-file", new.passphrase_file]
        few = new.cli(*recover, "--share-file", files[0], check=False)
        self.assertIn("takes 2 different shares", few.stderr)
        former = new.cli(*recover, *[x for f in sorted(shares.iterdir())[:2] for x in ("--share-file", f)], check=False)
        self.assertIn("is of set", former.stderr)
        new.cli(*recover, "--share-file", files[2], "--share-file", files[0])
        new.up()
        self.assertEqual(self.quotes(new), before)
        text = " ".join(new.cli("status").stdout.split())
        self.assertIn("set keys.escrow_directory", text)

    def test_an_older_keyring_does_not_start(self):
        path = self.appliance.data / "keys" / "keyring"
        older = path.read_bytes()
        self.appliance.cli("keys", "rotate", "epoch")
        self.appliance.down()
        newer = path.read_bytes()
        path.write_bytes(older)
        (self.appliance.data / "keys" / "unrecorded").unlink()  # As who swaps files would.
        done = self.appliance.up(check=False)
        self.assertIn("older than its escrowed copy", done.stderr)
        path.write_bytes(newer[:len(newer) // 2])
        self.assertIn("damaged", self.appliance.up(check=False).stderr)
        path.write_bytes(newer)
        self.appliance.up()
        self.assertTrue(self.quotes())


class Device(WithAppliance):
    """What both kinds of device share. The keyring of before is worth nothing afterwards, even with the PIN."""

    def make(self, *anchor):
        self.appliance.passphrase_file = secret_file(self.appliance.folder, "passphrase", PIN)
        self.appliance.cli("init", "--passphrase-file", self.appliance.passphrase_file, *anchor)
        config = self.appliance.data / "cloister.toml"
        text = config.read_text()
        self.assertIn('\n#escrow_directory = ""', text)
        text = text.replace('\n#escrow_directory = ""', f'\nescrow_directory = "{self.escrow}"')
        config.write_text(text.replace('\n#listen = "127.0.0.1:8443"', '\nlisten = ""'))
        wrong = secret_file(self.appliance.folder, "wrong", "314159")
        self.assertEqual(self.appliance.up(check=False, passphrase_file=wrong).returncode, WRONG_PASSPHRASE)
        self.appliance.up()
        self.fill()

    def check(self, away, back):
        path = self.appliance.data / "keys" / "keyring"
        older = path.read_bytes()
        self.assertTrue(keyring(self.appliance)["destroys_for_good"])
        self.appliance.cli("keys", "rotate", "epoch")
        away()
        gone = self.appliance.cli("keys", "rotate", "epoch", check=False)
        self.assertNotEqual(gone.returncode, 0)
        self.assertTrue(self.quotes())  # Who has keys goes on without the device.
        back()
        self.appliance.cli("keys", "rotate", "epoch")
        self.assertEqual(keyring(self.appliance)["doomed"], 0)
        self.appliance.down()
        newer = path.read_bytes()
        path.write_bytes(older)
        (self.appliance.data / "keys" / "unrecorded").unlink()
        for copy in self.escrow.iterdir():
            copy.rename(self.appliance.folder / copy.name)
        self.assertNotEqual(self.appliance.up(check=False).returncode, 0)
        path.write_bytes(newer)
        following = secret_file(self.appliance.folder, "following", "from device to passphrase")
        moved = self.appliance.cli("keys", "rotate", "anchor", "--to", "passphrase", "--passphrase-file",
                                   self.appliance.passphrase_file, "--new-passphrase-file", following)
        self.assertIn("passphrase", moved.stdout)
        self.appliance.up(passphrase_file=following)
        self.assertEqual(keyring(self.appliance)["root_kind"], "passphrase")
        self.assertTrue(self.quotes())


@unittest.skipUnless(SoftwareTpm.available(), SoftwareTpm.missing)
class Tpm(Device):
    def test_the_epoch_key_lives_in_a_tpm(self):
        with SoftwareTpm(self.appliance.folder) as tpm:
            self.make(*tpm.init_arguments)
            self.check(tpm.stop, tpm.start)
            self.appliance.down()


@unittest.skipUnless(SoftwareToken.available(), SoftwareToken.missing)
class Hsm(Device):
    def test_the_epoch_key_lives_in_an_hsm(self):
        with SoftwareToken(self.appliance.folder) as token:
            self.make(*token.init_arguments)
            self.assertIn("its maker's tool", self.appliance.cli(
                "keys", "rotate", "passphrase", "--passphrase-file", self.appliance.passphrase_file,
                "--new-passphrase-file", self.appliance.passphrase_file, check=False).stderr)
            self.check(token.stop, token.start)
            self.appliance.down()

    def test_the_hsm_alone_brings_the_keyring_back_elsewhere(self):
        """An HSM that outlives the machine opens the escrowed copy, and then needs no shares."""
        with SoftwareToken(self.appliance.folder) as token:
            self.make(*token.init_arguments)
            before = self.quotes()
            self.appliance.cli("keys", "escrow")
            copy = next(self.escrow.glob("*.escrow"))
            self.appliance.down()
            for number, anchor in enumerate(("pkcs11", "passphrase")):
                new = Appliance(self.appliance.binaries, self.appliance.folder / f"n{number}")
                new.folder.mkdir()
                new.passphrase_file = secret_file(new.folder, "passphrase", PIN if anchor == "pkcs11" else "of the new machine")
                self.addCleanup(new.close)
                shutil.copytree(self.appliance.data, new.data, ignore=shutil.ignore_patterns("keys", "run", "cloister.toml"))
                new.data.chmod(0o700)
                recover = ["keys", "recover", "--escrow", copy, "--with-passphrase", *token.init_arguments[2:], "--anchor", anchor,
                           "--passphrase-file", new.passphrase_file]
                wrong = secret_file(new.folder, "wrong", "314159")
                self.assertEqual(new.cli(*recover, "--former-passphrase-file", wrong, check=False).returncode, WRONG_PASSPHRASE)
                new.cli(*recover, "--former-passphrase-file", self.appliance.passphrase_file)
                config = new.data / "cloister.toml"
                config.write_text(config.read_text().replace('\n#listen = "127.0.0.1:8443"', '\nlisten = ""'))
                new.up()
                self.assertEqual(keyring(new)["root_kind"], anchor)
                self.assertEqual(self.quotes(new), before)
                new.down()


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


if __name__ == "__main__":
    print(f"seed {SEED}, {ROUNDS} rounds", flush=True)
    unittest.main(verbosity=2)
