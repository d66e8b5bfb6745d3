// Which configurations Dex's own reader (2.45.1, `dex serve`) starts on, and which we do. One thing is changed in a file
// that both start on; where the two differ it is said why, and nothing else may differ.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { loadDexConfig } from '../../src/broker/config/dex/load.ts'
import { freePorts } from '../support/child_server.ts'
import { changed, dexEnv } from '../support/dex_config.ts'
import { dex2451Binary, peerOrSkip } from '../support/peers.ts'

const BASE = `issuer: http://127.0.0.1:WEB/dex
storage:
  type: memory
web:
  http: 127.0.0.1:WEB
telemetry:
  http: 127.0.0.1:OPS
enablePasswordDB: true
connectors:
  - type: mockCallback
    id: mock
    name: Mock
  - type: oidc
    id: ci
    name: CI
    config:
      issuer: http://127.0.0.1:OPS
      clientSecret: $CI_SECRET
staticClients:
  - id: app
    name: App
    secret: s3cret-s3cret-s3cret
    redirectURIs: [http://localhost:3000]
`
const OIDC = '      clientSecret: $CI_SECRET\n'
const ENV = { CI_SECRET: 'ci-secret' }

type Case = {
  readonly says: string
  readonly from: string
  readonly to: string
  /** Our finding when we refuse. */
  readonly ours?: string
  /** What Dex says when it refuses. */
  readonly dex?: RegExp
  /** Why the two differ, where they do. */
  readonly because?: string
  readonly env?: Readonly<Record<string, string>>
}

const same = (says: string, from: string, to: string, env: Case['env'] = {}): Case => ({
  says,
  from,
  to,
  env,
})
const refused = (
  says: string,
  from: string,
  to: string,
  ours: string,
  dex: RegExp,
  env: Case['env'] = {},
): Case => ({
  says,
  from,
  to,
  ours,
  dex,
  env,
})
const safer = (says: string, from: string, to: string, ours: string, because: string): Case => ({
  says,
  from,
  to,
  ours,
  because,
})
const milder = (says: string, from: string, to: string, dex: RegExp, because: string): Case => ({
  says,
  from,
  to,
  dex,
  because,
})

const WEB = '  http: 127.0.0.1:WEB\n'
const SECRET = '    secret: s3cret-s3cret-s3cret\n'

