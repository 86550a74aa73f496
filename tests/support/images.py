# SPDX-License-Identifier: Apache-2.0
"""An appliance that is put back to older images of its data directory, for tests of what notices that."""
import json
import shutil
import unittest

QUESTION = "When does the pump of ward 7 run?"


class WithImages(unittest.TestCase):
    def grow(self, appliance, number):
        """A document, a user and an ask: every database and the log get on."""
        if number == 1:
            appliance.add_user("nurse", ["ward"])
            appliance.add_collection("notes", ["ward"])
        folder = appliance.folder / "notes"
        folder.mkdir(exist_ok=True)
        (folder / f"pump{number}.md").write_text(f"# Pump {number}\n\nThe pump of ward {6 + number} runs at {number + 3} o'clock.\n")
        appliance.ingest(folder, "notes")
        appliance.add_user(f"user{number}", ["ward"])
        appliance.api_key(f"user{number}")
        appliance.ask(QUESTION, appliance.api_key("nurse"))

    def images(self, appliance):
        """Stopped copies of before and after some more work; it stays stopped."""
        appliance.down()
        before = appliance.folder / "before"
        self.take(appliance, before)
        appliance.up()
        self.grow(appliance, 2)
        appliance.down()
        after = appliance.folder / "after"
        self.take(appliance, after)
        return before, after

    def take(self, appliance, image):
        shutil.copytree(appliance.data, image, symlinks=True, ignore=shutil.ignore_patterns("run"))

    def put(self, appliance, image, parts=None):
        for part in parts or [p.name for p in image.iterdir()]:
            target = appliance.data / part
            shutil.rmtree(target, ignore_errors=True) if target.is_dir() else target.unlink(missing_ok=True)
            source = image / part
            if source.is_dir():
                shutil.copytree(source, target, symlinks=True)
            elif source.exists():
                shutil.copy2(source, target)

    def assert_refused(self, appliance, *words):
        done = appliance.up(check=False)
        text = done.stdout + done.stderr
        self.assertNotEqual(done.returncode, 0, text)
        for word in words:
            self.assertIn(word, text)
        appliance.down(check=False)

    def assert_starts(self, appliance):
        done = appliance.up(check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        answer = appliance.ask(QUESTION, appliance.api_key("nurse"))
        self.assertIn("4 o'clock", json.dumps(answer))
        appliance.down()
