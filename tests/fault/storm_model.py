# SPDX-License-Identifier: Apache-2.0
"""What an appliance has promised to its clients, kept outside of it, and what it is seen to hold. Knows three states of an
operation: acknowledged, refused, and begun with no answer, after which both outcomes are right until one is seen. Does
no I/O; thread-safe.

Findings are of these kinds, and each counts against the appliance:
  lost         an acknowledged change is not there, or an older one is
  resurrected  what was erased, or deleted, is there again
  unrecorded   text was handed out and its intent, release or outcome is not in the log
  log          a record that was seen is gone or altered, or the signed root is not that of what was seen
  leaked       somebody got text without the right to it
  invented     something is there that nobody asked for
  keyring      the keyring went back
"""
import array
import base64
import hashlib
import re
import threading

ABSENT = -1
KINDS = ("lost", "resurrected", "unrecorded", "log", "leaked", "invented", "keyring")
TOKEN = re.compile(r"qx([a-z0-9]+)n(\d+)v(\d+)\b")


def token(collection, number, version):
    """A word that stands in one version of one document and nowhere else."""
    return f"qx{collection}n{number}v{version}"


class Register:
    """One value that clients set: whether a user exists, who may read a collection."""

    def __init__(self, value):
        self.possible = {value}
        self.since = 0  # When the model's clock stood there, the only possible value was acknowledged.

    def begins(self, value):
        self.possible = self.possible | {value}

    def acknowledged(self, value, now):
        self.possible, self.since = {value}, now

    def refused(self, value):
        """It was never done. Harmless when another reason keeps the value possible: then less is checked."""
        if len(self.possible) > 1:
            self.possible = self.possible - {value}

    def only(self):
        return next(iter(self.possible)) if len(self.possible) == 1 else None


class Passphrase(Register):
    """Which passphrase opens the keyring. Starts and changes of it tell, and may overlap: the harness starts the appliance
    while a client's change is under way, with a passphrase that this very change may make wrong. So a start settles
    something only when no change was under way meanwhile, and a change that was refused tells of the passphrase it came
    with only when nobody started the appliance meanwhile: a supervisor refuses whatever it was not started with."""

    def __init__(self, value):
        super().__init__(value)
        self._changes = self._starts = 0        # Begun.
        self._changing = self._starting = 0     # Under way.

    def change_begins(self, following):
        self.begins(following)
        self._changes += 1
        self._changing += 1
        return self._starts, self._starting

    def change_ends(self, began, former, following, outcome, now):
        """`began`: what change_begins said. `outcome`: True, it holds; False, it was refused; None, nobody knows."""
        self._changing -= 1
        if outcome:
            self.acknowledged(following, now)
        elif outcome is False:
            self.refused(following)
            if began == (self._starts, 0):
                self.refused(former)

    def start_begins(self):
        self._starts += 1
        self._starting += 1
        return self._changes, self._changing

    def start_ends(self, began, opened=None):
        """`opened`: what it started with; None when nothing did. Whether this tells anything about the others."""
        self._starting -= 1
        alone = began == (self._changes, 0)
        if alone and opened is not None:
            self.possible = {opened}
        return alone


class Document:
    def __init__(self, collection, number, subject=""):
        self.collection, self.number, self.subject = collection, number, subject
        self.possible = {ABSENT}
        self.latest = 0          # Highest version anybody began to bring in.
        self.floor = (0, 0)      # Since this clock nothing older than this version may be shown.
        self.gone_since = None   # Since this clock nothing may be shown: deleted or erased.
        self.erased = False      # For good.
        self.erasing = 0         # Erasures begun and neither acknowledged nor refused.
        self.unanswered_at = 0   # When the last of these ended without an answer, in the caller's seconds.
        self.seen_id = None      # As the appliance calls it.
        self.retired = False     # Nobody touches it any more.

    @property
    def source(self):
        return f"d{self.number}.md"