const CASES: readonly Case[] = [
  same('the file that every case changes', BASE, BASE),
  same('a key that nobody knows', 'telemetry:', 'nobody: knows\ntelemetry:'),
  same('a key in another case', 'enablePasswordDB', 'ENABLEPASSWORDDB'),
  same("YAML 1.1's booleans", 'enablePasswordDB: true', 'enablePasswordDB: yes'),
  same('merge keys', 'telemetry:\n', 'x: &x { enableProfiling: false }\ntelemetry:\n  <<: *x\n'),
  same(
    'a grant of no known name',
    'telemetry:',
    'oauth2: { grantTypes: [nonsense, refresh_token] }\ntelemetry:',
  ),
  same('a public client with a secret', SECRET, `${SECRET}    public: true\n`),
  same('a peer that is not there', SECRET, `${SECRET}    trustedPeers: [nobody]\n`),
  same('a dollar sign in an expanded value', '$CI_SECRET', 'a$$b'),
  same('an empty lifetime', 'telemetry:', 'expiry: { idTokens: "" }\ntelemetry:'),
  same('a null section', 'telemetry:', 'expiry:\ntelemetry:'),

  refused(
    'no issuer',
    'issuer: http://127.0.0.1:WEB/dex\n',
    '',
    'issuer_missing',
    /no issuer specified in config file/,
  ),
  refused(
    'no storage',
    'storage:\n  type: memory\n',
    '',
    'storage_missing',
    /no storage supplied in config file/,
  ),
  refused(
    'an unknown storage',
    'type: memory',
    'type: disk',
    'storage_unknown',
    /unknown storage type "disk"/,
  ),
  refused(
    'HTTPS without certificate',
    WEB,
    '  https: 127.0.0.1:WEB\n  tlsKey: x\n',
    'tls_files',
    /no cert specified for HTTPS/,
  ),
  refused(
    'HTTPS without key',
    WEB,
    '  https: 127.0.0.1:WEB\n  tlsCert: x\n',
    'tls_files',
    /no private key specified for HTTPS/,
  ),
  refused(
    'an old TLS version',
    WEB,
    `${WEB}  tlsMinVersion: "1.1"\n`,
    'tls_version',
    /supported TLS versions are: 1.2, 1.3/,
  ),
  refused(
    'TLS versions upside down',
    WEB,
    `${WEB}  tlsMinVersion: "1.3"\n  tlsMaxVersion: "1.2"\n`,
    'tls_version',
    /TLSMinVersion greater than TLSMaxVersion/,
  ),
  refused(
    'a proxy that is no network',
    WEB,
    `${WEB}  clientRemoteIP: { header: X-R, trustedProxies: [10.0.0.1] }\n`,
    'address_malformed',
    /failed to parse CIDR "10.0.0.1"/,
  ),
  refused(
    'passwords without their database',
    'enablePasswordDB: true\n',
    `staticPasswords: [{ email: a@b.test, hash: "$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W", username: a, userID: a }]\n`,
    'password_db_off',
    /cannot specify static passwords without enabling password db/,
  ),
  refused(
    'a client without name',
    '    name: App\n',
    '',
    'client_name_missing',
    /Name field is required for a client/,
  ),
  refused(
    'a client without id',
    '  - id: app\n    name',
    '  - name',
    'client_id_missing',
    /ID or IDEnv field is required for a client/,
  ),
  refused(
    'a client with id and idEnv',
    '  - id: app\n',
    '  - id: app\n    idEnv: APP\n',
    'client_id_twice',
    /ID and IDEnv fields are exclusive for client "app"/,
  ),
  refused(
    'a client without secret',
    SECRET,
    '',
    'client_secret_empty',
    /Secret or SecretEnv field is required for client "app"/,
  ),
  refused(
    'a client with secret and secretEnv',
    SECRET,
    `${SECRET}    secretEnv: APP\n`,
    'client_secret_twice',
    /Secret and SecretEnv fields are exclusive for client "app"/,
  ),
  refused(
    'a connector without name',
    '    name: Mock\n',
    '',
    'connector_incomplete',
    /ID, Type and Name fields are required for a connector/,
  ),
  refused(
    'a connector of no known type',
    'type: mockCallback',
    'type: ssh',
    'connector_type_unknown',
    /unknown connector type "ssh"/,
  ),
  refused(
    'a lifetime in days',
    'telemetry:',
    'expiry: { idTokens: 7d }\ntelemetry:',
    'duration_malformed',
    /invalid config value "7d" for id token expiry/,
  ),
  refused(
    'a log format',
    'telemetry:',
    'logger: { format: xml }\ntelemetry:',
    'log_format',
    /log format is not one of the supported values/,
  ),
  refused(
    'a log level',
    'telemetry:',
    'logger: { level: loud }\ntelemetry:',
    'log_level',
    /level string "loud": unknown name/,
  ),
  refused(
    'an unknown signer',
    'telemetry:',
    'signer: { type: kms }\ntelemetry:',
    'signer_unknown',
    /unknown signer type "kms"/,
  ),
  refused(
    'a signer without rotation',
    'telemetry:',
    'signer: { type: local, config: {} }\ntelemetry:',
    'signer_rotation_missing',
    /keysRotationPeriod must be specified/,
  ),
  same('a number for a text', '    name: App\n', '    name: 12\n'),
  refused(
    'a number for a text of a connector',
    OIDC,
    `${OIDC}      userNameKey: 12\n`,
    'dex_value_mistyped',
    /cannot unmarshal number into Go/,
  ),
  refused(
    'a text for a list',
    '    redirectURIs: [http://localhost:3000]\n',
    '    trustedPeers: app\n',
    'dex_value_mistyped',
    /cannot unmarshal string into Go/,
  ),
  refused('broken YAML', 'storage:\n', 'storage: [\n', 'yaml_syntax', /error parse config file/),

  {
    ...safer(
      'an unknown key where they are forbidden',
      'telemetry:',
      'nobody: knows\ntelemetry:',
      'dex_key_unknown',
      'the flag is newer than 2.45.1',
    ),
    env: { DEX_CONFIG_DISALLOW_UNKNOWN_FIELDS: 'true' },
  },
  safer(
    'secretEnv without its variable',
    SECRET,
    '    secretEnv: NO_SUCH\n',
    'variable_unset',
    'Dex lets anybody in as this client',
  ),
  safer(
    'idEnv without its variable',
    '  - id: app\n',
    '  - idEnv: NO_SUCH\n',
    'variable_unset',
    'Dex runs a client with an empty id',
  ),
  safer(
    'a variable as secret',
    SECRET,
    '    secret: $APP_SECRET\n',
    'client_secret_literal',
    'Dex takes the text for the secret',
  ),
  safer(
    'two clients with one id',
    SECRET,
    `${SECRET}    trustedPeers: []\n  - id: app\n    name: Other\n    secret: other-secret\n`,
    'client_id_repeated',
    'Dex takes one of them',
  ),
  safer('two connectors with one id', 'id: ci', 'id: mock', 'connector_id_repeated', 'Dex takes the last'),
  safer(
    'allowedGroups without groups',
    OIDC,
    `${OIDC}      allowedGroups: [ops]\n`,
    'allowed_groups_void',
    'Dex lets everybody in',
  ),
  safer(
    'a filter that does not compile',
    OIDC,
    `${OIDC}      claimModifications: { filterGroupClaims: { groupsFilter: "(" } }\n`,
    'groups_filter_malformed',
    'Dex lets every group pass',
  ),
  safer(
    'hostedDomains',
    OIDC,
    `${OIDC}      hostedDomains: [a.test]\n`,
    'connector_hosted_domains',
    'Dex logs an error and goes on without the connector',
  ),
  safer(
    'a CA that is none',
    OIDC,
    `${OIDC}      rootCAs: [/no/such]\n`,
    'connector_root_ca',
    'Dex logs an error and goes on without the connector',
  ),
  safer(
    'a connector without issuer',
    '      issuer: http://127.0.0.1:OPS\n',
    '',
    'connector_issuer_missing',
    'Dex logs an error and goes on without the connector',
  ),
  safer(
    'a key that stands twice',
    WEB,
    `${WEB}storage:\n  type: memory\n`,
    'yaml_duplicate_key',
    'Dex takes the last',
  ),
  safer(
    'an issuer that is no URL',
    'issuer: http://127.0.0.1:WEB/dex\n',
    'issuer: dex\n',
    'url_malformed',
    'no relying party could use it',
  ),

  milder(
    'no address to listen on',
    `web:\n${WEB}`,
    '',
    /must supply a HTTP\/HTTPS {2}address to listen on/,
    "the chart's default is taken, and said",
  ),
  milder(
    'gRPC keys without address',
    'telemetry:',
    'grpc: { tlsCert: a, tlsKey: b }\ntelemetry:',
    /no address specified for gRPC/,
    'there is no gRPC API',
  ),
  milder(
    'a password without hash',
    'enablePasswordDB: true\n',
    'enablePasswordDB: true\nstaticPasswords: [{ email: a@b.test }]\n',
    /no password hash provided/,
    'passwords are not served yet',
  ),
  same('a wrong type where nothing is read', 'telemetry:', 'frontend: { theme: 1 }\ntelemetry:'),
]

