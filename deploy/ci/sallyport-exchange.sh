#!/bin/sh
# sallyport-exchange.sh: what `sallyport exchange` does, for images without Node. POSIX sh, curl, sed, tr, mktemp.
#
# Finds the job's own token (GitLab, GitHub, Forgejo, Gitea, a projected Kubernetes file, or one that you name),
# exchanges it at the broker, prints the issued token. Tokens and secrets travel through files of mode 0600 and
# standard input, never through arguments. Exit codes: 0 ok, 1 denied or failed, 2 usage.
{ set +x; } 2>/dev/null # a traced job would print the tokens
set -euf
umask 077

usage() {
  cat <<'HELP'
Usage: sallyport-exchange.sh [options]

  --broker URL               the broker's issuer URL (env: SALLYPORT_BROKER)
  --token-endpoint URL       default <broker>/token (env: SALLYPORT_TOKEN_ENDPOINT)
  --ca-file FILE             PEM certificates that the broker is checked against (env: SALLYPORT_CA_FILE)
  --insecure-allow-http      allow a broker on plain HTTP that is not on this machine
  --client-id ID             (env: SALLYPORT_CLIENT_ID)
  --client-secret-file FILE  - for stdin (env: SALLYPORT_CLIENT_SECRET_FILE, or the secret in SALLYPORT_CLIENT_SECRET)
  --client-auth METHOD       secret (or basic), none or federated (env: SALLYPORT_CLIENT_AUTH)
  --connector ID             (env: SALLYPORT_CONNECTOR)
  --audience ID              repeatable (env: SALLYPORT_AUDIENCE, parted by blanks)
  --scope SCOPES             default "openid profile email groups" (env: SALLYPORT_SCOPE)
  --policy NAME              (env: SALLYPORT_POLICY)
  --job-audience AUD         audience of the job token; default the broker (env: SALLYPORT_JOB_AUDIENCE)
  --subject-token-file FILE  - for stdin (env: SALLYPORT_SUBJECT_TOKEN_FILE)
  --subject-token-env NAME   name of the variable that holds it (env: SALLYPORT_SUBJECT_TOKEN_ENV)
  --subject-token-type TYPE  id_token (default) or access_token (env: SALLYPORT_SUBJECT_TOKEN_TYPE)
  --requested-token-type T   id_token or access_token (env: SALLYPORT_REQUESTED_TOKEN_TYPE)
  --output-file FILE         mode 0600, instead of stdout
  --github-output NAME       mask the token and append NAME=token to $GITHUB_OUTPUT
  --dotenv FILE              append NAME=token; --dotenv-name NAME, default SALLYPORT_TOKEN
  --json                     print the broker's answer as it came

Examples:
  # GitLab, GitHub, Forgejo, Gitea: no stored secret, the job token is the credential, too
  sallyport-exchange.sh --broker https://broker.example.com --client-id ci --client-auth federated --audience kubernetes

  # a client with a secret, and a token from a file
  sallyport-exchange.sh --broker https://dex.example.com --client-id ci --client-secret-file secret \
    --connector keycloak --subject-token-file kc.jwt --subject-token-type access_token --output-file token
HELP
}

fail() {
  printf 'sallyport: %s\n' "$1" >&2
  exit 1
}

misuse() {
  printf 'error: %s\n(see sallyport-exchange.sh --help)\n' "$1" >&2
  exit 2
}

# --- flags over environment -------------------------------------------------------------------------------------------
broker=${SALLYPORT_BROKER-}
endpoint=${SALLYPORT_TOKEN_ENDPOINT-}
ca_file=${SALLYPORT_CA_FILE-}
client_id=${SALLYPORT_CLIENT_ID-}
client_secret_file=${SALLYPORT_CLIENT_SECRET_FILE-}
client_auth=${SALLYPORT_CLIENT_AUTH-}
connector=${SALLYPORT_CONNECTOR-}
audiences=
scope=${SALLYPORT_SCOPE-openid profile email groups}
policy=${SALLYPORT_POLICY-}
job_audience=${SALLYPORT_JOB_AUDIENCE-}
subject_file=${SALLYPORT_SUBJECT_TOKEN_FILE-}
subject_env=${SALLYPORT_SUBJECT_TOKEN_ENV-}
subject_type=${SALLYPORT_SUBJECT_TOKEN_TYPE-id_token}
requested_type=${SALLYPORT_REQUESTED_TOKEN_TYPE-}
allow_http=no output_file='' github_output='' dotenv='' dotenv_name=SALLYPORT_TOKEN json=no

