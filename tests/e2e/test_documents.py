#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every command that stands in a document is run, as it stands there. The documents are the source: blocks are taken out
of the Markdown, typed on a terminal of the test's own or given to bash, and a block that is new must be added below, to
be run or with the reason why not. What is put in place of a document's words stands in SUBSTITUTIONS."""
import itertools
import json
import os
import pathlib
import pty
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import markdown_commands  # noqa: E402
from appliance import binaries_from_environment  # noqa: E402

SAMPLE = ROOT / "deploy" / "sample"
PASSPHRASE = "five random words are better"
TERMINAL_TIMEOUT = 90

# In the order of running: one appliance grows from the first to the last. The values are methods of the test.
RUN = {
    ("README.md", "cloister init"): "own_documents",
    ("docs/api.md", "DATA=~/.local/share/cloister"): "reach_the_gateway",
    ("docs/api.md", 'S="curl -s --unix-socket $DATA/run/gateway-http.sock -H Content-Type:application/json"'): "administer",
    ("docs/api.md", "import openai, ssl"): "openai_client",
    ("README.md", "$ cloister ask 'What allowance is paid for night work?'"): "transcript",
    ("README.md", "cloister keys status"): "lines",
    ("docs/erasure.md", 'cloister hold subject patient-4711 --basis legal-claims --reason "court file 17/26"'): "hold",
    ("docs/erasure.md", "cloister answers affected guidelines old-leaflet.md"): "erasure_command",
    ("docs/erasure.md", "cloister erase document guidelines old-leaflet.md --dry-run"): "erasure_command",
    ("docs/erasure.md", "cloister audit receipt 1234 --out erasure.receipt"): "erasure_receipt",
    ("docs/erasure.md", "cloister erase recipients 0123456789abcdef0123456789abcdef"): "erasure_command",
    ("docs/erasure.md", 'cloister erase lift guidelines old-leaflet.md --origin /srv/guidelines --reason '
     '"the author restored it"'): "erasure_command",
    ("docs/versions.md", "cloister collection put guidelines --reader-group cardiology --retention keep-365-days"):
        "versions_kept",
    ("docs/versions.md", "cloister user add j.alba --role compliance"): "versions_read",
    ("docs/key-rotation.md", "cloister keys rotate data"): "keys_rotated",
    ("docs/key-rotation.md", "cloister backup create --to /mnt/backup"): "former_keys_ended",
    ("bench/quality/README.md", "bench/quality/run answers"): "bench_arguments",
    ("bench/erasure/README.md", "bench/erasure/run"): "program_is_there",
    ("bench/storage/README.md", "bench/storage/run --encrypted BUILD/bench/storage/storage_bench --plain "
     "BUILD/bench/storage/storage_bench_plain --json OUT"): "program_is_there",
}
NOT_RUN = {
    ("README.md", "./deploy/quickstart"): "installs packages and builds: run as a whole on a bare machine, with --check",
    ("README.md", "./tests/run"): "is what runs this test",
    ("docs/witness.md", "cloister-witness init /var/lib/cloister-witness --name witness.example.org/cloister --host witness.example.org"):
        "is of another host, with its own names: e2e_witness does the same",
}
# The people of the transcript, who own keys and whose documents are there by the time it is shown.
SAMPLE_GROUPS = {"n.okafor": "clinicians", "h.marsh": "personnel-office"}
SAMPLE_READERS = {"ward": "clinicians", "personnel": "personnel-office"}
VARIES = re.compile(r"(Records|checkpoint|entry|release at) \d[\d,:.TZ -]*")
GUIDELINE = "# Surgery\n\nAnticoagulation is stopped 48 hours before surgery. Bleeding is looked for each day.\n"


def documents():
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "*.md"], capture_output=True, text=True, check=False)
    names = listed.stdout.split() or [str(p.relative_to(ROOT)) for p in ROOT.rglob("*.md") if "build" not in p.parts]
    return {name: (ROOT / name).read_text() for name in sorted(names) if not name.startswith("deploy/sample/")}


def typed_blocks():
    return {block.key: block for name, text in documents().items() for block in markdown_commands.blocks(name, text)
            if block.is_typed()}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def plain(text):
    """What a transcript is compared by: not white space, nor times, nor the numbers that the log gave."""
    return VARIES.sub(r"\1 #", re.sub(r"\s+", " ", text)).strip()


