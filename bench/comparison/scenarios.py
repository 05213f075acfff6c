"""What is measured. A scenario turns one run of one server into a flat dictionary of figures."""

import random
import resource
import time

from .runner import Failed, cpu_seconds, get

MIB = 1 << 20


def figures(result):
    """What every run of ds-load tells."""
    found = {"rate": result["per_second"], "bytes": result["bytes_per_second"],
             "p50": result["latency_us"]["p50"], "p99": result["latency_us"]["p99"]}
    server = result.get("server")
    if server:
        found.update(cpu=server["cpu_us_each"], user=server["cpu_user_us_each"],
                     system=server["cpu_system_us_each"], cores=server["cores"],
                     rss=server["rss_after_bytes"] / 1e6)
    found["own_cpu"] = result["own_cpu_us_each"]
    found.update(result["more"])
    return found


class Scenario:
    """Load on a fresh server. `columns`: the figures of its table; the first is its chart."""

    columns = ("rate", "p50", "p99", "cpu", "rss")
    rounds = None  # otherwise those of the command line
    seconds = None
    million = False

    def __init__(self, row, key, title, unit, arguments, servers, **settings):
        self.row, self.key, self.title, self.unit = row, key, title, unit
        self.arguments, self.servers = arguments, servers.split()
        for name, value in settings.items():
            setattr(self, name, value)

    def run(self, runner, server, results):
        """One round: a list of samples."""
        del results
        runner.clear()
        with runner.running(server) as running:
            return [figures(runner.load(running, self.arguments_for(server), self.seconds))]

    def arguments_for(self, server):
        if not self.arguments.startswith("append "):
            return self.arguments
        return server.appends + self.arguments[len("append"):]


class FilesRead(Scenario):
    """Reads: nginx is given the same bytes as files."""

    files = 1
    file_bytes = 100

    def run(self, runner, server, results):
        if server.key != "nginx":
            return super().run(runner, server, results)
        runner.clear()
        folder = runner.data / "files" / "bench"
        folder.mkdir(parents=True)
        for number in range(self.files):
            (folder / f"f-{number:08d}").write_bytes(b"x" * self.file_bytes)
        with runner.running(server) as running:
            return [figures(runner.load(running, self.arguments + " --run f"))]


class ReadSettled(Scenario):
    """Writes, lets everything come to rest, then reads; with `restart`, from a new process."""

    restart = False

    def run(self, runner, server, results):
        runner.clear()
        with runner.running(server) as running:
            runner.load(running, self.arguments + " --run again", 0.01, 0)
            server.settle(running.port)
            if not self.restart:
                return [figures(runner.load(running, self.arguments + " --run again --existing"))]
        with runner.running(server) as running:
            return [figures(runner.load(running, self.arguments + " --run again --existing"))]


class AppendSettled(Scenario):
    """Creates many streams, waits until that has come to rest, appends to them, and waits for rest
    again: `cpu_all` counts what was put off as well, sealing above all; not for a server that is
    never idle. Ours is told to keep the streams in memory meanwhile, which it does with those in
    use: one that has not been touched for `--evict-after` is looked up first (SEALING.md)."""

    columns = ("rate", "p50", "p99", "cpu", "cpu_all", "rss")

    def run(self, runner, server, results):
        del results
        runner.clear()
        arguments = self.arguments_for(server) + " --run again"
        with runner.running(server) as running:
            runner.load(running, arguments, 0.01, 0)
            rested = runner.rest(running)
            before = cpu_seconds(running.pid())
            result = runner.load(running, arguments + " --existing", self.seconds)
            rested = rested and runner.rest(running)
            used = cpu_seconds(running.pid()) - before
        found = figures(result)
        # Those of the warm-up were paid for, too, at about the same rate.
        appends = result["completed"] * (1 + runner.warmup / result["seconds"])
        if rested and appends > 0:
            found["cpu_all"] = used * 1e6 / appends
        return [found]


