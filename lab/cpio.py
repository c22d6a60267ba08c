# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes cpio archives ("newc") for the kernel's initramfs.

Own code rather than the cpio program, because the payload must appear under a
prefix and belong to root whoever built it.
"""

import os
import stat


class Archive:
    """Collects entries; write() gives the file."""

    def __init__(self):
        self.chunks, self.inode, self.directories = [], 0, set()

    def entry(self, name, mode, data=b"", rdev=(0, 0)):
        self.inode += 1
        raw = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev,
                  len(raw), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields)
        for part in (head + raw, data):
            self.chunks += [part, b"\0" * (-len(part) % 4)]

    def directory(self, name, mode=0o755):
        """Add a directory, and those above it, once."""
        name = name.strip("/")
        if not name or name in self.directories:
            return
        self.directory(os.path.dirname(name))
        self.directories.add(name)
        self.entry(name, stat.S_IFDIR | mode)

    def file(self, name, data, mode=0o644):
        self.directory(os.path.dirname(name))
        self.entry(name.strip("/"), stat.S_IFREG | mode, data)

    def link(self, name, target):
        self.directory(os.path.dirname(name))
        self.entry(name.strip("/"), stat.S_IFLNK | 0o777, target.encode())

    def device(self, name, major, minor):
        self.directory(os.path.dirname(name))
        self.entry(name.strip("/"), stat.S_IFCHR | 0o600, rdev=(major, minor))

    def tree(self, source, prefix):
        """Add the content of the directory source under prefix."""
        self.directory(prefix)
        for parent, directories, files in os.walk(source):
            inside = os.path.relpath(parent, source)
            base = prefix if inside == "." else f"{prefix}/{inside}"
            for name in sorted(directories + files):
                path, target = f"{parent}/{name}", f"{base}/{name}"
                info = os.lstat(path)
                if stat.S_ISLNK(info.st_mode):
                    self.link(target, os.readlink(path))
                elif stat.S_ISDIR(info.st_mode):
                    self.directory(target, stat.S_IMODE(info.st_mode))
                elif stat.S_ISREG(info.st_mode):
                    with open(path, "rb") as file:
                        self.file(target, file.read(),
                                  stat.S_IMODE(info.st_mode))

    def bytes(self):
        self.entry("TRAILER!!!", 0)
        data = b"".join(self.chunks)
        return data + b"\0" * (-len(data) % 512)
