# SPDX-License-Identifier: Apache-2.0
"""What a disk may hold after the power went away, from a recording of every call that changed it (fault_io.h).

The file system that is played: its journal orders names, as ext4, XFS and btrfs do, and nothing else is promised.
  - Names (create, rename, link, unlink, mkdir, rmdir) become durable in the order they were made in. An fsync of a folder
    makes the names made in it before durable, an fsync of a file its own names, and so everything older. What came later
    may be there up to any point.
  - The content of a file is durable as of its last fsync or fdatasync. Of the writes after it any number may be there, in
    order, the last one torn: an append at any byte, an overwrite at a sector. Or the file has its later length already, and
    zeros in place of the writes that are missing (as with delayed allocation).
  - A name that is there does not mean that the content is: a file may be renamed into place and be empty.
  - Nothing that was synced changes.
  - With `reorder`, which is not the default, the pages of the last write that is not whole arrive in any order, and zeros
    stand where one did not: a record may be there in length and not in content.
Not played: whole writes of one file that reach the disk in another order, and names that become durable out of order.
"""
import dataclasses
import os
import stat
import struct

MAGIC = 0x324F495F544C5546
HEAD = struct.Struct("<QQQQQQIIII")
CREATE, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, LINK, MAKE_DIRECTORY, REMOVE_DIRECTORY, UNMODELLED = range(1, 11)
SECTOR, PAGE = 512, 4096


@dataclasses.dataclass
class Call:
    sequence: int
    started: int
    inode: int
    offset: int
    operation: int
    first: str
    second: str
    data: bytes


def read_trace(path, root):
    """All calls in order, with paths relative to `root`. A trace with a call that cannot be replayed is refused."""
    raw = path.read_bytes()
    calls, at = [], 0
    prefix = str(root) + "/"
    while at < len(raw):
        magic, sequence, started, inode, offset, size, operation, _, first, second = HEAD.unpack_from(raw, at)
        if magic != MAGIC:
            raise ValueError(f"the trace is damaged at byte {at}")
        at += HEAD.size
        names = [raw[at:at + first].decode(), raw[at + first:at + first + second].decode()]
        at += first + second
        data = raw[at:at + size]
        at += size
        if operation == UNMODELLED:
            raise ValueError(f"a call on {names[0]} is not modelled")
        names = [name.removesuffix(" (deleted)").removeprefix(prefix) for name in names]
        calls.append(Call(sequence, started, inode, offset, operation, *names, data))
    calls.sort(key=lambda call: call.sequence)
    return calls


class File:
    def __init__(self, content=b""):
        self.content = content  # When recording began.
        self.changes = []       # (sequence, whether it is a write, offset or new size, data)
        self.synced = 0         # Changes up to this sequence are durable.
        self.names = []         # Sequences of what gave it a name.


class Folder:
    def __init__(self):
        self.names = []         # Sequences of what changed a name in it.


class Base:
    """A folder at rest, with the inodes that calls will name. Sockets are left out."""

    def __init__(self, root):
        self.rows = []  # (path, inode, content or None for a folder), folders before what is in them

        def walk(path, name):
            self.rows.append((name, path.stat().st_ino, None))
            for child in sorted(path.iterdir()):
                mode, below = child.lstat(), f"{name}/{child.name}" if name else child.name
                if stat.S_ISDIR(mode.st_mode):
                    walk(child, below)
                elif stat.S_ISREG(mode.st_mode):
                    self.rows.append((below, mode.st_ino, child.read_bytes()))

        walk(root, "")


class Tree:
    """Which names lead where. Nodes are shared between trees; what they are called is not."""

    def __init__(self, rows):
        """`rows`: (path, node), folders first."""
        self.root = rows[0][1]
        self.entries = {self.root: {}}
        for path, node in rows[1:]:
            folder, name = self.place(path)
            self.put(folder, name, node)

    def place(self, path):
        *folders, name = path.split("/")
        node = self.root
        for part in folders:
            node = self.entries[node][part]
        return node, name

    def put(self, folder, name, node):
        self.entries[folder][name] = node
        if isinstance(node, Folder):
            self.entries.setdefault(node, {})

    def apply(self, call, made):
        """One change of names; `made` is what a create or mkdir made. Returns the folders touched and what moved."""
        folder, name = self.place(call.first)
        if call.operation in (CREATE, MAKE_DIRECTORY):
            self.put(folder, name, made)
            return [folder], made
        if call.operation in (UNLINK, REMOVE_DIRECTORY):
            self.entries[folder].pop(name, None)
            return [folder], None
        target, target_name = self.place(call.second)
        node = self.entries[folder][name]
        if call.operation == RENAME:
            del self.entries[folder][name]
        self.put(target, target_name, node)
        return [folder, target], node


