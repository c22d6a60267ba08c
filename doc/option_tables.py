# SPDX-License-Identifier: GPL-2.0-or-later
"""The sections of socket-options.md, read from the module's option_table.h."""

import re

# X(a, b, c, "words" "more words"), on one line or several.
ROW = re.compile(r"\bX\(([A-Z0-9_, \\\s]+?),[\s\\]*((?:\"[^\"]*\"[\s\\]*)+)\)")
STRING = re.compile(r"\"([^\"]*)\"")

WHOM = {"BOTH": "socket and shadow", "SHADOW": "shadow",
        "CIRCUIT": "shadow; told by the circuit", "ABSENT":
        "shadow; ENOENT on a circuit", "REFUSED": "EOPNOTSUPP",
        "NEVER": "EOPNOTSUPP, always", "UDP": "UDP"}
TOLD = {"SAME": "as TCP", "VALUE": "its own value", "STATE":
        "as without a connection"}
FLAG = {"HONOURED": "honoured", "IGNORED": "ignored"}
IOCTL = {"READABLE": "the ring from the peer", "UNTAKEN":
         "the ring to the peer", "HELD": "what is held back", "MARK":
         "the peer's urgent byte"}


def rows(text, name):
    """The rows of one list: its words first, the others as they stand."""
    begin = text.index(f"#define {name}(X)")
    end = text.find("\n\n", begin)
    for match in ROW.finditer(text, begin, end):
        yield [word.strip(" \\\t\n") for word in match[1].split(",")] + \
            ["".join(STRING.findall(match[2])).replace("|", "\\|")]


class OptionWriter:
    """Makes each section's text."""

    def __init__(self, text, table):
        self.text, self.table = text, table

    def write(self, section):
        kind, _, level = section.partition(" ")
        if kind == "stream":
            return self.table(
                ("option", "set on", "told", "on a circuit"),
                [(f"`{name}`", WHOM[whom], TOLD[told], words)
                 for at, name, whom, told, words in
                 rows(self.text, "VMC_STREAM_OPTIONS")
                 if at == f"SOL_{level.upper()}"])
        if kind == "datagram":
            return self.table(
                ("level", "option", "set on", "on a datagram socket"),
                [(at, f"`{name}`", WHOM[whom], words)
                 for at, name, whom, words in
                 rows(self.text, "VMC_DATAGRAM_OPTIONS")])
        if kind == "flags":
            return self.table(
                ("flag", "send()", "recv()", "on a circuit"),
                [(f"`{name}`", FLAG[send], FLAG[receive], words)
                 for name, send, receive, words in
                 rows(self.text, "VMC_STREAM_FLAGS")])
        if kind == "ioctls":
            return self.table(
                ("request", "answered from", ""),
                [(f"`{name}`", IOCTL[way], words) for name, way, words in
                 rows(self.text, "VMC_STREAM_IOCTLS")])
        return None
