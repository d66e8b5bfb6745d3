// Why a kube-apiserver answers 401: the client sees one word, a TokenReview says the reason, and the oracle of the tests
// says the same without a server. And 403, which is another matter: who it is was known.
import t from 'tap'
import type { Test } from 'tap'
import { kubeBinaries, kubeVersions } from '../support/kube_binaries.ts'
import type { KubeVersion } from '../support/kube_binaries.ts'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import { startKubeOracle } from '../support/kube_oracle.ts'
import { kubeAuthnOracleBinary, peerOrSkip } from '../support/peers.ts'
import { makeKey, startTestIssuer } from '../support/test_issuer.ts'
import type { MintOptions } from '../support/test_issuer.ts'

t.setTimeout(300_000)
const issuer = await startTestIssuer({
  cacheControl: 'public, max-age=90',
  algorithms: ['ES256', 'RS256', 'EdDSA'],
})
t.teardown(() => issuer.close())

const config = `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
  - issuer:
      url: ${issuer.url}
      audiences: [kube:local]
      certificateAuthority: |
${issuer.caPem.trimEnd().replace(/^/gm, '        ')}
    claimValidationRules:
      - { claim: token_use, requiredValue: kube }
      - expression: claims.exp - claims.iat <= 900.0
        message: token lifetime must not exceed 15 minutes
    claimMappings:
      username: { expression: '"ci:" + claims.sub' }
      groups: { claim: groups, prefix: "ci:" }
      uid: { claim: repository_id }
      extra:
        - { key: example.test/repository, valueExpression: claims.repository }
    userValidationRules:
      - expression: "!user.username.startsWith('ci:system:')"
        message: reserved user name
`

const seconds = Math.floor(Date.now() / 1000)
const good = {
  aud: 'kube:local',
  sub: 'repo:acme/terraform-aws-vpc',
  iat: seconds - 5,
  nbf: seconds - 5,
  exp: seconds + 600,
  token_use: 'kube',
  repository: 'acme/terraform-aws-vpc',
  repository_id: '4711',
  groups: ['publishers'],
}

type Row = {
  readonly title: string
  readonly claims?: Readonly<Record<string, unknown>>
  readonly options?: MintOptions
}