while [ $# -gt 0 ]; do
  flag=$1
  shift
  case $flag in
    --help | -h) usage && exit 0 ;;
    --insecure-allow-http) allow_http=yes && continue ;;
    --json) json=yes && continue ;;
    --*=*) value=${flag#*=} flag=${flag%%=*} ;;
    --*)
      [ $# -gt 0 ] || misuse "$flag: unknown, or its value is missing"
      value=$1
      shift
      ;;
    *) misuse "unexpected argument; tokens and secrets are read from files" ;;
  esac
  case $flag in
    --broker) broker=$value ;;
    --token-endpoint) endpoint=$value ;;
    --ca-file) ca_file=$value ;;
    --client-id) client_id=$value ;;
    --client-secret-file) client_secret_file=$value ;;
    --client-auth) client_auth=$value ;;
    --connector) connector=$value ;;
    --audience) audiences="$audiences $value" ;;
    --scope) scope=$value ;;
    --policy) policy=$value ;;
    --job-audience) job_audience=$value ;;
    --subject-token-file) subject_file=$value subject_env='' ;;
    --subject-token-env) subject_env=$value subject_file='' ;;
    --subject-token-type) subject_type=$value ;;
    --requested-token-type) requested_type=$value ;;
    --output-file) output_file=$value ;;
    --github-output) github_output=$value ;;
    --dotenv) dotenv=$value ;;
    --dotenv-name) dotenv_name=$value ;;
    *) misuse "unknown option $flag" ;;
  esac
done
[ -n "$audiences" ] || audiences=${SALLYPORT_AUDIENCE-}

# --- checks -----------------------------------------------------------------------------------------------------------
[ -n "$client_id" ] || misuse '--client-id (or SALLYPORT_CLIENT_ID) is missing'
if [ -z "$endpoint" ]; then
  [ -n "$broker" ] || misuse '--broker (or SALLYPORT_BROKER) is missing'
  endpoint=$broker
  while [ "${endpoint%/}" != "$endpoint" ]; do endpoint=${endpoint%/}; done
  endpoint=$endpoint/token
fi
[ -n "$job_audience" ] || job_audience=${broker:-$endpoint}

