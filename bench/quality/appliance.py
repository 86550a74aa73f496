# SPDX-License-Identifier: Apache-2.0
"""A Cloister appliance of the bench's own: built binaries, a temporary data directory, the real services. Speaks to
gateway over its Unix socket as any local program would."""
import http.client
import json
import os
import pathlib
import secrets
import signal
import socket
import subprocess
import sys
import time

START_SECONDS_MAX = 120
ASK_SECONDS_MAX = 300
SOCKET_NAMES = ("gateway-http.sock", "gateway.http")
COLLECTION = "bench"
USER = "bench"
GROUP = "bench"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Appliance:
    """Use as a context manager; leaving it stops every process it started."""

    def __init__(self, build, directory, config=None):
        self._binary = pathlib.Path(build).resolve() / "bin" / "cloister"
        if not self._binary.is_file():
            raise SystemExit(f"no {self._binary}: build first, or name the build folder with --build")
        self._data = pathlib.Path(directory) / "data"
        self._log = pathlib.Path(directory) / "appliance.log"
        self._passphrase = pathlib.Path(directory) / "passphrase"
        self._config = config
        self._process = None
        self._connection = None
        self._key = None

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def command(self, *arguments, echo=False):
        """Runs `cloister ...` and returns its standard output; ends the bench with the reason when it fails."""
        done = subprocess.run([str(self._binary), "--data", str(self._data), *arguments], check=False, text=True,
                              stdout=subprocess.PIPE, stderr=None if echo else subprocess.PIPE)
        if done.returncode != 0:
            raise SystemExit(f"cloister {' '.join(arguments[:2])} ended with status {done.returncode}: "
                             f"{(done.stderr or '').strip()}")
        return done.stdout

    def _start(self):
        descriptor = os.open(self._passphrase, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
        self.command("init", "--passphrase-file", str(self._passphrase))
        with open(self._log, "wb") as log:
            arguments = [str(self._binary), "--data", str(self._data), "up", "--passphrase-file", str(self._passphrase)]
            if self._config:
                arguments += ["--config", str(self._config)]
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log, start_new_session=True)
        self._wait_until_ready()

    def _wait_until_ready(self):
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise SystemExit(f"cloister up ended with status {self._process.returncode}; see {self._log}")
            try:
                status, _ = self._request("GET", "/readyz", None, timeout=5)
                if status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.2)
        raise SystemExit(f"the appliance was not ready within {START_SECONDS_MAX} s; see {self._log}")

    def stop(self):
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)  # Our own session: nothing else is in it.
                self._process.wait()
        self._process = None

    def socket_path(self):
        for name in SOCKET_NAMES:
            path = self._data / "run" / name
            if path.exists():
                return path
        return self._data / "run" / SOCKET_NAMES[0]

    def _request(self, method, path, body, timeout=ASK_SECONDS_MAX):
        connection = _UnixConnection(self.socket_path(), timeout)
        try:
            headers = {"Content-Type": "application/json"}
            if self._key:
                headers["Authorization"] = f"Bearer {self._key}"
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _post(self, path, body):
        status, data = self._request("POST", path, body)
        if status != 200:
            raise SystemExit(f"POST {path} answered {status}: {data.decode('utf-8', 'replace')[:500]}")
        return json.loads(data)

    def create_reader(self):
        """One user with one API key, who may read the bench's collection."""
        self.command("user", "add", USER, "--group", GROUP)
        self._key = self.command("key", "create", "--user", USER).split()[-1]

    def create_collection(self, sentence_vectors):
        arguments = ["collection", "create", COLLECTION, "--group", GROUP]
        if not sentence_vectors:
            arguments.append("--no-sentence-vectors")
        self.command(*arguments)
        return COLLECTION

    def ingest(self, folder):
        self.command("ingest", str(folder), "--collection", COLLECTION, echo=sys.stderr.isatty())

    def search(self, query, mode, limit, collection):
        """Hits best first, each with at least `source`."""
        return self._post("/v1/search", {"query": query, "mode": mode, "limit": limit, "collection": collection})["results"]

    def ask(self, question):
        """What a person is shown: band, confidence, quotes [{text, source}], and the seconds it took them to wait."""
        started = time.monotonic()
        reply = self._post("/v1/chat/completions",
                           {"model": "cloister", "messages": [{"role": "user", "content": question}]})
        seconds = time.monotonic() - started
        own = reply["cloister"]
        return {"band": own["band"], "confidence": float(own.get("confidence") or 0.0), "quotes": own.get("quotes") or [],
                "timing": own.get("timing"), "seconds": seconds,
                "content": reply["choices"][0]["message"]["content"]}
