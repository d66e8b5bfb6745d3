// One case for each finding code: what was changed in the valid file, where the finding points and what it advises.
import t from 'tap'
import { DOCUMENT_CODES, NATIVE_CODES } from '../../src/broker/config/finding_codes.ts'
import type { NativeCode } from '../../src/broker/config/finding_codes.ts'
import { loadNativeConfig } from '../../src/broker/config/native.ts'
import { configEnv, FILES, PUBLIC_JWK, VALID_CONFIG } from '../support/native_config.ts'

type Case = {
  readonly code: NativeCode
  readonly says: string
  /** Replaced in the valid file; `from` stands in it exactly once. */
  readonly from: string
  readonly to: string
  /** Text in the changed file that the place points at. */
  readonly at: string
  readonly wayOut?: RegExp
  readonly severity?: 'error' | 'warning' | 'note'
  readonly files?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly modes?: Readonly<Record<string, number>>
  /** A second change, where the first alone would mean something else. */
  readonly rename?: readonly [string, string]
}

const withFile = (path: string, text: string): Readonly<Record<string, string>> => ({
  [`/etc/sallyport/${path}`]: text,
})
const privateJwks = JSON.stringify({ keys: [{ ...PUBLIC_JWK, d: 'secret' }] })

const CASES: readonly Case[] = [
  // YAML
  { code: 'config_empty', says: 'an empty file', from: VALID_CONFIG, to: '# nothing\n', at: '#' },
  {
    code: 'yaml_syntax',
    says: 'an open quote',
    from: 'audit: { destination: audit.log }',
    to: 'audit: "x',
    at: '',
  },
  { code: 'yaml_tab', says: 'a tab', from: '  ops: 127', to: '\tops: 127', at: '\tops', wayOut: /spaces/ },
  {
    code: 'yaml_duplicate_key',
    says: 'a key that stands twice',
    from: 'tokens: {',
    to: 'issuer: https://other.example.com\ntokens: {',
    at: 'issuer: https://other',
    wayOut: /one of them/,
  },
  {
    code: 'yaml_key',
    says: 'a key that is a list',
    from: '  headers:',
    to: '  ? [a]\n  : 1\n  headers:',
    at: '[a]',
  },
  {
    code: 'yaml_number',
    says: 'an infinite number',
    from: 'addressRate: 10',
    to: 'addressRate: .inf',
    at: '.inf',
  },
  {
    code: 'yaml_alias',
    says: 'an alias of nothing',
    from: 'addressRate: 10',
    to: 'addressRate: *x',
    at: '*x',
  },
  {
    code: 'yaml_too_large',
    says: 'a file over 1 MiB',
    from: 'issuer',
    to: `#${'x'.repeat(2 ** 20)}\nissuer`,
    at: '#',
  },
  {
    code: 'yaml_too_deep',
    says: 'lists in lists in lists',
    from: 'allowedOrigins: [https://app.example.com]',
    to: `allowedOrigins: ${'['.repeat(80)}${']'.repeat(80)}`,
    at: '',
  },
  {
    code: 'yaml_multiple_documents',
    says: 'a second document',
    from: 'tokens: {',
    to: '---\ntokens: {',
    at: 'tokens: {',
  },
  // schema
  {
    code: 'key_unknown',
    says: 'a mistyped key',
    from: 'rotateEvery',
    to: 'rotate_evry',
    at: 'rotate_evry',
    wayOut: /did you mean rotateEvery/,
  },
  {
    code: 'key_missing',
    says: 'a missing key',
    from: '  - id: registry\n    profile: rfc9068\n',
    to: '  - profile: rfc9068\n',
    at: 'profile: rfc',
    wayOut: /add id/,
  },
  {
    code: 'type_wrong',
    says: 'a number in place of a text',
    from: 'claim: namespace_path',
    to: 'claim: 0x1F',
    at: 'claim: 0x1F',
    wayOut: /in quotes: "0x1F"/,
  },
  {
    code: 'type_wrong',
    says: 'a number in place of a duration',
    from: 'maxAge: 1h',
    to: 'maxAge: 60',
    at: 'maxAge',
    wayOut: /^write its unit: 60s or 60m$/,
  },
  {
    code: 'type_wrong',
    says: 'a bare port in place of an address',
    from: 'ops: 127.0.0.1:9090',
    to: 'ops: 9090',
    at: 'ops: 9090',
    wayOut: /^write host:port/,
  },
  {
    code: 'value_not_allowed',
    says: 'a mistyped word',
    from: 'type: gitlab-ci',
    to: 'type: gitlab_ci',
    at: 'type: gitlab_ci',
    wayOut: /did you mean gitlab-ci/,
  },
  {
    code: 'value_empty',
    says: 'an empty text',
    from: 'claim: namespace_path',
    to: "claim: ''",
    at: "claim: ''",
  },
  {
    code: 'value_out_of_range',
    says: 'a negative limit',
    from: 'Requests: 5',
    to: 'Requests: -1',
    at: 'maxConc',
  },
  {
    code: 'duration_malformed',
    says: 'a duration without unit',
    from: 'maxAge: 1h',
    to: "maxAge: '60'",
    at: 'maxAge',
    wayOut: /60s or 60m/,
  },
  {
    code: 'url_malformed',
    says: 'an issuer without scheme',
    from: 'issuer: https://gitlab.example.com',
    to: 'issuer: gitlab.example.com',
    at: 'issuer: gitlab',
    wayOut: /scheme/,
  },
  {
    code: 'address_malformed',
    says: 'a listener without port',
    from: 'ops: 127.0.0.1:9090',
    to: 'ops: 127.0.0.1',
    at: 'ops: 127',
    wayOut: /host:port/,
  },
  {
    code: 'resource_malformed',
    says: 'a resource with a fragment',
    from: 'kubernetes.example.com:6443]',
    to: "kubernetes.example.com:6443/#x']".replace("'", ''),
    at: 'https://kubernetes',
    wayOut: /scheme/,
  },
  {
    code: 'time_malformed',
    says: 'a day that does not exist',
    from: '2027-01-01T00:00:00Z',
    to: '2027-02-30T00:00:00Z',
    at: 'notAfter',
    wayOut: /2027/,
  },
  // together
  {
    code: 'id_duplicate',
    says: 'one id for two clients',
    from: 'id: keyed',
    to: 'id: ci',
    at: 'id: ci\n    auth: { method: p',
  },
  {
    code: 'reference_unknown',
    says: 'a connector that is not there',
    from: 'connectors: [gitlab]',
    to: 'connectors: [gitlba]',
    at: 'gitlba',
    wayOut: /did you mean gitlab/,
  },
  {
    code: 'file_unreadable',
    says: 'a missing file',
    from: 'caFile: ca.pem',
    to: 'caFile: no.pem',
    at: 'caFile',
    wayOut: /folder/,
  },
  {
    code: 'file_readable_by_others',
    says: 'a sealing key that every user can read',
    from: 'sealingKeyFile: sealing.key',
    to: 'sealingKeyFile: sealing.key',
    at: 'sealingKeyFile',
    modes: { '/etc/sallyport/sealing.key': 0o100644 },
    wayOut: /chmod 600/,
  },
  {
    code: 'file_readable_by_others',
    says: 'a sealing key that its group can read',
    severity: 'warning',
    from: 'sealingKeyFile: sealing.key',
    to: 'sealingKeyFile: sealing.key',
    at: 'sealingKeyFile',
    modes: { '/etc/sallyport/sealing.key': 0o100640 },
    wayOut: /defaultMode/,
  },
  {
    code: 'file_readable_by_others',
    says: 'a private key that every user can read',
    severity: 'warning',
    from: 'keyFile: tls/key.pem',
    to: 'keyFile: tls/key.pem',
    at: 'keyFile: tls/key.pem',
    modes: { '/etc/sallyport/tls/key.pem': 0o100644 },
    wayOut: /chmod 600/,
  },
  {
    code: 'file_readable_by_others',
    says: 'a secret that every user can read',
    severity: 'warning',
    from: 'secretFile: secret',
    to: 'secretFile: secret',
    at: 'secretFile: secret',
    modes: { '/etc/sallyport/secret': 0o100604 },
    wayOut: /chmod 600/,
  },
  {
    code: 'env_unset',
    says: 'an unset variable',
    from: 'secretEnv: CI_SECRET',
    to: 'secretEnv: NOT_SET',
    at: 'secretEnv: NOT',
    wayOut: /set it/,
  },
  {
    code: 'issuer_plain_http',
    says: 'a plain HTTP issuer',
    severity: 'warning',
    from: 'issuer: https://sallyport',
    to: 'issuer: http://sallyport',
    at: 'issuer: http://sally',
    wayOut: /https/,
  },
  {
    code: 'listen_plain_http',
    says: 'a plain HTTP listener',
    severity: 'warning',
    from: "{ address: '0.0.0.0:8443', tls: { certFile: tls/cert.pem, keyFile: tls/key.pem } }",
    to: '0.0.0.0:8080',
    at: 'public: 0.0',
    wayOut: /tls/,
  },
  {
    code: 'listen_ops_exposed',
    says: 'metrics on every address',
    severity: 'note',
    from: '127.0.0.1:9090',
    to: ':9090',
    at: 'ops: :',
    wayOut: /127/,
  },
  {
    code: 'listen_duplicate',
    says: 'one address twice',
    from: 'ops: 127.0.0.1:9090',
    to: 'ops: 0.0.0.0:8443',
    at: 'listen:',
    wayOut: /own port/,
  },
  {
    code: 'origin_malformed',
    says: 'an origin with a path',
    from: '[https://app.example.com]',
    to: '[https://app.example.com/x]',
    at: 'https://app',
    wayOut: /scheme/,
  },
  {
    code: 'header_malformed',
    says: 'a header that would write another',
    from: 'X-Frame-Options: DENY',
    to: 'X-Frame-Options: "a\\r\\nSet-Cookie: x"',
    at: 'X-Frame',
  },
  {
    code: 'store_memory',
    says: 'a store that forgets',
    severity: 'warning',
    from: '{ type: sqlite, file: data/sallyport.db }',
    to: '{ type: memory }',
    at: 'store',
    wayOut: /sqlite/,
  },
  {
    code: 'store_address_unclear',
    says: 'a PostgreSQL that nobody can find',
    from: '{ type: sqlite, file: data/sallyport.db }',
    to: '{ type: postgres }',
    at: 'store',
    wayOut: /urlFile/,
  },
  {
    code: 'store_address_unclear',
    says: 'a context without its kubeconfig',
    from: '{ type: sqlite, file: data/sallyport.db }',
    to: '{ type: kubernetes, context: ci }',
    at: 'context:',
    wayOut: /kubeconfig/,
  },
  {
    code: 'store_address_unclear',
    says: 'two passwords',
    from: '{ type: sqlite, file: data/sallyport.db }',
    to: '{ type: postgres, urlFile: store.url, passwordFile: secret }',
    at: 'store',
    files: withFile('store.url', 'postgres://sallyport:pw@db.example.com/sallyport\n'),
    wayOut: /under url/,
  },
  {
    code: 'store_url_malformed',
    says: 'the URL of another database',
    from: '{ type: sqlite, file: data/sallyport.db }',
    to: '{ type: postgres, url: "mysql://db.example.com/sallyport" }',
    at: 'url:',
    wayOut: /postgres:/,
  },
  {
    code: 'store_url_malformed',
    says: 'TLS that does not look at the certificate',
    from: '{ type: sqlite, file: data/sallyport.db }',
    to: '{ type: postgres, url: "postgres://sallyport@db.example.com/sallyport?sslmode=prefer" }',
    at: 'url:',
    wayOut: /verify-full/,
  },
  {
    code: 'store_password_shown',
    says: 'a password in the configuration',
    from: '{ type: sqlite, file: data/sallyport.db }',
    to: '{ type: postgres, url: "postgres://sallyport:pw@db.example.com/sallyport" }',
    at: 'url:',
    wayOut: /passwordFile/,
  },
  {
    code: 'store_tls_unclear',
    says: 'TLS on and off',
    from: '{ type: sqlite, file: data/sallyport.db }',
    to: '{ type: postgres, url: "postgres://sallyport@db.example.com/sallyport?sslmode=disable", tls: { caFile: ca.pem } }',
    at: 'store',
    wayOut: /sslmode/,
  },
  {
    code: 'store_tls_unclear',
    says: 'TLS on a Unix socket',
    from: '{ type: sqlite, file: data/sallyport.db }',
    to: '{ type: postgres, url: "postgres:///sallyport?host=/run/postgresql&user=sallyport", tls: {} }',
    at: 'store',
    wayOut: /leave tls/,
  },
  {
    code: 'store_plain_tcp',
    says: 'a database across a network without TLS',
    severity: 'warning',
    from: '{ type: sqlite, file: data/sallyport.db }',
    to: '{ type: postgres, url: "postgres://sallyport@db.example.com/sallyport", tls: off }',
    at: 'store',
    wayOut: /caFile/,
  },
  {
    code: 'file_readable_by_others',
    says: 'a password of the database that everybody can read',
    from: '{ type: sqlite, file: data/sallyport.db }',
    to: '{ type: postgres, url: "postgres://sallyport@db.example.com/sallyport", passwordFile: secret }',
    at: 'passwordFile',
    modes: { '/etc/sallyport/secret': 0o100604 },
    wayOut: /chmod/,
  },
  {
    code: 'keys_unsealed',
    says: 'keys that lie open',
    severity: 'note',
    from: 'sealingKeyFile: sealing.key, ',
    to: '',
    at: 'keys:',
    wayOut: /sealingKeyFile/,
  },
  {
    code: 'keys_rotate_often',
    says: 'a rotation every minute',
    severity: 'warning',
    from: 'rotateEvery: 24h',
    to: 'rotateEvery: 1m',
    at: 'rotateEvery',
    wayOut: /24h/,
  },
  {
    code: 'jwks_malformed',
    says: 'a key set that is none',
    from: 'old.jwks.json',
    to: 'ca.pem',
    at: 'extraPublic',
  },
  {
    code: 'jwks_private',
    says: 'a private key where a public one belongs',
    from: 'jwksFile: keyed.jwks.json',
    to: 'jwksFile: private.json',
    files: withFile('private.json', privateJwks),
    at: 'jwksFile: private',
    wayOut: /public/,
  },
  {
    code: 'certificate_malformed',
    says: 'a CA file without certificate',
    from: 'caFile: ca.pem',
    to: 'caFile: secret',
    at: 'caFile',
  },
  {
    code: 'connector_plain_http',
    says: 'an issuer over plain HTTP',
    severity: 'warning',
    from: 'issuer: https://gitlab',
    to: 'issuer: http://gitlab',
    at: 'issuer: http://gitlab',
    wayOut: /https/,
  },
  {
    code: 'connector_insecure_tls',
    says: 'a connector that takes any certificate',
    severity: 'warning',
    from: 'caFile: ca.pem',
    to: 'insecureSkipVerify: true',
    at: 'insecure',
    wayOut: /caFile/,
  },
  {
    code: 'connector_accepts_replays',
    says: 'a connector whose tokens are exchanged again while the store is away',
    severity: 'warning',
    from: 'caFile: ca.pem',
    to: 'whenStoreFails: accept_replays',
    at: 'whenStoreFails',
    wayOut: /leave it out/,
  },
  {
    code: 'connector_keys_twice',
    says: 'two places for one key set',
    from: 'clockSkew: 10s',
    to: 'jwksUri: https://static.example.com/keys',
    at: 'jwksFile: static',
    wayOut: /keep one/,
  },
  {
    code: 'connector_userinfo_unreachable',
    says: 'userinfo without discovery',
    from: 'clockSkew: 10s',
    to: 'userinfo: true',
    at: 'userinfo',
    wayOut: /drop/,
  },
  {
    code: 'connector_groups_claim_missing',
    says: 'allowed groups that no claim gives',
    from: 'clockSkew: 10s',
    to: 'allowedGroups: [acme]',
    at: 'allowedGroups',
    wayOut: /claimMapping/,
  },
  {
    code: 'connector_groups_filter_malformed',
    says: 'a filter that RE2 does not read',
    from: "'^acme/'",
    to: "'^(?=acme)'",
    at: 'groupsFilter',
    wayOut: /RE2/,
  },
  {
    code: 'connector_without_policy',
    says: 'a connector whose tokens are worth nothing',
    severity: 'warning',
    from: '    connector: static\n    claims: { sub: job-1 }',
    to: '    connector: gitlab\n    claims: { project_id: "1" }',
    at: 'id: static',
    wayOut: /policy/,
  },
  {
    code: 'connector_issuer_ours',
    says: 'a connector for our own tokens',
    from: 'issuer: https://static.example.com',
    to: 'issuer: https://sallyport.example.com/broker/',
    at: 'issuer: https://sallyport.example.com/broker/',
    wayOut: /jobs/,
  },
  {
    code: 'connector_skew_large',
    says: 'an hour of skew',
    severity: 'warning',
    from: 'clockSkew: 10s',
    to: 'clockSkew: 1h',
    at: 'clockSkew',
    wayOut: /30s/,
  },
  {
    code: 'connector_issuer_shared',
    says: 'two connectors for one issuer',
    severity: 'note',
    from: 'issuer: https://static.example.com',
    to: 'issuer: https://gitlab.example.com',
    at: 'issuer: https://gitlab.example.com\n    jwks',
  },
  {
    code: 'client_secret_missing',
    says: 'a secret client without secret',
    from: ', secretEnv: CI_SECRET',
    to: '',
    at: 'auth: { method: client_secret }',
    wayOut: /secretEnv/,
  },
  {
    code: 'client_secret_empty',
    says: 'an empty secret',
    from: 'secretEnv: CI_SECRET',
    to: 'secretEnv: EMPTY',
    env: { EMPTY: '' },
    at: 'secretEnv',
    wayOut: /openssl/,
  },
  {
    code: 'client_secret_guessable',
    says: 'a secret that is a word',
    severity: 'warning',
    from: 'secretEnv: CI_SECRET',
    to: 'secretEnv: WEAK',
    env: { WEAK: 'password' },
    at: 'secretEnv',
    wayOut: /openssl/,
  },
  {
    code: 'client_secret_hash_malformed',
    says: 'a hash of another kind',
    from: '$sallyport-sha256$',
    to: '$2a$10$',
    at: "'$2a",
    wayOut: /hash-secret/,
  },
  {
    code: 'client_secrets_too_many',
    says: 'three secrets',
    from: 'secretFile: secret,',
    to: 'secretFile: [secret, secret],',
    at: 'auth: { method: client_secret, secretFile',
    wayOut: /two/,
  },
  {
    code: 'client_keys_missing',
    says: 'a key client without key',
    from: ', jwksFile: keyed.jwks.json',
    to: '',
    at: 'auth: { method: private',
    wayOut: /one of the two/,
  },
  {
    code: 'client_public_without_connectors',
    says: 'a public client for every connector',
    from: '    connectors: [static]\n',
    to: '',
    at: 'id: public',
    wayOut: /connectors/,
  },
  {
    code: 'client_public_credentials',
    says: 'a public client with credentials',
    from: '    connectors: [static]\n',
    to: '    connectors: [static]\n    grants: [client_credentials]\n',
    at: 'grants: [client_cred',
    wayOut: /drop/,
  },
  {
    code: 'client_policy_mismatch',
    says: 'a credential of another connector',
    from: 'connector: gitlab, policy: acme-vpc',
    to: 'connector: gitlab, policy: anyone-static',
    at: 'policy: anyone',
    wayOut: /that connector/,
  },
  {
    code: 'connector_id_ambiguous',
    says: 'a connector whose jobs could be those of another one',
    from: '  - id: static\n',
    to: '  - id: static\n    type: oidc\n    issuer: https://colon.example.com\n    jwksFile: static.jwks.json\n  - id: "static:two"\n',
    at: 'id: "static:two"',
    wayOut: /static-two/,
  },
  {
    code: 'connector_id_reserved',
    says: 'a connector whose jobs would be Kubernetes’ own users',
    from: '  - id: static\n',
    to: '  - id: static\n    type: oidc\n    issuer: https://system.example.com\n    jwksFile: static.jwks.json\n  - id: system\n',
    at: 'id: system\n',
    wayOut: /another id/,
  },
  {
    code: 'client_id_reserved',
    says: 'a client whose own token would be one of Kubernetes’ users',
    from: 'id: keyed\n    auth: { method: private_key_jwt, jwksFile: keyed.jwks.json }',
    to: 'id: "system:admin"\n    grants: [client_credentials]\n    auth: { method: private_key_jwt, jwksFile: keyed.jwks.json }',
    at: 'id: "system:admin"',
    wayOut: /does not begin with/,
  },
  {
    code: 'client_id_ambiguous',
    says: 'a client whose own token would be a job’s',
    from: 'id: keyed\n    auth: { method: private_key_jwt, jwksFile: keyed.jwks.json }',
    to: 'id: gitlab:48291\n    grants: [client_credentials]\n    auth: { method: private_key_jwt, jwksFile: keyed.jwks.json }',
    at: 'id: gitlab:48291',
    wayOut: /does not begin with/,
  },
  {
    code: 'client_output_reserved',
    says: 'a client in system:masters',
    from: '    groups: [deployers]\n    subject',
    to: '    groups: ["system:masters"]\n    subject',
    at: '"system:',
    wayOut: /another name/,
  },
  {
    code: 'audience_not_allowed',
    says: 'a default that the client may not ask for',
    from: '    clients: [ci, job]\n    resources',
    to: '    clients: [job]\n    resources',
    at: 'kubernetes]\n    groups',
    wayOut: /clients of that audience/,
  },
  {
    code: 'audience_profiles_mixed',
    says: 'defaults of two profiles',
    from: 'defaultAudiences: [kubernetes]',
    to: 'defaultAudiences: [kubernetes, registry]',
    at: 'defaultAudiences',
    wayOut: /one profile/,
  },
  {
    code: 'audience_ttl_too_long',
    says: 'an hour for kubernetes',
    from: 'maxTtl: 10m',
    to: 'maxTtl: 1h',
    at: 'maxTtl',
    wayOut: /15m/,
  },
  {
    code: 'audience_unreachable',
    says: 'an audience for nobody',
    severity: 'warning',
    from: 'policies:\n',
    to: '  - id: lonely\npolicies:\n',
    at: 'id: lonely',
    wayOut: /clients/,
  },
  {
    code: 'resource_duplicate',
    says: 'one resource for two audiences',
    from: '    clients: [ci, keyed, public]\n',
    to: '    clients: [ci, keyed, public]\n    resources: ["https://kubernetes.example.com:6443"]\n',
    at: '"https://kubernetes',
  },
  {
    code: 'tokens_ttl_too_long',
    says: 'two days',
    from: 'tokens: { ttl: 10m }',
    to: 'tokens: { ttl: 48h }',
    at: 'ttl: 48h',
    wayOut: /24h/,
  },
  {
    code: 'tokens_ttl_long',
    says: 'two hours',
    severity: 'warning',
    from: 'tokens: { ttl: 10m }',
    to: 'tokens: { ttl: 2h }',
    at: 'ttl: 2h',
    wayOut: /10m/,
  },
  {
    code: 'policy_audience_unreachable',
    says: 'a grant that nobody can ask for',
    severity: 'warning',
    from: '    claims: { sub: job-1 }\n',
    to: '    clients: [rotating]\n    claims: { sub: job-1 }\n',
    at: 'registry] }',
    wayOut: /clients of that audience/,
  },
  {
    code: 'policy_without_audiences',
    says: 'a policy for no audience in particular',
    from: 'grant: { audiences: [registry] }',
    to: 'grant: {}',
    at: 'grant: {}',
    wayOut: /audiences/,
  },
  // kube
  {
    code: 'kube_url_unfit',
    says: 'a kube-apiserver by plain http',
    from: "url: 'https://10.0.0.12:6443'",
    to: "url: 'http://10.0.0.12:6443'",
    at: "url: 'http://10.0.0.12",
    wayOut: /https:\/\/10\.0\.0\.12:6443/,
  },
  {
    code: 'kube_url_unfit',
    says: 'a kube-apiserver behind the path of a proxy',
    from: "url: 'https://10.0.0.12:6443'",
    to: "url: 'https://rancher.example.com/k8s/clusters/c1'",
    at: "url: 'https://rancher",
    wayOut: /its own address/,
  },
  {
    code: 'id_duplicate',
    says: 'one kube-apiserver twice',
    from: "url: 'https://10.0.0.12:6443'",
    to: "url: 'https://10.0.0.11:6443/'",
    at: "url: 'https://10.0.0.11:6443/'",
    wayOut: /out/,
  },
  {
    code: 'url_malformed',
    says: 'a kube-apiserver without scheme',
    from: "url: 'https://10.0.0.12:6443'",
    to: "url: '10.0.0.12:6443'",
    at: "url: '10.0.0.12",
  },
  {
    code: 'reference_unknown',
    says: 'a kube-apiserver of an audience that does not exist',
    from: "12:6443', audience: kubernetes",
    to: "12:6443', audience: kubernetez",
    at: 'audience: kubernetez',
    wayOut: /kubernetes/,
  },
  {
    code: 'kube_audience_unfit',
    says: 'a kube-apiserver with the audience of a registry',
    from: "12:6443', audience: kubernetes",
    to: "12:6443', audience: registry",
    at: 'audience: registry }\n  tokenReview',
    wayOut: /profile: kubernetes/,
  },
  {
    code: 'file_unreadable',
    says: 'a CA of a kube-apiserver that is not there',
    from: 'caFile: ca.pem, metrics',
    to: 'caFile: gone.pem, metrics',
    at: 'caFile: gone.pem',
  },
  {
    code: 'file_readable_by_others',
    says: 'a metrics token that everybody can read',
    severity: 'warning',
    from: 'metricsTokenFile: metrics-token',
    to: 'metricsTokenFile: metrics-token',
    at: 'metricsTokenFile: metrics-token',
    modes: { '/etc/sallyport/metrics-token': 0o100644 },
  },
  {
    code: 'kube_client_unfit',
    says: 'token reviews by a client without secret',
    from: '{ id: rotating, audience',
    to: '{ id: job, audience',
    at: 'id: job, audience',
    wayOut: /client_secret/,
  },
  {
    code: 'kube_client_unfit',
    says: 'token reviews by a client whose id Basic cannot carry',
    from: '{ id: rotating, audience',
    to: '{ id: "a:b", audience',
    at: 'id: "a:b", audience',
    wayOut: /without a colon/,
    rename: ['- id: rotating', '- id: "a:b"'],
  },
  {
    code: 'kube_prefix_reserved',
    says: 'a prefix that makes reserved names',
    from: "usernamePrefix: 'job:'",
    to: "usernamePrefix: 'system:'",
    at: "usernamePrefix: 'system:'",
    wayOut: /of your own/,
  },
]

