# SPDX-License-Identifier: Apache-2.0
"""Starts an appliance that was broken, and compares what it holds with what the model knows."""
import http.client
import json
import subprocess
import shutil
import time

from storm_model import TOKEN, Passphrase

AWAY_SECONDS = 180       # Longer than that, it did not come back, on however busy a machine.
LATE_SECONDS = 60        # An erasure whose client got no answer has begun by then, or never will.
WRONG_PASSPHRASE = 3
KEYS_SAMPLE = 12
SAMPLE = 5               # Old entries that are read again at each check.
NO_ANSWER = (OSError, http.client.HTTPException, ValueError, subprocess.TimeoutExpired)


class DidNotComeBack(Exception):
    """The appliance is away for good: the storm ends here."""


class Checks:
    """Holds no state but the appliance's passphrase and what was asked of the log."""

    collections = ("c0", "c1")

    def __init__(self, appliance, model, rng):
        self.appliance, self.model, self.rng = appliance, model, rng
        self.passphrases = []
        self.passphrase = None
        self.checkpoint_seen = 0
        self.erasures = []  # (index of the record, id), acknowledged and not yet looked up.
        self.sample = SAMPLE

    def knows_passphrase(self, passphrase):
        self.passphrases.append(passphrase)
        self.passphrase = Passphrase(passphrase)

    def passphrase_file(self, passphrase):
        path = self.appliance.folder / f"passphrase-{self.passphrases.index(passphrase)}"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(passphrase + "\n")
        return path

    def start(self, patience=AWAY_SECONDS):
        """`up` with the passphrase that was acknowledged; with one in flight, either may be the right one."""
        deadline = time.monotonic() + patience
        while True:
            said, opened = [], None
            with self.model.lock:
                began = self.passphrase.start_begins()
                candidates = sorted(self.passphrase.possible)
            for candidate in candidates:
                done = self.appliance.up(check=False, passphrase_file=self.passphrase_file(candidate))
                if done.returncode == 0:
                    opened = candidate
                    break
                said.append((done.returncode, done.stderr.strip()))
            with self.model.lock:
                alone = self.passphrase.start_ends(began, opened)
            if opened is not None:
                return
            if alone and all(status == WRONG_PASSPHRASE for status, _ in said):
                self.model.found("lost", "no passphrase that was acknowledged or in flight opens the keyring")
                raise DidNotComeBack(str(said))
            if time.monotonic() > deadline:
                raise DidNotComeBack(str(said))
            time.sleep(0.1)

    def supervisor_pid(self):
        try:
            return json.loads((self.appliance.data / "run" / "status.json").read_text())["pid"]
        except (OSError, ValueError, KeyError):
            return 0

    # Looking.

    def get(self, path):
        status, reply = self.appliance.http("GET", path, timeout=60)
        if status != 200:
            raise ValueError(f"{path}: {status} {reply}")
        return reply

    def search(self, user, collection, limit):
        began = self.model.answer_begins()
        status, reply = self.appliance.http(
            "POST", "/v1/search",
            {"query": "locker", "mode": "lexical", "limit": limit, "release": True, "collection": collection},
            key=self.model.keys[user], timeout=30)
        if status != 200:
            return None
        self.model.answer_ends(began, user, "search", reply)
        return reply

    def check(self):
        """Compares everything. An error while nothing is broken is one of the appliance's."""
        model = self.model
        self.await_background()
        for collection in self.collections:
            model.observe(collection, self.shown(collection))
        self.check_directory()
        keyring = self.get("/admin/v1/keyring")
        model.observe_keyring(keyring["epoch"], keyring["generation"])
        self.check_log()

    def await_background(self):
        deadline = time.monotonic() + AWAY_SECONDS
        while any(job["state"] == "running" for job in self.get("/admin/v1/jobs")["jobs"]):
            if time.monotonic() > deadline:
                raise DidNotComeBack("a job does not end")
            time.sleep(0.05)
        while (rotation := self.get("/admin/v1/keyring/rotation"))["running"]:
            if time.monotonic() > deadline:
                raise DidNotComeBack(f"a rotation of data keys does not end: {rotation}")
            time.sleep(0.1)
        while True:
            erasures = self.get("/admin/v1/erasures")["erasures"]
            open_ones = [e for e in erasures if e["state"] != "completed"]
            if not open_ones:
                break
            if time.monotonic() > deadline:
                raise DidNotComeBack(f"{len(open_ones)} erasures do not end: {open_ones[0]}")
            time.sleep(0.1)
        self.model.erasures_settled({d for e in erasures for d in e["documents"]}, time.monotonic() - LATE_SECONDS)

    def shown(self, collection):
        reply = self.search("u", collection, 64)
        if reply is None:
            raise ValueError("a search failed while nothing was broken")
        shown = {}
        for passage in reply["passages"]:
            for _, number, version in TOKEN.findall(passage["text"]):
                shown[int(number)] = (int(version), passage["document_id"])
        listed = {int(hit["source"][1:-3]) for hit in reply["results"]}
        for number in listed - set(shown):
            self.model.found("lost", f"document {number} of {collection} is listed, but has no text")
        return shown

    def check_directory(self):
        model = self.model
        present = {user["name"] for user in self.get("/admin/v1/users")["users"]}
        for name, register in model.users.items():
            model.observe_register(register, name in present, f"presence of user {name}")
        for name in ("u", "v", "w"):
            status, _ = self.appliance.http("GET", "/v1/models", key=model.keys[name], timeout=30)
            if status != 200:
                model.found("lost", f"the key of user {name}: status {status}")
        recent = sorted(model.api_keys.items(), key=lambda item: -item[1].since)[:KEYS_SAMPLE]
        for key, register in recent:
            status, _ = self.appliance.http("GET", "/v1/models", key=key, timeout=30)
            model.observe_register(register, status == 200, "whether a key works")
        collections_ = {c["name"]: c for c in self.get("/admin/v1/collections")["collections"]}
        register = model.readers["c1", "v"]
        model.observe_register(register, "v" in collections_["c1"]["reader_users"], "the right of v to c1")
        got = self.search("v", "c1", 8)
        if bool(got["passages"]) != register.only() and any(d.possible != {-1} for d in model._of("c1")):
            model.found("leaked" if got["passages"] else "lost", "what v gets of c1 is not what v may read")
        if self.search("w", "c1", 8)["passages"]:
            model.found("leaked", "w gets passages")

    def check_log(self):
        model, log = self.model, self.model.log
        wanted = max([0, *(i for _, _, records, _ in model.answers for i in records.values() if i is not None),
                      *(index for index, _ in self.erasures)]) + 1
        size, root = self.checkpoint(wanted)
        if size < self.checkpoint_seen:
            model.found("log", f"the signed size went from {self.checkpoint_seen} to {size}")
        self.checkpoint_seen = max(size, self.checkpoint_seen)
        entries = {}
        while log.size < size:
            reply = self.get(f"/admin/v1/audit/entries?first={log.size}&count={min(1000, size - log.size)}")
            if log.shrunk(reply["size"]) or not reply["entries"]:
                break
            for row in reply["entries"]:
                log.append(row["index"], row["canonical"])
                entries[row["index"]] = row["entry"]
        log.check_root(size, root)
        for index in self.rng.sample(range(log.size), min(self.sample, log.size)):
            reply = self.get(f"/admin/v1/audit/entries?first={index}&count=1")
            if not log.shrunk(reply["size"]) and reply["entries"]:
                log.seen_again(index, reply["entries"][0]["canonical"])
        model.check_answers(entries.get)
        erasures, self.erasures = self.erasures, []
        for index, erasure in erasures:
            entry = entries.get(index)
            if entry is None or entry["event"] != "erasure.completed" or entry["body"].get("erasure") != erasure:
                model.found("unrecorded", f"erasure {erasure} has no record of its completion")

    def checkpoint(self, size):
        """Size and root of a checkpoint that covers `size` entries; the last one there is when none does in time."""
        deadline = time.monotonic() + 10
        while True:
            lines = (self.appliance.data / "audit" / "log" / "checkpoint").read_text().split("\n")
            if int(lines[1]) >= size or time.monotonic() > deadline:
                return int(lines[1]), lines[2]
            time.sleep(0.05)

    def erasure_acknowledged(self, erasure):
        with self.model.lock:
            self.erasures.append((erasure["audit_completed"], erasure["id"]))

    def verify_export(self):
        """An auditor's look at the whole log; a root that is not ours would have been found before."""
        folder = self.appliance.folder / "export"
        self.appliance.cli("audit", "export", folder)
        key = self.appliance.folder / "log.vkey"
        key.write_text(self.get("/admin/v1/status")["audit"]["verifier_key"] + "\n")
        done = subprocess.run([self.appliance.binaries / "cloister-verify", folder, "--key", key, "--json"],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0 or json.loads(done.stdout)["size"] < self.model.log.size:
            self.model.found("log", f"cloister-verify: {done.stdout}{done.stderr}")
        shutil.rmtree(folder)