class Model:
    def __init__(self):
        self.lock = threading.RLock()
        self.clock = 0
        self.documents = {}  # (collection, number) -> Document
        self.erasing_subjects = {}  # Subject -> documents that appeared while an erasure of it was under way.
        self.readers = {}    # (collection, user) -> Register of whether that user may read it
        self.users = {}      # name -> Register of whether it exists
        self.keys = {}       # user -> its API key
        self.api_keys = {}   # further keys -> Register of whether it works
        self.epoch = self.generation = 0
        self.log = Log(self)
        self.answers = []    # Handed out and not yet looked up in the log.
        self.answers_checked = 0
        self.findings = []

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != "lock"}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.lock = threading.RLock()

    def found(self, kind, text):
        assert kind in KINDS
        with self.lock:
            self.findings.append((kind, text))

    def count(self, kind):
        return sum(1 for k, _ in self.findings if k == kind)

    def tick(self):
        self.clock += 1
        return self.clock

    # Documents.

    def ingest_begins(self, collection, files):
        """`files`: number -> version of every file in the folder. What is not there is to be deleted."""
        with self.lock:
            for document in self._of(collection):
                if document.erased:
                    continue
                version = files.get(document.number, ABSENT)
                document.possible.add(version)
                document.latest = max(document.latest, version)

    def ingest_done(self, collection, files, failed):
        """The job ended well; `failed`: numbers of files that did not come in."""
        with self.lock:
            now = self.tick()
            for document in self._of(collection):
                if document.erased or document.number in failed:
                    continue
                version = files.get(document.number, ABSENT)
                document.possible = {version} | ({ABSENT} if document.erasing or document.retired else set())
                if version == ABSENT:
                    document.gone_since = now
                else:
                    document.floor = (now, version)

    def _of(self, collection):
        return [d for d in self.documents.values() if d.collection == collection]

    def add(self, document):
        """A document that a client is about to bring in. An erasure of its subject that is under way takes it or does not."""
        with self.lock:
            self.documents[document.collection, document.number] = document
            if document.subject in self.erasing_subjects:
                self.erasing_subjects[document.subject].append(document)
                document.erasing += 1
                document.possible.add(ABSENT)
        return document

    def erase_begins(self, documents, subject=""):
        with self.lock:
            if subject:
                self.erasing_subjects[subject] = []
            for document in documents:
                document.erasing += 1
                document.possible.add(ABSENT)

    def erase_ends(self, subject):
        """Of a subject, whatever came of it: what appeared meanwhile is there or not, and nothing here can tell which is right."""
        with self.lock:
            for document in self.erasing_subjects.pop(subject, []):
                document.retired, document.erasing = True, 0

    def erase_refused(self, documents):
        with self.lock:
            for document in documents:
                document.erasing -= 1

    def erase_unanswered(self, documents, now):
        """No answer: retrieval may be at it still, and begin only when whom it waits for is back."""
        with self.lock:
            for document in documents:
                document.unanswered_at = max(document.unanswered_at, now)

    def erase_acknowledged(self, documents):
        with self.lock:
            now = self.tick()
            for document in documents:
                self._erased(document, now)

    def _erased(self, document, now):
        document.erased, document.erasing, document.possible = True, 0, {ABSENT}
        document.gone_since = document.gone_since or now

    def erasures_settled(self, completed_ids, before=float("inf")):
        """None is under way that is listed: one that had no answer was completed when its document is among these, and will
        not be any more when its answer was due `before` that many of the caller's seconds."""
        with self.lock:
            now = self.tick()
            for document in self.documents.values():
                if document.erasing and not document.erased:
                    if document.seen_id in completed_ids:
                        self._erased(document, now)
                    elif document.seen_id is None:
                        document.retired = True  # Either is right, and nothing here can tell.
                    elif document.unanswered_at >= before:
                        continue
                    document.erasing = 0

    def observe(self, collection, shown):
        """`shown`: number -> (version, id) of all that is in a collection while nobody changes it."""
        with self.lock:
            for document in self._of(collection):
                version, seen_id = shown.get(document.number, (ABSENT, None))
                name = f"document {document.number} of {collection}"
                if version not in document.possible:
                    if document.erased or document.possible == {ABSENT}:
                        self.found("resurrected", f"{name} is there in version {version}")
                    else:
                        is_now = "absent" if version == ABSENT else f"version {version}"
                        self.found("lost", f"{name} is {is_now}, must be one of {sorted(document.possible)}")
                document.possible = {version} | ({ABSENT} if document.retired or document.erasing else set())
                document.seen_id = seen_id or document.seen_id
                if version != ABSENT:
                    document.floor = (self.clock, version)
            for number in set(shown) - {d.number for d in self._of(collection)}:
                self.found("invented", f"document {number} of {collection}")

    # Answers.

    def answer_begins(self):
        return self.clock

    def answer_ends(self, began, user, kind, answer):
        """`answer`: the reply's object; `began`: what answer_begins said before the request was sent."""
        passages = answer.get("passages") or answer.get("quotes") or []
        with self.lock:
            for passage in passages:
                for collection, number, version in TOKEN.findall(passage["text"]):
                    self._check_shown(began, user, collection, int(number), int(version))
            self.answers.append((kind, answer["ask_id"], answer["records"],
                                 [(p["document_id"], p["version_id"], p["chunk_id"]) for p in passages]))

    def _check_shown(self, began, user, collection, number, version):
        name = f"document {number} of {collection} in version {version}"
        right = self.readers.get((collection, user))
        if right is None or (right.only() is False and right.since <= began):
            self.found("leaked", f"{name} to {user}")
        document = self.documents.get((collection, number))
        if document is None or version > document.latest:
            self.found("invented", name)
        elif document.gone_since is not None and document.gone_since <= began:
            self.found("resurrected", f"{name} was shown after it was gone")
        elif document.floor[0] <= began and version < document.floor[1]:
            self.found("lost", f"{name} was shown after version {document.floor[1]} was acknowledged")

    def check_answers(self, entry_at):
        """Every answer's records, by `entry_at(index)`, which returns the parsed entry or None."""
        with self.lock:
            answers, self.answers = self.answers, []
        for kind, ask_id, records, passages in answers:
            wrong = self._missing_record(kind, ask_id, records, passages, entry_at)
            if wrong:
                self.found("unrecorded", f"{kind} {ask_id}: {wrong}")
            self.answers_checked += 1

    @staticmethod
    def _missing_record(kind, ask_id, records, passages, entry_at):
        def body(name, events, ask_member):
            entry = entry_at(records[name]) if records.get(name) is not None else None
            if entry is None or entry["event"] not in events or entry["body"].get(ask_member) != ask_id:
                return None
            return entry["body"]

        if body("intent", ("ask.intent",), "ask_id") is None:
            return "no record of the intent"
        outcome = body("outcome", ("ask.outcome",), "ask_id")
        if outcome is None:
            return "no record of the outcome"
        if not passages:
            return None
        release = body("release", ("ask.release", "search.release"), "ask")
        if release is None or outcome.get("release") != records["release"]:
            return "text was handed out without a record of the release"
        recorded = {(p["document"], p["version"], p["chunk"]) for p in release["passages"]}
        return None if recorded >= set(passages) else "the record of the release names less than was handed out"

    # Everything else.

    def keyring_acknowledged(self, epoch, generation):
        with self.lock:
            self.epoch, self.generation = max(self.epoch, epoch), max(self.generation, generation)

    def observe_keyring(self, epoch, generation):
        with self.lock:
            if epoch < self.epoch or generation < self.generation:
                self.found("keyring", f"epoch {epoch} and generation {generation} after {self.epoch} and {self.generation}")
            self.epoch, self.generation = max(self.epoch, epoch), max(self.generation, generation)

    def observe_register(self, register, value, what):
        with self.lock:
            if value not in register.possible:
                self.found("lost", f"{what} is {value}, must be one of {sorted(map(str, register.possible))}")
            register.possible = {value}


