"""Curves of `growth` as one SVG: a panel for each row, sizes and nanoseconds on logarithmic axes, ours in full and the reference's in dashes.

    plot.py FIGURES.json OUT.svg        FIGURES: what `scripts/bench FOLDER growth --json` wrote
"""

import json
import math
import sys
from pathlib import Path

COLUMNS, WIDTH, HEIGHT = 4, 222, 150
LEFT, RIGHT, TOP, BOTTOM = 56, 10, 26, 24
STYLES = {"ours": 'stroke="#b5432a" stroke-width="2"', "reference": 'stroke="#777" stroke-width="1.5" stroke-dasharray="5 3"'}


def curves(row):
    """The points of each side: size and nanoseconds."""
    found = {name: [] for name in STYLES}
    for column, value in row.items():
        name, _, size = column.partition(" ")
        if name in found and size and value is not None:
            found[name].append((float(size), value))
    return found


def panel(row, left, top):
    """One row as a panel."""
    found = curves(row)
    points = [point for curve in found.values() for point in curve]
    sizes, values = [x for x, _ in points], [y for _, y in points]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high += high == low
    first, last = math.log10(min(sizes)), math.log10(max(sizes))

    def place(size, value):
        x = left + LEFT + (math.log10(size) - first) / (last - first or 1) * (WIDTH - LEFT - RIGHT)
        y = top + HEIGHT - BOTTOM - (math.log10(value) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)
        return f"{x:.1f},{y:.1f}"

    yield f'<text x="{left + WIDTH / 2}" y="{top + 14}" text-anchor="middle" font-weight="bold">{row["what"]}</text>'
    for power in range(low, high + 1):
        x, y = place(min(sizes), 10**power).split(",")
        yield f'<line x1="{x}" x2="{left + WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="#ddd"/>'
        yield f'<text x="{left + LEFT - 4}" y="{y}" text-anchor="end" dominant-baseline="middle">{10**power:,} ns</text>'
    for size in sorted(set(sizes)):
        x = place(size, 10**low).split(",")[0]
        yield f'<text x="{x}" y="{top + HEIGHT - 8}" text-anchor="middle">1e{round(math.log10(size))}</text>'
    for name, curve in found.items():
        if curve:
            yield f'<polyline fill="none" {STYLES[name]} points="{" ".join(place(*point) for point in sorted(curve))}"/>'


def drawing(rows):
    """All panels."""
    lines = math.ceil(len(rows) / COLUMNS)
    width, height = COLUMNS * WIDTH, lines * HEIGHT + 20
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="9">'
    yield f'<rect width="{width}" height="{height}" fill="white"/>'
    for at, row in enumerate(rows):
        yield from panel(row, at % COLUMNS * WIDTH, at // COLUMNS * HEIGHT)
    yield f'<text x="10" y="{height - 6}">processor time of a command (of files: of a key) by the number of elements; full: ours, dashes: redis-server 7.0.15</text>'
    yield "</svg>"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    rows = json.loads(Path(sys.argv[1]).read_text())["growth"]
    Path(sys.argv[2]).write_text("\n".join(drawing(rows)) + "\n")


if __name__ == "__main__":
    main()
