#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What people and disks do wrong: each gets a clear error, and nothing is lost."""
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from appliance import Appliance, CommandFailed, binaries_from_environment  # noqa: E402

SAMPLE = ROOT / "deploy" / "sample"


def digests(folder):
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(folder.rglob("*")) if p.is_file() and "run/" not in str(p) and "logs/" not in str(p)}


class BadStart(unittest.TestCase):
    def setUp(self):
        self.appliance = Appliance(binaries_from_environment())
        self.addCleanup(self.appliance.close)
        self.appliance.init()

    def test_an_unknown_configuration_key_names_the_nearest(self):
        (self.appliance.data / "cloister.toml").write_text('[gateway]\nlissten = ""\n')
        done = self.appliance.up(check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("gateway.listen", done.stderr)

    def test_a_wrong_passphrase_is_said_at_once_and_touches_nothing(self):
        wrong = self.appliance.folder / "wrong"
        wrong.write_text("another passphrase altogether\n")
        wrong.chmod(0o600)
        before = digests(self.appliance.data)
        started = time.monotonic()
        done = self.appliance.up(check=False, passphrase_file=wrong)
        print(f"wrong passphrase: told after {time.monotonic() - started:.2f} s")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("passphrase", done.stderr)
        self.assertEqual(digests(self.appliance.data), before)

    def test_a_second_init_refuses_to_replace_keys(self):
        done = self.appliance.cli("init", "--passphrase-file", self.appliance.passphrase_file, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("already", done.stderr)

    def test_a_passphrase_file_that_others_can_read_is_refused(self):
        self.appliance.passphrase_file.chmod(0o644)
        done = self.appliance.up(check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("chmod", done.stderr)

    def test_commands_without_a_running_appliance_say_what_to_do(self):
        done = self.appliance.cli("user", "list", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("cloister up", done.stderr)


class BadRequests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.appliance = Appliance(binaries_from_environment())
        cls.addClassCleanup(cls.appliance.close)
        cls.appliance.init()
        cls.appliance.up()
        cls.appliance.add_user("u", ["clinicians"])
        cls.appliance.add_collection("ward", ["clinicians"])
        cls.key = cls.appliance.api_key("u")

    def post(self, body, path="/v1/chat/completions"):
        return self.appliance.http("POST", path, body, key=self.key)

    def test_a_question_over_the_limit_gets_400_with_the_limit(self):
        status, answer = self.post({"model": "cloister", "messages": [{"role": "user", "content": "x" * 9000}]})
        self.assertEqual(status, 400)
        self.assertIn("2048", answer["error"]["message"])

    def test_malformed_requests_get_error_objects(self):
        for body in ("{", "[]", "{}", '{"model": "cloister"}', '{"model": "cloister", "messages": []}',
                     '{"model": "cloister", "messages": [{"role": "user", "content": 7}]}',
                     '{"model": "other", "messages": [{"role": "user", "content": "Who?"}]}'):
            with self.subTest(body):
                status, answer = self.post(body)
                self.assertIn(status, (400, 404))
                self.assertTrue(answer["error"]["message"])

    def test_unknown_paths_and_methods(self):
        self.assertEqual(self.appliance.http("GET", "/nowhere", key=self.key)[0], 404)
        self.assertIn(self.appliance.http("DELETE", "/v1/models", key=self.key)[0], (404, 405))

    def test_a_user_may_not_administer(self):
        self.assertEqual(self.appliance.http("GET", "/admin/v1/users", key=self.key)[0], 403)

    def test_a_hostile_file_fails_alone(self):
        folder = self.appliance.folder / "mixed"
        folder.mkdir(exist_ok=True)
        pdf = (SAMPLE / "handbook" / "sharps-injury.pdf").read_bytes()
        (folder / "cut.pdf").write_bytes(pdf[: len(pdf) // 2])
        (folder / "noise.pdf").write_bytes(b"%PDF-1.7\n" + os.urandom(4096))
        (folder / "good.md").write_text("# Good\n\nThe good document has a sentence about turnips.\n")
        done = self.appliance.ingest(folder, "ward", check=False)
        output = done.stdout + done.stderr
        self.assertIn("noise.pdf", output)
        status, found = self.appliance.http("POST", "/v1/search", {"query": "turnips", "mode": "lexical"}, key=self.key)
        self.assertEqual(status, 200)
        self.assertIn("good.md", [hit["source"] for hit in found["results"]])

    def test_ingest_into_an_unknown_collection_or_folder(self):
        self.assertNotEqual(self.appliance.ingest(SAMPLE / "ward", "no-such", check=False).returncode, 0)
        self.assertNotEqual(self.appliance.ingest("/no/such/folder", "ward", check=False).returncode, 0)


class DamagedRecord(unittest.TestCase):
    def test_a_flipped_bit_is_never_served(self):
        appliance = Appliance(binaries_from_environment())
        self.addCleanup(appliance.close)
        appliance.init()
        appliance.up()
        appliance.add_user("u", ["clinicians"])
        appliance.add_collection("ward", ["clinicians"])
        appliance.ingest(SAMPLE / "ward", "ward")
        question, key = "Within what time must a unit of red cells be finished?", appliance.api_key("u")
        self.assertTrue(appliance.ask(question, key)["quotes"])
        appliance.down()
        damaged = 0
        for path in sorted((appliance.data / "retrieval").rglob("*")):
            if path.suffix in (".sst", ".log") and path.stat().st_size > 4096:
                raw = bytearray(path.read_bytes())
                for place in range(2048, len(raw), 4096):
                    raw[place] ^= 0x10
                    damaged += 1
                path.write_bytes(raw)
        self.assertGreater(damaged, 0)
        started = appliance.up(check=False)
        if started.returncode != 0:
            self.assertRegex(started.stderr, r"(?i)checksum|does not authenticate|damage")
            return
        try:
            answer = appliance.ask(question, key)
        except CommandFailed:
            return
        self.assertNotEqual(answer["band"], "answer")


@unittest.skipUnless(os.geteuid() == 0, "a small file system needs root to mount")
class FullDisk(unittest.TestCase):
    def test_writes_stop_with_a_message_and_nothing_acknowledged_is_lost(self):
        import tempfile
        folder = pathlib.Path(tempfile.mkdtemp(prefix="clr-full-"))
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "cloister-test", str(folder)],
                          capture_output=True, check=False).returncode != 0:
            self.skipTest("this machine does not let a test mount a small file system")
        self.addCleanup(lambda: (subprocess.run(["umount", str(folder)], check=False), folder.rmdir()))
        appliance = Appliance(binaries_from_environment(), folder)
        self.addCleanup(appliance.close)
        appliance.init()
        appliance.up()
        appliance.add_user("u", ["clinicians"])
        appliance.add_collection("ward", ["clinicians"])
        key = appliance.api_key("u")
        appliance.ingest(SAMPLE / "ward", "ward")
        filler = folder / "filler"
        with open(filler, "wb") as stream:
            try:
                while True:
                    stream.write(b"\0" * 65536)
                    stream.flush()
            except OSError:
                pass
        done = appliance.ingest(SAMPLE / "handbook", "ward", check=False, timeout=120)
        self.assertNotEqual(done.returncode, 0)
        print("full disk: " + (done.stdout + done.stderr).strip().splitlines()[-1])
        filler.unlink()
        appliance.down(check=False)
        appliance.up()
        answer = appliance.ask("Within what time must a unit of red cells be finished?", key)
        self.assertIn("4 hours", json.dumps(answer["quotes"]))
        export = folder / "export"
        appliance.cli("audit", "export", export)


if __name__ == "__main__":
    unittest.main(verbosity=2)