host=${endpoint#*://}
host=${host%%/*}
case $host in *@*) misuse 'the URL of the broker must not hold a user or password' ;; esac
is_loopback() {
  case $1 in
    localhost | localhost:* | '[::1]' | '[::1]:'*) return 0 ;;
    127.*) case ${1%:*} in *[!0-9.]*) return 1 ;; *) return 0 ;; esac ;;
    *) return 1 ;;
  esac
}
case $endpoint in
  https://*) ;;
  http://*)
    is_loopback "$host" || [ $allow_http = yes ] ||
      misuse 'the broker is on plain HTTP, so anybody on the way reads the tokens; --insecure-allow-http if you mean it'
    ;;
  *) misuse 'the URL of the broker must begin with https://' ;;
esac

if [ -z "$client_auth" ]; then
  client_auth=none
  [ -z "$client_secret_file${SALLYPORT_CLIENT_SECRET-}" ] || client_auth=secret
fi
case $client_auth in
  secret | basic)
    [ -n "$client_secret_file${SALLYPORT_CLIENT_SECRET-}" ] ||
      misuse '--client-auth secret needs --client-secret-file or SALLYPORT_CLIENT_SECRET'
    client_auth=secret
    ;;
  none | federated) ;;
  *) misuse '--client-auth must be secret (or basic), none or federated' ;;
esac
case $subject_type in id_token | access_token) ;; *) misuse '--subject-token-type must be id_token or access_token' ;; esac
case $requested_type in '' | id_token | access_token) ;; *) misuse '--requested-token-type must be id_token or access_token' ;; esac
is_name() { case $1 in '' | [0-9]* | *[!A-Za-z0-9_]*) return 1 ;; *) return 0 ;; esac; }
[ -z "$subject_env" ] || is_name "$subject_env" || misuse '--subject-token-env: not a name of a variable'
is_name "$dotenv_name" || misuse '--dotenv-name: not a name of a variable'
if [ -n "$github_output" ]; then
  case $github_output in [!A-Za-z_]* | *[!A-Za-z0-9_-]*) misuse '--github-output: not a name of an output' ;; esac
  [ -n "${GITHUB_OUTPUT-}" ] || misuse '--github-output: GITHUB_OUTPUT is not set, so this is no job of GitHub, Forgejo or Gitea'
fi
[ "$subject_file:$client_secret_file" != '-:-' ] ||
  misuse 'standard input holds one thing: the subject token or the client secret'
command -v curl >/dev/null 2>&1 || fail 'failed: curl is not installed'

# Before a token is spent that can be exchanged once only.
writable() {
  [ ! -d "$1" ] || fail "failed: $1 is a folder: name a file in it"
  if [ "$2" = append ] && [ -e "$1" ]; then
    [ -w "$1" ] || fail "failed: $1 cannot be written; nothing was exchanged"
    return 0
  fi
  case $1 in */*) folder=${1%/*}/ ;; *) folder=. ;; esac
  [ -d "$folder" ] && [ -w "$folder" ] || fail "failed: $1 cannot be written: look at $folder; nothing was exchanged"
}
[ -z "$github_output" ] || writable "$GITHUB_OUTPUT" append
[ -z "$output_file" ] || writable "$output_file" replace
if [ -n "$dotenv" ]; then
  # A link may stand in the repository; what it points to is not ours to open or to close.
  [ ! -h "$dotenv" ] || fail "$dotenv is a symbolic link: name the file itself"
  writable "$dotenv" append
fi

dir=$(mktemp -d "${TMPDIR:-/tmp}/sallyport.XXXXXX")
draft=''
trap 'rm -rf "$dir" ${draft:+"$draft"}' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# --- small tools ------------------------------------------------------------------------------------------------------
# cfg NAME VALUE: one line of a curl configuration. printf is a builtin, so VALUE is in no process list.
cfg() {
  printf '%s = "' "$1"
  printf '%s' "$2" | tr -d '\r\n' | sed 's/[\\"]/\\&/g'
  printf '"\n'
}

# json_string NAME FILE: a string member without escapes, which tokens and OAuth error codes are.
json_string() {
  tr -d '\r\n' <"$2" | sed -n 's/.*"'"$1"'"[[:space:]]*:[[:space:]]*"\([^"\\]*\)".*/\1/p'
}

printable() { tr -cd '\40-\176' | cut -c 1-500; }

# call: one request as $dir/config says; answer in $dir/body, its status in $status. Three attempts, on 5xx, 429 and
# connections that broke, never on another 4xx.
call() {
  attempt=1
  while :; do
    : >"$dir/body"
    code=0
    status=$(curl -q -sS --connect-timeout 5 --max-time 10 --max-filesize 262144 -K "$dir/config" \
      -D "$dir/headers" -o "$dir/body" -w '%{http_code}' </dev/null 2>"$dir/curl_error") || code=$?
    case $code:$status in
      7:* | 52:* | 55:* | 56:* | 0:429 | 0:5??)
        [ $attempt -lt 3 ] || break
        sleep $((attempt + $$ % 2))
        attempt=$((attempt + 1))
        ;;
      *) break ;;
    esac
  done
  rm -f "$dir/config"
  [ "$code" = 0 ] || fail "failed: $(printable <"$dir/curl_error")"
}

# take SOURCE WAY_OUT: keeps one token, read from stdin, as $dir/subject; no line break, no blanks.
take() {
  tr -d '\r\n' >"$dir/subject"
  [ -s "$dir/subject" ] || fail "no job token: $1: the token is empty
  -> $2"
  [ "$(wc -c <"$dir/subject")" -le 65536 ] || fail "no job token: $1: the token is longer than 65536 bytes
  -> $2"
  if LC_ALL=C grep -q '[^!-~]' "$dir/subject"; then
    fail "no job token: $1: this is not a token (white space or control characters)
  -> $2"
  fi
}

