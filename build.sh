#!/usr/bin/env bash
# Installs what is missing and builds the release server: build/release/durable-streams
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source tools/packages.sh

ensure_packages "${DS_BUILD_PACKAGES[@]}"
# Ninja runs cmake again by itself when that is needed.
if [[ ! -f build/release/build.ninja ]]; then
  cmake --preset release
fi
cmake --build build/release --target durable-streams