class Log:
    """What was seen of the audit log: the hash of every entry, and the Merkle tree over them (RFC 6962)."""

    def __init__(self, model):
        self.model = model
        self.size = 0
        self.prefixes = array.array("Q")  # Of leaf hashes: enough to see that an entry changed.
        self._peaks = []                  # (leaves, hash), larger ones first

    @staticmethod
    def leaf(canonical):
        return hashlib.sha256(b"\0" + canonical.encode()).digest()

    def append(self, index, canonical):
        if index != self.size:
            self.model.found("log", f"entry {index} stands where {self.size} must be")
            return
        digest = self.leaf(canonical)
        self.prefixes.append(int.from_bytes(digest[:8], "big"))
        self.size += 1
        leaves = 1
        while self._peaks and self._peaks[-1][0] == leaves:
            digest = hashlib.sha256(b"\1" + self._peaks.pop()[1] + digest).digest()
            leaves *= 2
        self._peaks.append((leaves, digest))

    def root(self):
        if not self._peaks:
            return hashlib.sha256(b"").digest()
        digest = self._peaks[-1][1]
        for _, left in reversed(self._peaks[:-1]):
            digest = hashlib.sha256(b"\1" + left + digest).digest()
        return digest

    def seen_again(self, index, canonical):
        if int.from_bytes(self.leaf(canonical)[:8], "big") != self.prefixes[index]:
            self.model.found("log", f"entry {index} is not what it was")

    def shrunk(self, size):
        if size < self.size:
            self.model.found("log", f"the log has {size} entries and had {self.size}")
            return True
        return False

    def check_root(self, size, root_base64):
        """The signed checkpoint of `size`, when that many entries were appended here and no more."""
        if size == self.size and base64.b64decode(root_base64) != self.root():
            self.model.found("log", f"the signed root over {size} entries is not that of the entries seen")
