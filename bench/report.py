# SPDX-License-Identifier: GPL-2.0-or-later
"""The report."""


def write(directory, about, results, text):
    (directory / "report.html").write_text(f"<pre>{text}</pre>")
