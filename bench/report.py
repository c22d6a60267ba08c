# SPDX-License-Identifier: GPL-2.0-or-later
"""The report: one HTML file with plots and tables, and the plots as SVG."""

import html
import subprocess

from bench import plot, table

HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>vmcircuit: benchmarks</title>
<style>
body { font: 15px/1.45 sans-serif; margin: 2em auto; max-width: 68em;
       padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: .5em 0 1.5em; font-size: 13px }
th, td { border-bottom: 1px solid #ddd; padding: .2em .7em; text-align: left }
td:nth-child(n+2) { font-variant-numeric: tabular-nums }
svg { max-width: 100%; height: auto }
code { font-size: 12px }
</style></head><body>
"""


def table_html(lines):
    """A table, as bench/table.py makes its lines."""
    lines = [[html.escape(cell.strip()) for cell in line.strip("|").split("|")]
             for line in lines]
    head, _, *body = lines
    return ("<table><tr>" + "".join(f"<th>{cell}</th>" for cell in head)
            + "</tr>\n" + "".join(
                "<tr>" + "".join(f"<td>{cell}</td>" for cell in line)
                + "</tr>\n" for line in body) + "</table>\n")


def draw_all(directory, results):
    """Draw the plots; return their SVG, or say why there are none."""
    parts = []
    try:
        for name, one in plot.all_plots(results).items():
            path = directory / f"{name}.svg"
            plot.draw(one, path)
            drawing = path.read_text()
            parts.append(f"<div>{drawing[drawing.index('<svg'):]}</div>\n")
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or error
        parts.append(f"<p>gnuplot did not draw: {html.escape(str(said))}</p>")
    return parts


def about_html(about, results):
    machine = about["machine"]
    lines = [f"Measured on {about['date']} ({about['mode']}, "
             f"{about['rounds']} rounds, {about['seconds']:.0f} s) on "
             f"{machine['processors']} × {machine['processor']}, Linux "
             f"{machine['kernel']}, guests under {machine['accelerator']}."]
    found = results.disturbance()
    if found:
        lines.append("Used by others during runs: "
                     f"{found['median']} processors (median), "
                     f"{found['max']} (most).")
    lines.append(", ".join(f"{name} {version}" for name, version
                           in about["versions"].items()) + ".")
    return "".join(f"<p>{html.escape(line)}</p>\n" for line in lines)


def lacks_html(results):
    lines = [f"{lack['bench']}, {lack['subject']}, {lack['what']}: "
             f"{lack['reason']} ({lack['evidence']})"
             for lack in results.missing]
    lines += [f"{lack['bench']}, {lack['what']}, failed: {lack['why']}"
              for lack in results.failures]
    return "<ul>\n" + "".join(f"<li>{html.escape(line)}</li>\n"
                              for line in lines) + "</ul>\n"


def write(directory, about, results):
    """Write report.html and the plots into a directory."""
    parts = [HEAD, "<h1>Benchmarks</h1>\n", about_html(about, results),
             *draw_all(directory, results), "<h2>Summary</h2>\n",
             table_html(table.summary(results))]
    for bench, rows in table.grouped(results):
        parts += [f"<h2>{html.escape(bench)}</h2>\n",
                  *map(table_html, table.tables_of(rows))]
    parts += ["<h2>What could not run</h2>\n", lacks_html(results),
              "</body></html>\n"]
    (directory / "report.html").write_text("".join(parts))
