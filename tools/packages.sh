# Debian packages that the project needs, and how they are installed. Sourced, not run.

# To build the server.
DS_BUILD_PACKAGES=(
  g++ cmake ninja-build pkg-config
  libboost1.81-dev libspdlog-dev libcli11-dev libtomlplusplus-dev prometheus-cpp-dev libsystemd-dev
  libsqlite3-dev libgtest-dev
)

# To run ./test as well. Node is looked for by command (see node_packages).
DS_TEST_PACKAGES=(
  git patch python3 curl ca-certificates
  clang-14 clang-format-14 clang-tidy-14 lld-14 llvm-14
  wasi-libc libc++-14-dev-wasm32 libc++abi-14-dev-wasm32 libclang-rt-14-dev-wasm32
  libclang-rt-14-dev libbenchmark-dev valgrind
)

# Debian's Node, unless the machine has a node and an npm from elsewhere.
node_packages() {
  command -v node >/dev/null || echo nodejs
  command -v npm >/dev/null || echo npm
}

# ensure_packages NAME...: installs those that are missing; no apt-get at all if none is.
ensure_packages() {
  local missing=() name
  if ! command -v dpkg >/dev/null || ! command -v apt-get >/dev/null; then
    echo "error: this is not a Debian system; install the equivalents of: $*" >&2
    return 1
  fi
  local present
  present=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)
  for name in "$@"; do
    if ! grep -qxF "$name installed" <<<"$present"; then missing+=("$name"); fi
  done
  if ((${#missing[@]} == 0)); then return 0; fi

  local as_root=()
  if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
      echo "error: missing packages, and neither root nor sudo to install them:" >&2
      echo "  apt-get install ${missing[*]}" >&2
      return 1
    fi
    as_root=(sudo)
  fi
  echo "installing: ${missing[*]}"
  # Waits for another apt-get on the machine instead of failing.
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get
    -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -qq)
  # The lists may be old in a way that install alone does not heal, so update first.
  if ! "${apt[@]}" update </dev/null; then
    echo "warning: apt-get update failed; trying with the lists at hand" >&2
  fi
  if ! "${apt[@]}" install -y --no-install-recommends "${missing[@]}" </dev/null >/dev/null; then
    echo "error: apt-get could not install: ${missing[*]}" >&2
    return 1
  fi
}
