# SPDX-License-Identifier: Apache-2.0
"""Shows that the storm's model reports what it must: by itself, observation by observation, and over a real appliance of
which one part, or all of it, is put back to an older copy."""
import copy
import shutil
import time

from storm_model import ABSENT, Document, Model, Passphrase, Register, token

CALM_SECONDS = 4
REFUSAL_SECONDS = 3
ENTRIES_A_BUNDLE = 256  # A full one is read from the disk each time; the last one is in memory.


def small_model():
    model = Model()
    model.readers["c0", "u"] = Register(True)
    model.documents["c0", 1] = Document("c0", 1)
    model.ingest_begins("c0", {1: 1})
    model.ingest_done("c0", {1: 1}, set())
    model.observe("c0", {1: (1, "id")})
    return model


def passage(version, number=1):
    return {"text": f"cabinet {token('c0', number, version)}.", "document_id": "id", "version_id": "v", "chunk_id": "c"}


def answer(version, number=1):
    return {"ask_id": "a", "records": {"intent": 0, "release": 1, "outcome": 2}, "passages": [passage(version, number)]}


def records(**changed):
    rows = {0: {"event": "ask.intent", "body": {"ask_id": "a"}},
            1: {"event": "ask.release",
                "body": {"ask": "a", "passages": [{"document": "id", "version": "v", "chunk": "c"}]}},
            2: {"event": "ask.outcome", "body": {"ask_id": "a", "release": 1}}}
    for name, value in changed.items():
        rows[{"intent": 0, "release": 1, "outcome": 2}[name]] = value
    return rows.get


def erase(model):
    document = model.documents["c0", 1]
    model.erase_begins([document])
    model.erase_acknowledged([document])


