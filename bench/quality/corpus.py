# SPDX-License-Identifier: Apache-2.0
"""Lays data sets out as folders that `cloister ingest` reads, and maps sources back to the names a data set uses."""
import json
import pathlib
import shutil


def stage_folders(corpora, destination):
    """Copies each corpus folder below `destination` under its own name, so that equal file names in two of them stay
    two documents of one collection. Hidden files are left out."""
    names = set()
    for corpus in map(pathlib.Path, corpora):
        corpus = corpus.resolve()
        if not corpus.is_dir():
            raise SystemExit(f"not a folder: {corpus}")
        name, number = corpus.name, 2
        while name in names:
            name, number = f"{corpus.name}-{number}", number + 1
        names.add(name)
        for path in sorted(corpus.rglob("*")):
            relative = path.relative_to(corpus)
            if path.is_file() and not any(part.startswith(".") for part in relative.parts):
                target = destination / name / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
    return destination


def names_document(doc, source):
    """Whether a question's `doc` means this source. `doc` may be the file's path, its name with or without the
    extension, or its folder's name, a hyphen and its name without extension (gdpr/article-017.md: gdpr-article-017)."""
    path = pathlib.PurePosixPath(source)
    accepted = {source, path.name, path.stem, str(path.with_suffix(""))}
    if path.parent.name:
        accepted.add(f"{path.parent.name}-{path.stem}")
    return doc in accepted


def read_jsonl(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def read_beir(dataset):
    """(documents, queries with judgements, grades) of a folder in BEIR layout. A list of queries*.jsonl and
    qrels*.tsv (or qrels/*.tsv) is merged."""
    dataset = pathlib.Path(dataset)
    documents = read_jsonl(dataset / "corpus.jsonl")
    grades = {}
    for path in sorted(dataset.glob("qrels*.tsv")) + sorted((dataset / "qrels").glob("*.tsv")):
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                columns = line.rstrip("\n").split("\t")
                if len(columns) != 3 or not columns[2].lstrip("-").isdigit():
                    continue  # The heading.
                grades.setdefault(columns[0], {})[columns[1]] = int(columns[2])
    queries = {}
    for path in sorted(dataset.glob("queries*.jsonl")):
        for row in read_jsonl(path):
            if any(grade > 0 for grade in grades.get(str(row["_id"]), {}).values()):
                queries[str(row["_id"])] = row["text"]
    if not documents or not queries:
        raise SystemExit(f"no documents or no judged queries in {dataset}")
    return documents, queries, grades


def stage_beir(documents, destination):
    """One text file per document, the title as front matter. Returns the map from source to document id."""
    ids = {}
    for number, row in enumerate(documents):
        folder = destination / f"{number // 1000:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{number:08d}.md"
        title = " ".join(str(row.get("title") or "").split()).replace("\\", "\\\\").replace('"', '\\"')
        front = f'---\ntitle: "{title}"\n---\n\n' if title else ""
        (folder / name).write_text(front + str(row.get("text") or "").strip() + "\n", encoding="utf-8")
        ids[f"{folder.name}/{name}"] = str(row["_id"])
    return ids
