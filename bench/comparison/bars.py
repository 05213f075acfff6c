"""What must hold, and whether it does. A bar is judged by medians of one set of results."""

import statistics

MET, MISSED, UNKNOWN = "met", "**missed**", "not measured"


class Figures:
    """Medians of what was measured; None where something is missing."""

    def __init__(self, results, limits):
        self.results, self.limits = results, limits

    def of(self, scenario, server, figure):
        """The median. "ours" is whichever variant of this server the scenario has."""
        measured = self.results.get(scenario, {})
        if server == "ours":
            server = next((key for key in measured if key.startswith("ours")), server)
        samples = measured.get(server, [])
        values = [s[figure] for s in samples if figure in s]
        return statistics.median(values) if values else None

    def ratio(self, scenario, figure, server, other="ours"):
        """Ours to another's, or another scenario's of ours."""
        ours = self.of(scenario, other, figure)
        theirs = self.of(scenario, server, figure)
        return None if ours is None or not theirs else ours / theirs

    def limit(self, group, figure):
        values = [limit[group][figure] for limit in self.limits if group in limit]
        return statistics.median(values) if values else None


class Bar:
    def __init__(self, row, text, figure, least=None, most=None, unit="×", goal=False):
        self.row, self.text, self.figure = row, text, figure
        self.least, self.most, self.unit, self.goal = least, most, unit, goal

    def line(self, figures):
        value = self.figure(figures)
        wanted = f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"
        wanted = f"{wanted} {self.unit}".strip()
        if value is None:
            return f"| {self.row} | {self.text} | {wanted} | – | {UNKNOWN} |"
        good = value >= self.least if self.least is not None else value <= self.most
        shown = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
        if abs(value) < 0.1:
            shown = f"{value:.4f}"
        verdict = MET if good else ("goal missed" if self.goal else MISSED)
        return f"| {self.row} | {self.text} | {wanted} | {shown} {self.unit} | {verdict} |"


def ratio(scenario, figure, server):
    return lambda f: f.ratio(scenario, figure, server)


def own(scenario, figure, scale=1.0):
    def value(f):
        found = f.of(scenario, "ours", figure)
        return None if found is None else found * scale
    return value


def less(first, second):
    def value(f):
        a, b = first(f), second(f)
        return None if a is None or b is None else a - b
    return value


def over(first, second):
    def value(f):
        a, b = first(f), second(f)
        return None if a is None or not b else a / b
    return value


def appends():
    bars = []
    for key in ("append-1", "append-100"):
        bars += [
            Bar(1, f"`{key}`: appends/s to Electric Rust", ratio(key, "rate", "rust"), least=1.25),
            Bar(1, f"`{key}-256c`: appends/s to Electric Rust",
                ratio(f"{key}-256c", "rate", "rust"), least=1.35),
            Bar(1, f"`{key}`: appends/s to Redis", ratio(key, "rate", "redis"), least=1.2),
            Bar(1, f"`{key}`: CPU per append to Electric Rust", ratio(key, "cpu", "rust"),
                most=0.75),
            Bar(1, f"`{key}`: user CPU per append", own(key, "user"), most=2.5, unit="µs"),
        ]
    for key in ("append-10k", "append-most", "append-100k", "append-1m"):
        bars.append(Bar(2, f"`{key}`: CPU per append to that of `append-1-settled`",
                        over(own(key, "cpu"), own("append-1-settled", "cpu")), most=1.15))
        bars.append(Bar(2, f"`{key}`: the same, until all is sealed",
                        over(own(key, "cpu_all"), own("append-1-settled", "cpu_all")),
                        most=1.15))
    return bars + [
        Bar(2, "`append-10k`: appends/s to Electric Rust", ratio("append-10k", "rate", "rust"),
            least=1.6),
        Bar(2, "`append-most`: appends/s to Electric Rust", ratio("append-most", "rate", "rust"),
            least=3),
        Bar(3, "`append-1c`: p50 beyond one `fdatasync`",
            less(own("append-1c", "p50"), lambda f: f.limit("1x100", "sync_p50_us")), most=60,
            unit="µs"),
        Bar(3, "`append-1c`: p50 to Electric Rust", ratio("append-1c", "p50", "rust"), most=1),
        Bar(3, "`append-1c`: p99 to Electric Rust", ratio("append-1c", "p99", "rust"), most=1),
        Bar(4, "`json-1000`: batches/s to Electric Rust", ratio("json-1000", "rate", "rust"),
            least=1.3),
        Bar(5, "`append-1MiB`: bytes/s to Electric Rust", ratio("append-1MiB", "bytes", "rust"),
            least=1.2),
        Bar(5, "`append-1MiB`: share of what the disk takes",
            over(own("append-1MiB", "bytes"),
                 lambda f: scaled(f.limit("8x1048576", "records_per_second"), 1 << 20)),
            least=0.4, goal=True),
    ]


