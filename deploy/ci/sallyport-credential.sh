#!/bin/sh
# sallyport-credential.sh: what `sallyport credential` does, for images without Node: kubectl's exec credential plugin
# (client.authentication.k8s.io/v1). The exchange is that of sallyport-exchange.sh, which must stand beside this file.
#
# The broker is asked at each call, which a GitLab job may do once for each cluster, unless SALLYPORT_CACHE_DIR names a
# folder of this job alone. Unlike the command's, what is kept there is not sealed: do not share the folder between jobs.
# Exit codes: 0 ok, 1 denied or failed, 2 usage.
{ set +x; } 2>/dev/null # a traced job would print the tokens
set -euf
umask 077

usage() {
  cat <<'HELP'
Usage: sallyport-credential.sh --broker URL --client-id ID --audience ID [options of sallyport-exchange.sh]

kubectl starts it; `sallyport kube kubeconfig --script` prints the kubeconfig. It takes the options of
sallyport-exchange.sh that say what is asked and of whom, and their variables, and

  --cache-dir FOLDER   keep the token there until half a minute before its end; a folder of this job alone, which is
                       made with mode 0700 (env: SALLYPORT_CACHE_DIR)

Example of a job:
  export SALLYPORT_CACHE_DIR=$(mktemp -d) KUBECONFIG=ci/kubeconfig
  kubectl get ns
HELP
}

say() { printf 'sallyport: %s\n' "$1" >&2; }
misuse() {
  say "error: $1 (see sallyport-credential.sh --help)"
  exit 2
}

# --- flags: ours are taken out, the others go to the exchange -----------------------------------------------------------
cache=${SALLYPORT_CACHE_DIR-}
count=$#
while [ "$count" -gt 0 ]; do
  flag=$1
  shift
  count=$((count - 1))
  case $flag in
    --help | -h) usage && exit 0 ;;
    --json | --output-file* | --github-output* | --dotenv*) misuse "$flag: kubectl reads standard output" ;;
    --subject-token-file=- | --client-secret-file=-) misuse 'standard input belongs to kubectl: name a file' ;;
    --cache-dir=*) cache=${flag#*=} ;;
    --cache-dir)
      [ "$count" -gt 0 ] || misuse '--cache-dir: its value is missing'
      cache=$1
      shift
      count=$((count - 1))
      ;;
    --subject-token-file | --client-secret-file)
      [ "${1-}" != - ] || misuse 'standard input belongs to kubectl: name a file'
      set -- "$@" "$flag"
      ;;
    *) set -- "$@" "$flag" ;;
  esac
done
[ ! -t 1 ] || misuse 'this prints a token, and standard output is a terminal: let kubectl start it'

here=$(dirname -- "$0")
exchange=$here/sallyport-exchange.sh
[ -r "$exchange" ] || misuse "$exchange is missing: both scripts must stand in one folder"

dir=$(mktemp -d "${TMPDIR:-/tmp}/sallyport.XXXXXX")
draft=''
trap 'rm -rf "$dir" ${draft:+"$draft"}' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
now=$(date +%s)

# --- what is kept ------------------------------------------------------------------------------------------------------
# kept: the file of this request of this job, empty when nothing may be kept. Its name is a hash of everything that the
# answer depends on; sha256sum reads it from a pipe, so that it is in no process list.
kept=''
find_kept() {
  [ -n "$cache" ] || return 0
  [ -d "$cache" ] || mkdir -p -- "$cache" 2>/dev/null || true
  # $1 mode, $3 owner: not a link, ours, and nobody else's.
  # shellcheck disable=SC2046
  set -- $(ls -ldn -- "$cache" 2>/dev/null)
  case ${1-} in
    drwx------*) [ "${3-}" = "$(id -u)" ] || set -- ;;
    *) set -- ;;
  esac
  if [ $# = 0 ] || ! command -v sha256sum >/dev/null 2>&1; then
    say "the token is not kept: $cache must be a folder of this user with mode 0700, and sha256sum must be there"
    return 0
  fi
  kept=$cache/$(sha256sum <"$dir/request" | cut -c 1-64)
}
{
  printf '%s\n' "$@"
  for name in BROKER TOKEN_ENDPOINT CLIENT_ID CLIENT_AUTH CONNECTOR AUDIENCE SCOPE POLICY JOB_AUDIENCE \
    SUBJECT_TOKEN_ENV SUBJECT_TOKEN_FILE SUBJECT_TOKEN_TYPE REQUESTED_TOKEN_TYPE ID_TOKEN; do
    eval "printf '%s\n' \"\${SALLYPORT_$name-}\""
  done
  printf '%s\n' "${GITLAB_OIDC_TOKEN-}" "${BROKER_ID_TOKEN-}" "${ID_TOKEN-}" \
    "${ACTIONS_ID_TOKEN_REQUEST_URL-}" "${ACTIONS_ID_TOKEN_REQUEST_TOKEN-}"
} >"$dir/request"
find_kept

