# SPDX-License-Identifier: Apache-2.0
"""A TPM and an HSM made of software, for tests of a whole appliance: swtpm and SoftHSM, each with its state in a folder of
the test. Skip what is not installed with `available()`. Use as context managers."""
import os
import pathlib
import shutil
import socket
import subprocess
import time

PIN = "271828"
TOKEN = "cloister e2e"
START_SECONDS = 30
MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
           "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so")


class SoftwareTpm:
    name = "tpm"
    missing = "no swtpm: install the package swtpm"

    def __init__(self, folder):
        self.folder, self.process = pathlib.Path(folder), None

    @staticmethod
    def available():
        return shutil.which("swtpm") is not None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def init_arguments(self):
        return ["--anchor", "tpm", "--tpm-tcti", f"swtpm:path={self.folder / 'tpm'}"]

    def start(self):
        path = self.folder / "tpm"
        for name in (path, path.with_suffix(".ctrl")):
            name.unlink(missing_ok=True)
        state = self.folder / "tpmstate"
        state.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--server", f"type=unixio,path={path}", "--ctrl",
             f"type=unixio,path={path}.ctrl", "--flags", "not-need-init,startup-clear"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(str(path) + ".ctrl")
                    return
                except OSError:
                    time.sleep(0.05)
        raise AssertionError("swtpm did not start")

    def stop(self):
        self.process.kill()
        self.process.wait()


class SoftwareToken:
    name = "pkcs11"
    missing = "no SoftHSM: install the package softhsm2"

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.tokens, self.pulled = self.folder / "tokens", self.folder / "pulled"
        self._home = None

    @staticmethod
    def available():
        return shutil.which("softhsm2-util") is not None and any(map(os.path.exists, MODULES))

    def __enter__(self):
        self.tokens.mkdir()
        settings = self.folder / ".config" / "softhsm2"
        settings.mkdir(parents=True)
        (settings / "softhsm2.conf").write_text(
            f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
        # SoftHSM finds its settings by the home directory.
        self._home, os.environ["HOME"] = os.environ.get("HOME", "/"), str(self.folder)
        subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", TOKEN, "--pin", PIN, "--so-pin", "31415926"],
                       check=True, capture_output=True)
        return self

    def __exit__(self, *_):
        os.environ["HOME"] = self._home

    @property
    def init_arguments(self):
        return ["--anchor", "pkcs11", "--pkcs11-module", next(filter(os.path.exists, MODULES)), "--pkcs11-token", TOKEN]

    def stop(self):
        """Pulled out."""
        self.tokens.rename(self.pulled)
        self.tokens.mkdir()

    def start(self):
        self.tokens.rmdir()
        self.pulled.rename(self.tokens)
