"""Starts servers on fresh data directories, puts load on them and takes them down again."""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from .peers import Skipped

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 5  # then it is killed; Rust waits 30 s for a long-poll that has left
REST_S = 1
REST_TIMEOUT_S = 15
SEAL_TIMEOUT_S = 60


class Failed(Exception):
    """A server did not get through a scenario, and why."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(port, path, timeout=5):
    """(status, body) of one GET, or None if there is no answer."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    return None


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def cpu_seconds(pid):
    """User and system time of a process since it was started, all threads together."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Running:
    """A started server."""

    def __init__(self, server, process, port):
        self.server, self.process, self.port = server, process, port

    def pid(self):
        """The process that serves: a worker, where there is a master."""
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        children = pathlib.Path(path).read_text(encoding="ascii").split()
        return int(children[0]) if children else self.process.pid

    def kill(self):
        self.process.kill()
        self.process.wait()


class Runner:
    def __init__(self, build, scratch, seconds, warmup):
        self.build, self.scratch = build, scratch
        self.seconds, self.warmup = seconds, warmup
        self.binaries = {}
        self.capacities = {}  # appends per second, by server, that no scenario has measured

    @property
    def data(self):
        return self.scratch / "data"

    def clear(self):
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(parents=True)

    def binary(self, server):
        if server.key not in self.binaries:
            self.binaries[server.key] = server.binary()
        return self.binaries[server.key]

    @contextlib.contextmanager
    def running(self, server, wait=True):
        os.sync()  # nobody pays for what was left to be written before
        port = free_port()
        log_path = self.scratch / "server.log"
        command = list(map(str, server.command(self.binary(server), port, self.data)))
        with open(log_path, "w", encoding="utf-8") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log,
                                       env={**os.environ, **server.environment(self.data)})
        running = Running(server, process, port)
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while wait and not listens(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    last = log_path.read_text(errors="replace").strip()[-300:]
                    raise Failed(f"did not start: {last}")
                time.sleep(0.02)
            if wait:
                try:
                    server.prepare(port)
                except (OSError, http.client.HTTPException, Skipped) as error:
                    raise Failed(f"could not be prepared: {error}") from error
            yield running
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start_load(self, running, arguments, seconds=None, warmup=None, name="result"):
        seconds = self.seconds if seconds is None else seconds
        warmup = self.warmup if warmup is None else warmup
        file = self.scratch / f"{name}.json"
        file.unlink(missing_ok=True)
        command = [str(self.build / "ds-load"), *arguments.split(), *running.server.flags(),
                   "--url", f"http://127.0.0.1:{running.port}", "--server-pid",
                   str(running.pid()), "--seconds", str(seconds), "--warmup", str(warmup),
                   "--json", str(file)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True), file

    @staticmethod
    def finish_load(started):
        process, file = started
        text = process.communicate()[0]
        if process.returncode != 0:
            raise Failed(" ".join(text.split())[-300:])
        return json.loads(file.read_text(encoding="utf-8"))

    def load(self, running, arguments, seconds=None, warmup=None):
        return self.finish_load(self.start_load(running, arguments, seconds, warmup))

    @staticmethod
    def rest(running):
        """Waits until the server has done what it put off, and has been idle for a while. False:
        it never is idle."""
        deadline = time.monotonic() + SEAL_TIMEOUT_S
        try:
            while running.server.puts_off(running.port):
                if time.monotonic() > deadline:
                    raise Failed("still has things to do")
                time.sleep(0.2)
        except (OSError, http.client.HTTPException) as error:
            raise Failed(f"does not say what it has to do: {error}") from error
        begun = idle_since = time.monotonic()
        before = cpu_seconds(running.pid())
        while time.monotonic() - idle_since < REST_S:
            if time.monotonic() - begun > REST_TIMEOUT_S:
                return False
            time.sleep(0.25)
            now = cpu_seconds(running.pid())
            if now - before > 0.015:  # more than a tick of the clock that it is counted in
                idle_since = time.monotonic()
            before = now
        return True

    def disk_limit(self, seconds):
        done = subprocess.run([str(self.build / "ds-disk-limit"), str(self.scratch),
                               str(seconds)], check=True, capture_output=True, text=True)
        return json.loads(done.stdout)
