#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes into protocol.md what proto/ defines: limits, messages, offsets, the
transition table, and what a program can map. Writes into socket-options.md what
the module's table of options says.

usage: doc/generate.py [--check]

A section from "<!-- generated: NAME -->" to "<!-- end -->" is
replaced. Names and comments are read from the headers; every number comes from
a C program that includes them. With --check nothing is written, and the exit
code is 1 if a document differs from its source.
"""

import os
import re
import subprocess
import sys
import tempfile

from option_tables import OptionWriter

DOC = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(DOC)
PROTOCOL = os.path.join(DOC, "protocol.md")
OPTIONS = os.path.join(DOC, "socket-options.md")
OPTION_TABLE = os.path.join(TOP, "guest/module/option_table.h")
HEADERS = ("limits.h", "wire.h", "ring.h", "record.h", "state.h",
           "mapping.h")

SECTION = re.compile(r"(<!-- generated: ([a-z0-9_ ]+) -->\n).*?(<!-- end -->)",
                     re.S)
AREA = re.compile(r"^ \*   (VMC_MAP_\w+) {2,}(.+?) {2,}(.+?) {2,}(.+)$", re.M)
DEFINE = re.compile(r"#define[ \t]+(VMC_\w+)[ \t]+\S")
FIELD = re.compile(r"\t(struct \w+|__le\d+|__u\d+|char)[ \t]+(\w+)(\[\w+\])?;")


class Failure(Exception):
    """A sentence for whoever runs this."""


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def sentence(lines):
    """The words of a comment, on one line of a table."""
    text = " ".join(line.replace("/*", "").replace("*/", "").strip(" \t*")
                    for line in lines)
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")


def comment_at(lines, at):
    """The comment that begins in lines[at], to its end."""
    taken = []
    for line in lines[at:]:
        taken.append(line)
        if "*/" in line:
            return taken
    raise Failure("a comment in proto/ has no end")


def parse_defines(text):
    """(name, comment) of each constant; a comment heads a group."""
    lines, note, found = text.splitlines(), "", []
    for at, line in enumerate(lines):
        if not line.strip():
            note = ""
        elif line.startswith("/*"):
            note = sentence(comment_at(lines, at))
        match = DEFINE.match(line)
        if match:
            own = line.partition("/*")[2]
            found.append((match[1], sentence([own]) if own else note))
            note = "" if own else note
            note = note and '"'
    return found


def parse_struct(text, name):
    """(field, type, comment) of each field up to a union."""
    match = re.search(r"^struct %s \{\n(.*?)^\};" % name, text, re.S | re.M)
    if not match:
        raise Failure(f"proto/ has no struct {name}")
    lines, found = match[1].splitlines(), []
    for at, line in enumerate(lines):
        if line.startswith("\tunion"):
            break
        field = FIELD.match(line)
        if not field:
            continue
        rest = line[field.end():]
        note = sentence(comment_at([rest] + lines[at + 1:], 0)) \
            if "/*" in rest else ""
        found.append((field[2], field[1] + (field[3] or ""), note))
    return found


def parse_enum(text, name):
    """(value, comment before or behind it) of an enum."""
    body = re.search(r"^enum %s \{\n(.*?)^\};" % name, text, re.S | re.M)[1]
    lines, note, found = body.splitlines(), "", []
    for at, line in enumerate(lines):
        if line.startswith("\t/*"):
            note = sentence(comment_at(lines, at))
        value = re.match(r"\t(VMC_\w+),(.*)", line)
        if value and not value[1].startswith("VMC_NR_"):
            found.append((value[1], sentence([value[2]]) or note))
            note = ""
    return found


class Numbers:
    """The values of C expressions, asked for in one go."""

    def __init__(self):
        self.wanted, self.known = [], {}

    def want(self, expression):
        if expression not in self.known:
            self.known[expression] = None
            self.wanted.append(expression)

    def compute(self):
        lines = ["#include <stddef.h>", "#include <stdio.h>"]
        lines += [f'#include "proto/{header}"' for header in HEADERS]
        lines.append("int main(void)\n{")
        for expression in self.wanted:
            lines.append(f'\tprintf("%llu\\n", (unsigned long long)'
                         f'({expression}));')
        lines.append("\treturn 0;\n}\n")
        with tempfile.TemporaryDirectory() as directory:
            source = os.path.join(directory, "numbers.c")
            program = os.path.join(directory, "numbers")
            with open(source, "w", encoding="ascii") as file:
                file.write("\n".join(lines))
            compiler = os.environ.get("CC", "gcc").split()
            done = subprocess.run(
                [*compiler, "-std=gnu11", "-I", TOP, source, "-o", program],
                capture_output=True, text=True)
            if done.returncode:
                raise Failure("the headers do not compile:\n" + done.stderr)
            out = subprocess.run([program], check=True, capture_output=True,
                                 text=True).stdout
        for expression, value in zip(self.wanted, out.split()):
            self.known[expression] = int(value)

    def __getitem__(self, expression):
        return self.known[expression]


def table(titles, rows):
    lines = ["| " + " | ".join(titles) + " |",
             "|" + " --- |" * len(titles)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def limit_text(name, value):
    """Sizes in bytes are told in a larger unit, too."""
    for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if "BYTES" in name and value and not value % (1 << shift):
            return f"{value} ({value >> shift} {unit})"
    return str(value)


class Writer:
    """Makes each section's text. ask() names the numbers that it needs."""

    def __init__(self):
        self.text = {header: read(os.path.join(TOP, "proto", header))
                     for header in HEADERS}
        self.wire = "".join(self.text[header] for header in
                            ("wire.h", "ring.h", "record.h", "mapping.h"))
        self.limits = parse_defines(self.text["limits.h"])
        self.types = [name for name, _ in parse_defines(self.text["wire.h"])
                      if name.startswith("VMC_MSG_")]
        self.states = parse_enum(self.text["state.h"], "vmc_state")
        self.events = parse_enum(self.text["state.h"], "vmc_event")
        self.layout = ("VMC_CTL_OFFSET", "VMC_RINGS_OFFSET",
                       "VMC_SEGMENT_BYTES", "VMC_BELL_WORDS")
        self.areas = AREA.findall(self.text["mapping.h"])
        self.requests = [(name, note) for name, note
                         in parse_defines(self.text["mapping.h"])
                         if name.startswith("VMC_IOC_")]
        self.numbers = Numbers()

    def structs(self, names):
        return [name.split()[1] for name in names
                if name.startswith("struct ")]

    def ask(self, sections):
        want = self.numbers.want
        for name, _ in self.limits:
            want(name)
        for name in self.types:
            want(name)
            want(f"vmc_msg_body_bytes({name})")
        for name in self.structs(sections):
            want(f"sizeof(struct {name})")
            for field, _, _ in parse_struct(self.wire, name):
                want(f"offsetof(struct {name}, {field})")
                want(f"sizeof(((struct {name} *)0)->{field})")
        for state, _ in self.states:
            want(state)
            for event, _ in self.events:
                want(f"vmc_state_next({state}, {event})")
        want("VMC_STATE_INVALID")
        for name in self.layout:
            want(name)
        for name in [area[0] for area in self.areas] + \
                [name for name, _ in self.requests]:
            want(name)
        for name in ("FIN", "RST", "GONE"):
            want(f"VMC_CTL_{name}")
        self.numbers.compute()

    def write(self, section):
        if section.startswith("struct "):
            return self.write_struct(section.split()[1])
        writers = {"limits": self.write_limits, "types": self.write_types,
                   "layout": self.write_layout, "states": self.write_states,
                   "transitions": self.write_transitions,
                   "areas": self.write_areas, "requests": self.write_requests}
        return writers[section]() if section in writers else None

    def write_limits(self):
        return table(("name", "value", "meaning"),
                     [(f"`{name}`", limit_text(name, self.numbers[name]),
                       note) for name, note in self.limits])

    def write_types(self):
        rows = []
        for name in self.types:
            number = self.numbers[name]
            rows.append((str(number), name[len("VMC_MSG_"):],
                         "guest to switch" if number < 64 else
                         "switch to guest",
                         str(self.numbers[f"vmc_msg_body_bytes({name})"])))
        return table(("type", "name", "direction", "body, bytes"), rows)

    def write_struct(self, name):
        rows = []
        for field, kind, note in parse_struct(self.wire, name):
            offset = self.numbers[f"offsetof(struct {name}, {field})"]
            size = self.numbers[f"sizeof(((struct {name} *)0)->{field})"]
            if field.startswith("pad"):
                note = note or "zero"
            rows.append((str(offset), str(size), f"`{field}`",
                         f"`{kind}`", note))
        total = self.numbers[f"sizeof(struct {name})"]
        return f"`struct {name}`, {total} bytes:\n\n" + \
            table(("offset", "bytes", "field", "type", ""), rows)

    def write_layout(self):
        number = self.numbers
        return table(("offset", "what"), [
            ("0", "`struct vmc_segment_header`, with "
             f"{number['VMC_BELL_WORDS']} words in each bitmap"),
            (str(number["VMC_CTL_OFFSET"]), "control pages, one `struct "
             f"vmc_ctl` for each of {number['VMC_SLOTS_PER_LINK']} slots"),
            (str(number["VMC_RINGS_OFFSET"]), "rings, page-aligned"),
            (str(number["VMC_SEGMENT_BYTES"]), "end")]) + "\n\n" + \
            "Flags of a control page: " + ", ".join(
                f"{name} = {number['VMC_CTL_' + name]}"
                for name in ("FIN", "RST", "GONE")) + "."

    def write_states(self):
        short = len("VMC_STATE_")
        return table(("state", "meaning"), [
            (name[short:], note) for name, note in self.states]) + "\n\n" + \
            table(("event", "meaning"), [
                (name[len("VMC_EVENT_"):], note)
                for name, note in self.events])

    def write_transitions(self):
        names = {self.numbers[name]: name[len("VMC_STATE_"):]
                 for name, _ in self.states}
        names[self.numbers["VMC_STATE_INVALID"]] = "—"
        rows = []
        for state, _ in self.states:
            rows.append([f"**{state[len('VMC_STATE_'):]}**"] + [
                names[self.numbers[f"vmc_state_next({state}, {event})"]]
                for event, _ in self.events])
        return table([""] + [event[len("VMC_EVENT_"):]
                             for event, _ in self.events], rows)

    def write_areas(self):
        return table(("area", "offset", "length", "protection", "holds"),
                     [(f"`{name}`", hex(self.numbers[name]), *rest)
                      for name, *rest in self.areas])

    def write_requests(self):
        return table(("request", "value", "meaning"),
                     [(f"`{name}`", hex(self.numbers[name]), note)
                      for name, note in self.requests])


