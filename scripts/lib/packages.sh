# Debian packages that building and running need, and how to get them. Sourced, not run.

. "$(dirname "${BASH_SOURCE[0]}")/progress.sh"

KVEVICT_PACKAGES="build-essential cmake ninja-build pkg-config python3 python3-dev python3-venv libcli11-dev nlohmann-json3-dev
libfmt-dev libspdlog-dev libicu-dev libssl-dev libgtest-dev libpng-dev libedit-dev
libcurl4-openssl-dev libzip-dev libyaml-cpp-dev libdlpack-dev libcpp-httplib-dev prometheus-cpp-dev libsqlite3-dev gnuplot-nox fonts-dejavu-core"

# Prints those of its arguments that are not installed.
missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q 'install ok installed' || printf '%s ' "$package"
  done
}

# Prints the words to put before a command that needs root; fails where there is no way without a question.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    sudo -n "$@"
  else
    return 77
  fi
}

# install_packages NAME...: installs what is missing of them, without asking anything.
install_packages() {
  if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
    local tool
    for tool in c++ cmake ninja pkg-config python3; do
      command -v "$tool" >/dev/null 2>&1 ||
        fail "there is no apt here and $tool is missing; install with your package manager what Debian calls: $*"
    done
    say "packages: no apt here; the build will name what it does not find (Debian's names: $*)"
    return 0
  fi
  local missing
  missing=$(missing_packages "$@")
  if [ -z "$missing" ]; then
    say "packages: all there"
    return 0
  fi
  local log=${KVEVICT_LOG:-$(mktemp)} code=0
  say "packages: installing"
  printf '%s\n' "$missing" | fold -s -w 76 | sed 's/^/    /'
  with_progress "packages" "$log" as_root env DEBIAN_FRONTEND=noninteractive sh -c \
    "apt-get -qq update && apt-get -qq install -y --no-install-recommends $missing" || code=$?
  [ "$code" -ne 77 ] || fail "these packages are missing and this user cannot install them without a password: $missing"
  [ "$code" -eq 0 ] && return 0
  tail -n 20 "$log" >&2
  fail "apt-get could not install: $missing"
}
