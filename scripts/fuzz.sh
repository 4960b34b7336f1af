#!/usr/bin/env bash
# Fuzzes every fuzz test of the repository, one after the other.
#
#   scripts/fuzz.sh TIME      TIME for each: 30s, 10m, or 1000x for a number of inputs
set -euo pipefail
cd "$(dirname "$0")/.."

tests=$(grep -rEo '^func Fuzz\w+' --include='*_test.go' . | sort)
[ -n "$tests" ] || { echo "no fuzz tests found" >&2; exit 1; }
while IFS=: read -r file func; do
  echo "== ${func#func } in ${file%/*}"
  go test -run='^$' -fuzz="^${func#func }\$" -fuzztime="$1" "${file%/*}"
done <<<"$tests"
