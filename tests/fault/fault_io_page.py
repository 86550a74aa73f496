# SPDX-License-Identifier: Apache-2.0
"""The other side of fault_io.h: arms and lifts faults, and makes a folder of programs that run under fault_io.so. The
supervisor hands services few environment variables, so each service is a small script there that sets the rest."""
import ctypes
import mmap
import os
import pathlib
import shlex
import shutil

MAGIC = 0x324F495F544C5546
KINDS = {"ENOSPC": 1, "EIO on write": 2, "EIO on fsync": 3, "torn write": 4, "torn write and kill": 5, "kill at fsync": 6,
         "EIO on read": 7}
ALL_CALLS = 2**62


class _Page(ctypes.LittleEndianStructure):
    _fields_ = [("magic", ctypes.c_uint64), ("sequence", ctypes.c_uint64), ("recording", ctypes.c_uint64),
                ("kind", ctypes.c_uint64), ("skip", ctypes.c_uint64), ("limit", ctypes.c_uint64),
                ("matched", ctypes.c_uint64), ("injected", ctypes.c_uint64 * 8), ("calls", ctypes.c_uint64),
                ("lock", ctypes.c_uint64), ("root", ctypes.c_char * 512), ("filter", ctypes.c_char * 512),
                ("role", ctypes.c_char * 64), ("trace", ctypes.c_char * 512)]


class FaultPage:
    def __init__(self, path, root, trace=""):
        """`root`: the folder whose files may break; symbolic links are resolved here, once."""
        self.path = pathlib.Path(path)
        with open(self.path, "wb+") as file:
            file.truncate(max(mmap.PAGESIZE, ctypes.sizeof(_Page)))
            self._map = mmap.mmap(file.fileno(), 0)
        self._page = _Page.from_buffer(self._map)
        self._page.magic = MAGIC
        self._page.root = os.path.realpath(root).encode()
        self._page.trace = str(trace).encode()

    def arm(self, kind, part="", role="", skip=0, limit=ALL_CALLS):
        """From now on matching calls fail, after the first `skip` and at most `limit`. `part`: what their path contains."""
        self.lift()
        self._page.filter, self._page.role = part.encode(), role.encode()
        self._page.skip, self._page.limit, self._page.matched = skip, limit, 0
        self._page.kind = KINDS[kind]

    def lift(self):
        self._page.kind = 0

    def injected(self):
        """Kind -> how many calls failed so far."""
        return {name: self._page.injected[number] for name, number in KINDS.items()}

    def calls(self):
        return self._page.calls

    def record(self, on):
        self._page.recording = 1 if on else 0

    def sequence(self):
        return self._page.sequence


def programs_under_faults(binaries, folder, library, page):
    """Copies of the programs in `folder` of which every service runs under the library. Returns the environment in which
    the `cloister` there does, too."""
    folder = pathlib.Path(folder)
    folder.mkdir()
    for program in sorted(pathlib.Path(binaries).iterdir()):
        service = program.name.removeprefix("cloister-")
        if service in ("keys", "audit", "embedding", "generation", "retrieval", "ingest", "gateway"):
            wrapper = folder / program.name
            wrapper.write_text("#!/bin/sh\n"
                               f"export FAULT_IO_CONTROL={shlex.quote(str(page.path))} FAULT_IO_ROLE={service}\n"
                               f"LD_PRELOAD={shlex.quote(str(library))} exec {shlex.quote(str(program))} \"$@\"\n")
            wrapper.chmod(0o755)
        elif program.is_file():
            # Copied, not linked: it looks for the services beside itself.
            shutil.copy2(program, folder / program.name)
    return {"LD_PRELOAD": str(library), "FAULT_IO_CONTROL": str(page.path), "FAULT_IO_ROLE": "cloister"}
