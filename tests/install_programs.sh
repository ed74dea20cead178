#!/usr/bin/env bash
# The programs outside Python that the tests start: PostgreSQL's server, Chromium with its driver, and Node.
#
# Installs what is missing where that is allowed (as root, with apt-get) and otherwise says what is missing. Prints
# nothing where all is there, and always ends well: a test that lacks its program fails by itself and says so.
set -euo pipefail

has_postgresql() {
  # Debian keeps the server's programs off the PATH.
  command -v initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb'
}

has_chromium() {
  command -v chromium && command -v chromedriver
}

has_node() {
  # The service's official clients want 18 or later.
  command -v npm && node --eval 'process.exit(process.versions.node.split(".")[0] < 18 ? 1 : 0)'
}

find_missing() {
  packages=() programs=()
  if ! has_postgresql >/dev/null; then
    packages+=(postgresql)
    programs+=("PostgreSQL's server (initdb, postgres)")
  fi
  if ! has_chromium >/dev/null; then
    packages+=("chromium chromium-driver")
    programs+=("Chromium with its driver (chromium, chromedriver)")
  fi
  if ! has_node &>/dev/null; then
    packages+=("nodejs npm")
    programs+=("Node, 18 or later, with its package manager (node, npm)")
  fi
}

# One program at a time: where one of them cannot be had, the others can.
install_packages() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq || return
  local together failed=0
  for together in "$@"; do
    # Unquoted: the packages of one program.
    apt-get install -qq --yes --no-install-recommends $together || failed=1
  done
  return $failed
}

find_missing
if ((${#packages[@]} == 0)); then
  exit 0
fi

if [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
  echo "installing for the tests: ${packages[*]}" >&2
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  if ! install_packages "${packages[@]}" >"$log" 2>&1; then
    tail -n 5 "$log" >&2
  fi
  find_missing
fi

for program in ${programs[@]+"${programs[@]}"}; do
  echo "missing, and some tests need it: $program" >&2
done
if ((${#packages[@]} > 0)); then
  echo "on Debian and Ubuntu: sudo apt-get install ${packages[*]}" >&2
fi
