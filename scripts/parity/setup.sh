#!/usr/bin/env bash
# Makes the ignored environment .deps/parity with PyTorch (CPU) and transformers, for make_golden.py. Nothing is installed
# into the system: PyTorch comes from Debian's packages, unpacked beside a private Python, because the wheels of the
# Python index bring some gigabytes of GPU libraries. Debian 12 or a relative with python3-torch is needed.
#
#   KVEVICT_DEPS=FOLDER  instead of .deps in the checkout
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$ROOT/scripts/lib/packages.sh"
PARITY=${KVEVICT_DEPS:-$ROOT/.deps}/parity
REQUIREMENTS=$ROOT/scripts/parity/requirements.lock

ready() { [ -f "$PARITY/ready" ] && [ "$(cat "$PARITY/ready")" = "$(sha256sum <"$REQUIREMENTS")" ]; }

# The packages that python3-torch needs and the system lacks, unpacked under $PARITY/root; with OpenBLAS, since the
# reference BLAS takes twenty times as long.
unpack_torch() {
  local packages
  packages=$(apt-get install -s --no-install-recommends python3-torch libopenblas0-pthread 2>/dev/null | sed -n 's/^Inst \([^ ]*\) .*/\1/p')
  [ -n "$packages" ] || return 0 # already installed
  mkdir -p "$PARITY/debs" "$PARITY/root"
  # shellcheck disable=SC2086
  (cd "$PARITY/debs" && apt-get -qq download $packages && for deb in *.deb; do dpkg-deb -x "$deb" "$PARITY/root"; done)
  rm -rf "$PARITY/debs"
}

ready && { say "parity: $PARITY"; exit 0; }
command -v apt-get >/dev/null 2>&1 || fail "PyTorch for the parity test comes from Debian's packages, and there is no apt-get here"
say "parity: fetching PyTorch and transformers into $PARITY"
rm -rf "$PARITY"
mkdir -p "$PARITY"
unpack_torch >"$PARITY/log" 2>&1 || { tail -n 5 "$PARITY/log" >&2; fail "Debian's python3-torch could not be unpacked"; }
/usr/bin/python3 -m venv "$PARITY/venv"
"$PARITY/venv/bin/pip" --disable-pip-version-check install --quiet --no-deps --require-hashes -r "$REQUIREMENTS" >>"$PARITY/log" 2>&1 ||
  { tail -n 20 "$PARITY/log" >&2; fail "pip could not install transformers: the lines above say why"; }
for folder in "$PARITY/root" ""; do # behind the environment's own packages
  echo "$folder/usr/lib/python3/dist-packages"
done >"$PARITY/venv/lib/$(ls "$PARITY/venv/lib")/site-packages/debian.pth"
libraries=$(find "$PARITY/root" -name '*.so*' -printf '%h\n' 2>/dev/null | sort -u | grep -v python | awk '/openblas/ { print; next } { rest = rest $0 "\n" } END { printf "%s", rest }' | tr '\n' ':')
cat >"$PARITY/python" <<END
#!/bin/sh
LD_LIBRARY_PATH="$libraries\$LD_LIBRARY_PATH" exec "$PARITY/venv/bin/python" "\$@"
END
chmod +x "$PARITY/python"
"$PARITY/python" -c 'import torch, transformers' >>"$PARITY/log" 2>&1 || { tail -n 5 "$PARITY/log" >&2; fail "PyTorch does not start"; }
sha256sum <"$REQUIREMENTS" >"$PARITY/ready"
say "parity: $PARITY"
