#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`cloister doctor` on a real appliance: healthy it says so; then bits are flipped in a table of documents, in an index
segment, in the log, in a list of tables, and modes of files are opened: each is told with what to do, what can be
mended is mended, and a document that was set aside comes back with the next ingest and is found again. Running, and stopped."""
import json
import pathlib
import shutil
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from appliance import Appliance, binaries_from_environment  # noqa: E402

USER = "n.okafor"
WORDS = ["aardvark", "bergamot", "calabash", "dirigible", "eiderdown", "flotsam", "gossamer", "hollyhock"]
SERVICES = ["keys", "audit", "retrieval", "ingest", "gateway"]


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


class Doctor(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.a = Appliance(binaries_from_environment())
        cls.addClassCleanup(cls.a.close)
        cls.escrow = cls.a.folder / "escrow"
        cls.escrow.mkdir()
        cls.a.config = (f'[gateway]\nlisten = ""\n[keys]\nescrow_directory = "{cls.escrow}"\n'
                        "[retrieval]\nsegment_documents = 3\n")
        cls.a.init()
        cls.a.up()
        cls.a.add_user(USER, ["clinicians"])
        cls.a.add_collection("ward", ["clinicians"])
        cls.folder = cls.a.folder / "ward"
        cls.folder.mkdir()
        for number, word in enumerate(WORDS):
            shelves = "".join(f"Shelf {n} of cupboard {number} holds item {n * 7 + number}.\n\n" for n in range(20))
            (cls.folder / f"{word}.md").write_text(
                f"# The {word}\n\nThe {word} opens cupboard {number}.\n\n{shelves}")
        cls.a.ingest(cls.folder, "ward")
        cls.key = cls.a.api_key(USER)
        cls.documents = len(WORDS)

    def setUp(self):
        if not (self.a.data / "run" / "gateway-http.sock").exists():
            self.a.up()

    def doctor(self, *arguments, status):
        """The reports by service."""
        done = self.a.cli("doctor", "--json", *arguments, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        reply = json.loads(done.stdout)
        self.assertEqual(reply["healthy"], status == 0)
        return {report["service"]: report for report in reply["services"]}

    def offline(self, *arguments, status):
        return self.doctor("--offline", "--passphrase-file", self.a.passphrase_file, *arguments, status=status)

    @staticmethod
    def checked(report):
        return {part["name"]: part["checked"] for part in report["parts"]}

    def findings(self, report, part):
        return [finding for finding in report["findings"] if finding["part"] == part]

    def finds(self, source):
        """Whether a document is found by its own word."""
        status, found = self.a.http("POST", "/v1/search",
                                    {"query": source.removesuffix(".md"), "mode": "lexical", "limit": 50}, key=self.key)
        self.assertEqual(status, 200, found)
        return source in [hit["source"] for hit in found["results"]]

    def test_1_a_healthy_appliance_is_read_whole(self):
        reports = self.doctor(status=0)
        self.assertEqual(list(reports), ["files", *SERVICES])
        retrieval = self.checked(reports["retrieval"])
        self.assertEqual((retrieval["documents"], retrieval["index"]), (self.documents, self.documents))
        for part in ("rows", "tables", "segments"):
            self.assertGreater(retrieval[part], 0, part)
        self.assertGreater(self.checked(reports["audit"])["log"], 10)
        self.assertGreater(self.checked(reports["audit"])["sections"], 0)
        self.assertGreater(self.checked(reports["keys"])["keys"], 10)
        self.assertEqual(self.checked(reports["keys"])["escrow"], 1)
        self.assertGreater(self.checked(reports["ingest"])["rows"], 0)
        self.assertGreater(self.checked(reports["gateway"])["rows"], 0)
        said = self.a.cli("doctor", "--service", "retrieval", "--service", "ingest").stdout
        self.assertIn("retrieval  ok", said)
        self.assertIn("Healthy.", said)
        self.assertNotIn("audit", said)
        entries = [json.loads(line)["entry"] for line in
                   self.a.cli("audit", "show", "--last", "20", "--json").stdout.splitlines()]
        examined = [entry["body"] for entry in entries if entry["event"] == "maintenance.examined"]
        self.assertEqual([body["service"] for body in examined][-7:], [*SERVICES, "retrieval", "ingest"])
        self.assertEqual({body["findings"] for body in examined}, {"0"})

    def test_2_damaged_documents_and_segments_come_back(self):
        self.doctor("--service", "retrieval", status=0)  # Everything is in tables now.
        self.assertTrue(all(self.finds(f"{word}.md") for word in WORDS))
        self.a.down()
        tables = sorted((self.a.data / "retrieval" / "db" / "rocksdb").glob("*.sst"), key=lambda p: p.stat().st_size)
        flip(tables[-1])
        flip(next((self.a.data / "retrieval" / "segments").glob("*.segment")))
        self.a.up()
        found = self.doctor("--service", "retrieval", status=1)["retrieval"]
        table, = self.findings(found, "tables")
        self.assertIn(tables[-1].name, table["where"])
        self.assertIn("checksum fails", table["problem"])
        segment, = self.findings(found, "segments")
        self.assertIn("when the service started", segment["problem"])
        documents = self.findings(found, "documents")
        self.assertGreaterEqual(len(documents), 1)
        self.assertLess(len(documents), self.documents)
        sources = []
        for document in documents:
            self.assertRegex(document["where"], r"^ward / \S+ \(document [0-9a-f]{32}\)$")
            self.assertIn("cloister ingest FOLDER --collection ward", document["remedy"])
            self.assertEqual(document["done"], "")
            sources.append(document["where"].split(" ")[2])
        text = self.a.cli("doctor", "--service", "retrieval", check=False)
        self.assertEqual(text.returncode, 1)
        self.assertIn("To do:", text.stdout)
        self.assertIn("Not healthy", text.stdout)

        mended = self.doctor("--service", "retrieval", "--repair", status=1)["retrieval"]
        self.assertEqual({f["done"] for f in self.findings(mended, "documents")}, {"set aside"})
        self.assertIn("written anew", self.findings(mended, "tables")[0]["done"])
        self.assertEqual(self.findings(mended, "segments")[0]["done"], "removed")
        for source in sources:
            self.assertFalse(self.finds(source), source)
        self.a.down()
        self.a.up()
        for source in sources:
            self.assertFalse(self.finds(source), f"{source} after a restart")
        again = self.a.ingest(self.folder, "ward")
        self.assertRegex(again.stdout + again.stderr, rf"\b{self.documents - len(sources)} unchanged")
        for source in sources:
            self.assertTrue(self.finds(source), source)
        self.doctor(status=0)

    def test_3_a_log_that_is_altered_while_it_runs_is_told(self):
        self.doctor("--service", "audit", status=0)
        for _ in range(3):
            time.sleep(2)  # Until a checkpoint covers every record: the next one writes this bundle anew.
            bundle = max((p for p in (self.a.data / "audit" / "log" / "tile" / "entries").rglob("*") if p.is_file()),
                         key=lambda p: p.stat().st_mtime)
            flip(bundle)
            done = self.a.cli("doctor", "--json", "--service", "audit", check=False)
            if done.returncode == 1:
                break
        report = json.loads(done.stdout)["services"][0]
        problems = self.findings(report, "log")
        self.assertGreaterEqual(len(problems), 1)
        self.assertIn("cloister backup restore", problems[0]["remedy"])
        # The next record writes this part of the log anew from memory; a part that is full would stay as it is.
        self.a.ask("What does the aardvark open?", self.key)
        if bundle.exists():
            flip(bundle)
        self.doctor("--service", "audit", status=0)

    def test_4_a_stopped_appliance_is_examined_with_its_passphrase(self):
        refused = self.a.cli("doctor", "--offline", "--passphrase-file", self.a.passphrase_file, check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("the appliance runs", refused.stderr)
        self.a.down()
        hint = self.a.cli("doctor", "--service", "keys", check=False)
        self.assertEqual(hint.returncode, 1)
        self.assertIn("cloister doctor --offline", hint.stderr)
        wrong = self.a.folder / "wrong"
        wrong.write_text("not the passphrase at all\n")
        wrong.chmod(0o600)
        self.assertEqual(self.a.cli("doctor", "--offline", "--passphrase-file", wrong, check=False).returncode, 3)
        reports = self.offline(status=0)
        self.assertEqual(list(reports), ["files", *SERVICES])
        for service, part in (("retrieval", "rows"), ("retrieval", "segments"), ("audit", "log"), ("audit", "sections"),
                              ("keys", "keys"), ("keys", "escrow"),
                              ("ingest", "rows"), ("gateway", "tables")):
            self.assertGreater(self.checked(reports[service])[part], 0, f"{service} {part}")

    def test_5_each_kind_of_damage_is_told_while_it_is_stopped(self):
        self.a.down()
        self.offline(status=0)
        data = self.a.data

        def damaged(path, service, part, problem, remedy):
            with self.subTest(path.name):
                before = path.read_bytes()
                flip(path)
                report = self.offline("--service", service, status=1)[service]
                findings = self.findings(report, part)
                self.assertGreaterEqual(len(findings), 1, report)
                self.assertRegex(findings[0]["problem"], problem)
                self.assertIn(remedy, findings[0]["remedy"])
                path.write_bytes(before)
                self.offline("--service", service, status=0)

        bundle = next(p for p in (data / "audit" / "log" / "tile" / "entries").rglob("*") if p.is_file())
        damaged(bundle, "audit", "log", "entr", "cloister backup restore")
        checkpoint = data / "audit" / "log" / "checkpoint"
        damaged(checkpoint, "audit", "log", "checkpoint|signature|signed|cannot be", "restore")
        segment = next((data / "retrieval" / "segments").glob("*.segment"))
        damaged(segment, "retrieval", "segments", "does not authenticate", "makes it anew")
        damaged(next(self.escrow.glob("*.escrow")), "keys", "escrow", "damaged", "cloister keys escrow")

    def test_6_a_database_that_does_not_open_says_why(self):
        self.a.down()
        jobs = self.a.data / "ingest" / "jobs"
        kept = self.a.folder / "jobs-kept"
        for name, damage in (("list of tables", lambda: flip(next((jobs / "rocksdb").glob("MANIFEST-*")))),
                             ("missing", lambda: shutil.rmtree(jobs / "rocksdb")),
                             ("acknowledged", lambda: flip(jobs / "acknowledged"))):
            with self.subTest(name):
                shutil.copytree(jobs, kept)
                damage()
                report = self.offline("--service", "ingest", status=1)["ingest"]
                finding, = self.findings(report, "database")
                self.assertEqual(finding["where"], "ingest/jobs")
                self.assertIn("does not open", finding["problem"])
                self.assertIn("cloister backup restore", finding["remedy"])
                shutil.rmtree(jobs)
                kept.rename(jobs)
        self.offline("--service", "ingest", status=0)

    def test_7_files_that_others_may_read_and_left_overs(self):
        self.a.down()
        data = self.a.data
        (data / "cloister.toml").chmod(0o644)
        (data / "logs").chmod(0o755)
        (data / "cloister.toml.tmp.Ab12Cd").write_text("")
        (data / "restoring").mkdir(mode=0o700)
        found = {f["where"]: f for f in self.offline(status=1)["files"]["findings"]}
        self.assertEqual(set(found), {"cloister.toml", "logs", "cloister.toml.tmp.Ab12Cd", "restoring/"})
        self.assertIn("others on this machine", found["cloister.toml"]["problem"])
        self.assertIn("used since", found["restoring/"]["problem"])
        mended = {f["where"]: f for f in self.offline("--repair", status=1)["files"]["findings"]}
        self.assertEqual(mended["cloister.toml"]["done"], "closed to others")
        self.assertEqual(mended["restoring/"]["done"], "", "what the data directory holds now is not touched")
        self.assertEqual((data / "cloister.toml").stat().st_mode & 0o777, 0o600)
        self.assertEqual((data / "logs").stat().st_mode & 0o777, 0o700)
        self.assertFalse((data / "cloister.toml.tmp.Ab12Cd").exists())
        (data / "restoring").rmdir()
        self.offline(status=0)

    def test_8_offline_repair_lets_the_next_start_make_segments_anew(self):
        self.a.down()
        segments = self.a.data / "retrieval" / "segments"
        for path in segments.glob("*.segment"):
            flip(path)
        mended = self.offline("--service", "retrieval", "--repair", status=1)["retrieval"]
        self.assertEqual({f["done"] for f in self.findings(mended, "segments")}, {"removed"})
        self.assertEqual(list(segments.glob("*.segment")), [])
        self.a.up()
        self.assertEqual(self.checked(self.doctor(status=0)["retrieval"])["index"], self.documents)
        self.assertEqual(list(segments.glob("*.quarantined")), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
