# SPDX-License-Identifier: Apache-2.0
"""The clients of the storm: threads that ask, search, ingest, erase, rotate, back up and administer at random, and tell the
model what they began and what was acknowledged. Each goes on whatever the appliance does to it."""
import collections
import json
import threading
import time

from storm_checks import NO_ANSWER
from storm_model import Document, Register, token

LIVE_MAX = 36            # Documents of a collection: one search must be able to release them all.
ERASED_FILES_MAX = 4     # Files of erased documents that are left lying for the next ingest to refuse.
LARGE_BYTES = 90_000     # More than two blocks of a database's log.
LARGE_EVERY = 4
REQUEST_SECONDS = 100
BACKUPS_MAX = 8
ACKNOWLEDGED, REFUSED, UNKNOWN = "acknowledged", "refused", "no answer"


def text_of(collection, number, version, subject=""):
    head = f"---\nsubjects: [{subject}]\n---\n" if subject else ""
    # A comment is in the original that is kept, and not in the text: one write of many blocks that costs no model.
    tail = f"\n<!-- {'x' * LARGE_BYTES} -->\n" if number % LARGE_EVERY == 0 else ""
    sentence = f"The locker with number {number} belongs to cabinet {token(collection, number, version)}."
    return f"{head}# Locker {number}\n\n{sentence}\n{tail}"


class Client(threading.Thread):
    """Calls step() while it may; counts outcomes by kind of operation."""

    def __init__(self, storm, rng):
        super().__init__(daemon=True)
        self.storm, self.rng, self.model, self.appliance = storm, rng, storm.model, storm.appliance
        self.counts = collections.Counter()
        self.reasons = collections.Counter()  # Why there was no acknowledgement, for whoever reads a strange result.
        self.idle = threading.Event()
        self.crash = None

    def run(self):
        try:
            while not self.storm.over.is_set():
                if not self.storm.go.wait(0.05):
                    self.idle.set()
                    continue
                self.idle.clear()
                self.step()
        except Exception as error:  # A fault of the harness: reported by the main thread, never passed over.
            self.crash = error
        finally:
            self.idle.set()

    def count(self, kind, outcome):
        self.counts[kind, outcome] += 1
        if outcome == UNKNOWN:
            time.sleep(0.05)  # Nobody hammers a service that is away.
        return outcome

    def call(self, method, path, body=None, key=None, timeout=REQUEST_SECONDS):
        """(outcome, reply). Only what says so was refused; anything else may have been done."""
        try:
            status, reply = self.appliance.http(method, path, body, key=key, timeout=timeout)
        except NO_ANSWER as error:
            self.reasons[type(error).__name__] += 1
            return UNKNOWN, None
        if status < 300:
            return ACKNOWLEDGED, reply
        self.reasons[f"{status}: {reply['error']['message'] if isinstance(reply, dict) else reply}"] += 1
        return (UNKNOWN if status >= 500 or status == 429 else REFUSED), reply

    def cli(self, *arguments):
        try:
            done = self.appliance.cli(*arguments, check=False, timeout=REQUEST_SECONDS)
        except NO_ANSWER:
            return None
        if done.returncode != 0:
            self.reasons[f"{' '.join(map(str, arguments[:2]))}: {done.stderr.strip()}"] += 1
        return done


class Asker(Client):
    """Asks and searches, as somebody who may read everything, one who may at times, and one who may not."""

    def __init__(self, storm, rng, kind):
        super().__init__(storm, rng)
        self.kind = kind

    def step(self):
        user = self.rng.choice("uuvw")
        number = self.rng.randrange(max(1, self.storm.next_number))
        began = self.model.answer_begins()
        if self.kind == "ask":
            reply = self.call("POST", "/v1/ask", {"question": f"To which cabinet belongs locker {number}?"},
                              self.model.keys[user])
        else:
            reply = self.call("POST", "/v1/search",
                              {"query": f"locker {number}", "mode": "lexical", "limit": 8, "release": True}, self.model.keys[user])
            time.sleep(0.02)
        outcome, answer = reply
        if outcome == ACKNOWLEDGED:
            self.model.answer_ends(began, user, self.kind, answer)
        self.count(self.kind, outcome)


