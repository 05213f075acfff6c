# Puts a Node that is new enough first in PATH. Sourced, not run; needs ROOT/build to be writable.

# What tests/package.json asks for under "engines".
DS_NODE_WANTED='20.19 or newer (22.12, 24)'
# Version of npm's `node` package, used where the system's Node is none of these.
DS_NODE_PINNED=22.23.3

# node_is_wanted [MAJOR]: MAJOR or newer.
node_is_wanted() {
  DS_NODE_MAJOR=${1:-20} node -e '
    const [major, minor] = process.versions.node.split(".").map(Number);
    const ok = (major >= 24 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19)) &&
      major >= Number(process.env.DS_NODE_MAJOR);
    process.exit(ok ? 0 : 1);
  ' >/dev/null 2>&1
}

# ensure_node ROOT [MAJOR]
ensure_node() {
  local major=${2:-20}
  local home="$1/build/node"
  local pinned="$home/node_modules/node/bin"
  if node_is_wanted "$major"; then return 0; fi
  if [[ $("$pinned/node" --version 2>/dev/null) != "v$DS_NODE_PINNED" ]]; then
    mkdir -p "$home"
    echo "installing npm's node $DS_NODE_PINNED into build/node"
    npm install --prefix "$home" --no-audit --no-fund --loglevel=error --no-save \
      "node@$DS_NODE_PINNED" </dev/null
  fi
  export PATH="$pinned:$PATH"
  hash -r
  if ! node_is_wanted "$major"; then
    echo "error: no Node $DS_NODE_WANTED, and npm's node package does not run" >&2
    return 1
  fi
}
