// The one valid native configuration of the broker's tests, as data: one client of each kind, one audience of each
// profile, one policy that the GitLab fixture holds.
import { makeKey } from './test_issuer.ts'
import type { TestIssuer } from './test_issuer.ts'

/** Generated for tests; nothing else knows them. */
export const SECRETS = {
  ci: 'tQ3nV8sLk2RyZ0pWxE5uHb7mJd1cFgAo',
  next: 'Zx9Lq4TnB6wKe2VjM8rYc0sGh5uDf3Pa',
  pipeline: 'Hy6Rj1XwQ9bNz4KtV7mPe3LcS0gUd8Fa',
  other: 'Mc5Wz8PkT2vJq7LxR0nYb4HsE9uGd1Fa',
} as const

/** The key pair of the client `signer`, made anew by each run. */
export const SIGNER_KEY = makeKey('ES256')

export function nativeConfig(issuer: TestIssuer, brokerIssuer: string): Record<string, unknown> {
  return {
    issuer: brokerIssuer,
    listen: { public: '127.0.0.1:0', ops: '127.0.0.1:0' },
    store: { type: 'memory' },
    connectors: [{ id: 'gitlab', type: 'gitlab-ci', issuer: issuer.url, caFile: 'ca.pem', singleUse: 'off' }],
    clients: [
      {
        id: 'ci',
        name: 'CI',
        auth: { method: 'client_secret', secretEnv: 'CI_SECRET' },
        grants: ['token-exchange', 'client_credentials'],
      },
      {
        id: 'ci-pipeline',
        name: 'CI Pipeline',
        auth: { method: 'client_secret', secretEnv: 'PIPELINE_SECRET' },
        grants: ['client_credentials'],
        groups: ['pipelines', 'builders'],
      },
      { id: 'open', auth: { method: 'none' }, connectors: ['gitlab'] },
      { id: 'signer', auth: { method: 'private_key_jwt', jwksFile: 'signer.jwks.json' } },
      {
        id: 'job',
        auth: { method: 'federated_jwt', connector: 'gitlab', policy: 'acme-main' },
        grants: ['token-exchange', 'client_credentials'],
      },
    ],
    audiences: [
      { id: 'app', clients: ['ci', 'open', 'signer', 'job'], resources: ['https://app.example.test/api'] },
      { id: 'second', clients: ['ci'] },
      {
        id: 'kubernetes',
        profile: 'kubernetes',
        clients: ['ci', 'ci-pipeline', 'job'],
        resources: ['https://kubernetes.example.test:6443'],
      },
      { id: 'registry', profile: 'rfc9068', clients: ['ci', 'ci-pipeline', 'job'] },
      { id: 'stranger', clients: ['ci-pipeline'] },
      { id: 'not-granted', clients: ['ci'] },
    ],
    policies: [
      {
        name: 'acme-main',
        connector: 'gitlab',
        claims: { project_id: '48291', ref: 'main' },
        grant: {
          audiences: ['app', 'second', 'kubernetes', 'registry', 'stranger', 'ci', 'open', 'signer', 'job'],
          groups: ['deployers'],
          username: 'gitlab:${project_path}',
        },
      },
    ],
  }
}