def scaled(value, factor):
    return None if value is None else value * factor


def reads():
    return [
        Bar(6, "`read-100`: reads/s to Electric Rust", ratio("read-100", "rate", "rust"),
            least=1.8),
        Bar(6, "`read-100`: reads/s to nginx", ratio("read-100", "rate", "nginx"), least=1.3),
        Bar(7, "`read-1MiB`: bytes/s to Electric Rust", ratio("read-1MiB", "bytes", "rust"),
            least=1),
        Bar(7, "`read-1MiB`: bytes/s to nginx", ratio("read-1MiB", "bytes", "nginx"), least=1.4),
        Bar(7, "`read-1MiB-restarted`: bytes/s to Electric Rust",
            ratio("read-1MiB-restarted", "bytes", "rust"), least=0.9),
        Bar(7, "`read-1MiB-small`: bytes/s to Electric Rust",
            ratio("read-1MiB-small", "bytes", "rust"), least=1),
        Bar(7, "`read-1MiB-4x`: bytes/s to Electric Rust", ratio("read-1MiB-4x", "bytes", "rust"),
            least=0.9),
    ]


def deliveries():
    bars = []
    for key in ("longpoll", "sse"):
        bars.append(Bar(8, f"`{key}-idle`: p50 beyond `append-1c`",
                        less(own(f"{key}-idle", "p50"), own("append-1c", "p50")), most=60,
                        unit="µs"))
        bars.append(Bar(8, f"`{key}-idle`: p50 beyond the append's own, at the same pace",
                        less(own(f"{key}-idle", "p50"), own(f"{key}-idle", "append_p50_us")),
                        most=60, unit="µs"))
        for state, most in (("idle", 1), ("loaded", 0.8)):
            for figure in ("p50", "p99"):
                bars.append(Bar(8, f"`{key}-{state}`: {figure} to Electric Rust",
                                ratio(f"{key}-{state}", figure, "rust"), most=most))
    for key in ("fanout-1000", "fanout-5000"):
        bars += [
            Bar(9, f"`{key}`: deliveries/s to a bare loop", ratio(key, "rate", "bare"), least=0.9),
            Bar(9, f"`{key}`: deliveries/s to Electric Rust", ratio(key, "rate", "rust"), least=1),
            Bar(9, f"`{key}`: deliveries/s to Nchan", ratio(key, "rate", "nchan"), least=1),
            Bar(9, f"`{key}`: CPU per delivery to Electric Rust", ratio(key, "cpu", "rust"),
                most=1),
            Bar(9, f"`{key}`: CPU per delivery to Nchan", ratio(key, "cpu", "nchan"), most=1),
        ]
    for key in ("fanout-1000-8", "fanout-1000-32"):
        bars += [
            Bar("9b", f"`{key}`: deliveries/s to Electric Rust", ratio(key, "rate", "rust"),
                least=1),
            Bar("9b", f"`{key}`: deliveries/s to Nchan", ratio(key, "rate", "nchan"), least=4),
        ]
    return bars


def scale():
    return [
        Bar(10, "`idle-15k`: process memory of a reader", own("idle-15k", "rss_per_reader_bytes"),
            most=1024, unit="B"),
        Bar(10, "`idle-15k`: the same to Electric Rust",
            ratio("idle-15k", "rss_per_reader_bytes", "rust"), most=1),
        Bar(10, "`idle-15k`: of one core", own("idle-15k", "cores"), most=0.01, unit=""),
        Bar(11, "`readers-10k`: of one core", own("readers-10k", "cores"), most=0.1, unit=""),
        Bar(11, "`readers-10k`: memory", own("readers-10k", "rss"), most=100, unit="MB"),
        Bar(12, "`restart`: to the first correct answer",
            own("restart", "restart"), most=2, unit="s"),
        Bar(13, "`mixed`: write rate kept", own("mixed", "kept"), least=0.99, unit=""),
        Bar(13, "`mixed`: write p99 to that without readers",
            over(own("mixed", "p99"), own("mixed", "p99_alone")), most=2),
    ]


BARS = appends() + reads() + deliveries() + scale()