class Ingester(Client):
    """Owns one folder and its collection: adds, changes and removes files, and has the folder brought in."""

    def __init__(self, storm, rng, collection):
        super().__init__(storm, rng)
        self.collection = collection
        self.folder = appliance_folder(storm, collection)
        self.files = {}  # number -> version

    def step(self):
        time.sleep(self.rng.uniform(0, 0.3))
        with self.model.lock:
            self.change_files()
            files = dict(self.files)
            self.model.ingest_begins(self.collection, files)
        outcome, job = self.call("POST", "/admin/v1/jobs",
                                 {"folder": str(self.folder), "collection": self.collection, "prune": True})
        if outcome == ACKNOWLEDGED:
            job = self.end_of(job)
            outcome = ACKNOWLEDGED if job and job["state"] == "done" else UNKNOWN
        if outcome == ACKNOWLEDGED:
            failed = {int(f["source"][1:-3]): f["reason"] for f in job["failures"]}
            self.model.ingest_done(self.collection, files, set(failed))
            self.count("document ingested", ACKNOWLEDGED)
            self.counts["document refused as erased", ACKNOWLEDGED] += sum("erased" in r for r in failed.values())
        self.count("ingest job", outcome)

    def end_of(self, job):
        """The job in its last state, however often gateway or ingest go away meanwhile; None when it is forgotten."""
        path = f"/admin/v1/jobs/{job['id']}"
        while job["state"] == "running" and not self.storm.over.is_set():
            time.sleep(0.03)
            outcome, reply = self.call("GET", path)
            if outcome == REFUSED:
                return None
            job = reply if outcome == ACKNOWLEDGED else job
        return job

    def change_files(self):
        documents = self.model.documents
        mine = [documents[self.collection, n] for n in self.files]
        gone = [d for d in mine if d.erased or d.retired]
        for document in gone[:max(0, len(gone) - ERASED_FILES_MAX)]:
            self.remove(document)
        live = [d for d in mine if not (d.erased or d.retired)]
        for _ in range(self.rng.randint(1, 3) if len(live) < LIVE_MAX else 0):
            number = self.storm.new_number()
            subject = f"{self.collection}-s{number // 10}" if number % 5 == 0 else ""
            self.write(self.model.add(Document(self.collection, number, subject)), 1)
        for document in self.rng.sample(live, min(len(live), self.rng.randint(0, 3))):
            self.write(document, self.files[document.number] + 1)
        if len(live) > LIVE_MAX // 2 and self.rng.random() < 0.6:
            self.remove(self.rng.choice(live))

    def write(self, document, version):
        self.files[document.number] = version
        (self.folder / document.source).write_text(text_of(self.collection, document.number, version, document.subject))

    def remove(self, document):
        del self.files[document.number]
        (self.folder / document.source).unlink()


class Eraser(Client):
    """Erases documents by name while they come in, and subjects whose documents are at rest."""

    def step(self):
        time.sleep(self.rng.uniform(0.2, 0.8))
        with self.model.lock:
            known = [d for d in self.model.documents.values() if d.seen_id and not d.erased and not d.retired
                     and d.possible != {-1}]
            if not known:
                return
            document = self.rng.choice(known)
            subject = document.subject if self.rng.random() < 0.7 else ""
            targets = [document]
            if subject:
                # All of them: one that is just being brought in may come after the erasure and stay.
                targets = [d for d in self.model.documents.values() if d.subject == subject and not d.erased]
                if any(d.seen_id is None for d in targets):
                    return
            self.model.erase_begins(targets, subject)
        target = {"subject": subject, "shared": "erase"} if subject else {
            "document": {"collection": document.collection, "source": document.source}}
        outcome, erasure = self.call("POST", "/admin/v1/erasures", {**target, "reason": "storm: asked for", "basis": "other"})
        if outcome == ACKNOWLEDGED and erasure["state"] != "completed":
            outcome = UNKNOWN
        if outcome == ACKNOWLEDGED:
            taken = [d for d in targets if d.seen_id in erasure["documents"]]
            self.model.erase_refused([d for d in targets if d not in taken])  # Deleted by an ingest just before.
            self.model.erase_acknowledged(taken)
            self.storm.erasure_acknowledged(erasure)
        elif outcome == REFUSED:
            self.model.erase_refused(targets)
        else:
            self.model.erase_unanswered(targets, time.monotonic())
        self.model.erase_ends(subject)
        self.count("erasure of a subject" if subject else "erasure of a document", outcome)


