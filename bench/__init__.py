# SPDX-License-Identifier: GPL-2.0-or-later
"""Benchmarks: circuits and what a user would pick instead, side by side.

Read run.py first, then turns.py. A *world* (world.py) is a set of guests that
are booted together; a *subject* (subjects/) is a way for two programs of a
world to talk; a *benchmark* (benchmarks/) is work that a pair of programs does
over a subject. Subjects take turns within each round, so that what disturbs
disturbs all of them, and each run of a turn gives figures and, by the counters
of guests, hypervisors and switch (cost.py), what they cost.

A new subject or benchmark is a file of its own and a word in the __init__.py
beside it. Numbers become statistics in figure.py, results.json in result.py,
doc/benchmarks.md in table.py, and build/bench/report.html in report.py.
"""
