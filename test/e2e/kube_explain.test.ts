// `sallyport kube explain` against the apiserver's own code: for every pair of file and token our verdict, the user and
// the reason are those of the oracle (the apiserver's authenticator), and for a part of them of a running 1.36.4, whose
// TokenReview says the reason.
import t from 'tap'
import { authenticate, findAuthenticator, tokenReviewError } from '../../src/core/kube/authenticate.ts'
import type { SignatureAnswer } from '../../src/core/kube/authenticate.ts'
import type { Authentication } from '../../src/core/kube/authentication_trace.ts'
import { readBearerToken } from '../../src/core/kube/bearer_token.ts'
import { readAuthenticationConfiguration } from '../../src/core/kube/read.ts'
import type { AuthenticationConfiguration } from '../../src/core/kube/authentication_configuration.ts'
import type { KubeUser } from '../../src/core/kube/kube_user.ts'
import { readIssuerDocuments } from '../../src/platform/kube/issuer_documents.ts'
import { signatureAnswer, signatureByFile } from '../../src/platform/kube/token_signature.ts'
import { kubeBinaries } from '../support/kube_binaries.ts'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import { startKubeOracle } from '../support/kube_oracle.ts'
import type { OracleVerdict } from '../support/kube_oracle.ts'
import { kubeAuthnOracleBinary, peerOrSkip } from '../support/peers.ts'
import { makeKey, publicJwk, startTestIssuer } from '../support/test_issuer.ts'
import { changes, goodClaims, LAYOUTS, tokenOf } from './kube_explain/pairs.ts'
import type { Change, Layout } from './kube_explain/pairs.ts'

t.setTimeout(600_000)
// Go writes times in the zone of the process.
process.env['TZ'] = 'UTC'
const { skip } = await peerOrSkip(async () => {
  await kubeBinaries()
  await kubeAuthnOracleBinary()
})

const NOW_SECONDS = 1_795_219_200
const ISSUER = 'https://issuer.example.test/realms/ci'
const KEYS = ['ES256', 'ES512', 'RS256', 'PS384', 'EdDSA'].map(makeKey)
const FOREIGN = makeKey('ES256')

function keyFor(change: Change): (typeof KEYS)[number] {
  const key = KEYS.find(({ alg }) => alg === (change.alg ?? 'ES256'))
  if (key === undefined) throw new Error(`no key for ${change.alg}`)
  return key
}

function configOf({ body }: Layout, issuer: string, caPem?: string): Record<string, unknown> {
  const jwt = Object(structuredClone(body))
  jwt.issuer = { url: issuer, ...(caPem === undefined ? {} : { certificateAuthority: caPem }), ...jwt.issuer }
  return jwt
}

