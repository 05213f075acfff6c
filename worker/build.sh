#!/usr/bin/env bash
# Builds the worker: build/worker/worker.mjs and the module beside it.
#   worker/build.sh [--no-wasm]     --no-wasm: the module has been built
set -euo pipefail
worker=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$worker")
source "$root/tools/node.sh"
ensure_node "$root" 22
cd "$worker"
if ! cmp -s package-lock.json node_modules/.installed-lock; then
  npm ci --no-audit --no-fund --loglevel=error </dev/null
  cp package-lock.json node_modules/.installed-lock
fi
cd "$root"
if [[ ${1:-} != --no-wasm ]]; then
  if [[ ! -f build/wasm/build.ninja ]]; then cmake --preset wasm >/dev/null; fi
  cmake --build build/wasm --target ds_worker
fi
mkdir -p build/worker
cp build/wasm/ds_worker.wasm build/worker/
worker/node_modules/.bin/esbuild worker/src/index.ts --bundle --format=esm --target=es2024 \
  --minify-syntax --minify-whitespace --external:cloudflare:workers --external:'*.wasm' \
  --log-level=warning --outfile=build/worker/worker.mjs