def sections_of(old, path):
    sections = [match[2] for match in SECTION.finditer(old)]
    if old.count("<!-- generated:") != len(sections):
        raise Failure(f"a generated section of {path} has no end")
    return sections


def fill_in(old, writer):
    def section(match):
        text = writer.write(match[2])
        if text is None:
            raise Failure(f"nobody can make the section '{match[2]}'")
        return match[1] + text + "\n" + match[3]
    return SECTION.sub(section, old)


def generate_protocol(old):
    writer = Writer()
    writer.ask(sections_of(old, PROTOCOL))
    return fill_in(old, writer)


def generate_options(old):
    sections_of(old, OPTIONS)
    return fill_in(old, OptionWriter(read(OPTION_TABLE), table))


def update(path, generate, is_check):
    """Return whether the document is as it should be, or is now."""
    old = read(path)
    new = generate(old)
    if old == new:
        return True
    if is_check:
        print(f"{os.path.relpath(path, TOP)} differs from its source: run "
              "doc/generate.py", file=sys.stderr)
        return False
    with open(path, "w", encoding="utf-8") as file:
        file.write(new)
    return True


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        print("generate.py: the only argument is --check", file=sys.stderr)
        return 2
    is_check = bool(sys.argv[1:])
    try:
        done = [update(PROTOCOL, generate_protocol, is_check),
                update(OPTIONS, generate_options, is_check)]
    except (Failure, OSError) as failure:
        print(f"generate.py: {failure}", file=sys.stderr)
        return 1
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
