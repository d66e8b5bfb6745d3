// The file itself, what the environment gives it, its issuer, and the overlay.
import { BASE, CI, GITLAB, error, note, warning } from './case.ts'
import type { Case } from './case.ts'

export const FILE_CASES: readonly Case[] = [
  // the file
  error(
    'dex_config_not_found',
    'a file of something else',
    BASE,
    'kind: Deployment\nmetadata: { name: x }\n',
    '',
  ),
  error(
    'dex_config_ambiguous',
    'two configurations',
    BASE,
    `a: { issuer: x, web: {} }\nb: { issuer: y, web: {} }\n`,
    '',
  ),
  error('template_action', 'a template action', '10m', '{{ exec "date" }}', '{{ exec', {
    wayOut: /gomplate first/,
  }),
  error('template_variable_unset', 'a template variable that is not set', '10m', '{{ .Env.TTL }}', '{{ .Env'),
  error('template_unclosed', 'an open template action', '10m', '10m # {{ .Env.TTL', '{{ .Env'),
  warning('dex_key_unknown', 'a misspelt key', 'redirectURIs: [http', 'redirectURLs: [http', 'redirectURLs', {
    wayOut: /write redirectURIs/,
  }),
  warning(
    'dex_key_unknown',
    'a key in the wrong place',
    '    id: keycloak',
    '    enablePasswordDB: true\n    id: keycloak',
    'enablePasswordDB',
    {
      wayOut: /top-level key enablePasswordDB/,
    },
  ),
  error(
    'dex_key_unknown',
    'an unknown key where Dex is told to refuse them',
    '  http: 127.0.0.1:5556',
    '  httpx: 1\n  http: 127.0.0.1:5556',
    'httpx',
    {
      world: { env: { DEX_CONFIG_DISALLOW_UNKNOWN_FIELDS: 'true' } },
    },
  ),
  error(
    'dex_key_twice',
    'one key in two spellings',
    'issuer: https://dex.example.test/\n',
    'issuer: https://dex.example.test/\nISSUER: https://other.example.test/\n',
    'ISSUER',
  ),
  warning('dex_value_mistyped', 'a number for a text', '    name: Kubernetes', '    name: 12', 'name: 12', {
    wayOut: /quotes/,
  }),
  error(
    'dex_value_mistyped',
    'a number for a text of a connector',
    'userNameKey: user_login',
    'userNameKey: 12',
    'userNameKey: 12',
    {
      wayOut: /quotes/,
    },
  ),
  error(
    'dex_value_mistyped',
    'a number that is too large',
    '    name: Kubernetes',
    '    name: 12345678901234567890',
    'name: 1234',
    {
      wayOut: /quotes/,
    },
  ),
  error(
    'dex_value_mistyped',
    'a text for a list',
    'scopes: [openid, profile]\n      userNameKey: user_login',
    'scopes: openid\n      userNameKey: user_login',
    'scopes: openid',
  ),
  // the environment
  error('variable_unset', 'secretEnv without its variable', CI, CI, 'secretEnv: CI_CLIENT_SECRET', {
    world: { env: { CI_CLIENT_SECRET: undefined } },
    message: /anybody in/,
  }),
  error('variable_unset', 'secretEnv with an empty variable', CI, CI, 'secretEnv: CI_CLIENT_SECRET', {
    world: { env: { CI_CLIENT_SECRET: '' } },
  }),
  error(
    'variable_unset',
    'idEnv without its variable',
    '  - id: kubernetes\n',
    '  - idEnv: NO_SUCH\n',
    'idEnv',
  ),
  warning('variable_unset', 'a login secret without its variable', GITLAB, GITLAB, 'clientSecret: $GITLAB', {
    world: { env: { GITLAB_CLIENT_SECRET: undefined } },
    wayOut: /^nothing is needed here/,
  }),
  warning(
    'variable_unset',
    'a used value without its variable',
    GITLAB,
    `${GITLAB}      userIDKey: $USER_ID_KEY\n`,
    'userIDKey: $',
    { wayOut: /^set USER_ID_KEY$/ },
  ),
  warning(
    'variable_literal',
    'a variable as client id',
    '  - id: kubernetes\n',
    '  - id: $KUBERNETES\n',
    'id: $KUBERNETES',
    {
      wayOut: /idEnv: KUBERNETES/,
    },
  ),
  warning(
    'dollar_expanded',
    'a dollar sign in a login secret',
    '$GITLAB_CLIENT_SECRET',
    'pa$$word',
    'clientSecret: pa',
  ),
  // issuer
  error('issuer_missing', 'no issuer', 'issuer: https://dex.example.test/\n', '', '', {
    message: /^no issuer specified in config file$/,
  }),
  error(
    'url_malformed',
    'an issuer that no variable is put into',
    'https://dex.example.test/\n',
    'https://${HOST}/\n',
    'issuer: https://${HOST}',
    {
      wayOut: /render the file first/,
    },
  ),
  error(
    'url_malformed',
    'a connector issuer without scheme',
    'https://gitlab.example.test\n',
    'gitlab.example.test\n',
    'issuer: gitlab',
  ),
  note('argocd_issuer', "Argo CD's configuration", BASE, argoCd(), 'connectors', {
    world: { flags: { store: 'memory' } },
  }),
  // the overlay
  error(
    'overlay_connector_unfit',
    'an overlay for a connector of people',
    'connectors:\n',
    'connectors:\n  - { type: saml, id: saml, name: SAML }\n',
    '',
    {
      world: { overlay: 'connectors: { saml: { singleUse: once } }\n' },
    },
  ),
  warning('overlay_issuer_unused', 'a second issuer', BASE, BASE, 'issuer: https://dex', {
    world: { overlay: 'issuer: https://other.example.test\n' },
  }),
]

function argoCd(): string {
  const lines = ['connectors:', '- { type: saml, id: saml, name: SAML }'].map((line) => `    ${line}\n`)
  return `kind: ConfigMap\ndata:\n  url: https://argocd.example.test\n  dex.config: |\n${lines.join('')}`
}
