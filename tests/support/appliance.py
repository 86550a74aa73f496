# SPDX-License-Identifier: Apache-2.0
"""Starts a real appliance in a folder of its own and talks to it as its users do: through the `cloister` command and
over HTTP on its Unix socket. Python standard library only. Does not know how services work inside.

Everything it starts it also stops; use it as a context manager.
"""
import http.client
import json
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import tempfile

SERVICES = ("keys", "audit", "embedding", "generation", "retrieval", "ingest", "gateway")
PASSPHRASE_BYTES = 16


class CommandFailed(AssertionError):
    """A `cloister` command ended with another status than was expected."""


def alive(pid):
    """Whether the process runs: one that ended and waits to be looked after does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class UnixHttpConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Appliance:
    def __init__(self, binaries, folder=None, config=""):
        """`binaries`: folder with the `cloister` programs. `config`: TOML that replaces the default file."""
        self.binaries = pathlib.Path(binaries).resolve()
        self._own_folder = folder is None
        # Unix socket paths are short: a temporary folder near the root keeps them so.
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="clr-"))
        self.data = self.folder / "d"
        self.passphrase_file = self.folder / "passphrase"
        self.config = config
        self.environment = {}  # Added to that of every `cloister` command.
        self._keys = {}

    def __enter__(self):
        self.init()
        self.up()
        return self

    def __exit__(self, *_):
        self.close()

    # Life of the appliance.

    def init(self):
        if not self.passphrase_file.exists():
            self.passphrase_file.write_text(secrets.token_hex(PASSPHRASE_BYTES) + "\n")
            self.passphrase_file.chmod(0o600)
        self.cli("init", "--passphrase-file", str(self.passphrase_file))
        # Port 0 of another's choosing would be a race; the Unix socket is enough unless a test says otherwise.
        (self.data / "cloister.toml").write_text(self.config or '[gateway]\nlisten = ""\n')

    def up(self, check=True, passphrase_file=None, timeout=180):
        return self.cli("up", "--detach", "--passphrase-file", str(passphrase_file or self.passphrase_file),
                        check=check, timeout=timeout)

    def down(self, check=True):
        return self.cli("down", check=check, timeout=120)

    def close(self):
        if (self.data / "run").exists():
            self.down(check=False)
        if self._own_folder and not os.environ.get("CLOISTER_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def pids(self):
        """Service name -> process id, as the supervisor says."""
        state = json.loads((self.data / "run" / "status.json").read_text())
        services = state["services"]
        if isinstance(services, dict):
            return {name: service["pid"] for name, service in services.items()}
        return {service["name"]: service["pid"] for service in services}

    # Talking to it.

    def cli(self, *arguments, check=True, timeout=600, key=None, text_input=None):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CLOISTER_")} | self.environment
        command = [str(self.binaries / "cloister"), "--data", str(self.data), *map(str, arguments)]
        if key is not None:
            key_file = self.folder / f"key-{secrets.token_hex(4)}"
            key_file.write_text(key + "\n")
            key_file.chmod(0o600)
            command += ["--key-file", str(key_file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment,
                              input=text_input)
        if check and done.returncode != 0:
            raise CommandFailed(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def http(self, method, path, body=None, key=None, headers=None, timeout=300):
        """Returns (status, parsed JSON or text). Without `key` it speaks as the local administrator."""
        connection = UnixHttpConnection(self.data / "run" / "gateway-http.sock", timeout)
        headers = dict(headers or {})
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = body if isinstance(body, (bytes, str)) else json.dumps(body)
        if key:
            headers["Authorization"] = f"Bearer {key}"
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            raw = answer.read()
        finally:
            connection.close()
        if answer.headers.get_content_type() == "application/json":
            return answer.status, json.loads(raw)
        return answer.status, raw.decode(errors="replace")

    def ask(self, question, key, **extra):
        """The `cloister` field of a chat completion: band, quotes, records, timing."""
        status, answer = self.http("POST", "/v1/chat/completions",
                                   {"model": "cloister", "messages": [{"role": "user", "content": question}], **extra},
                                   key=key)
        if status != 200:
            raise CommandFailed(f"ask: HTTP {status}: {answer}")
        return answer["cloister"]

    # What an administrator does.

    def add_user(self, name, groups):
        self.cli("user", "add", name, *[x for g in groups for x in ("--group", g)])

    def api_key(self, user):
        if user not in self._keys:
            made = json.loads(self.cli("key", "create", user, "--json").stdout)
            self._keys[user] = made["key"]
        return self._keys[user]

    def add_collection(self, name, groups, *more):
        self.cli("collection", "put", name, *[x for g in groups for x in ("--reader-group", g)], *more)

    def ingest(self, folder, collection, check=True, timeout=3600):
        return self.cli("ingest", folder, "--collection", collection, check=check, timeout=timeout)


def binaries_from_environment():
    """CLOISTER_BINARIES, which ctest sets, or the release build."""
    root = pathlib.Path(__file__).resolve().parents[2]
    return pathlib.Path(os.environ.get("CLOISTER_BINARIES", root / "build" / "release" / "bin"))