# --- the job's own token ----------------------------------------------------------------------------------------------
actions_token() {
  if [ -z "${ACTIONS_ID_TOKEN_REQUEST_URL-}" ] || [ -z "${ACTIONS_ID_TOKEN_REQUEST_TOKEN-}" ]; then
    fail "no job token: $1: this job may not ask for an id token (ACTIONS_ID_TOKEN_REQUEST_URL is not set)
  -> add to the job: $2; a pull request from a fork gets no id token"
  fi
  # `get` keeps the query that the URL has already.
  {
    cfg url "$ACTIONS_ID_TOKEN_REQUEST_URL"
    echo get
    cfg data-urlencode "audience=$job_audience"
    cfg header "Authorization: Bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN"
    cfg header 'Accept: application/json'
  } >"$dir/config"
  call
  [ "$status" = 200 ] || fail "no job token: $1: the token request was answered $status
  -> add to the job: $2"
  json_string value "$dir/body" >"$dir/value"
  take "$1" "add to the job: $2" <"$dir/value"
}

gitlab_token() {
  for name in SALLYPORT_ID_TOKEN GITLAB_OIDC_TOKEN BROKER_ID_TOKEN ID_TOKEN; do
    eval "value=\${$name-}"
    [ -n "$value" ] || continue
    printf '%s' "$value" | take "GitLab CI (\$$name)" 'see id_tokens: in the job'
    return
  done
  fail "no job token: GitLab CI: none of SALLYPORT_ID_TOKEN, GITLAB_OIDC_TOKEN, BROKER_ID_TOKEN, ID_TOKEN is set
  -> add to the job: id_tokens: {SALLYPORT_ID_TOKEN: {aud: $job_audience}}"
}

# file_token FILE WAY_OUT NAME: NAME is what a message calls it, since FILE may be the token itself, given by mistake.
file_token() {
  [ "$1" = - ] || [ -r "$1" ] || fail "no job token: $3 cannot be read
  -> $2"
  [ ! -d "$1" ] || fail "no job token: $3 is a folder
  -> $2"
  if [ "$1" = - ]; then
    head -c 65537 >"$dir/value"
  else
    head -c 65537 <"$1" >"$dir/value" || fail "no job token: $3 cannot be read
  -> $2"
  fi
  take "$3" "$2" <"$dir/value"
}

projected=${SALLYPORT_PROJECTED_TOKEN_FILE-/var/run/secrets/sallyport/token}
if [ -n "$subject_file" ]; then
  file_token "$subject_file" 'name a file that holds one token, or - for standard input; not the token' \
    'the file of --subject-token-file'
elif [ -n "$subject_env" ]; then
  eval "value=\${$subject_env-}"
  printf '%s' "$value" >"$dir/value"
  take "\$$subject_env" "GitLab: add to the job id_tokens: {$subject_env: {aud: ...}}; elsewhere: export $subject_env" <"$dir/value"
elif [ "${GITLAB_CI-}" = true ]; then
  gitlab_token
elif [ "${FORGEJO_ACTIONS-}" = true ]; then # sets the two markers below, too
  actions_token 'Forgejo Actions' 'enable-openid-connect: true (Forgejo 15 or newer)'
elif [ "${GITEA_ACTIONS-}" = true ]; then
  actions_token 'Gitea Actions' 'permissions: {id-token: write}'
elif [ "${GITHUB_ACTIONS-}" = true ]; then
  actions_token 'GitHub Actions' 'permissions: {id-token: write, contents: read}'
elif [ -n "${KUBERNETES_SERVICE_HOST-}" ]; then
  file_token "$projected" "mount a projected volume there: serviceAccountToken: {path: token, audience: \"$job_audience\"}" "$projected"
else
  fail 'no job token: no CI platform is recognised here
  -> name the token: --subject-token-file FILE (or -), or --subject-token-env NAME'
fi

