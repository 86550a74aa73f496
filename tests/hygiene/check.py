#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the tree to its own rules: who may include whom, where vendor headers stand, licence lines, commands in
documents. Does not compile anything. Prints one line per breach and ends with a count; status 1 when there is one.

Usage: check.py [ROOT]            check the tree
       check.py --self-test       check that each rule can fail
"""
import pathlib
import re
import subprocess
import sys
import tempfile

# A folder may include itself and what stands here. The order is the dependency direction.
MAY_INCLUDE = {
    "common": set(),
    "crypto": {"common"},
    "policy": {"common"},
    "storage": {"common", "crypto"},
    "keyring": {"common", "crypto", "storage"},
    "backup": {"common", "crypto", "storage", "keyring"},
    "audit": {"common", "crypto"},
    "witness": {"common", "crypto", "audit"},
    # "keyring" for retrieval's tests alone, which run over the real one.
    "retrieval": {"common", "crypto", "policy", "storage", "keyring"},
    "inference": {"common", "crypto"},
    "ingest": {"common"},
    "services": {"common", "crypto", "policy", "storage", "keyring", "backup", "audit", "witness", "retrieval", "inference",
                 "ingest", "proto"},
}
# services/verify is the offline verifier: an auditor builds it from three folders alone.
VERIFIER_MAY_INCLUDE = {"common", "crypto", "audit", "services"}
# Headers of others that one folder (or file) alone may include.
VENDOR = [
    (re.compile(r"^openssl/|^argon2\.h"), ("crypto/",)),
    (re.compile(r"^boost/"), ("services/http/",)),
    (re.compile(r"^curl/"), ("services/relay/",)),
    (re.compile(r"^rocksdb/"), ("storage/",)),
    (re.compile(r"^tss2/|^p11-kit/"), ("keyring/hardware/",)),
    (re.compile(r"^faiss/|^hwy/|^roaring/"), ("retrieval/",)),
    (re.compile(r"^(llama|ggml|gguf)[\w-]*\.h"), ("inference/",)),
    (re.compile(r"^poppler|^gumbo\.h|^seccomp\.h"), ("ingest/",)),
    (re.compile(r"^grpcpp/|^grpc/|\.pb\.h$"), ("services/", "tests/")),
]
SOURCE = {".cc", ".h", ".py", ".sh", ".proto", ".cmake"}
FORBIDDEN_FOLDERS = {"utils", "util", "helpers", "misc"}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)


def tracked(root):
    try:
        out = subprocess.run(["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                             capture_output=True, check=True).stdout
        names = [n for n in out.decode().split("\0") if n]
    except (subprocess.CalledProcessError, FileNotFoundError):
        names = [str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()]
    return sorted(n for n in names if (root / n).is_file())


def check_includes(name, text):
    top = name.split("/")[0]
    for include in INCLUDE.findall(text):
        first = include.split("/")[0]
        if first in MAY_INCLUDE and top in MAY_INCLUDE and first != top and "/" in include:
            allowed = VERIFIER_MAY_INCLUDE if name.startswith("services/verify/") else MAY_INCLUDE[top]
            if first not in allowed:
                yield f"{name}: includes {include}, against the dependency direction"
        if name.startswith("services/verify/") and include.startswith("services/") \
                and not include.startswith("services/verify/"):
            yield f"{name}: the offline verifier includes {include}"
        for pattern, places in VENDOR:
            if pattern.search(include) and not name.startswith(places):
                yield f"{name}: includes {include}, which belongs in {' or '.join(places)} only"


def check_file(name, text):
    suffix = pathlib.PurePath(name).suffix
    is_script = text.startswith("#!")
    if suffix in {".cc", ".h"}:
        yield from check_includes(name, text)
    if suffix in SOURCE or is_script or name.endswith("CMakeLists.txt"):
        if "SPDX-License-Identifier: Apache-2.0" not in text[:400]:
            yield f"{name}: no SPDX licence line at its head"
    if suffix == ".h" and "#pragma once" not in text:
        yield f"{name}: no #pragma once"
    if suffix in {".cc", ".h"} and name.split("/")[0] in MAY_INCLUDE and re.search(r"\w\([^()]*\)\.value\(\)", text) \
            and "StatusOr" in text and "_test" not in name:
        yield f"{name}: .value() throws; use CLOISTER_ASSIGN_OR_RETURN"
    if re.search(r"std::regex\b", text) and suffix in {".cc", ".h"}:
        yield f"{name}: std::regex is not linear; use RE2"
    if FORBIDDEN_FOLDERS & set(pathlib.PurePath(name).parts[:-1]):
        yield f"{name}: folder name says nothing; name what it does"


def check_documents(root, names):
    """Files that documents link to must exist."""
    link = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
    for name in names:
        if not name.endswith(".md") or name.startswith("deploy/sample/"):
            continue
        for target in link.findall((root / name).read_text(encoding="utf-8")):
            if not ((root / name).parent / target.strip()).exists():
                yield f"{name}: links to {target}, which is not there"


def check(root):
    names = tracked(root)
    for name in names:
        try:
            text = (root / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        yield from check_file(name, text)
    yield from check_documents(root, names)


def self_test():
    spdx = "// SPDX-License-Identifier: Apache-2.0\n"
    bad = {
        "crypto/a.cc": spdx + '#include "storage/kv_store.h"\n',
        "retrieval/b.cc": spdx + "#include <openssl/evp.h>\n",
        "policy/c.cc": spdx + '#include "cloister/v1/keys.pb.h"\n',
        "services/verify/d.cc": spdx + '#include "storage/kv_store.h"\n',
        "common/e.cc": "int x;\n",
        "common/f.h": spdx,
        "common/utils/g.cc": spdx,
        "common/h.cc": spdx + "std::regex r;\n",
        "common/i.cc": spdx + "StatusOr<int> f();\nint g() { return f().value(); }\n",
        "README.md": "[x](absent.md)\n",
    }
    good = {"storage/ok.cc": spdx + '#include <rocksdb/db.h>\n#include "crypto/aead.h"\n'}
    failures = 0
    for name, text in {**bad, **good}.items():
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            found = list(check(pathlib.Path(folder)))
        if bool(found) != (name in bad):
            failures += 1
            print(f"self-test: {name}: found {found}")
    print(f"self-test: {len(bad) + len(good) - failures} passed, {failures} failed")
    return 1 if failures else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2]).resolve()
    breaches = sorted(set(check(root)))
    print("\n".join(breaches))
    print(f"{len(tracked(root))} files, {len(breaches)} breaches")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