class Disk:
    """Everything up to one moment, `cut`: what must be on the disk afterwards and what may be."""

    def __init__(self, base, calls, cut, reorder=False):
        self.reorder = reorder
        self.base, self.inodes = [], {}
        for path, inode, content in base.rows:
            node = Folder() if content is None else File(content)
            self.inodes[inode] = node
            self.base.append((path, node))
        self.names = []          # (sequence, call, what it made): every change of names, in order.
        self.names_durable = 0   # Those up to this sequence are on the disk.
        self._tree = Tree(self.base)
        for call in calls:
            if call.sequence > cut:
                break
            self._take(call)

    def _take(self, call):
        if call.operation == SYNC:
            self._sync(call)
        elif call.operation in (WRITE, TRUNCATE):
            if not isinstance(self.inodes.get(call.inode), File):  # The C library opened it by itself.
                self._name(dataclasses.replace(call, operation=CREATE), File())
            self.inodes[call.inode].changes.append((call.sequence, call.operation == WRITE, call.offset, call.data))
        elif call.operation in (CREATE, MAKE_DIRECTORY):
            self._name(call, File() if call.operation == CREATE else Folder())
        else:
            self._name(call, None)

    def _name(self, call, made):
        if made is not None:
            self.inodes[call.inode] = made
        folders, moved = self._tree.apply(call, made)
        for node in (*folders, moved):
            if node is not None:
                node.names.append(call.sequence)
        self.names.append((call.sequence, call, made))

    def _sync(self, call):
        node = self.inodes.get(call.inode)
        if node is None:
            return
        self.names_durable = max([self.names_durable, *(s for s in node.names if s <= call.started)])
        if isinstance(node, File):
            node.synced = max(node.synced, call.started)

    def write(self, target, rng, everything=False):
        """Makes one of the disks that are possible, with `everything` the one that lost nothing. Returns how many names and
        writes it lacks."""
        first, last = self.names_durable, self.names[-1][0] if self.names else self.names_durable
        keep = last if everything else rng.choice((first, rng.randint(first, last), last))
        tree = Tree(self.base)
        lost_names = 0
        for sequence, call, made in self.names:
            if sequence <= keep:
                tree.apply(call, made)
            else:
                lost_names += 1
        contents = {}  # A file with two names is one file.
        lost_writes = self._write_folder(target, tree, tree.root, rng, everything, contents)
        return lost_names, lost_writes

    def _write_folder(self, path, tree, folder, rng, everything, contents):
        path.mkdir(mode=0o700)
        lost = 0
        for name, node in tree.entries[folder].items():
            child = path / name
            if isinstance(node, Folder):
                lost += self._write_folder(child, tree, node, rng, everything, contents)
            elif node in contents:
                os.link(contents[node], child)
            else:
                content, gone = content_of(node, rng, everything, self.reorder)
                lost += gone
                contents[node] = child
                with open(os.open(child, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(content)
        return lost


def change(content, is_write, offset, data):
    if not is_write:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    content.extend(bytes(max(0, offset - len(content))))
    content[offset:offset + len(data)] = data


def content_of(file, rng, everything, reorder):
    """Content and how many changes of it are lost."""
    content = bytearray(file.content)
    loose = []
    for sequence, *what in file.changes:
        if everything or sequence <= file.synced:
            change(content, *what)
        else:
            loose.append(what)
    kept = rng.choice((0, len(loose), rng.randint(0, len(loose)))) if loose else 0
    for what in loose[:kept]:
        change(content, *what)
    if kept == len(loose):
        return content, 0
    is_write, offset, data = loose[kept]
    size_arrived = rng.random() < 0.25
    if is_write and rng.random() < 0.7 and (reorder or not size_arrived):
        (scatter if reorder else tear)(content, offset, data, rng)
    if size_arrived:
        content.extend(bytes(max(0, max(o + len(d) if w else 0 for w, o, d in loose) - len(content))))
    return content, len(loose) - kept


def tear(content, offset, data, rng):
    """A part of one write: what extends the file at any byte, what overwrites by whole sectors of the disk."""
    part = rng.randint(0, len(data))
    if offset + part < len(content):
        part = max(0, (offset + part) // SECTOR * SECTOR - offset)
    change(content, True, offset, data[:part])


def scatter(content, offset, data, rng):
    """Some pages of one write, wherever they are in it."""
    content.extend(bytes(max(0, offset + len(data) - len(content))))
    at = 0
    while at < len(data):
        size = min(PAGE - (offset + at) % PAGE, len(data) - at)
        if rng.random() < 0.5:
            content[offset + at:offset + at + size] = data[at:at + size]
        at += size
