"""The servers that are compared: how each is installed, started with answers that survive a power
failure, and talked to. Everything lies below build/peers; nothing of it is in the repository."""

import http.client
import os
import pathlib
import shutil
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CACHE = ROOT / "build" / "peers"
APT = ("apt-get", "-o", "DPkg::Lock::Timeout=300", "-qq")


class Skipped(Exception):
    """This peer cannot be had here, and why."""


def need(tool, what):
    if shutil.which(tool) is None:
        raise Skipped(f"{what} is needed and there is no `{tool}`")


def run(command, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, **options)
    if done.returncode != 0:
        last = done.stdout.strip().splitlines()[-1:] or ["no reason given"]
        raise Skipped(f"`{' '.join(map(str, command[:3]))} …` failed: {last[0][:200]}")
    return done.stdout.strip()


def apt_install(*packages):
    """Debian's packages are unpacked into the cache, so that no service of theirs is started. What
    they need of the system and it has not is installed."""
    need("apt-get", "Debian's package manager")
    need("dpkg-deb", "Debian's package manager")
    folder = CACHE / "apt"
    folder.mkdir(parents=True, exist_ok=True)
    for package in packages:
        if (folder / f"{package}.done").exists():
            continue
        if os.geteuid() == 0:
            run([*APT, "update"])
        run([*APT, "download", package], cwd=folder)
        run(["dpkg-deb", "-x", str(next(folder.glob(f"{package}_*.deb"))), str(folder / "root")])
        (folder / f"{package}.done").touch()
    return folder / "root"


def missing_libraries(binary):
    """Shared libraries of an unpacked program that this system does not have."""
    listed = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False)
    return [line.split()[0] for line in listed.stdout.splitlines() if "not found" in line]


def cargo_install(name, crate, version, binary):
    need("cargo", "Rust")
    folder = CACHE / f"{name}-{version}"
    path = folder / "bin" / binary
    if not path.exists():
        run(["cargo", "install", crate, "--version", version, "--locked", "--root", str(folder)])
    return path


def go_install(name, package, version, binary):
    need("go", "Go")
    folder = CACHE / f"{name}-{version}"
    path = folder / binary
    if not path.exists():
        run(["go", "install", f"{package}@{version}"],
            env={**os.environ, "GOBIN": str(folder), "GOFLAGS": "-mod=mod"})
    return path


class Server:
    """One server under test. A subclass says how it is got, started and addressed."""

    name = ""  # in tables; key: on command lines
    key = ""
    version = ""
    settings = ""
    variable = ""  # of the environment: names a binary to use instead
    appends = "append"  # ds-load's workload for it
    plain = False  # speaks HTTP, but not the protocol
    base = "/v1/stream/bench"
    read_base = ""
    heartbeats = True  # to readers that have nothing to read

    def install(self):
        """Returns the binary; installs it if it is missing. Raises Skipped."""
        raise NotImplementedError

    def binary(self):
        named = os.environ.get(self.variable, "") if self.variable else ""
        return named or str(self.install())

    def command(self, binary, port, data):
        raise NotImplementedError

    def environment(self, data):
        del data
        return {}

    def prepare(self, port):
        """Once it answers, before the load."""

    def settle(self, port):
        """Waits until what was written lies where it would long after."""

    def puts_off(self, port):
        """Whether it says that it has to move what was written."""
        del port
        return False

    def flags(self):
        flags = ["--base", self.base]
        if self.plain:
            flags.append("--plain")
        if self.read_base:
            flags += ["--read-base", self.read_base]
        return flags


class Ours(Server):
    name, key, variable = "this server", "ours", "DS_SERVER_BINARY"
    EMPTY_LOG_BYTES = 64  # a generation's header: everything is sealed

    def __init__(self, build, *flags):
        self.build = build
        self.extra = flags or ("--seal-after", "5s")
        described = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"],
                                   capture_output=True, text=True, check=False)
        self.version = f"commit {described.stdout.strip() or 'unknown'}"
        self.settings = f"`--durability sync {' '.join(self.extra)}`"

    def install(self):
        return self.build / "durable-streams"

    def command(self, binary, port, data):
        return [binary, "serve", "--listen", f"127.0.0.1:{port}", "--data-dir", str(data),
                "--durability", "sync", "--log-level", "warn", *self.extra]

    def tells(self, port, metric):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/metrics")
        return f"\n{metric}\n" in connection.getresponse().read().decode()

    def settle(self, port):
        while not self.tells(port, "ds_streams_in_memory 0"):
            time.sleep(0.2)

    def puts_off(self, port):
        return not self.tells(port, f"ds_log_bytes {self.EMPTY_LOG_BYTES}")