const dex = await peerOrSkip(dex2451Binary)

for (const entry of CASES) {
  const { says, from, to, ours, because } = entry
  t.test(because === undefined ? says : `${says} (differs: ${because})`, { skip: dex.skip }, async (t) => {
    if (dex.skip !== false) return
    const [web = 0, ops = 0] = await freePorts(2)
    const text = (from === BASE ? BASE : changed(BASE, from, to))
      .replaceAll('WEB', String(web))
      .replaceAll('OPS', String(ops))
    const env = { ...ENV, ...entry.env }
    const verdict = await dexStarts(dex.value, text, env)
    if (entry.dex === undefined) t.equal(verdict.started, true, verdict.output)
    else t.match(verdict.output, entry.dex)
    t.equal(verdict.started, entry.dex === undefined, 'what Dex does')
    const load = loadDexConfig('dex.yaml', text, dexEnv({ env }), { flags: { development: true } })
    const errors = load.findings.filter(({ severity }) => severity === 'error').map(({ code }) => code)
    t.same([...new Set(errors)], ours === undefined ? [] : [ours], 'what we do')
    t.equal((ours === undefined) === verdict.started, because === undefined, 'a difference has its reason')
  })
}

type Started = { readonly started: boolean; readonly output: string }

/** Whether `dex serve` gets as far as listening. */
async function dexStarts(
  binary: string,
  text: string,
  env: Readonly<Record<string, string>>,
): Promise<Started> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-dex-'))
  const file = join(folder, 'dex.yaml')
  writeFileSync(file, text)
  const child = spawn(binary, ['serve', file], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const listening = new Promise<boolean>((resolve) => {
    const read = (chunk: Buffer): void => {
      output += chunk.toString()
      if (/listening on.*server=http\b/.test(output)) resolve(true)
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.on('close', () => resolve(false))
  })
  const deadline = setTimeout(() => child.kill('SIGKILL'), 20_000)
  const started = await listening
  clearTimeout(deadline)
  const closed = new Promise((resolve) => child.on('close', resolve))
  if (started) {
    child.kill('SIGKILL')
    await closed
  }
  rmSync(folder, { recursive: true, force: true })
  return { started, output }
}
