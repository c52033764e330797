#!/usr/bin/env bash
# repair_wheel.sh FOLDER WHEEL: the wheel with the libraries that it needs within (auditwheel), in FOLDER.
# Of ICU, kvevict-llama uses properties of characters, which are in libicuuc itself: its data on languages, 30 MB in a library
# of its own, is never read, and the wheel gets an empty one in its place, as ICU's own stubdata is.
set -euo pipefail
folder=$1 wheel=$2
stub=$(mktemp -d)
trap 'rm -rf "$stub"' EXIT
icu=$(PATH=/usr/sbin:/sbin:$PATH ldconfig -p | awk '$1 ~ /^libicuuc\.so\.[0-9]+$/ { print $NF; exit }')
if [ -n "$icu" ]; then
  version=${icu##*.so.}
  # the header of a table of contents ("ToCP") without an entry
  cat >"$stub/data.c" <<EOF
__attribute__((aligned(16))) const unsigned char icudt${version}_dat[64] = {
    32, 0, 0xda, 0x27, 20, 0, 0, 0, 0, 0, 2, 0, 'T', 'o', 'C', 'P', 1};
EOF
  "${CC:-cc}" -shared -fPIC -Wl,-soname,"libicudata.so.$version" -o "$stub/libicudata.so.$version" "$stub/data.c"
  export LD_LIBRARY_PATH=$stub${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
fi
auditwheel repair -w "$folder" "$wheel"
