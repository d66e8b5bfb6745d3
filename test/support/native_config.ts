// One valid sallyport.yaml that uses every section, and the world it is read in. Each test changes one thing.
import { hashGeneratedSecret } from '../../src/core/secret_hash.ts'
import type { ConfigEnv } from '../../src/broker/config/config_env.ts'

export const GENERATED_SECRET = 'dGhpcyBpcyBub3QgYSBzZWNyZXQ4NzY1NDMy'
const hash = hashGeneratedSecret(GENERATED_SECRET, Buffer.alloc(16, 1))

/** A public key that nobody has the private half of. */
export const PUBLIC_JWK = {
  kty: 'EC',
  crv: 'P-256',
  kid: 'k1',
  x: 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4',
  y: '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM',
}

export const VALID_CONFIG = `issuer: https://sallyport.example.com/broker
listen:
  public: { address: '0.0.0.0:8443', tls: { certFile: tls/cert.pem, keyFile: tls/key.pem } }
  ops: 127.0.0.1:9090
store: { type: sqlite, file: data/sallyport.db }
keys: { algorithm: ES256, rotateEvery: 24h, sealingKeyFile: sealing.key, extraPublicKeysFile: old.jwks.json }
web:
  headers: { X-Frame-Options: DENY }
  allowedOrigins: [https://app.example.com]
  clientAddress: { header: X-Forwarded-For, trustedProxies: [10.0.0.0/8] }
connectors:
  - id: gitlab
    type: gitlab-ci
    issuer: https://gitlab.example.com
    caFile: ca.pem
    claimMapping: { groups: groups_direct, groupsFilter: '^acme/' }
  - id: static
    type: oidc
    issuer: https://static.example.com
    jwksFile: static.jwks.json
    clockSkew: 10s
    maxAge: 1h
clients:
  - id: ci
    auth: { method: client_secret, secretEnv: CI_SECRET }
    connectors: [gitlab]
    grants: [token-exchange, client_credentials]
    defaultAudiences: [kubernetes]
    groups: [deployers]
    subject: plain
    ttl: 5m
  - id: keyed
    auth: { method: private_key_jwt, jwksFile: keyed.jwks.json }
  - id: job
    auth: { method: federated_jwt, connector: gitlab, policy: acme-vpc }
  - id: public
    auth: { method: none }
    connectors: [static]
  - id: rotating
    auth: { method: client_secret, secretFile: secret, secretHashes: ['${hash}'] }
audiences:
  - id: kubernetes
    profile: kubernetes
    clients: [ci, job]
    resources: [https://kubernetes.example.com:6443]
    maxTtl: 10m
  - id: registry
    profile: rfc9068
    clients: [ci, keyed, public]
policies:
  - name: acme-vpc
    connector: gitlab
    clients: [ci, job]
    claims:
      project_id: "48291"
      ref: { anyOf: [main, release] }
    events: [push]
    condition: 'claims.ref_protected == "true"'
    notAfter: 2027-01-01T00:00:00Z
    grant:
      audiences: [kubernetes]
      groups: [deployers]
      groupsFrom: { claim: namespace_path, groups: { acme: [acme-team] } }
      username: 'gitlab:\${project_path}'
      claims: { team: '\${namespace_path}' }
      ttl: 10m
      singleUse: once
  - name: anyone-static
    connector: static
    claims: { sub: job-1 }
    grant: { audiences: [registry] }
tokens: { ttl: 10m }
limits: { addressRate: 10, maxConcurrentRequests: 5 }
log: { level: warn, format: text }
audit: { destination: audit.log }
kube:
  apiservers:
    - { url: 'https://10.0.0.11:6443', audience: kubernetes, caFile: ca.pem, metricsTokenFile: metrics-token }
    - { url: 'https://10.0.0.12:6443', audience: kubernetes }
  tokenReview:
    clients:
      - { id: rotating, audience: kubernetes, usernamePrefix: 'job:' }
`

const CERTIFICATE = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'
const JWKS = JSON.stringify({ keys: [PUBLIC_JWK] })

export const FILES: Readonly<Record<string, string>> = {
  '/etc/sallyport/tls/cert.pem': CERTIFICATE,
  '/etc/sallyport/tls/key.pem': 'key',
  '/etc/sallyport/ca.pem': CERTIFICATE,
  '/etc/sallyport/sealing.key': 'x'.repeat(32),
  '/etc/sallyport/old.jwks.json': JWKS,
  '/etc/sallyport/static.jwks.json': JWKS,
  '/etc/sallyport/keyed.jwks.json': JWKS,
  '/etc/sallyport/metrics-token': 'a token\n',
  '/etc/sallyport/secret': `${GENERATED_SECRET}\n`,
  '/etc/sallyport/.sallyport/tls/tls.crt': CERTIFICATE,
  '/etc/sallyport/.sallyport/tls/tls.key': 'key',
  '/etc/sallyport/.sallyport/demo-client-secret': `${GENERATED_SECRET}\n`,
}

/** The world of the valid configuration, with further files and variables (`undefined` takes one away). */
export function configEnv(
  change: {
    readonly files?: Readonly<Record<string, string>>
    readonly env?: Readonly<Record<string, string | undefined>>
    /** Permission bits by path; 0600 for all others. */
    readonly modes?: Readonly<Record<string, number>>
  } = {},
): ConfigEnv {
  const files = { ...FILES, ...change.files }
  return {
    env: { CI_SECRET: GENERATED_SECRET, ...change.env },
    readFile: (path) => {
      const text = Object.hasOwn(files, path) ? files[path] : undefined
      if (text === undefined) throw new Error(`ENOENT: no such file ${path}`)
      return text
    },
    fileMode: (path) => change.modes?.[path] ?? 0o100600,
    baseDir: '/etc/sallyport',
    randomBytes: (length) => new Uint8Array(length).fill(7),
  }
}