class AppendMost(AppendSettled):
    """As many streams as a server that keeps a file of each open has descriptors for here, between
    10,000 and 100,000."""

    columns = (*AppendSettled.columns, "streams")

    def run(self, runner, server, results):
        _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        if limit != resource.RLIM_INFINITY:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))  # for the servers, too
        count = 100_000 if limit == resource.RLIM_INFINITY else limit - 1000
        count = max(10_000, min(count, 100_000))
        self.arguments = f"append --streams {count} -c 64"
        [found] = super().run(runner, server, results)
        return [{**found, "streams": count}]


def capacity(runner, key, server, results):
    """A server's appends per second to one stream: as `append-1` has them, or measured here, once.
    None: neither can be had."""
    samples = [s["rate"] for s in results.get("append-1", {}).get(key, []) if "rate" in s]
    if samples:
        return sorted(samples)[len(samples) // 2]
    if key not in runner.capacities and server is not None:
        runner.clear()
        with runner.running(server) as running:
            load = runner.load(running, "append --streams 1 -c 64", 2, 0.5)
        runner.capacities[key] = load["per_second"]
    return runner.capacities.get(key)


class DeliveryUnderLoad(Scenario):
    """The latency of deliveries while others append at one absolute rate."""

    share = 0.5

    def run(self, runner, server, results):
        capacities = [capacity(runner, key, self.all_servers.get(key), results)
                      for key in ("ours", "rust")]
        rate = int(min(c for c in capacities if c is not None) * self.share)
        runner.clear()
        with runner.running(server) as running:
            writers = runner.start_load(
                running, f"append --streams 100 -c 64 --rate {rate} --run w",
                (self.seconds or runner.seconds) + 0.6, 0.5, "writers")
            time.sleep(0.3)
            found = figures(runner.load(running, self.arguments, self.seconds))
            load = runner.finish_load(writers)
            found["offered"] = rate
            found["kept"] = load["per_second"] / rate
            return [found]


class Mixed(Scenario):
    """Writers at 60 % of our capacity, alone and then beside catch-up and live readers. Ours seals
    once or twice in either window: neither is judged by a sealing that the other has not."""

    columns = ("kept", "p99", "p99_alone", "p50", "cores")

    def run(self, runner, server, results):
        if "ours-kept" not in self.all_servers:
            raise Failed("the rate is a share of what this server takes, and it was left out")
        rate = int(capacity(runner, "ours", self.all_servers["ours-kept"], results) * 0.6)
        seconds = self.seconds or runner.seconds
        write = f"append --streams 100 -c 128 --rate {rate}"
        runner.clear()
        with runner.running(server) as running:
            runner.load(running, "read --streams 64 --stream-bytes 1048576 --body-bytes 65536 "
                        "-c 16 --run again", 0.01, 0)
            runner.rest(running)  # or what will be read is sealed beside the first writers
            alone = figures(runner.load(running, write + " --run alone", seconds))
            readers = runner.start_load(
                running, "read --streams 64 --stream-bytes 1048576 -c 64 --rate 200 --run again "
                "--existing", seconds + 1, 0.3, "readers")
            live = runner.start_load(running, "sse-fanout -r 100 --rate 20 --run live",
                                     seconds + 1, 0.3, "live")
            time.sleep(0.5)
            found = figures(runner.load(running, write + " --run beside", seconds))
            runner.finish_load(readers)
            runner.finish_load(live)
        found["offered"] = rate
        found["kept"] = found["rate"] / rate
        found["p99_alone"] = alone["p99"]
        return [found]


class IdleReaders(Scenario):
    """Readers that have nothing to read, once what opening them has written is sealed; for as long
    as ours and Rust wait between two heartbeats, so that each gets one."""

    columns = ("rss_per_reader_bytes", "cores", "rss")
    warmup, seconds = 6, 15  # `--seal-after` (peers.py) is over by then

    def run(self, runner, server, results):
        del results
        runner.clear()
        with runner.running(server) as running:
            seconds = self.seconds if server.heartbeats else None
            return [figures(runner.load(running, self.arguments, seconds, self.warmup))]


class FewWrites(Scenario):
    columns = ("cores", "rss", "p50", "p99")


class Restart(Scenario):
    """kill -9 with much that is unsealed; the time from the start of the process to the first
    correct answer, several times."""

    columns = ("restart", "rss")
    rounds = 1
    streams, appends = 100_000, 10

    def run(self, runner, server, results):
        runner.clear()
        load = (f"read --streams {self.streams} --stream-bytes {self.appends * 100} "
                "--body-bytes 100 -c 64 --run again --path-offset now")
        with runner.running(server) as running:
            runner.load(running, load, 0.01, 0)
            running.kill()
        samples = []
        for _ in range(5):
            path = f"{server.base}/again-{random.randrange(self.streams):08d}"
            begun = time.monotonic()
            with runner.running(server, wait=False) as running:
                while True:
                    answer = get(running.port, path + "?offset=-1", 0.5)
                    if answer and answer[0] == 200:
                        break
                    if time.monotonic() - begun > 60:
                        raise Failed("no answer within 60 s")
                    time.sleep(0.005)
                took = time.monotonic() - begun
                if len(answer[1]) != self.appends * 100:
                    raise Failed(f"{len(answer[1])} bytes instead of {self.appends * 100}")
                with open(f"/proc/{running.process.pid}/status", encoding="ascii") as status:
                    rss = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
                running.kill()
            samples.append({"restart": took, "rss": rss * 1024 / 1e6})
        return samples


DURABLE = "ours rust ursula caddy node redis nats"
LIVE = ("p50", "p99", "append_p50_us", "cpu")
FANOUT = ("rate", "cpu", "p50", "p99", "own_cpu")
READ_MIB = "read --stream-bytes 1048576 --body-bytes 65536 -c 16 --streams "

SCENARIOS = [
    Scenario(1, "append-1", "durable append of 100 bytes, 1 stream, 64 connections", "appends",
             "append --streams 1 -c 64", DURABLE + " bare"),
    Scenario(1, "append-1-256c", "the same, 256 connections", "appends",
             "append --streams 1 -c 256", "ours rust"),
    Scenario(1, "append-100", "durable append of 100 bytes, 100 streams, 64 connections",
             "appends", "append --streams 100 -c 64", DURABLE),
    Scenario(1, "append-100-256c", "the same, 256 connections", "appends",
             "append --streams 100 -c 256", "ours rust"),
    AppendSettled(2, "append-1-settled", "durable append of 100 bytes, 1 stream, 64 connections, "
                  "until all is sealed", "appends", "append --streams 1 -c 64", "ours-kept"),
    AppendSettled(2, "append-10k", "the same, 10,000 streams", "appends",
                  "append --streams 10000 -c 64", "ours-kept rust ursula"),
    AppendMost(2, "append-most", "the same, as many streams as there are descriptors for",
               "appends", "append", "ours-kept rust"),
    AppendSettled(2, "append-100k", "the same, 100,000 streams", "appends",
                  "append --streams 100000 -c 64", "ours-kept rust", rounds=5),
    AppendSettled(2, "append-1m", "the same, 1,000,000 streams", "appends",
                  "append --streams 1000000 -c 64", "ours-kept rust", million=True),
    Scenario(3, "append-1c", "durable append of 100 bytes, 1 connection", "appends",
             "append --streams 1 -c 1", "ours rust redis nats bare",
             columns=("p50", "p99", "rate", "cpu")),
    Scenario(4, "json-1000", "JSON batches of 1,000 × 100 bytes, 16 connections", "batches",
             "append --streams 1 -c 16 --content-type application/json --batch 1000",
             "ours rust", columns=("rate", "bytes", "p50", "cpu", "rss")),
    Scenario(5, "append-1MiB", "durable append of 1 MiB, 8 connections", "appends",
             "append --streams 1 -c 8 --body-bytes 1048576", "ours rust",
             columns=("bytes", "p50", "p99", "cpu", "rss")),
    FilesRead(6, "read-100", "catch-up of 100 bytes, 64 connections", "reads",
              "read --streams 1 --stream-bytes 100 -c 64", "ours rust node nginx bare"),
    FilesRead(7, "read-1MiB", "catch-up of 1 MiB chunks that are cached, 16 connections", "reads",
              READ_MIB + "32", "ours rust nginx", files=32, file_bytes=MIB,
              columns=("bytes", "p50", "p99", "cpu", "rss")),
    ReadSettled(7, "read-1MiB-restarted", "the same, 1,000 of them, after a restart", "reads",
                READ_MIB + "1000", "ours-settled rust", restart=True,
                columns=("bytes", "p50", "p99", "cpu", "rss")),
    ReadSettled(7, "read-1MiB-4x", "the same, 256 of them: 4 × the cache", "reads",
                READ_MIB + "256", "ours-settled rust",
                columns=("bytes", "p50", "p99", "cpu", "rss")),
    Scenario(7, "read-1MiB-small",
             "catch-up of 1 MiB chunks of messages of 100 bytes, 4 of them, not yet sealed, "
             "16 connections", "reads",
             "read --stream-bytes 1048576 --body-bytes 100 -c 16 --streams 4",
             "ours rust", columns=("bytes", "p50", "p99", "cpu", "rss")),
    Scenario(8, "longpoll-idle", "append to long-poll delivery, one reader, 100 appends/s",
             "deliveries", "longpoll -r 1 --rate 100", "ours rust", columns=LIVE),
    Scenario(8, "sse-idle", "append to SSE delivery, one reader, 100 appends/s", "deliveries",
             "sse-fanout -r 1 --rate 100", "ours rust bare", columns=LIVE),
    DeliveryUnderLoad(8, "longpoll-loaded", "append to long-poll delivery under appends at half "
                      "of the slower server's capacity", "deliveries", "longpoll -r 1 --rate 100",
                      "ours rust", columns=LIVE[:3] + ("cores", "kept")),
    DeliveryUnderLoad(8, "sse-loaded", "append to SSE delivery under the same load", "deliveries",
                      "sse-fanout -r 1 --rate 100", "ours rust",
                      columns=LIVE[:3] + ("cores", "kept")),
    Scenario(9, "fanout-1000", "SSE fan-out to 1,000 readers, 1 event in flight", "deliveries",
             "sse-fanout -r 1000 --in-flight 1", "ours rust nchan bare", columns=FANOUT),
    Scenario(9, "fanout-5000", "SSE fan-out to 5,000 readers, 1 event in flight", "deliveries",
             "sse-fanout -r 5000 --in-flight 1", "ours rust nchan bare", columns=FANOUT),
    Scenario(9, "fanout-1000-8", "SSE fan-out to 1,000 readers, 8 events in flight", "deliveries",
             "sse-fanout -r 1000 --in-flight 8", "ours rust nchan bare", columns=FANOUT),
    Scenario(9, "fanout-1000-32", "SSE fan-out to 1,000 readers, 32 events in flight",
             "deliveries", "sse-fanout -r 1000 --in-flight 32", "ours rust nchan bare",
             columns=FANOUT),
    IdleReaders(10, "idle-15k", "15,000 idle SSE readers", "", "idle-sse -r 15000",
                "ours rust nchan"),
    FewWrites(11, "readers-10k", "10,000 SSE readers, 1 append/s", "deliveries",
              "sse-fanout -r 10000 --rate 1", "ours rust", seconds=4),
    Restart(12, "restart", "restart with 1,000,000 unsealed appends in 100,000 streams", "", "",
            "ours-unsealed rust"),
    Mixed(13, "mixed", "writers at 60 % of our capacity, 64 paced catch-up readers of 1 MiB "
          "chunks, 100 SSE readers", "appends", "", "ours-kept rust", seconds=4),
]
