# What the tests of examples share. Sourced, not run.

# expect CONDITION...: ends the test, naming the condition, if it does not hold.
expect() {
  "$@" && return 0
  echo "not so: $*" >&2
  exit 1
}

# expect_refused PART COMMAND...: the command fails with exit code 1 and a sentence on stderr that contains PART.
expect_refused() {
  local part=$1 code=0 sentence
  shift
  sentence=$("$@" 2>&1 >/dev/null </dev/null) || code=$?
  echo "refused: $sentence"
  expect [ "$code" -eq 1 ]
  expect grep -qF -- "$part" <<<"$sentence"
}

# some_text LINES: so many lines of English, all of them different.
some_text() {
  local i
  for i in $(seq "$1"); do
    printf 'In the year %s the keeper of the lighthouse counted %s ships and wrote each of them down.\n' "$((1700 + i))" "$((i * 7))"
  done
}