def cases():
    """Name, kind that must be found (or None), and what is done to a small model."""
    def case(name, kind):
        def add(function):
            out.append((name, kind, function))
            return function
        return add

    out = []

    @case("what is right finds nothing", None)
    def _(model):
        model.answer_ends(model.answer_begins(), "u", "ask", answer(1))
        model.check_answers(records())
        model.ingest_begins("c0", {1: 2})
        model.observe("c0", {1: (2, "id")})
        erase(model)
        model.observe("c0", {})

    @case("an acknowledged document is absent", "lost")
    def _(model):
        model.observe("c0", {})

    @case("an older version is there", "lost")
    def _(model):
        model.ingest_begins("c0", {1: 2})
        model.ingest_done("c0", {1: 2}, set())
        model.observe("c0", {1: (1, "id")})

    @case("what was seen once goes back", "lost")
    def _(model):
        model.ingest_begins("c0", {1: 2})
        model.observe("c0", {1: (2, "id")})
        model.observe("c0", {1: (1, "id")})

    @case("an erased document is there", "resurrected")
    def _(model):
        erase(model)
        model.observe("c0", {1: (1, "id")})

    @case("an erased document is quoted", "resurrected")
    def _(model):
        erase(model)
        model.answer_ends(model.answer_begins(), "u", "ask", answer(1))

    @case("an erasure without an answer that was completed is undone", "resurrected")
    def _(model):
        model.erase_begins([model.documents["c0", 1]])
        model.erasures_settled({"id"})
        model.observe("c0", {1: (1, "id")})

    @case("a document nobody brought in", "invented")
    def _(model):
        model.observe("c0", {1: (1, "id"), 7: (1, "other")})

    @case("a version nobody brought in", "invented")
    def _(model):
        model.answer_ends(model.answer_begins(), "u", "ask", answer(3))

    @case("text for somebody without the right", "leaked")
    def _(model):
        model.readers["c0", "v"] = Register(False)
        model.answer_ends(model.answer_begins(), "v", "ask", answer(1))

    for missing in ("intent", "release", "outcome"):
        @case(f"no record of the {missing}", "unrecorded")
        def _(model, missing=missing):
            model.answer_ends(model.answer_begins(), "u", "ask", answer(1))
            model.check_answers(records(**{missing: None}))

    @case("a release record that names another passage", "unrecorded")
    def _(model):
        model.answer_ends(model.answer_begins(), "u", "ask", answer(1))
        model.check_answers(records(release={"event": "ask.release", "body": {"ask": "a", "passages": []}}))

    @case("an altered log entry", "log")
    def _(model):
        model.log.append(0, "{}")
        model.log.seen_again(0, '{"x":1}')

    @case("a shorter log", "log")
    def _(model):
        model.log.append(0, "{}")
        model.log.shrunk(0)

    @case("a root over other entries", "log")
    def _(model):
        model.log.append(0, "{}")
        model.log.check_root(1, "A" * 43 + "=")

    @case("a keyring that went back", "keyring")
    def _(model):
        model.keyring_acknowledged(4, 9)
        model.observe_keyring(3, 10)

    @case("a key that was revoked and works", "lost")
    def _(model):
        register = Register(True)
        register.begins(False)
        register.acknowledged(False, model.tick())
        model.observe_register(register, True, "key")

    @case("a lost user", "lost")
    def _(model):
        register = Register(False)
        register.begins(True)
        register.acknowledged(True, model.tick())
        model.observe_register(register, False, "user")

    @case("an erasure without an answer that comes late", None)
    def _(model):
        model.erase_begins([model.documents["c0", 1]])
        model.erase_unanswered([model.documents["c0", 1]], 10)
        model.erasures_settled(set(), before=5)
        model.observe("c0", {1: (1, "id")})
        model.erasures_settled({"id"}, before=9)
        model.observe("c0", {})

    @case("an absence long after an erasure without an answer", "lost")
    def _(model):
        model.erase_begins([model.documents["c0", 1]])
        model.erase_unanswered([model.documents["c0", 1]], 10)
        model.erasures_settled(set(), before=11)
        model.observe("c0", {1: (1, "id")})
        model.observe("c0", {})

    for there in (False, True):
        @case(f"a document that appeared while its subject was erased is {'there' if there else 'absent'}", None)
        def _(model, there=there):
            model.documents["c0", 1].subject = "s"
            model.erase_begins([model.documents["c0", 1]], "s")
            model.add(Document("c0", 2, "s"))
            model.ingest_begins("c0", {1: 1, 2: 1})
            model.ingest_done("c0", {1: 1, 2: 1}, {1})
            model.erase_acknowledged([model.documents["c0", 1]])
            model.erase_ends("s")
            model.observe("c0", {2: (1, "other")} if there else {})

    def passphrase(model, holds, outcome, started=None, during=True, possible=()):
        """A change from a to b with this outcome, and a start with `started` while it was under way, or after it."""
        register = Passphrase("a")
        for other in possible:
            register.begins(other)
        began = register.change_begins("b")
        start = register.start_begins() if started and during else None
        if start:
            register.start_ends(start, started)
        register.change_ends(began, "a", "b", outcome, model.tick())
        if started and not during:
            register.start_ends(register.start_begins(), started)
        model.observe_register(register, holds, "passphrase")

    for name, kind, arguments in (
            ("the new passphrase after a change that was acknowledged", None, ("b", True)),
            ("the former passphrase after a change that was acknowledged", "lost", ("a", True)),
            ("the new passphrase after a change that was refused", "lost", ("b", False, None, True, ("c",))),
            ("the former passphrase after a change that it was too wrong for", "lost", ("a", False, None, True, ("c",))),
            ("either passphrase after a change without an answer", None, ("b", None)),
            ("another passphrase than the one that a later start opened with", "lost", ("b", None, "a", False)),
            ("a change that is made after a start with the former passphrase", None, ("b", None, "a")),
            ("a change that is acknowledged while it is started with the former passphrase", None, ("b", True, "a")),
            ("a change that is refused because it was started with another passphrase", None,
             ("a", False, "c", True, ("c",)))):
        @case(name, kind)
        def _(model, arguments=arguments):
            passphrase(model, *arguments)

    @case("nothing opens while the passphrase is changed", None)
    def _(model):
        register = Passphrase("a")
        start = register.start_begins()
        register.change_begins("b")
        if register.start_ends(start):
            model.found("lost", "a start that was not alone")

    return out


