# SPDX-License-Identifier: Apache-2.0
"""An appliance with an escrowed keyring and a few documents about lockers, for tests of its keys."""
import json
import pathlib
import shutil
import tempfile
import time
import unittest

from appliance import Appliance, binaries_from_environment

READY_SECONDS = 120
QUESTION = "To which cabinet belongs locker 4?"


def secret_file(folder, name, text):
    path = folder / name
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def await_ready(appliance):
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            if appliance.http("GET", "/readyz", timeout=5)[0] == 200:
                return
        except (OSError, ValueError):
            pass
        time.sleep(0.1)
    raise AssertionError(appliance.cli("status", check=False).stdout)


def keyring(appliance):
    return json.loads(appliance.cli("keys", "status", "--json").stdout)


class WithAppliance(unittest.TestCase):
    def setUp(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="clr-"))
        self.addCleanup(shutil.rmtree, folder, True)
        self.escrow = folder / "escrow"
        self.escrow.mkdir()
        self.appliance = Appliance(binaries_from_environment(), folder,
                                   f'[gateway]\nlisten = ""\n[keys]\nescrow_directory = "{self.escrow}"\n')
        self.addCleanup(self.appliance.close)

    def fill(self):
        self.appliance.add_user("u", ["g"])
        self.appliance.add_collection("c", ["g"])
        self.key = self.appliance.api_key("u")
        self.documents = self.appliance.folder / "documents"
        self.documents.mkdir()
        for number in range(8):
            self.write_document(number)
        self.appliance.ingest(self.documents, "c")

    def write_document(self, number):
        (self.documents / f"d{number}.md").write_text(
            f"# Locker {number}\n\nThe locker with number {number} belongs to cabinet {number * 7 + 3}.\n")

    def quotes(self, appliance=None):
        return [quote["text"] for quote in (appliance or self.appliance).ask(QUESTION, self.key)["quotes"]]
