"""One SVG per scenario: a horizontal bar for each server, its median, with a line from the smallest
to the largest round."""

import statistics
from xml.sax.saxutils import escape

WIDTH, LABEL, VALUE, BAR, GAP, TOP = 720, 150, 130, 22, 10, 56
OURS, PEER, LIMIT = "#1f6f54", "#8a94a0", "#c9ced4"


def colour(key):
    return OURS if key.startswith("ours") else LIMIT if key == "bare" else PEER


def chart(title, unit, rows):
    """`rows`: (key, name, values), in the order in which they are drawn."""
    rows = [row for row in rows if row[2]]
    if not rows:
        return ""
    top = max(max(values) for _, _, values in rows) or 1
    scale = (WIDTH - LABEL - VALUE) / top
    height = TOP + len(rows) * (BAR + GAP)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
             f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">',
             f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
             f'<text x="12" y="22" font-size="15" fill="#111">{escape(title)}</text>',
             f'<text x="12" y="40" fill="#555">{escape(unit)}; medians, lines from the smallest '
             "to the largest round</text>"]
    for number, (key, name, values) in enumerate(rows):
        y = TOP + number * (BAR + GAP)
        middle = y + BAR / 2
        median = statistics.median(values)
        low, high = LABEL + min(values) * scale, LABEL + max(values) * scale
        shown = f"{median:,.0f}" if median >= 100 else f"{median:.3g}"
        lines += [
            f'<text x="{LABEL - 8}" y="{middle + 4:.1f}" text-anchor="end" fill="#111">'
            f"{escape(name)}</text>",
            f'<rect x="{LABEL}" y="{y}" width="{max(median * scale, 1):.1f}" height="{BAR}" '
            f'fill="{colour(key)}"/>',
            f'<path d="M{low:.1f} {middle:.1f}H{high:.1f}M{low:.1f} {y + 6}v{BAR - 12}'
            f'M{high:.1f} {y + 6}v{BAR - 12}" stroke="#111" fill="none"/>',
            f'<text x="{max(high, LABEL + median * scale) + 8:.1f}" y="{middle + 4:.1f}" '
            f'fill="#111">{shown}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])
