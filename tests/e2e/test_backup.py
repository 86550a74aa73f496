#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The restore drill on real processes: documents in, asked, backed up twice, the data directory destroyed, restored
elsewhere with the keyring that was kept apart: same answers, same counts, the proofs of before still hold, what was erased
stays erased. And every backup that must not be restored is refused with a reason, and leaves the folder as it was."""
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import canary_scan  # noqa: E402
from appliance import Appliance, binaries_from_environment  # noqa: E402

SAMPLE = ROOT / "deploy" / "sample"
USER = "n.okafor"
ERASED = "# Xylotomy of the plinth\n\nThe quondam plinth is varnished every 611 days by Mr Wurzelbrecht.\n"
ERASED_LATER = "# Vexillum\n\nThe vexillum of the tower is hoisted at 4:17 by Mrs Trumblefidge.\n"
CANARIES = ["plinth", "wurzelbrecht", "vexillum", "trumblefidge", "transfusion", "discharge", "okafor"]


def tree(folder):
    """Every path below a folder, and what is in it."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


class RestoreDrill(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.binaries = binaries_from_environment()
        cls.a = Appliance(cls.binaries)
        cls.addClassCleanup(cls.a.close)
        cls.backups = cls.a.folder / "backups"
        cls.keys = cls.a.folder / "keys-kept-apart"
        cls.escrow = cls.a.folder / "escrow"
        cls.escrow.mkdir()
        cls.a.config = f'[gateway]\nlisten = ""\n[keys]\nescrow_directory = "{cls.escrow}"\n'
        cls.a.init()
        cls.a.up()
        cls.live_through_two_backups()
        cls.a.down()
        shutil.copytree(cls.a.data / "keys", cls.keys)
        cls.data_bytes_before = sum(p.stat().st_size for p in cls.a.data.rglob("*") if p.is_file())
        shutil.rmtree(cls.a.data)

    @classmethod
    def live_through_two_backups(cls):
        a = cls.a
        a.add_user(USER, ["clinicians"])
        for name in ("ward", "handbook", "notes"):
            a.add_collection(name, ["clinicians"])
        notes = a.folder / "notes"
        notes.mkdir()
        (notes / "plinth.md").write_text(ERASED)
        a.ingest(SAMPLE / "ward", "ward")
        a.ingest(notes, "notes")
        cls.key = a.api_key(USER)
        cls.questions = [row["question"] for row in map(json.loads, (SAMPLE / "questions.jsonl").read_text().splitlines())
                         if row["expect"] == "answer" and row["user"] == USER][:4]
        cls.erase("plinth.md")
        cls.first = cls.backup()
        (notes / "plinth.md").unlink()
        (notes / "vexillum.md").write_text(ERASED_LATER)
        a.ingest(SAMPLE / "handbook", "handbook")
        a.ingest(notes, "notes")
        cls.answers = [a.ask(question, cls.key) for question in cls.questions]
        cls.erase("vexillum.md")
        cls.receipts = cls.take_receipts()
        cls.second = cls.backup()
        cls.listed = json.loads(a.cli("backup", "list", cls.backups, "--json").stdout)["backups"]
        cls.verified_online = json.loads(a.cli("backup", "verify", cls.backups, "--json").stdout)
        cls.status = a.http("GET", "/admin/v1/status")[1]
        cls.killed_create()

    @classmethod
    def backup(cls):
        return json.loads(cls.a.cli("backup", "create", "--to", cls.backups, "--json").stdout)

    @classmethod
    def erase(cls, source):
        cls.a.cli("erase", "document", "notes", source, "--reason", "asked for in writing", "--basis", "gdpr-17-1-a", "--yes")

    @classmethod
    def take_receipts(cls):
        folder = cls.a.folder / "receipts"
        folder.mkdir()
        for answer in cls.answers:
            for index in answer["records"].values():
                cls.a.cli("audit", "receipt", index, "--out", folder / str(index))
        (cls.a.folder / "former.vkey").write_text(cls.a.cli("audit", "key").stdout)
        return sorted(folder.iterdir())

    @classmethod
    def killed_create(cls):
        """A create that is killed at a random step: the backups of before must stay whole."""
        command = [str(cls.binaries / "cloister"), "--data", str(cls.a.data), "backup", "create", "--to", str(cls.backups)]
        before = len(list((cls.backups / "manifests").iterdir()))
        for wait in (0.1, 0.6):
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(wait)
            child.send_signal(signal.SIGKILL)
            child.wait()
        # On a quick machine one may have got through: what counts below is the second backup.
        for path in sorted((cls.backups / "manifests").iterdir())[before:]:
            path.unlink()

    def new_data(self, keys=None):
        """An appliance folder that holds the keyring alone."""
        appliance = Appliance(self.binaries)
        self.addCleanup(appliance.close)
        appliance.data.mkdir(mode=0o700)
        shutil.copytree(keys or self.keys, appliance.data / "keys")
        shutil.copy(self.a.passphrase_file, appliance.passphrase_file)
        return appliance

    def recovered_data(self):
        """The same from the escrowed keyring, under a new passphrase."""
        appliance = Appliance(self.binaries)
        self.addCleanup(appliance.close)
        appliance.data.mkdir(mode=0o700)
        (appliance.data / "cloister.toml").write_text('[gateway]\nlisten = ""\n')
        appliance.passphrase_file.write_text("another passphrase for the new machine\n")
        appliance.passphrase_file.chmod(0o600)
        appliance.cli("keys", "recover", "--escrow", next(self.escrow.glob("*.escrow")), "--with-passphrase",
                      "--former-passphrase-file", self.a.passphrase_file, "--passphrase-file", appliance.passphrase_file)
        return appliance

    def restore(self, appliance, *more, backups=None, check=True):
        return appliance.cli("backup", "restore", backups or self.backups, "--passphrase-file", appliance.passphrase_file,
                             *more, check=check)

    def offline_verify(self, backups, *more):
        appliance = self.new_data()
        return appliance.cli("backup", "verify", backups, "--passphrase-file", appliance.passphrase_file, *more, check=False)

    # The drill.

    def test_restored_elsewhere_it_answers_and_proves_as_before(self):
        b = self.recovered_data()
        said = self.restore(b).stdout
        self.assertIn("cloister up", said)
        self.assertIn(self.second["id"], said)
        self.assertFalse((b.data / "restoring").exists())
        b.up()
        b._keys[USER] = self.key
        for question, before in zip(self.questions, self.answers):
            after = b.ask(question, self.key)
            self.assertEqual(after["band"], before["band"])
            self.assertEqual([(q["text"], q["source"], q["document_id"], q["start"]) for q in after["quotes"]],
                             [(q["text"], q["source"], q["document_id"], q["start"]) for q in before["quotes"]])
        self.check_counts(b)
        self.check_log(b)
        self.check_what_was_handed_out_before(b)
        self.check_erased(b)
        self.check_life_goes_on(b)

    def affected(self, b, document):
        return json.loads(b.cli("answers", "affected", "--id", document, "--json").stdout)

    def check_what_was_handed_out_before(self, b):
        answer = self.answers[0]
        quote, release = answer["quotes"][0], answer["records"]["release"]
        found = self.affected(b, quote["document_id"])
        self.assertEqual(found["generation"], 2)
        self.assertEqual([(log["generation"], log["problem"]) for log in found["former_logs"]], [(1, None)])
        named = {(row["generation"], row["index"]): row for row in found["releases"]}
        self.assertEqual(named[1, release]["user"], USER)
        self.assertTrue(any(generation == 2 for generation, _ in named), "it was asked again after the restore")
        self.assertIn(f"1/{release} ", b.cli("answers", "affected", "--id", quote["document_id"]).stdout)
        # What was said then, under the name that the list gives it.
        outcome = f"1/{answer['records']['outcome']}"
        opened = json.loads(b.cli("audit", "unseal", outcome, "--reason", "complaint 17 of 3 May", "--json").stdout)
        texts = [q["text"] for section in opened["sections"] for q in (section["content"] or {}).get("quotes", []) if "text" in q]
        self.assertIn(quote["text"], texts)
        self.assertIn(quote["text"].split()[0], b.cli("audit", "unseal", outcome, "--reason", "complaint 17 of 3 May").stdout)
        shown = json.loads(b.cli("audit", "show", f"1/{release}", "--json").stdout)
        self.assertEqual((shown["index"], shown["entry"]["event"]), (release, "ask.release"))
        # Its proof is made here now, and the key of before checks it.
        b.cli("audit", "receipt", outcome, "--out", b.folder / "former.receipt")
        subprocess.run([str(self.binaries / "cloister-verify"), "--receipt", str(b.folder / "former.receipt"), "--key",
                        str(self.a.folder / "former.vkey")], check=True, capture_output=True)
        # Without the former log the present one is searched, and that something is missing is said.
        former, aside = b.data / "audit" / "former" / "1", b.folder / "aside"
        shutil.move(former, aside)
        found = self.affected(b, quote["document_id"])
        self.assertEqual({row["generation"] for row in found["releases"]}, {2})
        self.assertEqual([log["problem"] for log in found["former_logs"]], ["is not on this disk"])
        missing = b.cli("audit", "unseal", outcome, "--reason", "complaint 17 of 3 May", check=False)
        self.assertEqual(missing.returncode, 1)
        self.assertIn("not on this disk", missing.stderr)
        said = b.cli("answers", "affected", "--id", quote["document_id"]).stdout
        self.assertIn("generation 1 is not on this disk", " ".join(said.split()))
        shutil.move(aside, former)

    def check_counts(self, b):
        status = b.http("GET", "/admin/v1/status")[1]
        for count in ("documents", "chunks", "classes", "unreadable_documents"):
            self.assertEqual(status["index"][count], self.status["index"][count], count)
        self.assertEqual(status["index"]["unreadable_documents"], 0)

    def check_log(self, b):
        status = b.http("GET", "/admin/v1/status")[1]["audit"]
        self.assertEqual(status["origin"], "cloister/main/2")
        first = json.loads(b.cli("audit", "show", "0", "--json").stdout)["entry"]
        self.assertEqual(first["event"], "backup.restored")
        self.assertEqual(first["body"]["backup"], self.second["id"])
        former = first["body"]["former"]
        self.assertEqual((former["origin"], former["verified"]), ("cloister/main/1", 1))
        self.assertGreater(int(former["size"]), 20)
        # What was proven before is proven still, by the key of before; and the former log is whole.
        verify = [str(self.binaries / "cloister-verify")]
        key = ["--key", str(self.a.folder / "former.vkey")]
        self.assertGreater(len(self.receipts), 5)
        for receipt in self.receipts:
            subprocess.run([*verify, "--receipt", str(receipt), *key], check=True, capture_output=True)
        done = subprocess.run([*verify, str(b.data / "audit" / "former" / "1"), *key, "--json"], capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(json.loads(done.stdout)["size"], int(former["size"]))
        # The new log can be taken away, too, and a receipt of one is none of the other.
        (b.folder / "new.vkey").write_text(b.cli("audit", "key").stdout)
        b.cli("audit", "export", b.folder / "export")
        b.cli("audit", "receipt", "0", "--out", b.folder / "receipt")
        new_key = ["--key", str(b.folder / "new.vkey")]
        subprocess.run([*verify, str(b.folder / "export"), *new_key], check=True, capture_output=True)
        subprocess.run([*verify, "--receipt", str(b.folder / "receipt"), *new_key], check=True, capture_output=True)
        crossed = subprocess.run([*verify, "--receipt", str(self.receipts[0]), *new_key], check=False, capture_output=True)
        self.assertNotEqual(crossed.returncode, 0)

    def check_erased(self, b):
        for word in ("plinth", "vexillum"):
            status, found = b.http("POST", "/v1/search", {"query": word, "mode": "lexical", "limit": 50}, key=self.key)
            self.assertEqual(status, 200)
            self.assertNotIn(f"{word}.md", [hit["source"] for hit in found["results"]])
        # The list of what must not come back was restored as well.
        notes = self.a.folder / "notes"
        b.ingest(notes, "notes", check=False)
        status, found = b.http("POST", "/v1/search", {"query": "vexillum", "mode": "lexical", "limit": 50}, key=self.key)
        self.assertNotIn("vexillum.md", [hit["source"] for hit in found["results"]])

    def check_life_goes_on(self, b):
        again = b.ingest(SAMPLE / "ward", "ward")
        self.assertRegex(again.stdout + again.stderr, r"\b7 unchanged")
        b.down()
        b.up()
        third_folder = b.folder / "backups"
        shutil.copytree(self.backups, third_folder)
        third = json.loads(b.cli("backup", "create", "--to", third_folder, "--json").stdout)
        self.assertGreater(third["files_shared"], 0)
        self.assertIn("without its escrowed copy", third["escrow"])  # Nothing is configured here.
        pruned = json.loads(b.cli("backup", "prune", third_folder, "--keep", "1", "--json").stdout)
        self.assertEqual((pruned["backups_removed"], pruned["backups_kept"]), (2, 1))
        self.assertGreater(pruned["files_removed"], 0)
        kept = json.loads(b.cli("backup", "verify", third_folder, "--json").stdout)
        self.assertTrue(kept["whole"])
        self.assertEqual([k["id"] for k in kept["backups"]], [third["id"]])

    # What a backup is.

    def test_a_second_backup_copies_only_what_is_new(self):
        self.assertEqual(self.first["files_shared"], 0)
        self.assertGreater(self.second["files_shared"], 0)
        self.assertLess(self.second["files_new"], self.second["files"])
        self.assertIn("was replaced", self.second["escrow"])
        print(f"backups: {self.first['files']} files, then {self.second['files']} of which {self.second['files_shared']} shared")
        objects = [p for p in (self.backups / "objects").rglob("*") if p.is_file() and not p.name.startswith("tmp.")]
        self.assertGreaterEqual(len(objects), self.first["files_new"] + self.second["files_new"])

    def test_it_is_listed_and_verified_online_and_offline(self):
        self.assertEqual([row["id"] for row in self.listed], [self.first["id"], self.second["id"]])
        self.assertEqual(self.listed[1]["files"], self.second["files"])
        self.assertTrue(self.verified_online["whole"])
        offline = self.offline_verify(self.backups, "--json")
        self.assertEqual(offline.returncode, 0, offline.stdout + offline.stderr)
        self.assertEqual([row["files"] for row in json.loads(offline.stdout)["backups"]],
                         [self.first["files"], self.second["files"]])
        # Without any key a list has names alone.
        nobody = Appliance(self.binaries)
        self.addCleanup(nobody.close)
        bare = json.loads(nobody.cli("backup", "list", self.backups, "--json").stdout)["backups"]
        self.assertEqual([sorted(row) for row in bare], [["id", "time"]] * 2)

    def test_nothing_in_it_is_readable_and_no_keyring_is_in_it(self):
        findings, files, size = canary_scan.scan([self.backups], {"canary": CANARIES, "configuration": ["listen ="]})
        self.assertEqual(findings, [])
        self.assertGreater(files, 20)
        self.assertGreater(size, 100_000)
        magic = (self.keys / "keyring").read_bytes()[:4]
        heads = [p.read_bytes()[:4] for p in self.backups.rglob("*") if p.is_file()]
        self.assertNotIn(magic, heads)
        for path in (self.backups / "objects").rglob("*"):
            if path.is_file() and not path.name.startswith("tmp."):
                self.assertRegex(path.name, "^[0-9a-f]{64}$")

    # What is refused.

    def check_refused(self, reason, backups=None, appliance=None, more=(), status=1):
        appliance = appliance or self.new_data()
        before = tree(appliance.data)
        done = self.restore(appliance, *more, backups=backups, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertRegex(done.stderr, reason)
        after = tree(appliance.data)
        after.pop("keys/keyring.lock", None)  # A lock that was taken and let go is no change.
        before.pop("keys/keyring.lock", None)
        self.assertEqual(after, before)

    def damaged(self, damage):
        """A copy of the backups with one thing done to it."""
        folder = pathlib.Path(self.a.folder) / f"damaged-{damage.__name__}"
        shutil.copytree(self.backups, folder)
        objects = sorted((p for p in (folder / "objects").rglob("*") if p.is_file() and not p.name.startswith("tmp.")),
                         key=lambda p: p.stat().st_size)
        manifest = max((folder / "manifests").iterdir())
        damage(folder, objects, manifest)
        self.addCleanup(shutil.rmtree, folder)
        return folder

    @staticmethod
    def flip(path, at):
        content = bytearray(path.read_bytes())
        content[at] ^= 0x40
        path.write_bytes(content)

    def test_damaged_files_are_refused_and_named(self):
        def bit_flip(_, objects, __):
            for path in objects:
                self.flip(path, path.stat().st_size // 2)

        def truncation(_, objects, __):
            for path in objects:
                path.write_bytes(path.read_bytes()[:-1])

        def missing(_, objects, __):
            for path in objects:
                path.unlink()

        for damage, word in ((bit_flip, "damaged in"), (truncation, "cut short in"), (missing, "missing from")):
            with self.subTest(damage.__name__):
                folder = self.damaged(damage)
                self.check_refused(word, folder)
                verified = self.offline_verify(folder, "--json")
                self.assertEqual(verified.returncode, 1)
                rows = json.loads(verified.stdout)["backups"]
                self.assertEqual([row["problem_count"] for row in rows], [self.first["files"], self.second["files"]])
                self.assertRegex(rows[1]["problems"][0], word)

    def test_one_damaged_file_is_found_among_all(self):
        whole = json.loads(self.offline_verify(self.backups, "--json").stdout)
        self.assertTrue(whole["whole"])

        def one(_, objects, __):
            self.flip(objects[-1], 10)

        verified = self.offline_verify(self.damaged(one), "--json")
        rows = json.loads(verified.stdout)["backups"]
        self.assertEqual(verified.returncode, 1)
        self.assertIn(1, [row["problem_count"] for row in rows])

    def test_altered_manifests_are_refused(self):
        def manifest_flip(_, __, manifest):
            self.flip(manifest, manifest.stat().st_size // 2)

        def manifest_truncation(_, __, manifest):
            manifest.write_bytes(manifest.read_bytes()[:-1])

        def manifest_format(_, __, manifest):
            content = bytearray(manifest.read_bytes())
            content[4] = 9
            manifest.write_bytes(content)

        def manifest_renamed(_, __, manifest):
            manifest.rename(manifest.with_name(manifest.name[:17] + "ab" * 16 + ".backup"))

        def no_manifest(folder, __, ___):
            for path in (folder / "manifests").iterdir():
                path.unlink()

        for damage, word in ((manifest_flip, "signature"), (manifest_truncation, "signature"),
                             (manifest_format, "format 9"), (manifest_renamed, "another backup"),
                             (no_manifest, "no backup")):
            with self.subTest(damage.__name__):
                self.check_refused(word, self.damaged(damage))

    def test_an_older_backup_is_refused_unless_accepted(self):
        self.check_refused("older than the last erasure on request", more=("--id", self.first["id"]))
        b = self.new_data()
        said = json.loads(self.restore(b, "--id", self.first["id"][:8], "--accept-older", "--json").stdout)
        self.assertIn("stays unreadable", " ".join(said["consequences"]))
        self.assertIn("stays suppressed", " ".join(said["consequences"]))
        (b.data / "cloister.toml").write_text('[gateway]\nlisten = ""\n')
        b.up()
        self.assertGreater(b.http("GET", "/admin/v1/status")[1]["index"]["documents"], 0)
        # That backup is from before vexillum.md came and went; the keyring knows that it may not come back, under no name.
        notes = b.folder / "notes"
        notes.mkdir()
        (notes / "another-name.md").write_text(ERASED_LATER)
        shutil.copy(notes / "another-name.md", self.a.folder / "notes" / "vexillum.md")
        refused = b.cli("ingest", notes, "--collection", "notes", check=False)
        self.assertIn("erased on request", refused.stdout + refused.stderr)
        # The same folder as then, so the same name.
        refused = b.cli("ingest", self.a.folder / "notes", "--collection", "notes", check=False)
        self.assertIn("erased on request", refused.stdout + refused.stderr)

    def test_a_restore_that_was_interrupted_is_finished_by_the_same_one(self):
        b = self.new_data()
        self.restore(b)
        whole = tree(b.data)
        # As a kill between two of the renamings leaves it.
        staging = b.data / "restoring"
        staging.mkdir(mode=0o700)
        for service in ("gateway", "ingest"):
            (b.data / service).rename(staging / service)
        (staging / "complete").write_text(self.second["id"] + "\n")
        refused = b.up(check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("a restore was interrupted", refused.stderr)
        self.assertIn(self.second["id"], refused.stderr)
        other = self.restore(b, "--id", self.first["id"], "--accept-older", check=False)
        self.assertNotEqual(other.returncode, 0)
        self.assertIn("empty the data directory", other.stderr)
        self.restore(b, "--id", self.second["id"])
        self.assertEqual({path for path in tree(b.data) if path != "keys/freshness"},
                         {path for path in whole if path != "keys/freshness"})

    def test_another_appliance_another_passphrase_and_full_folders_are_refused(self):
        other = Appliance(self.binaries)
        self.addCleanup(other.close)
        other.init()
        self.check_refused("another appliance", appliance=other)
        wrong = self.new_data()
        wrong.passphrase_file.write_text("not the passphrase of it\n")
        self.check_refused("passphrase", appliance=wrong, status=3)
        empty = Appliance(self.binaries)
        self.addCleanup(empty.close)
        empty.data.mkdir(mode=0o700)
        shutil.copy(self.a.passphrase_file, empty.passphrase_file)
        self.check_refused("no keyring", appliance=empty)
        full = self.new_data()
        (full.data / "retrieval" / "db").mkdir(parents=True)
        (full.data / "retrieval" / "db" / "acknowledged").write_text("x")
        self.check_refused("never overwrites", appliance=full)
        self.check_refused("no backups", backups=self.a.folder)

    def test_a_backup_into_the_data_directory_or_an_unmounted_disk_is_refused(self):
        b = self.new_data()
        self.restore(b)
        b.up()
        inside = b.cli("backup", "create", "--to", b.data / "backups", check=False)
        self.assertEqual(inside.returncode, 1)
        self.assertIn("inside the data directory", inside.stderr)
        absent = b.cli("backup", "create", "--to", b.folder / "not-mounted" / "backups", check=False)
        self.assertEqual(absent.returncode, 1)
        self.assertIn("mounted", absent.stderr)
        self.assertFalse((b.folder / "not-mounted").exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
