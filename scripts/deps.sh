#!/usr/bin/env bash
# Makes sure that the programs the tests start are on this machine, then runs a command that needs them.
#
#   scripts/deps.sh PROGRAM... [-- COMMAND...]      PROGRAM: redis postgres nginx caddy prometheus gcc
#
# What is missing is installed with apt, as root or through sudo. Services of the new packages are neither started
# nor enabled: the tests start private servers of their own. Where apt cannot help, the command runs in a container
# that has the programs, if Docker is here. Otherwise this says what to install.
set -euo pipefail

# Non-root users often have no sbin folder in PATH, and nginx lives there.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# at_least VERSION PROGRAM: the first number a program says of itself is its major version.
at_least() {
  local version
  version=$("$2" --version 2>/dev/null | grep -oE '[0-9]+' | head -n 1) && [ "$version" -ge "$1" ]
}

present() {
  local program
  case $1 in
    redis) program=$(command -v redis-server) && at_least 7 "$program" ;;
    postgres)
      for program in $(command -v postgres) /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres \
        /opt/homebrew/opt/postgresql@*/bin/postgres /usr/local/opt/postgresql@*/bin/postgres; do
        if [ -x "$program" ] && at_least 15 "$program"; then return; fi
      done
      return 1
      ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

# missing prints those of the programs that are not here, on one line.
missing() {
  local program found=()
  for program in "$@"; do
    present "$program" || found+=("$program")
  done
  echo "${found[*]-}"
}

packages_of() {
  case $1 in
    redis) echo redis-server ;;
    postgres) echo postgresql ;;
    gcc) printf '%s\n' gcc libc6-dev ;;
    *) echo "$1" ;;
  esac
}

# While apt runs, these two files keep packages from starting their services, and PostgreSQL's from making a cluster.
# A policy the machine already has is its own and stays.
policy=/usr/sbin/policy-rc.d
no_cluster=/etc/postgresql-common/createcluster.d/viva-tests.conf
ours=("$no_cluster")

remove_ours() {
  rm -f "${ours[@]}"
  rmdir -p --ignore-fail-on-non-empty "${no_cluster%/*}" 2>/dev/null || true
}

# install PROGRAM... needs root. Two runs at once take turns, and the second finds everything done.
install() {
  local program package packages=() fresh=()
  exec 9>/var/lock/viva-deps
  flock 9
  for program in "$@"; do
    present "$program" || mapfile -t -O "${#packages[@]}" packages < <(packages_of "$program")
  done
  [ "${#packages[@]}" -gt 0 ] || return 0
  for package in "${packages[@]}"; do
    dpkg-query --show "$package" >/dev/null 2>&1 || fresh+=("$package")
  done

  trap remove_ours EXIT
  trap 'exit 130' INT TERM
  if [ ! -e "$policy" ]; then
    ours+=("$policy")
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  mkdir -p "${no_cluster%/*}"
  echo 'create_main_cluster = false' >"$no_cluster"

  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
  "${apt[@]}" update </dev/null
  "${apt[@]}" install -y --no-install-recommends "${packages[@]}" </dev/null

  command -v systemctl >/dev/null || return 0
  for package in "${fresh[@]}"; do
    systemctl --quiet disable "$package" 2>/dev/null || true # not every package has a service
  done
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif [ -t 0 ]; then
    sudo "$@" # may ask for the password
  else
    sudo -n "$@"
  fi
}

can_install() {
  command -v apt-get >/dev/null && { [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null; }
}

# in_container runs the command in an image that this very script fills (docker/test.Dockerfile).
in_container() {
  local top
  top=$(cd "$(dirname "$0")/.." && pwd)
  docker build --tag viva-test --file "$top/docker/test.Dockerfile" "$top" >&2
  # Tests mount file systems of their own: a full disk, and the root of the image.
  # The folder belongs to someone else in there, which git refuses; so Go must not ask git for the version.
  exec docker run --rm --init --shm-size 4g --cap-add SYS_ADMIN --security-opt apparmor=unconfined --volume "$top:/src" --workdir /src \
    --volume viva-test-modules:/go/pkg/mod --volume viva-test-cache:/root/.cache \
    --env CGO_ENABLED --env GOFLAGS=-buildvcs=false viva-test "$@"
}

refuse() {
  cat >&2 <<END
The tests start servers of their own, and this machine lacks: $(missing "${programs[@]}")
(redis of version 7 or newer, postgres 15 or newer)

  Debian 12, Ubuntu 24.04 or newer   try again as root, or with sudo
  macOS                              brew install redis postgresql@17 nginx caddy prometheus
  any other                          start Docker, and the tests run in a container
END
  exit 1
}

usage() {
  sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

if [ "${1-}" = --install ]; then
  shift
  install "$@"
  exit
fi

programs=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  case $1 in
    redis | postgres | nginx | caddy | prometheus | gcc) programs+=("$1") ;;
    *) usage ;;
  esac
  shift
done
[ "${#programs[@]}" -gt 0 ] || usage
[ $# -eq 0 ] || shift

lacking=$(missing "${programs[@]}")
if [ -n "$lacking" ] && can_install; then
  echo "installing with apt: $lacking" >&2
  as_root "$0" --install "${programs[@]}" || echo "apt could not install everything" >&2
  lacking=$(missing "${programs[@]}")
fi
if [ -n "$lacking" ]; then
  if [ $# -gt 0 ] && docker info >/dev/null 2>&1; then in_container "$@"; fi
  refuse
fi
[ $# -eq 0 ] || exec "$@"
