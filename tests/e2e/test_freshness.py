#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An older image of the data directory, or of any part of it, does not start, and says what to do: one database, the audit
log, the keyring, the statement, and with an escrowed copy or a TPM all of it together. What is refused is not changed: the
newer files, put back, start. An older image that is meant is accepted by one command, and the log says so."""
import json
import pathlib
import shutil
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from appliance import Appliance, binaries_from_environment  # noqa: E402
from devices import SoftwareTpm  # noqa: E402
from images import QUESTION, WithImages  # noqa: E402


class Freshness(WithImages):
    def make(self, config="", anchor=()):
        appliance = Appliance(binaries_from_environment(), config='[gateway]\nlisten = ""\n' + config)
        self.addCleanup(appliance.close)
        appliance.init()
        appliance.up()
        self.grow(appliance, 1)
        return appliance

    def test_each_part(self):
        appliance = self.make()
        before, after = self.images(appliance)
        cases = {
            ("retrieval",): ("retrieval/db is older", "backup restore", "accept-older"),
            ("gateway",): ("gateway/store is older",),
            ("ingest",): ("ingest/jobs is older",),
            ("audit/log",): ("audit log is shorter",),
            ("audit",): ("shorter", "accept-older"),
            ("keys/keyring",): ("older", "keys recover"),
        }
        for parts, words in cases.items():
            with self.subTest(parts=parts):
                self.put(appliance, after)
                self.put(appliance, before, parts)
                self.assert_refused(appliance, *words)
                self.put(appliance, after)
                self.assert_starts(appliance)
        with self.subTest(parts="a database that is gone"):
            self.put(appliance, after)
            shutil.rmtree(appliance.data / "ingest")
            self.assert_refused(appliance, "ingest/jobs is another one")
        with self.subTest(parts="the statement that is gone"):
            self.put(appliance, after)
            (appliance.data / "keys" / "freshness").unlink()
            self.assert_refused(appliance, "is missing", "accept-older")

    def test_all_of_it_with_an_escrowed_copy_and_acceptance(self):
        escrow = pathlib.Path(tempfile.mkdtemp(prefix="clr-")) / "escrow"
        self.addCleanup(shutil.rmtree, escrow.parent, True)
        escrow.mkdir(mode=0o700)
        appliance = self.make(f'[keys]\nescrow_directory = "{escrow}"\n')
        before, _ = self.images(appliance)
        self.put(appliance, before)
        # The keyring tells before the statement does: it, too, is older than its copy.
        self.assert_refused(appliance, "older", "escrowed")
        # The keyring of now with the rest of before, so that the statement has to tell.
        shutil.copy2(appliance.folder / "after" / "keys" / "keyring", appliance.data / "keys" / "keyring")
        self.assert_refused(appliance, "freshness statement", "accept-older")
        refused = appliance.cli("keys", "accept-older", "--reason", "because", check=False)
        self.assertEqual(refused.returncode, 2, refused.stderr)
        done = appliance.cli("keys", "accept-older", "--reason", "machine-snapshot", "--passphrase-file",
                             appliance.passphrase_file)
        self.assertIn("generation 2", done.stdout)
        self.assertTrue((appliance.data / "audit" / "former" / "1" / "checkpoint").exists())
        appliance.up()
        answer = appliance.ask(QUESTION, appliance.api_key("nurse"))
        self.assertIn("4 o'clock", json.dumps(answer))
        shown = appliance.cli("audit", "show", "--last", "1000", "--json").stdout
        entries = [json.loads(line)["entry"] for line in shown.splitlines() if line.startswith("{")]
        names = [entry["event"] for entry in entries]
        self.assertEqual(names[0], "backup.restored")
        self.assertIn("freshness.accepted", names)
        status = json.loads(appliance.cli("keys", "status", "--json").stdout)
        self.assertTrue(status["freshness"]["escrowed"])
        appliance.down()
        self.assert_starts(appliance)

    def test_all_of_it_with_a_tpm(self):
        if not SoftwareTpm.available():
            self.skipTest(SoftwareTpm.missing)
        folder = pathlib.Path(tempfile.mkdtemp(prefix="clr-"))
        self.addCleanup(shutil.rmtree, folder, True)
        with SoftwareTpm(folder) as tpm:
            appliance = self.make(f'[keys]\nrollback_counter = "tpm"\ntpm_tcti = "{tpm.init_arguments[-1]}"\n')
            before, after = self.images(appliance)
            self.put(appliance, before)
            self.assert_refused(appliance, "the device counted", "accept-older")
            self.put(appliance, after)
            self.assert_starts(appliance)
            tpm.stop()
            self.assert_refused(appliance, "TPM")
            tpm.start()
            self.assert_starts(appliance)
            text = (appliance.data / "cloister.toml").read_text()
            (appliance.data / "cloister.toml").write_text(text.replace('"tpm"', '"none"', 1))
            self.assert_refused(appliance, "keys.rollback_counter names none")

    def test_without_any_of_these_nothing_tells_and_status_says_so(self):
        appliance = self.make()
        before, _ = self.images(appliance)
        self.put(appliance, before)
        appliance.up()
        status = appliance.cli("keys", "status").stdout
        self.assertIn("nothing outside of it", status)
        self.assertIn("puts the whole data directory back", status)


if __name__ == "__main__":
    unittest.main(verbosity=2)