class ElectricRust(Server):
    name, key, variable = "Electric Rust", "rust", "DS_PEER_RUST"
    version, settings = "crate durable-streams 0.1.5", "`--durability wal`"

    def install(self):
        return cargo_install("electric-rust", "durable-streams", "0.1.5",
                             "durable-streams-server")

    def command(self, binary, port, data):
        return [binary, "--durability", "wal", "--host", "127.0.0.1", "--port", str(port),
                "--data-dir", str(data)]


def put(port, path):
    """The status of a PUT without a body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("PUT", path, headers={"Content-Type": "text/plain"})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


class Ursula(Server):
    name, key, variable = "Ursula", "ursula", "DS_PEER_URSULA"
    version = "crate ursula 0.11.5"
    settings = "one node, WAL on disk, `fsync = \"always\"`"
    base = "/bench"

    def install(self):
        return cargo_install("ursula", "ursula", "0.11.5", "ursula")

    def command(self, binary, port, data):
        config = data / "ursula.toml"
        config.write_text(f"""
[server]
listen = "127.0.0.1:{port}"
admin_listen = "127.0.0.1:0"
cluster_id = "bench"

[raft]
node_id = 1
group_count = 4

[raft.wal]
path = "{data}/wal"
fsync = "always"

[[raft.peers]]
node_id = 1
url = "http://127.0.0.1:{port}"
""")
        return [binary, "server", "--config", str(config)]

    def prepare(self, port):
        status = put(port, self.base)
        if status >= 300:
            raise Skipped(f"its bucket could not be made: {status}")
        # Each of its groups elects a leader first; until then streams are refused with 503.
        end = time.monotonic() + 30
        made = 0
        while made < 32:
            made = made + 1 if put(port, f"{self.base}/probe-{made}") < 300 else 0
            if time.monotonic() > end:
                raise Skipped("it makes no streams within 30 s")
            if made == 0:
                time.sleep(0.05)


class CaddyPlugin(Server):
    name, key, variable = "Caddy plugin", "caddy", "DS_PEER_CADDY"
    version, settings = "Go module caddy-plugin", "`data_dir` on disk"

    def install(self):
        return go_install("caddy", "github.com/durable-streams/durable-streams/packages/"
                          "caddy-plugin/cmd/caddy", "latest", "caddy")

    def command(self, binary, port, data):
        config = data / "Caddyfile"
        config.write_text(f"""{{
  admin off
  auto_https off
}}
http://127.0.0.1:{port} {{
  route /v1/stream/* {{
    durable_streams {{
      data_dir {data}/streams
    }}
  }}
}}
""")
        return [binary, "run", "--adapter", "caddyfile", "--config", str(config)]

    def environment(self, data):
        return {"HOME": str(data)}


NODE_SCRIPT = """
import { DurableStreamTestServer } from '@durable-streams/server'
const [port, dataDir] = process.argv.slice(2)
process.on('SIGTERM', () => process.exit(0))
await new DurableStreamTestServer({ port: Number(port), host: '127.0.0.1', dataDir }).start()
"""


class NodeReference(Server):
    name, key = "Node reference", "node"
    version, settings = "npm @durable-streams/server 0.3.7", "`dataDir` on disk"

    def install(self):
        need("node", "Node")
        need("npm", "npm")
        folder = CACHE / "node-0.3.7"
        script = folder / "server.mjs"
        if not script.exists():
            folder.mkdir(parents=True, exist_ok=True)
            run(["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund",
                 "--loglevel=error", "@durable-streams/server@0.3.7"])
            script.write_text(NODE_SCRIPT)
        return script

    def command(self, binary, port, data):
        return ["node", binary, str(port), str(data)]


class Redis(Server):
    name, key, variable = "Redis Streams", "redis", "DS_PEER_REDIS"
    settings = "`appendonly yes`, `appendfsync always`, `save \"\"`"
    appends = "redis-xadd"

    def install(self):
        # The program is in redis-tools; redis-server is a link to it and a service.
        root = apt_install("redis-tools", "redis-server")
        path = root / "usr" / "bin" / "redis-check-rdb"
        if missing_libraries(path):
            libraries = apt_install("libjemalloc2", "liblua5.1-0", "liblzf1", "libatomic1")
            self.library_path = libraries / "usr" / "lib" / "x86_64-linux-gnu"
        return root / "usr" / "bin" / "redis-server"

    library_path = None

    def binary(self):
        binary = super().binary()
        shown = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False,
                               env={**os.environ, **self.environment(None)})
        self.version = "Redis " + (shown.stdout.split("v=")[1].split()[0]
                                   if "v=" in shown.stdout else "of unknown version")
        return binary

    def environment(self, data):
        return {"LD_LIBRARY_PATH": str(self.library_path)} if self.library_path else {}

    def command(self, binary, port, data):
        return [binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(data),
                "--appendonly", "yes", "--appendfsync", "always", "--save", "",
                "--auto-aof-rewrite-percentage", "0", "--daemonize", "no"]

    def flags(self):
        return []


class Nats(Server):
    name, key, variable = "NATS JetStream", "nats", "DS_PEER_NATS"
    version, settings = "nats-server v2.12.0", "file storage, `sync_interval: always`"
    appends = "nats-publish"

    def install(self):
        return go_install("nats", "github.com/nats-io/nats-server/v2", "v2.12.0", "nats-server")

    def command(self, binary, port, data):
        config = data / "nats.conf"
        config.write_text(f"""
listen: 127.0.0.1:{port}
jetstream {{
  store_dir: "{data}/store"
  sync_interval: always
}}
""")
        return [binary, "-c", str(config)]

    def flags(self):
        return []


class Nginx(Server):
    """Serves files that the scenario has put into its data directory."""

    name, key, variable = "nginx", "nginx", "DS_PEER_NGINX"
    version, settings = "nginx 1.22", "1 worker, `sendfile on`, no access log"
    plain = True
    base = "/bench"

    def install(self):
        return apt_install("nginx") / "usr" / "sbin" / "nginx"

    def locations(self, data):
        return f"root {data}/files;"

    def load_module(self):
        return ""

    def command(self, binary, port, data):
        (data / "files" / "bench").mkdir(parents=True, exist_ok=True)
        config = data / "nginx.conf"
        config.write_text(f"""{self.load_module()}
user root;
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {data}/nginx.pid;
error_log stderr error;
events {{ worker_connections 16000; use epoll; multi_accept on; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush off;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  open_file_cache max=20000 inactive=1h;
  open_file_cache_valid 1h;
  client_body_temp_path {data}/body;
  proxy_temp_path {data}/proxy;
  fastcgi_temp_path {data}/fastcgi;
  uwsgi_temp_path {data}/uwsgi;
  scgi_temp_path {data}/scgi;
  {self.http()}
  server {{
    listen 127.0.0.1:{port};
    {self.locations(data)}
  }}
}}
""")
        return [binary, "-e", "stderr", "-p", str(data), "-c", str(config)]

    def http(self):
        return ""


class Nchan(Nginx):
    name, key, variable = "Nchan", "nchan", "DS_PEER_NGINX"
    version, settings = "Nchan 1.3.6 in nginx 1.22", "1 worker, messages in memory"
    base, read_base = "/pub", "/sub"
    heartbeats = False

    def install(self):
        root = apt_install("nginx", "libnginx-mod-nchan")
        if not list(root.glob("**/ngx_nchan_module.so")):
            raise Skipped("the package has no ngx_nchan_module.so")
        try:
            # Where nginx was built to keep bodies: with Nchan it wants that, whatever is set.
            os.makedirs("/var/lib/nginx", exist_ok=True)
        except OSError as error:
            raise Skipped(f"/var/lib/nginx cannot be made: {error}") from error
        return root / "usr" / "sbin" / "nginx"

    def load_module(self):
        path = next((CACHE / "apt" / "root").glob("**/ngx_nchan_module.so"))
        return f"load_module {path};"

    def http(self):
        return "nchan_shared_memory_size 512m;"

    def locations(self, data):
        return fr"""
    location ~ ^/pub/(.+)$ {{
      nchan_publisher http;
      nchan_channel_id $1;
      nchan_message_buffer_length 100;
    }}
    location ~ ^/sub/(.+)$ {{
      nchan_subscriber eventsource;
      nchan_channel_id $1;
      nchan_subscriber_first_message newest;
    }}"""


class BareLoop(Server):
    """The machine's limit: an event loop that answers and keeps nothing."""

    name, key = "bare loop", "bare"
    version, settings = "`ds-bare-server`", "keeps nothing"
    plain = True

    def __init__(self, build):
        self.build = build

    def install(self):
        return self.build / "ds-bare-server"

    def command(self, binary, port, data):
        return [binary, str(port)]


def peers():
    """Everything that bench/peers installs."""
    return [ElectricRust(), Ursula(), CaddyPlugin(), NodeReference(), Redis(), Nats(), Nginx(),
            Nchan()]
