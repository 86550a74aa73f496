#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The log's witness, with the real programs: `cloister-witness` cosigns by way of relay; an older image of the whole data
directory, which nothing inside of it can tell, does not start and says what to do; without the witness nothing starts, and
what runs goes on and says so; an older image that is meant is accepted, and its log begins a generation that is witnessed."""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from appliance import Appliance, binaries_from_environment  # noqa: E402
from images import QUESTION, WithImages  # noqa: E402

WAIT_SECONDS = 60
NAME = "witness.example/w1"


class WitnessHost:
    """The folder and process of a witness, as on another host."""

    def __init__(self, binaries):
        self.program = pathlib.Path(binaries) / "cloister-witness"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="clr-"))
        self.process, self.port = None, 0
        self.run("init", self.folder / "w", "--name", NAME, "--host", "127.0.0.1")
        self.key = self.run("key", self.folder / "w").strip()
        self.certificate = self.folder / "w" / "certificate.pem"

    def run(self, *arguments):
        return subprocess.run([self.program, *map(str, arguments)], check=True, capture_output=True, text=True).stdout

    def add_log(self, key):
        (self.folder / "log.vkey").write_text(key + "\n")
        self.run("add-log", self.folder / "w", "--key", self.folder / "log.vkey")

    def start(self):
        self.process = subprocess.Popen([self.program, "serve", str(self.folder / "w"), "--listen", f"127.0.0.1:{self.port}"],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.port = int(re.search(r"port (\d+)", self.process.stdout.readline()).group(1))

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def logs(self):
        """Stopped: what it cosigned, by origin."""
        return {row["origin"]: row for row in json.loads(self.run("logs", self.folder / "w", "--json"))["logs"]}


class Witnessed(WithImages):
    def setUp(self):
        self.witness = WitnessHost(binaries_from_environment())
        self.addCleanup(self.witness.stop)
        self.appliance = Appliance(binaries_from_environment())
        self.addCleanup(self.appliance.close)
        self.appliance.init()
        self.appliance.up()
        self.witness.add_log(self.appliance.cli("audit", "key").stdout.strip())
        self.appliance.down()
        self.witness.start()
        (self.appliance.data / "cloister.toml").write_text(
            '[gateway]\nlisten = ""\n[audit]\n'
            f'witnesses = ["{self.witness.key} https://127.0.0.1:{self.witness.port}"]\n'
            f'witness_seconds = 1\nwitness_wait_seconds = 5\n[relay]\nca_file = "{self.witness.certificate}"\n')
        self.appliance.up()
        self.grow(self.appliance, 1)

    def log(self):
        return json.loads(self.appliance.cli("status", "--json").stdout)["audit"]

    def await_log(self, good):
        deadline = time.monotonic() + WAIT_SECONDS
        while not good(self.log()):
            self.assertLess(time.monotonic(), deadline, self.log())
            time.sleep(0.2)

    def await_witnessed(self):
        size = self.log()["size"]
        self.await_log(lambda log: log["witnesses"][0]["size"] >= size)

    def test_an_older_image_of_everything_does_not_start(self):
        self.await_witnessed()
        self.assertNotIn("rollback would go undetected", self.appliance.cli("status").stdout)
        shown = self.appliance.cli("audit", "show", "--last", "1000", "--json").stdout
        entries = [json.loads(line)["entry"] for line in shown.splitlines() if line.startswith("{")]
        self.assertIn({"kind": "service", "name": "relay"}, [e["who"] for e in entries if e["event"] == "service.started"])
        before, after = self.images(self.appliance)
        self.put(self.appliance, before)
        self.assert_refused(self.appliance, NAME, "cosigned this log at size", "accept-older --new-log")
        self.put(self.appliance, after)
        self.assert_starts(self.appliance)
        self.put(self.appliance, before)
        done = self.appliance.cli("keys", "accept-older", "--new-log", "--reason", "machine-snapshot", "--passphrase-file",
                                  self.appliance.passphrase_file)
        self.assertIn("generation 2", done.stdout)
        refused = self.appliance.up(check=False)
        self.assertNotEqual(refused.returncode, 0)
        key = re.search(r"give it this key: ([^\s;]+)", refused.stdout + refused.stderr)
        self.assertIsNotNone(key, refused.stdout + refused.stderr)
        self.appliance.down(check=False)
        self.witness.stop()
        self.witness.add_log(key.group(1))
        self.witness.start()
        self.assert_starts(self.appliance)
        self.witness.stop()
        logs = self.witness.logs()
        self.assertEqual(len(logs), 2)
        self.assertTrue(all(row["size"] > 0 and row["forks"] == row["unproven"] == 0 for row in logs.values()), logs)

    def test_without_the_witness_nothing_starts_and_what_runs_goes_on(self):
        self.await_witnessed()
        self.witness.stop()
        self.await_log(lambda log: log["witnesses"][0]["problem"] != "")
        self.assertIn("4 o'clock", json.dumps(self.appliance.ask(QUESTION, self.appliance.api_key("nurse"))))
        self.assertIn(f"The witness {NAME} did not cosign", " ".join(self.appliance.cli("status").stdout.split()))
        self.witness.start()
        self.await_log(lambda log: log["witnesses"][0]["problem"] == "")
        self.await_witnessed()
        self.witness.stop()
        self.appliance.down()
        self.assert_refused(self.appliance, "too few witnesses")
        self.witness.start()
        self.assert_starts(self.appliance)


if __name__ == "__main__":
    unittest.main(verbosity=2)
