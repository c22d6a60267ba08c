#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The policy of a switch that serves: listed, tested, read again.

usage: policy_life_test.py VMCIRCUITD VMCIRCUITCTL VMCIRCUIT-KEEPER
       [unittest's arguments]
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

SANDBOX = "false" if os.environ.get("NO_SANDBOX") else "true"
SWITCH = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else ""
CTL = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else ""
KEEPER = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else ""

HEAD = """
control = "{0}/control"
sandbox = {1}
vm "a" {{ socket = "{0}/a" addresses = {{ "10.77.0.1/24", "fd77::1/64" }} }}
vm "b" {{ socket = "{0}/b" addresses = {{ "10.77.0.2/24" }} source = "routed" }}
vm "c" {{ socket = "{0}/c" addresses = {{ "10.77.0.3/24" }} network = "n" }}
uplink {{ host_addresses = {{ "10.77.0.254" }} }}
publish = {{ "127.0.0.1:{2} -> a:80" }}
proxy "corp" {{ address = "192.0.2.9:1080" user = "u" password = "hush" }}
"""
RULES = """rule "via corp" {
action = "allow"
direction = "out"
remote = { "192.0.2.0/24" }
ports = { "443", "8000-8999" }
congestion = "reno"
proxy = "corp"
}
rule "no" { action = "deny" direction = "out" vm = { "a" }
            remote = { "198.51.100.0/24" } }
rule "loopback" { action = "allow" direction = "out" vm = { "a" }
                  remote = { "127.0.0.1" } ports = { "53" } }
rule "ssh" { action = "allow" direction = "in" ports = { "22" } }
rule "bad" { action = "deny" direction = "in" remote = { "203.0.113.66" } }
"""
PORT = 20000 + os.getpid() % 10000


class Policy(unittest.TestCase):
    """One switch for each test; its log must not speak of anything else."""

    command = [SWITCH]

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.config = self.directory.name + "/conf"
        self.configure(RULES)
        self.log = open(self.directory.name + "/log", "w+b")
        # The path is relative: a reload must find the file nevertheless.
        self.switch = subprocess.Popen([*self.command, "--config", "conf"],
                                       cwd=self.directory.name,
                                       stderr=self.log)
        self.wait_for("serving")

    def tearDown(self):
        self.switch.send_signal(signal.SIGTERM)
        code = self.switch.wait(10)
        log = self.logged()
        self.log.close()
        self.directory.cleanup()
        self.assertEqual(code, 0, log)
        self.assertNotIn("Sanitizer", log)
        self.assertNotIn("hush", log)

    def configure(self, rules, head=HEAD):
        with open(self.config, "w", encoding="ascii") as file:
            file.write(head.format(self.directory.name, SANDBOX, PORT))
            file.write(rules)

    def logged(self):
        with open(self.directory.name + "/log", encoding="utf-8") as file:
            return file.read()

    def wait_for(self, words, times=1):
        end = time.monotonic() + 10
        while self.logged().count(words) < times:
            self.assertIsNone(self.switch.poll(), self.logged())
            self.assertLess(time.monotonic(), end, self.logged())
            time.sleep(0.01)

    def ctl(self, *words, code=0):
        """Run vmcircuitctl; return all it says."""
        done = subprocess.run(
            [CTL, "--socket", self.directory.name + "/control", *words],
            capture_output=True, text=True, timeout=20, check=False)
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, code, said)
        self.assertNotIn("hush", said)
        return said

    def ask(self, *words, code=0):
        lines = self.ctl("--json", *words, code=code).splitlines()
        return [json.loads(line) for line in lines]

    def test_the_rules_are_listed_in_order(self):
        lines = self.ask("policy", "list")
        rules = [line for line in lines if line["type"] == "rule"]
        self.assertEqual([rule["name"] for rule in rules],
                         ["via corp", "no", "loopback", "ssh", "bad"])
        first = rules[0]
        self.assertEqual(first["ports"], ["443", "8000-8999"])
        self.assertEqual(first["remote"], ["192.0.2.0/24"])
        self.assertEqual((first["transport"], first["congestion"],
                          first["proxy"]), ("tcp", "reno", "corp"))
        self.assertEqual(first["decided"], 0)
        self.assertEqual(len([line for line in lines
                              if line["type"] == "default"]), 6)
        self.assertEqual(lines[-1]["type"], "end")
        table = self.ctl("policy", "list").splitlines()
        self.assertEqual(table[0].split()[0], "RULE")
        self.assertTrue(table[1].startswith("via corp"), table)
        self.assertIn("tcp, reno, proxy corp", table[1])
        self.assertNotIn("\033", "".join(table))

    def test_a_long_rule_fits_a_line(self):
        def many(items):
            return "{" + ",".join(f'"{item}"' for item in items) + "}"
        self.configure(
            f'rule "{"r" * 31}" {{ action = "allow" direction = "out" '
            f'remote = {many(["fd00:1111:2222:3333:4444:5555:6666:7777"] * 64)}'
            f' ports = {many(["60000-60001"] * 64)}'
            f' vm = {many(["a"] * 64)} }}\n' + RULES)
        self.ctl("policy", "reload")
        rules = self.ask("policy", "list")
        self.assertEqual(len(rules[0]["remote"]), 64)
        self.assertEqual(rules[1]["name"], "via corp")

    def test_outbound_is_explained(self):
        def said(address, vm="a", code=0):
            return self.ctl("policy", "test", vm, "tcp", address, code=code)
        self.assertIn('allowed: rule "via corp" (conf:10), to 192.0.2.1:443 '
                      'over tcp, reno, proxy corp', said("192.0.2.1:443"))
        self.assertIn('denied: rule "no" (conf:18)',
                      said("198.51.100.1:80", code=1))
        self.assertIn("default: outbound is allowed",
                      said("198.51.100.1:80", "b"))
        self.assertIn("link-local", said("169.254.169.254:80", code=1))
        self.assertIn("link-local", said("[fe80::1]:80", code=1))
        # The host's loopback, by either name.
        self.assertIn("to 127.0.0.1:53", said("10.77.0.254:53"))
        self.assertIn('rule "loopback"', said("127.0.0.1:53"))
        self.assertIn("loopback", said("10.77.0.254:54", code=1))
        self.assertIn("loopback", said("[::ffff:127.0.0.1]:80", code=1))
        # Who is not asked a rule.
        self.assertIn("a VM has this address", said("10.77.0.2:80"))
        self.assertIn("keep them apart", said("10.77.0.3:80", code=1))
        self.assertIn("no VM has it", said("10.77.0.9:80", code=1))
        verdict = self.ask("policy", "test", "a", "tcp", "198.51.100.1:80",
                           code=1)
        self.assertEqual([line["type"] for line in verdict],
                         ["verdict", "end"])
        self.assertIs(verdict[0]["allowed"], False)

    def test_inbound_is_explained(self):
        def said(address, port, vm="a", code=0):
            return self.ctl("policy", "test", vm, "tcp", "from", address,
                            "to", str(port), code=code)
        published = said("192.0.2.1", 80)
        self.assertIn("default: published ports are open", published)
        self.assertIn(f"127.0.0.1:{PORT} -> a:80", published)
        self.assertIn('rule "bad"', said("203.0.113.66", 80, code=1))
        self.assertIn("no publish line", said("192.0.2.1", 22, code=1))
        self.assertIn('rule "ssh"', said("192.0.2.1", 22, "b"))
        self.assertIn("default: inbound is denied",
                      said("192.0.2.1", 23, "b", code=1))

    def test_wrong_questions_have_their_own_status(self):
        for words in (("test", "nobody", "tcp", "192.0.2.1:80"),
                      ("test", "a", "icmp", "192.0.2.1:80"),
                      ("test", "a", "tcp", "192.0.2.1"),
                      ("test", "a", "tcp", "192.0.2.1:0"),
                      ("test", "a", "tcp", "from", "192.0.2.1", "to", "0"),
                      ("test", "a", "tcp", "from", "192.0.2.1", "to", "x"),
                      ("test", "a", "tcp", "from", "there", "to", "80"),
                      ("test", "a", "tcp"), ("list", "a"), ("think",), ()):
            with self.subTest(words=words):
                self.ctl("policy", *words, code=2)
        done = subprocess.run(
            [CTL, "--socket", "/nonexistent", "policy", "test", "a", "tcp",
             "192.0.2.1:80"], capture_output=True, check=False)
        self.assertEqual(done.returncode, 3)

    def test_a_reload_replaces_the_rules(self):
        deny = 'rule "all" { action = "deny" direction = "out" }\n'
        for number, again in enumerate(
                (lambda: self.ctl("policy", "reload"),
                 lambda: self.switch.send_signal(signal.SIGHUP))):
            self.configure(deny)
            again()
            self.wait_for("the policy was read again: rules: 1",
                          number + 1)
            self.assertIn('rule "all"', self.ctl(
                "policy", "test", "b", "tcp", "192.0.2.1:443", code=1))
            self.configure(RULES)
            again()
            self.wait_for("the policy was read again: rules: 5",
                          number + 1)
            self.ctl("policy", "test", "b", "tcp", "192.0.2.1:443")

    def test_a_bad_file_changes_nothing(self):
        self.configure(RULES + 'rule "x" {\naction = "dney"\n}\n')
        said = self.ctl("policy", "reload", code=1)
        self.assertIn(f'{self.config}:25: action: "dney" is not', said)
        self.switch.send_signal(signal.SIGHUP)
        self.wait_for('the policy stays as it was', 2)
        self.assertIn(f'{self.config}:25: action: "dney"', self.logged())
        self.ctl("policy", "test", "a", "tcp", "198.51.100.1:80", code=1)
        os.unlink(self.config)
        self.assertIn("cannot be read", self.ctl("policy", "reload", code=1))
        os.mkfifo(self.config)
        self.assertIn("cannot be read", self.ctl("policy", "reload", code=1))
        self.ctl("policy", "test", "a", "tcp", "198.51.100.1:80", code=1)

    def test_what_takes_a_restart_is_told(self):
        self.assertNotIn("restart", self.ctl("policy", "reload"))
        self.configure(RULES, HEAD + 'vm "new" {{ socket = "{0}/n" '
                       'addresses = {{ "10.77.0.9/24" }} }}\n')
        said = self.ctl("policy", "reload")
        self.assertIn('vm "new" differs', said)
        self.assertIn("restart", said)
        self.ctl("policy", "test", "new", "tcp", "192.0.2.1:443", code=2)
        # The level of the log is for the start only.
        self.configure(RULES, 'log_level = "error"\n' + HEAD)
        self.assertIn("restart", self.ctl("policy", "reload"))
        self.wait_for("the policy was read again", 3)


class Kept(Policy):
    """The same under a keeper, which gets the signals."""

    command = [KEEPER, SWITCH]


if __name__ == "__main__":
    unittest.main()
