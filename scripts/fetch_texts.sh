#!/usr/bin/env bash
# Gathers real long English texts for tests, demos and experiments into the ignored folder .deps/texts. They come from
# Debian's packages, which are downloaded and unpacked but not installed; where there is no apt or no network, the
# licence texts that the system ships have to do. A second run does nothing.
#
#   jargon.txt                the Jargon File (1.7 MB)                 package jargon-text
#   debian-reference.txt      the Debian Reference (0.9 MB)            package debian-reference-en
#   debian-policy.txt         the Debian Policy Manual (0.5 MB)        package debian-policy
#   developers-reference.txt  the Debian Developer's Reference (0.3 MB)  package developers-reference
#   perl.txt                  Perl's manuals (6 MB, in POD)            package perl-doc
#   licenses.txt              licences                                 /usr/share/common-licenses
#   million.txt               the first five in this order: more than a million tokens without a repetition
#   manifest.txt              size, SHA-256 and origin of each
#
#   KVEVICT_DEPS=FOLDER       instead of .deps in the checkout
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
case "${1:-}" in
  "") ;;
  -h | --help)
    sed -n '2,17s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
  *)
    echo "kvevict: fetch_texts.sh takes no \"$1\" (see scripts/fetch_texts.sh --help)" >&2
    exit 2
    ;;
esac
. "$ROOT/scripts/lib/packages.sh"
TEXTS=${KVEVICT_DEPS:-$ROOT/.deps}/texts
PART=$TEXTS.part

# unpack PACKAGE: prints the folder that holds its files; nothing where it cannot be had.
unpack() {
  local folder=$PART/$1
  mkdir -p "$folder/root"
  chmod 755 "$PART" "$folder"
  (cd "$folder" && apt-get -qq download "$1" && dpkg-deb -x ./"$1"_*.deb root) >"$PART/log" 2>&1 || return 1
  printf '%s' "$folder/root"
}

# origin PACKAGE: its name and version as downloaded.
origin() { basename "$(ls "$PART/$1/$1"_*.deb)" .deb | sed 's/%3a/:/; s/_/ /; s/_.*//'; }

# add FILE ORIGIN < text
add() {
  cat >"$PART/out/$1"
  printf '%s  %s  %s bytes  %s\n' "$(sha256sum "$PART/out/$1" | cut -d' ' -f1)" "$1" "$(stat -c %s "$PART/out/$1")" "$2" >>"$PART/out/manifest.txt"
}

# from_package PACKAGE FILE GLOB...: the text files of the package, in the order given, as one.
from_package() {
  local package=$1 file=$2 root pattern
  shift 2
  root=$(unpack "$package") || return 1
  for pattern in "$@"; do
    # shellcheck disable=SC2086
    (cd "$root" && for text in $pattern; do zcat -f "$text" && printf '\n\n'; done) || return 1
  done | add "$file" "$(origin "$package")"
}

# Perl's manuals less the tables among them.
perl_pods() {
  (cd "$1" && ls usr/share/perl/*/pod/*.pod | grep -vE 'perl(toc|api|uniprops|unicode|delta|[0-9]+delta|diag|ebcdic|intern)\.pod$') | LC_ALL=C sort | tr '\n' ' '
}

from_debian() {
  from_package jargon-text jargon.txt usr/share/doc/jargon-text/jargon.txt.gz &&
    from_package debian-reference-en debian-reference.txt usr/share/debian-reference/debian-reference.en.txt.gz &&
    from_package debian-policy debian-policy.txt usr/share/doc/debian-policy/policy.txt.gz &&
    from_package developers-reference developers-reference.txt usr/share/developers-reference/developers-reference.txt.gz &&
    from_package perl-doc perl.txt "$(perl_pods "$(unpack perl-doc)")" &&
    (cd "$PART/out" && cat jargon.txt debian-reference.txt debian-policy.txt developers-reference.txt perl.txt | add million.txt "the five above")
}

if [ -f "$TEXTS/manifest.txt" ] && { [ -f "$TEXTS/million.txt" ] || ! command -v apt-get >/dev/null 2>&1; }; then
  say "texts: $TEXTS"
  exit 0
fi
rm -rf "$PART"
mkdir -p "$PART/out"
if ! { command -v apt-get >/dev/null 2>&1 && { from_debian || { as_root apt-get -qq update >/dev/null 2>&1 && rm -f "$PART/out"/* && from_debian; }; }; }; then
  rm -f "$PART/out"/*
  say "texts: Debian's packages cannot be had here, only the licences that the system ships$([ -s "$PART/log" ] && printf ' (%s)' "$(tail -n 1 "$PART/log")")"
fi
if compgen -G "/usr/share/common-licenses/*" >/dev/null; then
  find /usr/share/common-licenses -type f | LC_ALL=C sort | xargs cat | add licenses.txt /usr/share/common-licenses
fi
[ -s "$PART/out/manifest.txt" ] || fail "no text was found: neither Debian's packages nor /usr/share/common-licenses"
rm -rf "$TEXTS"
mv "$PART/out" "$TEXTS"
rm -rf "$PART"
say "texts: $TEXTS"
