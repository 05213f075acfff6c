# Puts a Node that is new enough first in PATH. Sourced, not run; needs ROOT/build to be writable.

DS_NODE_MIN=20
# Version of npm's `node` package, used where the system's Node is older than that.
DS_NODE_PINNED=22.23.3

node_major() {
  "$1" -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0
}

# ensure_node ROOT
ensure_node() {
  local home="$1/build/node"
  local pinned="$home/node_modules/node/bin"
  if (($(node_major node) >= DS_NODE_MIN)); then return 0; fi
  if [[ $("$pinned/node" --version 2>/dev/null) != "v$DS_NODE_PINNED" ]]; then
    mkdir -p "$home"
    echo "installing npm's node $DS_NODE_PINNED into build/node"
    npm install --prefix "$home" --no-audit --no-fund --loglevel=error --no-save \
      "node@$DS_NODE_PINNED" </dev/null
  fi
  export PATH="$pinned:$PATH"
  hash -r
  if (($(node_major node) < DS_NODE_MIN)); then
    echo "error: no Node $DS_NODE_MIN or newer, and npm's node package does not run" >&2
    return 1
  fi
}