class Keeper(Client):
    """Rotates the epoch, the passphrase and data keys, and makes backups."""

    def step(self):
        time.sleep(self.rng.uniform(0.1, 0.6))
        self.rng.choice((self.rotate_epoch, self.rotate_epoch, self.rotate_passphrase, self.back_up, self.rotate_data,
                         self.end_former))()

    def rotate_data(self):
        levels = self.rng.sample(("volumes", "rows", "documents", "subjects", "segments"), self.rng.randint(1, 5))
        outcome, _ = self.call("POST", "/admin/v1/keyring/rotation", {"levels": levels})
        self.count("data keys rotated", outcome)

    def end_former(self):
        if self.rng.random() > 0.3:
            return
        outcome, ended = self.call("DELETE", "/admin/v1/keyring/former")
        self.count("former keys destroyed", outcome)

    def rotate_epoch(self):
        outcome, keyring = self.call("POST", "/admin/v1/keyring/rotate")
        if outcome == ACKNOWLEDGED:
            self.model.keyring_acknowledged(keyring["epoch"], keyring["generation"])
        self.count("epoch rotated", outcome)

    def rotate_passphrase(self):
        register = self.storm.passphrase
        former = sorted(register.possible)[0]
        following = f"words of the storm, number {len(self.storm.passphrases)}"
        self.storm.passphrases.append(following)
        with self.model.lock:
            began = register.change_begins(following)
        done = self.cli("keys", "rotate", "passphrase", "--passphrase-file", self.storm.passphrase_file(former),
                        "--new-passphrase-file", self.storm.passphrase_file(following))
        told = None if done is None else {0: True, 3: False}.get(done.returncode)
        with self.model.lock:
            register.change_ends(began, former, following, told, self.model.tick())
        outcome = UNKNOWN if done is None else {0: ACKNOWLEDGED, 3: REFUSED}.get(done.returncode, UNKNOWN)
        self.count("passphrase rotated", outcome)

    def back_up(self):
        done = self.cli("backup", "create", "--to", self.storm.backups, "--json")
        if done is not None and done.returncode == 0:
            self.storm.backups_made.append(json.loads(done.stdout)["id"])
        self.count("backup", ACKNOWLEDGED if done is not None and done.returncode == 0 else UNKNOWN)
        if len(self.storm.backups_made) > BACKUPS_MAX:
            self.cli("backup", "prune", self.storm.backups, "--keep", str(BACKUPS_MAX // 2))
            del self.storm.backups_made[:-BACKUPS_MAX // 2]


class Administrator(Client):
    """Users and keys come and go; who may read a collection changes."""

    def __init__(self, storm, rng):
        super().__init__(storm, rng)
        self.key_ids = {}  # Those that work, as far as was acknowledged: key -> id

    def step(self):
        time.sleep(self.rng.uniform(0.05, 0.4))
        self.rng.choice((self.user, self.grant, self.make_key, self.revoke_key))()

    def make_key(self):
        outcome, made = self.call("POST", "/admin/v1/keys", {"user": "w"})
        if outcome == ACKNOWLEDGED:
            with self.model.lock:
                register = self.model.api_keys[made["key"]] = Register(True)
                register.acknowledged(True, self.model.tick())
            self.key_ids[made["key"]] = made["id"]
        self.count("key made", outcome)

    def revoke_key(self):
        if not self.key_ids:
            return
        key = self.rng.choice(sorted(self.key_ids))
        register = self.model.api_keys[key]
        with self.model.lock:
            revoked_before = False in register.possible  # By one without an answer.
            register.begins(False)
        outcome, _ = self.call("DELETE", f"/admin/v1/keys/{self.key_ids[key]}")
        if outcome == REFUSED and revoked_before:
            outcome = ACKNOWLEDGED
        self.settle(register, False, outcome)
        if outcome == ACKNOWLEDGED:
            del self.key_ids[key]
        self.count("key revoked", outcome)

    def user(self):
        name = f"x{self.rng.randrange(30)}"
        register = self.model.users.setdefault(name, Register(False))
        wanted = register.only() is not True
        with self.model.lock:
            register.begins(wanted)
        if wanted:
            outcome, _ = self.call("POST", "/admin/v1/users", {"name": name, "groups": ["h"]})
        else:
            outcome, _ = self.call("DELETE", f"/admin/v1/users/{name}")
        self.settle(register, wanted, outcome)
        self.count("user made" if wanted else "user removed", outcome)

    def grant(self):
        register = self.model.readers["c1", "v"]
        wanted = register.only() is not True
        with self.model.lock:
            register.begins(wanted)
        outcome, _ = self.call("PUT", "/admin/v1/collections/c1",
                               {"reader_groups": ["g"], "reader_users": ["v"] if wanted else []})
        self.settle(register, wanted, outcome)
        self.count("right given" if wanted else "right taken", outcome)

    def settle(self, register, wanted, outcome):
        with self.model.lock:
            if outcome == ACKNOWLEDGED:
                register.acknowledged(wanted, self.model.tick())
            elif outcome == REFUSED and len(register.possible) == 1:
                self.model.found("lost", f"a change to {wanted} was refused")


def appliance_folder(storm, collection):
    folder = storm.folder / "documents" / collection
    folder.mkdir(parents=True, exist_ok=True)
    return folder
