#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The main job on the sample clinic with every real process: documents in, cited answers and refusals out, and an
audit log that the offline verifier accepts, and refuses once it was touched."""
import json
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from appliance import Appliance, binaries_from_environment  # noqa: E402

SAMPLE = ROOT / "deploy" / "sample"
GROUPS = {"n.okafor": ["clinicians"], "p.lind": ["pharmacists"], "h.marsh": ["personnel-office"]}
READERS = {"handbook": ["clinicians", "pharmacists", "personnel-office"], "ward": ["clinicians"],
           "pharmacy": ["pharmacists"], "personnel": ["personnel-office"]}
SUPERSEDED = ("hand-hygiene-2023.md", "discharge-plan-draft.md")


def squeeze(text):
    return re.sub(r"\s+", " ", text).strip()


class MainJob(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.appliance = Appliance(binaries_from_environment())
        cls.addClassCleanup(cls.appliance.close)
        cls.appliance.init()
        cls.appliance.up()
        for user, groups in GROUPS.items():
            cls.appliance.add_user(user, groups)
        cls.ingest_output = {}
        for collection, groups in READERS.items():
            cls.appliance.add_collection(collection, groups)
            cls.ingest_output[collection] = cls.appliance.ingest(SAMPLE / collection, collection).stdout
        cls.questions = [json.loads(line) for line in (SAMPLE / "questions.jsonl").read_text().splitlines()]

    def ask(self, row):
        return self.appliance.ask(row["question"], self.appliance.api_key(row["user"]))

    def rows(self, expect):
        rows = [row for row in self.questions if row["expect"] == expect]
        self.assertGreater(len(rows), 2)
        return rows

    def test_permitted_questions_are_answered_from_the_right_document(self):
        rows, shown = self.rows("answer"), 0
        for row in rows:
            with self.subTest(row["id"]):
                answer = self.ask(row)
                self.assertIn(answer["band"], ("answer", "may_help"), answer)
                quoted = " ".join(q["text"] for q in answer["quotes"])
                self.assertRegex(squeeze(quoted), row["pattern"])
                self.assertIn(row["document"], [q["source"] for q in answer["quotes"]])
                shown += answer["band"] == "answer"
        print(f"main job: {shown} of {len(rows)} shown as answers")
        self.assertGreaterEqual(shown, len(rows) * 2 // 3)

    def test_forbidden_documents_leave_no_trace(self):
        for row in self.rows("forbidden"):
            with self.subTest(row["id"]):
                answer = self.ask(row)
                everything = json.dumps(answer)
                self.assertNotEqual(answer["band"], "answer", answer)
                self.assertNotRegex(squeeze(everything), re.escape(row["pattern"]))
                self.assertNotIn(row["document"], everything)

    def test_unanswerable_questions_are_not_answered(self):
        for row in self.rows("unanswerable"):
            with self.subTest(row["id"]):
                self.assertNotEqual(self.ask(row)["band"], "answer")

    def test_quotes_are_verbatim_and_say_where_they_stand(self):
        row = next(r for r in self.questions if r["document"] == "sharps-injury.pdf")
        quote = self.ask(row)["quotes"][0]
        for field in ("document_id", "version_id", "chunk_id"):
            self.assertRegex(quote[field], "^[0-9a-f]{32}$")
        self.assertGreaterEqual(quote["page_first"], 1)
        self.assertTrue(quote["boxes"])
        self.assertLess(quote["start"], quote["end"])
        row = next(r for r in self.questions if r["document"] == "transfusion.md")
        source = squeeze((SAMPLE / "ward" / "transfusion.md").read_text())
        for quote in self.ask(row)["quotes"]:
            if quote["source"] == "transfusion.md":
                self.assertIn(squeeze(quote["text"]), source)

    def test_what_is_superseded_or_not_yet_in_force_is_not_quoted(self):
        for question in ("How many seconds must hands be rubbed?", "For how many days does the patient leave with medication?"):
            answer = self.appliance.ask(question, self.appliance.api_key("n.okafor"))
            self.assertFalse({q["source"] for q in answer["quotes"]} & set(SUPERSEDED), answer)

    def test_a_second_ingest_changes_nothing(self):
        again = self.appliance.ingest(SAMPLE / "ward", "ward")
        self.assertRegex(again.stdout + again.stderr, r"\b7 unchanged")

    def test_records_of_an_ask_verify_offline(self):
        row = self.questions[0]
        records = self.ask(row)["records"]
        self.assertEqual(sorted(records), ["intent", "outcome", "release"])
        self.assertLess(records["intent"], records["release"])
        self.assertLess(records["release"], records["outcome"])
        folder = self.appliance.folder / "receipts"
        folder.mkdir(exist_ok=True)
        key = self.verifier_key()
        for name, index in records.items():
            receipt = folder / name
            self.appliance.cli("audit", "receipt", index, "--out", receipt)
            self.verify("--receipt", receipt, "--key", key)
            damaged = folder / f"{name}.damaged"
            text = receipt.read_text()
            place = text.index("index ") + len("index ")
            damaged.write_text(text[:place] + str(index + 1) + text[place + len(str(index)):])
            self.verify("--receipt", damaged, "--key", key, status=1)

    def test_the_exported_log_verifies_and_names_no_one(self):
        self.ask(self.questions[0])
        folder = self.appliance.folder / "export"
        self.appliance.cli("audit", "export", folder)
        self.verify(folder, "--key", self.verifier_key())
        content = b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())
        for secret in (b"n.okafor", b"disinfectant", b"patient-4471", b"hand-hygiene"):
            self.assertNotIn(secret, content)
        bundle = next(p for p in sorted(folder.rglob("*")) if p.is_file() and "entries" in str(p))
        raw = bytearray(bundle.read_bytes())
        raw[len(raw) // 2] ^= 1
        bundle.write_bytes(raw)
        self.verify(folder, "--key", self.verifier_key(), status=1)

    def test_asking_without_a_key_or_with_a_wrong_one_is_refused(self):
        body = {"model": "cloister", "messages": [{"role": "user", "content": "How long do I rub my hands?"}]}
        for key in ("nonsense", "clk_00000000000000000000000000000000_" + "0" * 64):
            self.assertEqual(self.appliance.http("POST", "/v1/chat/completions", body, key=key)[0], 401)

    def test_the_local_administrator_reads_no_document(self):
        body = {"model": "cloister", "messages": [{"role": "user", "content": self.questions[0]["question"]}]}
        status, answer = self.appliance.http("POST", "/v1/chat/completions", body)
        if status == 200:
            self.assertEqual(answer["cloister"]["quotes"], [])
        else:
            self.assertEqual(status, 403)

    def test_a_new_user_without_groups_sees_nothing(self):
        self.appliance.add_user("nobody", [])
        answer = self.appliance.ask(self.questions[0]["question"], self.appliance.api_key("nobody"))
        self.assertEqual(answer["band"], "refusal")
        self.assertEqual(answer["quotes"], [])

    def test_status_says_what_is_not_protected(self):
        text = squeeze(self.appliance.cli("status").stdout)
        self.assertIn("witness", text)
        self.assertIn("same disk", text)

    def test_the_command_prints_a_readable_answer(self):
        row = self.questions[0]
        done = self.appliance.cli("ask", row["question"], key=self.appliance.api_key(row["user"]))
        self.assertRegex(squeeze(done.stdout), row["pattern"])
        self.assertIn("Hand hygiene rules (2025)", done.stdout)

    def verifier_key(self):
        path = self.appliance.folder / "log.vkey"
        if not path.exists():
            status, answer = self.appliance.http("GET", "/admin/v1/status")
            self.assertEqual(status, 200)
            path.write_text(answer["audit"]["verifier_key"] + "\n")
        return path

    def verify(self, *arguments, status=0):
        done = subprocess.run([self.appliance.binaries / "cloister-verify", *map(str, arguments)], capture_output=True,
                              text=True, timeout=120)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
