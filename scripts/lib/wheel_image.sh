#!/usr/bin/env bash
# In an image of manylinux, from cibuildwheel (python_llama/pyproject.toml): what kvevict-llama is built of, and llama.cpp for
# wheels in /opt/kvevict.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD
DEPS=/opt/kvevict
JOBS=$(nproc)
KVEVICT_LOG=$DEPS/setup.log
mkdir -p "$DEPS"
. scripts/lib/progress.sh
. scripts/lib/llama.sh
dnf -y install epel-release
dnf -y install cmake ninja-build pkgconf fmt-devel json-devel libicu-devel openssl-devel dlpack-devel cpp-httplib-devel \
  prometheus-cpp-devel sqlite-devel
install_portable_llama