for (const one of CASES) {
  t.test(`${one.says}: ${one.code}, with its place`, (t) => {
    t.equal(VALID_CONFIG.split(one.from).length - 1 > 0, true, 'the valid file holds what the case changes')
    const [old = '', renamed = ''] = one.rename ?? []
    const text = VALID_CONFIG.replace(old, renamed).replace(one.from, () => one.to)
    const env = configEnv({
      ...(one.files && { files: one.files }),
      ...(one.env && { env: one.env }),
      ...(one.modes && { modes: one.modes }),
    })
    const { config, findings } = loadNativeConfig('sallyport.yaml', text, env)
    const finding = findings.find((candidate) => candidate.code === one.code)
    t.equal(finding?.severity, one.severity ?? 'error', findings.map((each) => each.code).join(' '))
    t.equal(
      config === undefined,
      findings.some((each) => each.severity === 'error'),
    )
    if (one.at !== '') t.same(finding?.place, placeIn(text, one.at))
    else t.ok(finding?.place)
    if (one.wayOut !== undefined) t.match(finding?.wayOut, one.wayOut)
    t.end()
  })
}

t.test('every documented code has a case, and every case a documented code', (t) => {
  const documented = [...Object.keys(DOCUMENT_CODES), ...Object.keys(NATIVE_CODES)].toSorted()
  t.same([...new Set(CASES.map((one) => one.code))].toSorted(), documented)
  t.end()
})

t.test('the valid file that every case changes has no finding, and all its files are used', (t) => {
  const asked = new Set<string>()
  const env = configEnv()
  const readFile = (path: string) => {
    asked.add(path)
    return env.readFile(path)
  }
  t.same(loadNativeConfig('sallyport.yaml', VALID_CONFIG, { ...env, readFile }).findings, [])
  t.same(
    Object.keys(FILES).filter((path) => !path.includes('/.sallyport/') && !asked.has(path)),
    [],
  )
  t.end()
})

function placeIn(text: string, needle: string): { file: string; line: number; column: number } {
  const offset = text.indexOf(needle)
  const before = text.slice(0, offset).split('\n')
  return { file: 'sallyport.yaml', line: before.length, column: (before.at(-1) ?? '').length + 1 }
}
