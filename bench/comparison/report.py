"""Turns results into bench/RESULTS.md and its charts."""

import os
import platform
import statistics

from .bars import BARS, Figures
from .charts import chart

# figure: (heading, more is better)
COLUMNS = {
    "rate": ("{unit}/s", True),
    "bytes": ("MB/s", True),
    "p50": ("p50, µs", False),
    "p99": ("p99, µs", False),
    "cpu": ("server CPU µs each (user + system)", False),
    "cpu_all": ("the same, until all is sealed", False),
    "own_cpu": ("generator CPU µs each", None),
    "rss": ("RSS, MB", False),
    "cores": ("server CPU, cores", False),
    "append_p50_us": ("append p50, µs", False),
    "rss_per_reader_bytes": ("bytes per reader", False),
    "streams": ("streams", None),
    "restart": ("seconds to the first correct answer", False),
    "kept": ("share of the offered rate", True),
    "p99_alone": ("write p99 without readers, µs", False),
}
SCALES = {"bytes": 1e-6}


def number(value):
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def spread(values):
    shown = number(statistics.median(values))
    return shown if len(values) == 1 else f"{shown} ({number(min(values))}–{number(max(values))})"


def values_of(samples, figure):
    scale = SCALES.get(figure, 1)
    return [s[figure] * scale for s in samples if figure in s]


def cell(samples, figure):
    values = values_of(samples, figure)
    if not values:
        return "–"
    if figure == "cpu":
        parts = [statistics.median(values_of(samples, part)) for part in ("user", "system")]
        return f"{spread(values)} ({parts[0]:.1f} + {parts[1]:.1f})"
    return spread(values)


def scenario_lines(scenario, stored, names):
    if not stored:
        return []
    head = [COLUMNS[c][0].format(unit=scenario.unit or "runs") for c in scenario.columns]
    first = scenario.columns[0]
    ours = next((stored[k] for k in stored if k.startswith("ours")), [])
    mine = values_of(ours, first)
    lines = [f"### `{scenario.key}`: {scenario.title}", "",
             f"| server | {' | '.join(head)} | ours / theirs |", "|---" * (len(head) + 2) + "|"]
    for key in scenario.servers:
        samples = stored.get(key)
        if not samples:
            continue
        failed = next((s["failed"] for s in samples if "failed" in s), None)
        if failed and not any(first in s for s in samples):
            reason = failed.replace("|", "/")[-160:]  # its end says most
            lines.append(f"| {names[key]} | did not get through: {reason} |"
                         + " |" * len(head))
            continue
        theirs = values_of(samples, first)
        ratio = "–"
        if mine and theirs and not key.startswith("ours") and statistics.median(theirs):
            ratio = f"{statistics.median(mine) / statistics.median(theirs):.2f} ×"
        cells = " | ".join(cell(samples, c) for c in scenario.columns)
        lines.append(f"| {names[key]} | {cells} | {ratio} |")
    lines += ["", f"![{scenario.key}](charts/{scenario.key}.svg)", ""]
    return lines


def limit_lines(limits):
    lines = ["### The disk's limit", "",
             "One `pwrite` and one `fdatasync` per group to a preallocated, zero-filled file.", "",
             "| records × bytes per sync | records/s | sync p50, µs | sync p99, µs |",
             "|---|---|---|---|"]
    for group in limits[0]:
        cells = [spread([limit[group][figure] for limit in limits if group in limit])
                 for figure in ("records_per_second", "sync_p50_us", "sync_p99_us")]
        lines.append(f"| {group.replace('x', ' × ')} | {' | '.join(cells)} |")
    return [*lines, ""]


def cpu_model():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def filesystem_of(path):
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            fields = line.split()
            if fields[2] == wanted:
                rest = fields[fields.index("-") + 1:]
                return f"{rest[0]} on {rest[1]}"
    return "unknown"


def machine(scratch):
    """Lines that describe this one, whose data directories are below `scratch`."""
    return [
        f"- {os.cpu_count()} × {cpu_model()}; the generator runs beside the server",
        f"- {platform.system()} {platform.release()}; data directories: {filesystem_of(scratch)}",
    ]


def report(scenarios, store, servers):
    """`store`: {"results": .., "limits": .., "runs": .., "skipped": .., "machine": ..}."""
    results = store["results"]
    figures = Figures(results, store["limits"])
    names = {key: server.name for key, server in servers.items()}
    lines = [
        "# Results", "",
        "Written by `bench/compare`; how to read it is said in [README.md](README.md). Values are "
        "medians, with the smallest and the largest round in brackets; ratios are of medians, ours "
        "to the peer's. The servers of a scenario took turns, so that whatever the machine did "
        "meanwhile hit all of them.", "",
        "## The bars", "", "| row | what | bar | measured | |", "|---|---|---|---|---|",
        *[bar.line(figures) for bar in BARS], "",
        "## The scenarios", "",
    ]
    for scenario in scenarios:
        lines += scenario_lines(scenario, results.get(scenario.key), names)
    if store["limits"]:
        lines += limit_lines(store["limits"])
    lines += [
        "## The machine and the servers", "",
        *store["machine"],
    ]
    for key, server in servers.items():
        if key in store["skipped"]:
            lines.append(f"- {server.name}: skipped, {store['skipped'][key]}")
        elif any(key in found for found in results.values()):
            version = store["versions"].get(key, server.version)
            lines.append(f"- {server.name}: {version}; {server.settings}")
    lines += ["", "When which scenarios ran, and the load average before:", ""]
    lines += [f"- {run}" for run in store["runs"]]
    return "\n".join([*lines, ""])


def write_charts(scenarios, store, servers, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for scenario in scenarios:
        stored = store["results"].get(scenario.key, {})
        figure = scenario.columns[0]
        rows = [(key, servers[key].name, values_of(stored.get(key, []), figure))
                for key in scenario.servers]
        heading, more = COLUMNS[figure]
        unit = heading.format(unit=scenario.unit) + (", more is better" if more
                                                     else ", less is better")
        drawn = chart(scenario.title, unit, rows)
        if drawn:
            (folder / f"{scenario.key}.svg").write_text(drawn, encoding="utf-8")