const refused: readonly (Row & { readonly reason: RegExp })[] = [
  {
    title: 'a token that has expired',
    claims: { exp: seconds - 1 },
    reason: /oidc: token is expired \(Token Expiry: /,
  },
  { title: 'a token without an end', claims: { exp: undefined }, reason: /oidc: token is expired/ },
  {
    title: 'a token for another cluster',
    claims: { aud: 'kube:other' },
    reason: /oidc: expected audience "kube:local" got \["kube:other"\]/,
  },
  {
    title: 'a token of another use',
    claims: { token_use: 'registry' },
    reason: /oidc: required claim token_use value does not match\. Got = registry, want = kube$/,
  },
  {
    title: 'a token without its use',
    claims: { token_use: undefined },
    reason: /oidc: required claim token_use not present in ID token$/,
  },
  {
    title: 'a token that lives too long',
    claims: { exp: seconds + 1000 },
    reason:
      /validation expression 'claims\.exp - claims\.iat <= 900\.0' failed: token lifetime must not exceed 15 minutes$/,
  },
  {
    title: 'a token without a claim that a mapping reads',
    claims: { repository: undefined },
    reason: /expression 'claims\.repository' resulted in error: no such key: repository$/,
  },
  {
    title: 'a mapping that gives an object',
    claims: { repository: { name: 'acme' } },
    reason: /error evaluating extra claim expression: claims\.repository: expression must return a string/,
  },
  {
    title: 'a token without the claim of the uid',
    claims: { repository_id: undefined },
    reason: /oidc: parse uid claim "repository_id": claim not present$/,
  },
  {
    title: 'a number as uid',
    claims: { repository_id: 4711 },
    reason: /cannot unmarshal number into Go value of type string$/,
  },
  {
    title: 'a group that is a number',
    claims: { groups: [1] },
    reason: /oidc: parse groups claim "groups": /,
  },
  {
    title: 'a reserved user name',
    claims: { sub: 'system:admin' },
    reason: /validation expression '!user\.username\.startsWith\('ci:system:'\)' failed: reserved user name$/,
  },
  {
    title: 'a subject that is a number',
    claims: { sub: 7 },
    reason: /cannot unmarshal number into Go struct field idToken\.sub of type string$/,
  },
  {
    title: 'a token from the future',
    claims: { nbf: seconds + 300 },
    reason: /before the nbf \(not before\) time: /,
  },
  {
    title: 'a signature by an unpublished key',
    options: { key: makeKey('ES256').privateKey, alg: 'ES256' },
    reason: /failed to verify signature: failed to verify id token signature$/,
  },
  {
    title: 'an algorithm that it does not know',
    options: { alg: 'EdDSA' },
    reason: /oidc: id token signed with unsupported algorithm, expected \[.*\] got "EdDSA"$/,
  },
  { title: 'another issuer', claims: { iss: `${issuer.url}/` }, reason: /^$/ },
]

const accepted: readonly (Row & { readonly username: string })[] = [
  { title: 'ES256', username: 'ci:repo:acme/terraform-aws-vpc' },
  { title: 'RS256', options: { alg: 'RS256' }, username: 'ci:repo:acme/terraform-aws-vpc' },
  {
    title: 'nbf fifty seconds ahead',
    claims: { nbf: seconds + 50 },
    username: 'ci:repo:acme/terraform-aws-vpc',
  },
  { title: 'no groups', claims: { groups: undefined }, username: 'ci:repo:acme/terraform-aws-vpc' },
  {
    title: 'an audience among others',
    claims: { aud: ['kube:other', 'kube:local'] },
    username: 'ci:repo:acme/terraform-aws-vpc',
  },
  {
    title: 'typ at+jwt',
    options: { header: { typ: 'at+jwt' } },
    username: 'ci:repo:acme/terraform-aws-vpc',
  },
  // A trap: the prefix makes it non-empty. Hence the rule that `sallyport kube auth-config` prints.
  { title: 'an empty subject', claims: { sub: '' }, username: 'ci:' },
]

function mint(row: Row): string {
  return issuer.mint({ ...good, ...row.claims }, { alg: 'ES256', ...row.options })
}

for (const version of kubeVersions()) {
  const { skip } = await peerOrSkip(async () => {
    await kubeBinaries(version)
    await kubeAuthnOracleBinary()
  })
  t.test(`kube-apiserver ${version} with an issuer`, { skip }, (t) => play(t, version))
}

// The oracle is of 1.36.4: what it says holds for 1.37.1, too.
async function play(t: Test, version: KubeVersion): Promise<void> {
  const cluster = await kubeClusterFor(t, { version, authenticationConfig: config })
  const oracle = await startKubeOracle()
  t.teardown(() => oracle.close())
  // The keys are fetched by the first token.
  await cluster.reviewToken(mint({ title: 'first' }))

  for (const row of accepted) {
    await t.test(`accepts ${row.title}`, async (t) => {
      const token = mint(row)
      t.match(await cluster.reviewToken(token), { authenticated: true, user: { username: row.username } })
      const verdict = await oracle.authenticate({ config, token, jwks: issuer.publicJwks() })
      t.match(verdict, { user: { username: row.username } })
    })
  }

  for (const row of refused) {
    await t.test(`refuses ${row.title}, and says why in a TokenReview alone`, async (t) => {
      const token = mint(row)
      const verdict = await oracle.authenticate({ config, token, jwks: issuer.publicJwks() })
      const reason = verdict.error ?? ''
      t.match(reason, row.reason)
      t.equal(verdict.notMine === true, reason === '')
      const { error } = await cluster.reviewToken(token)
      const told = reason === '' ? 'invalid bearer token' : `[invalid bearer token, ${reason}]`
      t.equal(withoutClock(String(error)), withoutClock(told), 'the oracle says what the apiserver says')
      t.match(await cluster.request('/api/v1/namespaces', { token }), {
        status: 401,
        body: '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}',
      })
    })
  }

  await t.test('answers 403 to a user whom RBAC lets do nothing, and names him', async (t) => {
    const answer = await cluster.request('/api/v1/namespaces', { token: mint({ title: 'known' }) })
    t.equal(answer.status, 403)
    t.match(JSON.parse(answer.body), {
      reason: 'Forbidden',
      message:
        'namespaces is forbidden: User "ci:repo:acme/terraform-aws-vpc" cannot list resource "namespaces" in API group "" at the cluster scope',
    })
  })
}

/** Go prints the moment at which it looked. */
function withoutClock(text: string): string {
  return text.replace(/current time \S+ \S+ \S+ \S+( m=\S+)?/, 'current time NOW')
}