def model_alone():
    wrong = []
    for name, kind, act in cases():
        model = small_model()
        act(model)
        found = {k for k, _ in model.findings}
        right = found == ({kind} if kind else set())
        print(f"  {'ok  ' if right else 'FAIL'} {name}: {', '.join(sorted(found)) or 'nothing found'}")
        if not right:
            wrong.append(name)
    return wrong


def live(storm, seconds):
    storm.go.set()
    time.sleep(seconds)
    storm.go.clear()
    storm.quiet()
    storm.check()


def replace(storm, copies, parts):
    """The data directory of the newer copy, with these parts from the older one. No part: all of it."""
    data = storm.appliance.data
    shutil.rmtree(data)
    shutil.copytree(copies["old" if not parts else "new"], data)
    for part in parts:
        shutil.rmtree(data / part)
        shutil.copytree(copies["old"] / part, data / part)


def flip_entry(storm):
    """One bit of an entry that is published and signed for."""
    bundles = [p for p in (storm.appliance.data / "audit" / "log" / "tile" / "entries").rglob("*") if p.is_file()]
    bundle = max(bundles, key=lambda p: p.stat().st_size)
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    bundle.write_bytes(content)


def real_appliance(storm, refused_type):
    """Lives, is copied, lives on, and is then put back."""
    wrong = []
    live(storm, CALM_SECONDS)
    copies = {"old": storm.folder / "old", "new": storm.folder / "new"}
    storm.verify_export()
    storm.appliance.down()
    shutil.copytree(storm.appliance.data, copies["old"], ignore=shutil.ignore_patterns("*.sock"))
    storm.start()
    live(storm, CALM_SECONDS)
    if storm.model.findings:
        wrong.append("the calm before")
        print(f"  FAIL nothing was tampered with, and {storm.model.findings[0]} was found")
    document = next(d for d in storm.model.documents.values() if d.seen_id and not d.erased and d.possible != {ABSENT})
    storm.model.erase_begins([document])
    document_id = document.seen_id
    status, erasure = storm.appliance.http("POST", "/admin/v1/erasures", {
        "document": {"collection": document.collection, "source": document.source}, "reason": "self-test", "basis": "other"})
    assert status == 200 and erasure["documents"] == [document_id], erasure
    storm.model.erase_acknowledged([document])
    for _ in range(ENTRIES_A_BUNDLE):
        storm.get("/admin/v1/audit/entries?first=0&count=1")  # Each is a record itself.
    storm.check_log()
    storm.search("u", "c0", 8)  # Handed out, and looked up only after what follows.
    storm.appliance.down()
    shutil.copytree(storm.appliance.data, copies["new"], ignore=shutil.ignore_patterns("*.sock"))
    saved = copy.deepcopy(storm.model)
    for name, parts, act, wanted in (
            ("everything is put back", (), None, {"lost", "resurrected", "unrecorded", "log", "keyring"}),
            ("the documents are put back", ("retrieval",), None, {"lost"}),
            ("the log is put back", ("audit",), None, {"log"}),
            ("the keyring is put back", ("keys",), None, {"keyring"}),
            ("users and rights are put back", ("gateway",), None, {"lost"}),
            ("a bit of the log is flipped", ("run",), flip_entry, {"log"})):
        storm.appliance.down(check=False)
        replace(storm, copies, parts)
        if act:
            act(storm)
        storm.model = copy.deepcopy(saved)
        said = observe(storm, refused_type)
        found = {kind for kind, _ in storm.model.findings}
        right = wanted <= found or (said and parts)
        print(f"  {'ok  ' if right else 'FAIL'} {name}: {', '.join(sorted(found)) or 'nothing found'}"
              + (f"; refused: {said[:160]}" if said else ""))
        if not right:
            wrong.append(name)
    return wrong


def observe(storm, refused_type):
    """Starts what is there and compares; returns why it would not start, or an empty text."""
    try:
        storm.start(REFUSAL_SECONDS)
        storm.checkpoint_seen = 0  # Findings shall come from entries, not from this number alone.
        storm.sample = storm.model.log.size
        storm.check()
    except refused_type as refused:
        return str(refused)
    except (ValueError, OSError) as error:
        return repr(error)
    return ""