# --- the exchange -----------------------------------------------------------------------------------------------------
if [ "$client_auth" = secret ]; then
  # It may be the secret itself, given by mistake.
  case $client_secret_file in
    '' | -) ;;
    *) [ -r "$client_secret_file" ] || fail 'failed: the file of --client-secret-file cannot be read: give a file, not the secret' ;;
  esac
  case $client_secret_file in
    '') printf '%s' "$SALLYPORT_CLIENT_SECRET" ;;
    -) head -c 65536 ;;
    *) head -c 65536 <"$client_secret_file" || fail 'failed: the file of --client-secret-file cannot be read' ;;
  esac | tr -d '\r\n' >"$dir/secret"
  [ -s "$dir/secret" ] || fail 'failed: the client secret is empty'
fi
token_type=urn:ietf:params:oauth:token-type:
{
  cfg url "$endpoint"
  cfg header 'Accept: application/json'
  [ -z "$ca_file" ] || cfg cacert "$ca_file"
  cfg data-urlencode grant_type=urn:ietf:params:oauth:grant-type:token-exchange
  cfg data-urlencode "subject_token@$dir/subject"
  cfg data-urlencode "subject_token_type=$token_type$subject_type"
  cfg data-urlencode "scope=$scope"
  for audience in $audiences; do cfg data-urlencode "audience=$audience"; done
  [ -z "$connector" ] || cfg data-urlencode "connector_id=$connector"
  [ -z "$policy" ] || cfg data-urlencode "policy=$policy"
  [ -z "$requested_type" ] || cfg data-urlencode "requested_token_type=$token_type$requested_type"
  cfg data-urlencode "client_id=$client_id"
  case $client_auth in
    # In the form rather than as Basic: curl encodes it there, whatever characters it has.
    secret) cfg data-urlencode "client_secret@$dir/secret" ;;
    federated)
      cfg data-urlencode client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer
      cfg data-urlencode "client_assertion@$dir/subject"
      ;;
  esac
} >"$dir/config"
call

json_string access_token "$dir/body" | tr -d '\r\n' >"$dir/token"
if [ "$status" != 200 ] || ! [ -s "$dir/token" ] || LC_ALL=C grep -q '[^!-~]' "$dir/token"; then
  error=$(json_string error "$dir/body" | printable)
  description=$(json_string error_description "$dir/body" | printable)
  request_id=$(sed -n 's/^[Xx]-[Rr]equest-[Ii][Dd]:[[:space:]]*//p' "$dir/headers" | printable)
  case $status in 429 | 5??) verdict=failed ;; *) verdict=denied ;; esac
  printf 'sallyport: %s: %s%s\n' "$verdict" "${error:-HTTP status $status}" "${description:+: $description}" >&2
  [ -z "$request_id" ] || printf '  request id: %s\n' "$request_id" >&2
  if [ $verdict = failed ]; then
    printf '  The broker could not answer; it has denied nothing. Try again later, or ask its operator.\n' >&2
    exit 1
  fi
  printf '  The reason stands in the audit log of the broker. Ask its operator for this request id, or for\n  sallyport explain --token FILE\n' >&2
  exit 1
fi

# --- where it goes ----------------------------------------------------------------------------------------------------
answer=$dir/token
if [ $json = yes ]; then answer=$dir/body; fi
printed=no
if [ -n "$github_output" ]; then
  # The mask first: from here on the runner blots the token out of the log.
  { printf '::add-mask::' && cat "$dir/token" && echo; }
  { printf '%s=' "$github_output" && cat "$dir/token" && echo; } >>"$GITHUB_OUTPUT"
  printed=yes
fi
if [ -n "$dotenv" ]; then
  : >>"$dotenv"
  chmod 600 "$dotenv"
  { printf '%s=' "$dotenv_name" && cat "$dir/token" && echo; } >>"$dotenv"
  printf '%s holds a token: keep it out of artifacts, or set artifacts: {access: none, reports: {dotenv: ...}}\n' "$dotenv" >&2
  printed=yes
fi
if [ -n "$output_file" ]; then
  # Beside its place, then renamed: a reader sees the old file or the whole new one. mktemp makes it, with mode 0600 and
  # a name that nobody could have taken before.
  draft=$(mktemp "$output_file.XXXXXX")
  # A token and nothing else, for what sends a file as it is.
  { cat "$answer" && { [ $json = no ] || echo; }; } >"$draft"
  mv -f "$draft" "$output_file"
  draft=''
  printed=yes
fi
if [ $printed = no ]; then cat "$answer" && echo; fi