class Terminal:
    """A command with a terminal of its own, whose questions are answered as a person does."""

    def __init__(self, command, environment, folder):
        self.said = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(command[0], command, environment)

    def expect(self, pattern):
        deadline = time.monotonic() + TERMINAL_TIMEOUT
        while not (found := re.search(pattern, self.said)):
            ready = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0]
            try:
                piece = os.read(self.fd, 4096) if ready else b""
            except OSError:
                piece = b""
            if not piece:
                raise AssertionError(f"no {pattern!r} on the terminal, but: {self.said}")
            self.said += piece.decode(errors="replace")
        self.said = self.said[found.end():]

    def answer(self, pattern, line):
        self.expect(pattern)
        os.write(self.fd, line.encode() + b"\n")

    def wait(self):
        """Reads to the end, so that the command never waits for a reader; the exit status."""
        try:
            while os.read(self.fd, 4096):
                pass
        except OSError:
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="clr-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        port = free_port()
        cls.environment = {
            "HOME": str(cls.folder), "PATH": f"{binaries_from_environment()}:{os.environ['PATH']}", "LANG": "C.UTF-8",
            "CLOISTER_GATEWAY_LISTEN": f"127.0.0.1:{port}"}
        cls.data = cls.folder / ".local" / "share" / "cloister"
        cls.substitutions = {
            "/srv/guidelines": str(cls.folder / "guidelines"),    # Documents that answer the question of the block.
            "127.0.0.1:8443": f"127.0.0.1:{port}",                # Another appliance may listen on the default.
            "/path/to/gateway.crt": str(cls.data / "gateway.crt"),
            "clk_...": "{n.okafor}",                              # The key that the block before made.
        }
        (cls.folder / "guidelines").mkdir()
        (cls.folder / "guidelines" / "surgery.md").write_text(GUIDELINE)
        cls.keys = {}
        cls.terminal = None
        cls.addClassCleanup(cls.stop)

    @classmethod
    def stop(cls):
        if not cls.terminal:
            return
        subprocess.run(["cloister", "down"], env=cls.environment, capture_output=True, timeout=300, check=False)
        if cls.terminal.pid:
            try:
                cls.terminal.wait()
            except ChildProcessError:
                os.kill(cls.terminal.pid, signal.SIGKILL)

    def substituted(self, text):
        for words, replacement in self.substitutions.items():
            text = text.replace(words, replacement)
        return text.replace("{n.okafor}", self.keys.get("n.okafor", ""))

    def shell(self, text, status=0):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], env=self.environment, cwd=self.folder,
                              capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(done.returncode, status, f"{text}\n{done.stdout}{done.stderr}")
        return done.stdout

    def test_every_block_of_commands_is_run_or_says_why_not(self):
        self.assertEqual(set(typed_blocks()), set(RUN) | set(NOT_RUN))

    def test_commands_named_inside_a_line_exist(self):
        named = 0
        for name, text in documents().items():
            for words in markdown_commands.inline_commands(text):
                path = list(itertools.takewhile(lambda w: re.fullmatch("[a-z]+(-[a-z]+)?", w), words[1:]))
                help_text = self.shell(shlex.join([words[0], *path, "--help"]))
                # An unknown word at the end would be answered with the help of what stands before it.
                self.assertRegex(help_text, f"(?m)^Usage: {' '.join([words[0], *path])} ", name)
                for flag in (w for w in words if w.startswith("--")):
                    self.assertIn(flag, help_text, f"{name}: {' '.join(words)}")
                named += 1
        self.assertGreater(named, 8)

    def test_the_commands_do_what_the_documents_say(self):
        found = typed_blocks()
        for key, method in RUN.items():
            started = time.monotonic()
            getattr(self, method)(found[key])
            print(f"documents: {key[0]}, {method}: {time.monotonic() - started:.1f} s", flush=True)
        self.answer_object()

    # One method a block.

    def own_documents(self, block):
        """The two commands that ask for a passphrase are answered on a terminal; `up` stays there, as for a person."""
        init, up, *rest = [line.split("  #")[0].strip() for line in self.substituted(block.text).splitlines()]
        self.assertEqual((init, up), ("cloister init", "cloister up"))
        first = Terminal(init.split(), self.environment, self.folder)
        first.answer("(?i)passphrase[^\n]*: ", PASSPHRASE)
        first.answer("(?i)once more[^\n]*: ", PASSPHRASE)
        self.assertEqual(first.wait(), 0, first.said)
        type(self).terminal = Terminal(up.split(), self.environment, self.folder)
        self.terminal.answer("(?i)passphrase[^\n]*: ", PASSPHRASE)
        self.terminal.expect("all services healthy")
        said = {line: self.shell(f"umask 022; {line}") for line in rest}
        answer = next(text for line, text in said.items() if line.startswith("cloister ask"))
        self.assertIn("48 hours before surgery", plain(answer))
        log = next(text for line, text in said.items() if line.startswith("cloister audit show"))
        self.assertIn("ask.release", log)

    def reach_the_gateway(self, block):
        answers = self.shell(self.substituted(block.text)).replace("}{", "}\n{").split("\n")
        answers = [answer for answer in answers if answer]
        self.assertEqual(len(answers), 2, answers)
        self.assertEqual(answers[0], answers[1])
        self.assertNotIn("error", answers[0])

    def administer(self, block):
        setting = next(b for key, b in typed_blocks().items() if key[1].startswith("DATA=")).lines[0]
        decoder, text, replies = json.JSONDecoder(), self.shell(self.substituted(f"{setting}\n{block.text}")), []
        while text.strip():
            reply, end = decoder.raw_decode(text.strip())
            replies, text = [*replies, reply], text.strip()[end:]
        self.assertEqual(len(replies), 3)
        for reply in replies:
            self.assertNotIn("error", reply)
        self.keys["n.okafor"] = replies[-1]["key"]

    def openai_client(self, block):
        self.share_the_sample()
        done = subprocess.run([sys.executable, "-c", self.substituted(block.text)], env=self.environment, text=True,
                              capture_output=True, timeout=300, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        *content, annotations, band = done.stdout.splitlines()
        self.assertTrue(content)
        self.assertIn(band, ("answer", "may_help", "refusal"))
        self.assertTrue(annotations.startswith("["))

    def transcript(self, block):
        """Each command of it, as the person whom its comment names; each line shown must be printed."""
        self.share_the_sample()
        answer = self.shell("cloister ask 'What allowance is paid for night work?' --key-file h.marsh.key --json")
        index = json.loads(answer)["records"]["release"]
        self.shell(f"cloister audit receipt {index} --out receipt; cloister audit export log; cp log/log.vkey .")
        parts = re.split(r"^\$ (.*)$", block.text, flags=re.M)[1:]
        self.assertGreater(len(parts), 4)
        for command, shown in zip(parts[::2], parts[1::2]):
            command, _, comment = command.partition("    (")
            person = comment.split(",")[0]
            printed = plain(self.shell(command + (f" --key-file {person}.key" if person else "")))
            for line in filter(str.strip, shown.splitlines()):
                if line.strip() != "...":
                    self.assertIn(plain(line), printed)

    def lines(self, block):
        for line in self.substituted(block.text).splitlines():
            self.shell(line)

    def something_to_erase(self):
        """The documents that docs/erasure.md speaks of, in the appliance that README.md made."""
        if (self.folder / "guidelines" / "old-leaflet.md").exists():
            return
        leaflet = "# Leaflet\n\nThe leaflet says that visits end at eight.\n"
        (self.folder / "guidelines" / "old-leaflet.md").write_text(leaflet)
        for name, subjects in {"own": "patient-4711", "shared": "patient-4711, patient-4712"}.items():
            (self.folder / "guidelines" / f"{name}.md").write_text(f"---\nsubjects: [{subjects}]\n---\n# Note\n\n{name}.\n")
        (self.folder / "trial").mkdir()
        (self.folder / "trial" / "protocol.md").write_text("# Trial\n\nThe trial has two arms.\n")
        self.shell("cloister collection put trial-17 --reader-group cardiology")
        self.shell(f"cloister ingest {self.folder / 'guidelines'} --collection guidelines")
        self.shell(f"cloister ingest {self.folder / 'trial'} --collection trial-17")

    def erasure_command(self, block):
        self.something_to_erase()
        ids = json.loads(self.shell("cloister erase list --json"))["erasures"]
        for line in self.substituted(block.text).splitlines():
            if ids:
                line = line.replace("0123456789abcdef0123456789abcdef", ids[0]["id"])
            asks = line.startswith("cloister erase") and "--basis" in line
            self.shell(line + (" --yes" if asks else ""))

    def erasure_receipt(self, block):
        states = json.loads(self.shell("cloister erase list --json"))["erasures"]
        self.assertEqual({state["state"] for state in states}, {"completed"})
        self.assertEqual({state["target"] for state in states}, {"document", "subject", "collection"})
        self.shell(block.text.replace("1234", str(states[0]["audit_completed"])))

    def hold(self, block):
        """While it stands nothing is erased; its id takes the place of the one that is shown."""
        self.something_to_erase()
        place, listing, release = self.substituted(block.text).splitlines()
        self.shell(place)
        refused = self.shell("cloister erase subject patient-4711 --shared keep --reason 'tried all the same' "
                             "--basis gdpr-17-1-b --yes 2>&1", status=1)
        self.assertIn("a hold stands against it", refused)
        self.assertIn("court file 17/26", self.shell(listing))
        held = json.loads(self.shell("cloister hold list --json"))["holds"]
        self.shell(release.replace("0123456789abcdef0123456789abcdef", held[0]["id"]))
        self.assertIn("no hold stands", self.shell("cloister hold list"))

    def keys_rotated(self, block):
        self.lines(block)
        self.assertIn("of them former", self.shell("cloister keys status"))

    def former_keys_ended(self, block):
        self.shell(self.substituted(block.text).replace("/mnt/backup", str(self.folder / "backup")))
        self.assertNotIn("former", self.shell("cloister keys status"))

    def versions_kept(self, block):
        """From here on a change of surgery.md keeps what it said before."""
        self.lines(block)
        self.assertIn("keep-365-days", self.shell("cloister collection list"))
        refused = self.shell("cloister collection put guidelines --reader-group cardiology --retention keep-always 2>&1", 1)
        self.assertIn("keep-N-days", refused)
        (self.folder / "guidelines" / "surgery.md").write_text(GUIDELINE.replace("48 hours", "three days"))
        # Status 1: own.md was erased above and may not come back. The other one is in.
        said = self.shell(f"cloister ingest {self.folder / 'guidelines'} --collection guidelines 2>&1", status=1)
        self.assertIn("own.md: was not accepted", said)

    def versions_read(self, block):
        """The former version is read by who may, recorded, and gone when the class no longer keeps it."""
        add, key, listing, read = self.substituted(block.text).splitlines()
        for line in (add, f"umask 077; {key}", listing):
            self.shell(line)
        found = json.loads(self.shell(f"{listing} --json"))
        former = next(v["version"] for v in found["versions"] if not v["current"])
        for shown, real in {"0123456789abcdef0123456789abcdef": found["document"],
                            "00112233445566778899aabbccddeeff": former}.items():
            self.assertIn(shown, read)
            read = read.replace(shown, real)
        self.assertIn("48 hours before surgery", plain(self.shell(read)))
        self.assertIn("version.read", self.shell("cloister audit show"))
        affected = json.loads(self.shell("cloister answers affected guidelines surgery.md --json"))
        self.assertIn({"document": found["document"], "version": former},
                      [version for release in affected["releases"] for version in release["versions"]])
        self.assertIn(former, self.shell("cloister answers affected guidelines surgery.md"))
        self.shell(f"{read.replace('j.alba.key', 'h.marsh.key')}", status=1)
        self.shell("cloister collection put guidelines --reader-group cardiology --retention shred")
        self.shell("cloister erase retired")
        self.shell(read, status=1)

    def program_is_there(self, block):
        for line in block.lines:
            self.shell(f"{ROOT / line.split()[0]} --help")

    def bench_arguments(self, block):
        """The measurements take long; here only that the program is there and knows what it is shown to be given."""
        for line in block.lines:
            program, what, *arguments = line.split()
            help_text = self.shell(f"{ROOT / program} {what} --help")
            for flag in (a.strip("[]") for a in arguments if "--" in a):
                self.assertIn(flag, help_text)

    def share_the_sample(self):
        """What quickstart does before it asks, with the two collections that the questions are about."""
        if (self.folder / "h.marsh.key").exists():
            return
        for person, group in SAMPLE_GROUPS.items():
            self.shell(f"cloister user add {person} --group {group}")
            self.shell(f"umask 077; cloister key create {person} > {person}.key")
        for name, group in SAMPLE_READERS.items():
            self.shell(f"cloister collection put {name} --reader-group {group}")
            self.shell(f"cloister ingest {SAMPLE / name} --collection {name}")

    def answer_object(self):
        """The example of a reply has the fields of one, and no others."""
        example = next(json.loads(block.text) for block in markdown_commands.blocks("docs/api.md", documents()["docs/api.md"])
                       if block.language == "json")
        answer = json.loads(self.shell("cloister ask 'Within what time must a unit of red cells be finished?' "
                                       "--key-file n.okafor.key --json"))
        self.assertEqual(set(example), set(answer))
        for part in ("records", "timing"):
            self.assertEqual(set(example[part]), set(answer[part]))
        self.assertEqual(set(example["quotes"][0]), set(answer["quotes"][0]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
