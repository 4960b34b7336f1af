#!/usr/bin/env bash
# Checks what a reviewer should not have to: modules, formatting, generated files, words left behind.
# It reports everything it finds, and fails if that is anything.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# expect_nothing COMPLAINT COMMAND...: the command succeeds and prints nothing, on what is not its error stream.
expect_nothing() {
  local complaint=$1 found status=0
  shift
  found=$("$@" 2>"$scratch/errors") || status=$?
  if [ -z "$found" ] && [ "$status" -eq 0 ]; then return; fi
  printf '== %s\n%s\n' "$complaint" "$found" >&2
  [ "$status" -eq 0 ] || cat "$scratch/errors" >&2
  failed=1
}

# shellcheck disable=SC2317 # called through expect_nothing, here and below
modules_intact() { go mod verify >/dev/null; }

# snapshot writes the whole folder, but what is ignored, as a git tree: work in progress is no stale file.
# shellcheck disable=SC2317
snapshot() {
  local -x GIT_INDEX_FILE=$scratch/index
  git add --all && git write-tree
}

# shellcheck disable=SC2317
generated_current() {
  local before after
  before=$(snapshot) && go generate ./... >&2 && after=$(snapshot) && git diff --name-only "$before" "$after"
}

# Work that is left to do belongs where it can be seen, not in a comment.
# shellcheck disable=SC2317
marks() { git grep --untracked -nwE 'TODO|FIXME|XXX|HACK' -- '*.go' '*.sql' '*.lua' '*.y*ml' || true; }

expect_nothing "not formatted (make fmt)" gofmt -l .
expect_nothing "go.mod or go.sum not tidy (go mod tidy)" go mod tidy -diff
expect_nothing "go.mod or go.sum of bench not tidy (go -C bench mod tidy)" go -C bench mod tidy -diff
expect_nothing "go.mod or go.sum of tools/containers not tidy (go -C tools/containers mod tidy)" \
  go -C tools/containers mod tidy -diff
expect_nothing "bench does not build, or go vet complains of it" go -C bench vet ./...
expect_nothing "a module is not what go.sum says" modules_intact
expect_nothing "go generate fails, or changed these files (commit them)" generated_current
expect_nothing "marks left in the code" marks
exit "$failed"
