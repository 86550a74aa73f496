# SPDX-License-Identifier: Apache-2.0
"""The appliance that is measured: real services on built binaries in a temporary data directory, asked as a person's
program would ask, with an API key over gateway's local HTTP."""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "support"))
import appliance  # noqa: E402

COLLECTION = "bench"
USER = "bench"
GROUP = "bench"
INGEST_SECONDS_MAX = 6 * 3600
ASK_SECONDS_MAX = 300


class Measured:
    """Use as a context manager; leaving it stops every process it started."""

    def __init__(self, build, folder):
        binaries = pathlib.Path(build).resolve() / "bin"
        if not (binaries / "cloister").is_file():
            raise SystemExit(f"no {binaries / 'cloister'}: build first, or name the build folder with --build")
        self._appliance = appliance.Appliance(binaries, folder=folder)
        self._key = None

    def __enter__(self):
        try:
            self._appliance.__enter__()
        except BaseException:
            self._appliance.close()
            raise
        return self

    def __exit__(self, *_):
        self._appliance.close()

    def prepare(self, folder, sentence_vectors):
        """One user who may read one collection, and the folder's documents in it. Returns the seconds ingest took."""
        self._appliance.add_user(USER, [GROUP])
        self._key = self._appliance.api_key(USER)
        self._appliance.add_collection(COLLECTION, [GROUP], *([] if sentence_vectors else ["--no-sentence-vectors"]))
        started = time.monotonic()
        done = self._appliance.ingest(folder, COLLECTION, check=False, timeout=INGEST_SECONDS_MAX)
        if done.returncode != 0:
            print(done.stdout + done.stderr, file=sys.stderr)
            raise SystemExit("ingest failed: figures over part of a corpus would mislead")
        return time.monotonic() - started

    def _post(self, path, body):
        status, reply = self._appliance.http("POST", path, body, key=self._key, timeout=ASK_SECONDS_MAX)
        if status != 200:
            raise SystemExit(f"POST {path} answered {status}: {reply}")
        return reply

    def search(self, query, mode, limit):
        """Sources of the hits, best first; a document stands once for each of its passages."""
        reply = self._post("/v1/search", {"query": query, "mode": mode, "limit": limit, "collection": COLLECTION})
        return [hit["source"] for hit in reply["results"]]

    def ask(self, question):
        """What a person is shown: band, confidence, quotes [{text, source}], and the seconds it took."""
        started = time.monotonic()
        reply = self._post("/v1/chat/completions",
                           {"model": "cloister", "messages": [{"role": "user", "content": question}]})
        seconds = time.monotonic() - started
        shown = reply["cloister"]
        return {"band": shown["band"], "confidence": float(shown["confidence"]), "quotes": shown["quotes"],
                "timing": shown["timing"], "seconds": seconds}