function documentOf(jwt: readonly Record<string, unknown>[]): Record<string, unknown> {
  return { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AuthenticationConfiguration', jwt }
}

function read(document: Record<string, unknown>): AuthenticationConfiguration {
  const { config, problems } = readAuthenticationConfiguration(document)
  if (config === undefined || problems.length > 0) throw new Error(JSON.stringify(problems))
  return config
}

/** The apiserver's own words, where they hold what nobody can foretell. */
function comparable(reason: string): string {
  return reason
    .replace(/current time .* before the nbf/, 'current time T before the nbf')
    .replace(/( unmarshal as JSON: .*?)(?: \{"keys":.*)?\]$/s, '$1')
}

type Verdict = { readonly user: KubeUser } | { readonly reason: string }

function verdictOf({ outcome }: Authentication): Verdict {
  switch (outcome.kind) {
    case 'authenticated':
      return { user: outcome.user }
    case 'refused':
      return { reason: comparable(tokenReviewError(outcome.refusal)) }
    case 'unknown':
      return { reason: `unknown: ${outcome.why}` }
  }
}

/** The oracle's answer as the TokenReview of a cluster would have it. */
function expectedOf({ user, error, notMine }: OracleVerdict): Verdict {
  if (notMine === true) return { reason: 'invalid bearer token' }
  if (error !== undefined) return { reason: comparable(`[invalid bearer token, ${error}]`) }
  if (user === undefined) throw new Error('the oracle says nothing')
  const isAdded = !user.groups.includes('system:authenticated')
  return { user: { ...user, groups: isAdded ? [...user.groups, 'system:authenticated'] : user.groups } }
}

function same(ours: Verdict, theirs: Verdict): 'yes' | 'verdict' | 'no' {
  if ('user' in ours && 'user' in theirs)
    return JSON.stringify(sorted(ours.user)) === JSON.stringify(sorted(theirs.user)) ? 'yes' : 'verdict'
  if ('reason' in ours && 'reason' in theirs) return ours.reason === theirs.reason ? 'yes' : 'verdict'
  return 'no'
}

function sorted({ username, uid, groups, extra }: KubeUser): unknown {
  return [username, uid, groups, Object.entries(extra).toSorted(([a], [b]) => (a < b ? -1 : 1))]
}

t.test('explain says what the authenticator of the apiserver says', { skip }, async (t) => {
  const oracle = await startKubeOracle()
  t.teardown(() => oracle.close())
  const tally = { pairs: 0, yes: 0, verdict: 0, no: 0 }
  for (const layout of LAYOUTS) {
    const document = documentOf([configOf(layout, ISSUER)])
    const config = read(document)
    for (const change of changes(NOW_SECONDS, ISSUER)) {
      const key = keyFor(change)
      const token = tokenOf(change, { iss: ISSUER, ...goodClaims(NOW_SECONDS) }, key, FOREIGN)
      const jwks = { keys: [...KEYS.map(publicJwk), ...(change.odd === undefined ? [] : [change.odd])] }
      const theirs = expectedOf(
        await oracle.authenticate({ config: JSON.stringify(document), token, jwks, nowSeconds: NOW_SECONDS }),
      )
      const ours = verdictOf(await explained(config, token, JSON.stringify(jwks)))
      const agreement = same(ours, theirs)
      tally.pairs += 1
      tally[agreement] += 1
      if (agreement !== 'yes')
        t.comment(
          `${layout.name} / ${change.name}\n  ours:   ${JSON.stringify(ours)}\n  theirs: ${JSON.stringify(theirs)}`,
        )
    }
  }
  t.comment(
    `${tally.pairs} pairs: ${tally.yes} equal in verdict and words, ${tally.verdict} in verdict alone, ${tally.no} differ`,
  )
  t.equal(tally.no, 0, 'no verdict differs')
  t.equal(tally.verdict, 0, 'no word differs')
})

async function explained(
  config: AuthenticationConfiguration,
  text: string,
  jwks: string,
): Promise<Authentication> {
  const token = readBearerToken(text)
  const signature: SignatureAnswer = token.ok
    ? await signatureByFile(token.value, Buffer.from(jwks), 'the keys')
    : { kind: 'unchecked', why: '' }
  return authenticate({ config, token, signature, now: NOW_SECONDS * 1000 })
}

t.test('explain says what a running apiserver says', { skip }, async (t) => {
  const issuers = await Promise.all(
    LAYOUTS.map((layout, index) =>
      startTestIssuer({
        path: `/${index}/${layout.name.replaceAll(' ', '-')}`,
        cacheControl: 'public, max-age=90',
        algorithms: ['ES256', 'RS256', 'EdDSA'],
      }),
    ),
  )
  for (const issuer of issuers) t.teardown(() => issuer.close())
  const document = documentOf(
    LAYOUTS.map((layout, index) => configOf(layout, issuers[index]?.url ?? '', issuers[index]?.caPem)),
  )
  const config = read(document)
  const cluster = await kubeClusterFor(t, { authenticationConfig: JSON.stringify(document) })
  const foreign = makeKey('ES256')
  const tally = { pairs: 0, yes: 0, verdict: 0, no: 0 }
  for (const issuer of issuers) {
    const now = Math.floor(Date.now() / 1000)
    for (const change of changes(now, issuer.url).filter(isForCluster)) {
      const own = issuer.key(change.alg ?? 'ES256')
      const token = tokenOf(change, { iss: issuer.url, ...goodClaims(now) }, own, {
        ...foreign,
        kid: own.kid,
      })
      const status = await cluster.reviewToken(token)
      const theirs: Verdict =
        status['authenticated'] === true
          ? { user: userOf(status['user']) }
          : { reason: comparable(String(status['error'])) }
      const ours = verdictOf(await live(config, token))
      const agreement = same(ours, theirs)
      tally.pairs += 1
      tally[agreement] += 1
      if (agreement !== 'yes')
        t.comment(
          `${issuer.url} / ${change.name}\n  ours:   ${JSON.stringify(ours)}\n  theirs: ${JSON.stringify(theirs)}`,
        )
    }
  }
  t.comment(
    `${tally.pairs} pairs: ${tally.yes} equal in verdict and words, ${tally.verdict} in verdict alone, ${tally.no} differ`,
  )
  t.ok(tally.pairs >= 60)
  t.equal(tally.no, 0, 'no verdict differs')
  t.equal(tally.verdict, 0, 'no word differs')
})

/** Each kind of refusal once; all the values of all claims are the oracle's. */
function isForCluster({ name, odd, spoil }: Change): boolean {
  if (odd !== undefined || name.includes('ES512') || name === 'PS384') return false
  if (spoil !== undefined) return ['garbage', 'a.b.c', 'signature changed', 'payload changed'].includes(name)
  return !/: (?!absent|a number$|a list with a number)/.test(name) && !name.startsWith('expires')
}

function userOf(value: unknown): KubeUser {
  const { username, uid = '', groups = [], extra = {} } = Object(value)
  return { username, uid, groups, extra }
}

async function live(config: AuthenticationConfiguration, text: string): Promise<Authentication> {
  const token = readBearerToken(text)
  const found = token.ok ? findAuthenticator(config, token.value.issuer) : undefined
  const signature: SignatureAnswer =
    token.ok && found !== undefined
      ? await signatureAnswer(
          token.value,
          await readIssuerDocuments(found.jwt.issuer, { clock: Date.now }),
          'the issuer',
        )
      : { kind: 'unchecked', why: '' }
  return authenticate({ config, token, signature, now: Date.now() })
}