# The first line of a kept file is when it ends, the second begins with + for a credential and - for a refusal.
if [ -n "$kept" ] && [ -f "$kept" ] && [ ! -h "$kept" ]; then
  {
    read -r ends
    read -r sign
  } <"$kept" || ends=0
  case $ends in '' | *[!0-9]*) ends=0 ;; esac
  if [ "$ends" -ge $((now + 2)) ]; then
    case $sign in
      +) sed 1,2d "$kept" && exit 0 ;;
      -) sed 1,2d "$kept" >&2 && exit 1 ;;
    esac
  fi
fi

# keep ENDS SIGN FILE: in one step, with mode 0600.
keep() {
  [ -n "$kept" ] || return 0
  if draft=$(mktemp "$cache/draft.XXXXXX" 2>/dev/null) &&
    { printf '%s\n%s\n' "$1" "$2" && cat "$3"; } >"$draft" 2>/dev/null && mv -f "$draft" "$kept" 2>/dev/null; then
    draft=''
  else
    say "the token is not kept: $cache cannot be written"
  fi
}

# --- the exchange ------------------------------------------------------------------------------------------------------
# In a subshell, since the script ends its shell and has a trap of its own.
code=0
(
  set -- --json "$@"
  # shellcheck source=deploy/ci/sallyport-exchange.sh
  . "$exchange"
) >"$dir/answer" 2>"$dir/said" </dev/null || code=$?
if [ "$code" != 0 ]; then
  # One line: kubectl prints it between its own.
  tr '\n' ' ' <"$dir/said" | sed 's/  */ /g; s/ $//' >"$dir/line"
  echo >>"$dir/line"
  cat "$dir/line" >&2
  # kubectl tries two or three times. Only what the broker decided is kept, never a network error.
  if grep -q '^sallyport: denied: ' "$dir/said" &&
    ! grep -q 'denied: \(HTTP status [35]\|server_error\|temporarily_unavailable\)' "$dir/said"; then
    keep $((now + 7)) - "$dir/line"
  fi
  exit "$code"
fi

# --- the credential ----------------------------------------------------------------------------------------------------
member() { tr -d '\r\n' <"$dir/answer" | sed -n "s/.*\"$1\"[[:space:]]*:[[:space:]]*$2.*/\\1/p"; }

# rfc3339 SECONDS: since 1970, as kubectl reads it. `date -d @N` is not POSIX; the calendar is (days from civil, years
# that begin in March).
rfc3339() {
  days=$(($1 / 86400 + 719468)) rest=$(($1 % 86400))
  era=$((days / 146097)) of_era=$((days % 146097))
  year=$(((of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365))
  of_year=$((of_era - (365 * year + year / 4 - year / 100)))
  march=$(((5 * of_year + 2) / 153))
  month=$((march < 10 ? march + 3 : march - 9))
  year=$((year + era * 400 + (month <= 2)))
  printf '%04d-%02d-%02dT%02d:%02d:%02dZ' "$year" "$month" $((of_year - (153 * march + 2) / 5 + 1)) \
    $((rest / 3600)) $((rest / 60 % 60)) $((rest % 60))
}

# A token is not used in the last half minute of its life, or in the second half of a life that is shorter than a minute.
lifetime=$(member expires_in '\([0-9]\{1,9\}\)')
ends=0
if [ -n "$lifetime" ] && [ "$lifetime" -gt 0 ]; then
  [ "$lifetime" -le 86400 ] || lifetime=86400
  skew=$((lifetime / 2 < 30 ? lifetime / 2 : 30))
  ends=$((now + lifetime - skew))
fi
{
  printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{'
  [ "$ends" = 0 ] || printf '"expirationTimestamp":"%s",' "$(rfc3339 "$ends")"
  # Visible ASCII without quotes: the exchange has checked it.
  printf '"token":"'
  member access_token '"\([^"\\]*\)"' | tr -d '\r\n'
  printf '"}}\n'
} >"$dir/credential"
[ "$ends" = 0 ] || keep "$ends" + "$dir/credential"
cat "$dir/credential"
