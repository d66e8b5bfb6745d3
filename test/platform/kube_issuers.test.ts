// Issuers of an AuthenticationConfiguration, asked over HTTPS as a kube-apiserver asks them.
import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import type { Test } from 'tap'
import type { JwtIssuer } from '../../src/core/kube/authentication_configuration.ts'
import { checkIssuers } from '../../src/platform/kube/issuer_check.ts'
import { freshnessOf, kubeDiscoveryUrl } from '../../src/platform/kube/issuer_documents.ts'
import type { IssuerDeps } from '../../src/platform/kube/issuer_documents.ts'
import { kubeConfiguration } from '../support/kube_configuration.ts'
import { startTestIssuer } from '../support/test_issuer.ts'
import type { Behaviour, TestIssuer, TestIssuerOptions } from '../support/test_issuer.ts'

const DEPS: IssuerDeps = { clock: Date.now }

async function house(t: Test, options: TestIssuerOptions = {}): Promise<TestIssuer> {
  const issuer = await startTestIssuer({
    algorithms: ['ES256'],
    cacheControl: 'public, max-age=90',
    ...options,
  })
  t.teardown(() => issuer.close())
  return issuer
}

function entry(issuer: TestIssuer): Partial<JwtIssuer> {
  return { url: issuer.url, certificateAuthority: issuer.caPem }
}

function httpDate(ms: number): string {
  return new Date(ms).toUTCString()
}

async function codes(issuer: TestIssuer, change: Partial<JwtIssuer> = {}): Promise<readonly string[]> {
  const problems = await checkIssuers(
    kubeConfiguration({ issuer: { url: issuer.url, certificateAuthority: issuer.caPem, ...change } }),
    DEPS,
  )
  return problems.map(({ code }) => code)
}

t.test('an issuer as it should be has nothing wrong with it', async (t) => {
  const issuer = await house(t)
  t.strictSame(await codes(issuer), [])
  t.strictSame(issuer.fetches, { discovery: 1, jwks: 1, userinfo: 0, other: 0 })
})

t.test('an issuer with a slash at its end keeps it in its name and loses it in the address', async (t) => {
  const issuer = await house(t, { path: '/realms/ci/' })
  t.strictSame(await codes(issuer), [])
  t.equal(issuer.seen[0], '/realms/ci/.well-known/openid-configuration')
})

t.test('a discovery address of its own is asked as it stands, and must name the issuer', async (t) => {
  const issuer = await house(t, { path: '/inside' })
  const discoveryURL = `${issuer.url}/.well-known/openid-configuration`
  issuer.setDiscovery({ issuer: 'https://broker.example.test' })
  t.strictSame(await codes(issuer, { url: 'https://broker.example.test', discoveryURL }), [])
  t.strictSame(await codes(issuer, { url: 'https://broker.example.test/', discoveryURL }), [
    'issuer_names_another',
  ])
})

t.test('what an apiserver would stumble over before it has any keys is told', async (t) => {
  const issuer = await house(t)
  const cases = [
    ['status500', 'issuer_document_status'],
    ['status404', 'issuer_document_status'],
    ['redirect', 'issuer_document_status'],
    ['not_json', 'issuer_document_unreadable'],
    ['wrong_issuer', 'issuer_names_another'],
  ] as const
  for (const [discovery, code] of cases) {
    issuer.behave({ discovery })
    t.strictSame(await codes(issuer), [code], discovery)
  }
  issuer.behave({})
  issuer.setDiscovery({ jwks_uri: undefined })
  t.strictSame(await codes(issuer), ['issuer_without_jwks_uri'])
})

t.test('a certificate that the file does not trust is told with the key to mend', async (t) => {
  const issuer = await house(t)
  const other = await house(t)
  const config = kubeConfiguration({ issuer: { url: issuer.url, certificateAuthority: '' } })
  const [problem] = await checkIssuers(config, DEPS)
  t.match(problem, {
    code: 'issuer_unreachable',
    keys: ['jwt', 0, 'issuer', 'certificateAuthority'],
    wayOut: /put the CA of the issuer/,
  })
  t.strictSame(await codes(other), [], 'the test authority signs for both')
})

t.test('an issuer that is down is told, and does not hide what is wrong with the others', async (t) => {
  const issuer = await startTestIssuer({ algorithms: ['ES256'] })
  const broken = await house(t)
  broken.behave({ jwks: 'status500' })
  await issuer.close()
  const [first] = kubeConfiguration({ issuer: entry(issuer) }).jwt
  const [second] = kubeConfiguration({ issuer: entry(broken) }).jwt
  const jwt = [first, second].filter((one) => one !== undefined)
  const problems = await checkIssuers({ version: 'v1', jwt, anonymous: undefined }, DEPS)
  t.strictSame(
    problems.map(({ code, keys }) => [code, keys[1]]),
    [
      ['issuer_unreachable', 0],
      ['issuer_document_status', 1],
    ],
  )
})

t.test('one key of a kind that go-jose does not know spoils the whole set', async (t) => {
  const issuer = await house(t)
  const [good] = issuer.publicJwks().keys
  const x25519 = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' })
  const ed448 = generateKeyPairSync('ed448').publicKey.export({ format: 'jwk' })
  const secp256k1 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'jwk' })
  const odd: readonly (readonly [Record<string, unknown>, string])[] = [
    [{ kty: 'AKP', alg: 'ML-DSA-65', pub: 'AAAA' }, "unknown json web key type 'AKP'"],
    [{ ...x25519 }, "unknown curve X25519'"],
    [{ ...ed448 }, "unknown curve Ed448'"],
    [{ ...secp256k1 }, "unsupported elliptic curve 'secp256k1'"],
    [{ ...good, kty: undefined }, "unknown json web key type ''"],
    [{ ...good, x5t: 'not base64url!' }, 'x5t header has invalid encoding'],
    [{ ...good, x5c: ['bm8='] }, 'failed to unmarshal x5c field'],
    [{ ...good, y: 'AAAA' }, 'wrong length for y'],
    [{ ...good, kid: 7 }, 'cannot unmarshal number into Go value of type string'],
    [{ kty: 'RSA', e: 'AQAB' }, 'missing n/e values'],
  ]
  for (const [key, words] of odd) {
    issuer.setJwks({ keys: [good, key] })
    const config = kubeConfiguration({ issuer: { url: issuer.url, certificateAuthority: issuer.caPem } })
    const problems = await checkIssuers(config, DEPS)
    t.strictSame(
      problems.map(({ code }) => code),
      ['issuer_key_odd'],
      words,
    )
    t.match(problems[0]?.message, words)
    t.match(problems[0]?.message, 'key 2')
  }
})

t.test('odd keys that go-jose does take are no problem, as far as one can verify', async (t) => {
  const issuer = await house(t, { algorithms: ['ES256', 'EdDSA'] })
  const [good, eddsa] = issuer.publicJwks().keys
  t.strictSame(await codes(issuer), [])
  issuer.setJwks({ keys: [{ ...good, use: 'enc', 'x-unknown': [1] }] })
  t.strictSame(await codes(issuer), [])
  issuer.setJwks({ keys: [eddsa] })
  t.strictSame(await codes(issuer), ['issuer_keys_unusable'])
  issuer.setJwks({ keys: [] })
  t.strictSame(await codes(issuer), ['issuer_keys_empty'])
  issuer.setJwks({ keys: [good, { kty: 'oct', k: 'c2VjcmV0', kid: 'x' }] })
  t.strictSame(await codes(issuer), ['issuer_key_secret'])
})

t.test('redirects are followed, and told', async (t) => {
  const issuer = await house(t)
  issuer.behave({
    discovery: (request, response) => {
      const isFirst = request.url?.endsWith('configuration') === true
      if (isFirst) response.writeHead(302, { location: '/.well-known/openid-configuration?here' }).end()
      else
        response
          .writeHead(200, { 'content-type': 'text/html' })
          .end(JSON.stringify({ issuer: issuer.url, jwks_uri: issuer.jwksUri }))
    },
  })
  t.strictSame(await codes(issuer), ['issuer_redirects'])
  issuer.behave({ discovery: (_, response) => response.writeHead(302, { location: '?again' }).end() })
  t.strictSame(await codes(issuer), ['issuer_unreachable'])
})

t.test('an address that only the issuer names is not followed into a private network', async (t) => {
  const issuer = await house(t)
  for (const jwksUri of [
    'https://127.0.0.1:1/jwks',
    'https://10.0.0.7/jwks',
    'http://169.254.169.254/keys',
  ]) {
    issuer.setDiscovery({ jwks_uri: jwksUri })
    const found = await codes(issuer)
    t.ok(found.includes('issuer_not_looked_at'), jwksUri)
  }
})

t.test('keys over plain http are fetched as the apiserver does, and told as an error', async (t) => {
  const issuer = await house(t)
  const plain = await house(t, { scheme: 'http' })
  issuer.setDiscovery({ jwks_uri: plain.jwksUri })
  t.strictSame(await codes(issuer), ['issuer_keys_over_http'])
})

t.test(
  'cache headers that cost the issuer or slow a rotation down are told with their figures',
  async (t) => {
    const cases: readonly (readonly [string | undefined, readonly string[]])[] = [
      [undefined, ['issuer_keys_not_cached']],
      ['no-store', ['issuer_keys_not_cached']],
      ['max-age=30', ['issuer_keys_not_cached']],
      ['max-age=31', []],
      ['public, max-age=3600', []],
      ['max-age=86400', ['issuer_keys_cached_long']],
      ['s-maxage=20, max-age=600', ['issuer_keys_not_cached']],
    ]
    for (const [cacheControl, expected] of cases) {
      const issuer = await startTestIssuer({
        algorithms: ['ES256'],
        ...(cacheControl === undefined ? {} : { cacheControl }),
      })
      t.strictSame(await codes(issuer), expected, cacheControl ?? 'none')
      await issuer.close()
    }
  },
)

t.test('freshness is reckoned as cachecontrol does', async (t) => {
  const now = Date.UTC(2026, 10, 21)
  const dates = { date: '', expires: '', lastModified: '' }
  const cases = [
    ['max-age=90', dates, 90, 'max-age'],
    ['no-store, max-age=600', dates, 600, 'max-age'],
    ['private="x", max-age="60"', dates, 60, 'max-age'],
    ['max-age=99999999999', dates, 2 ** 31 - 1, 'max-age'],
    ['max-age=soon', dates, 0, 'nothing'],
    ['', { ...dates, date: httpDate(now), expires: httpDate(now + 120_000) }, 120, 'Expires'],
    ['', { ...dates, expires: '0' }, 0, 'nothing'],
    ['', { ...dates, lastModified: httpDate(now - 3_600_000) }, 360, 'Last-Modified'],
    ['no-cache', { ...dates, lastModified: httpDate(now - 365 * 86_400_000) }, 86_400, 'Last-Modified'],
    ['max-age=90', { ...dates, lastModified: 'yesterday' }, 0, 'nothing'],
  ] as const
  for (const [cacheControl, given, seconds, from] of cases) {
    t.strictSame(freshnessOf({ cacheControl, dates: given }, now), { seconds, from }, cacheControl)
  }
})

t.test('one slash at the end of the issuer is not part of the discovery address', async (t) => {
  const { jwt } = kubeConfiguration({ issuer: { url: 'https://a.example.test//' } })
  const [first] = jwt
  if (first === undefined) throw new Error('one authenticator')
  t.equal(kubeDiscoveryUrl(first.issuer), 'https://a.example.test//.well-known/openid-configuration')
})

const slowRedirects: Behaviour = (_request, response) => {
  setTimeout(() => response.writeHead(302, { location: '/.well-known/openid-configuration' }).end(), 120)
}

t.test('redirects that are slow one by one share the time of one issuer', async (t) => {
  const issuer = await house(t)
  issuer.behave({ discovery: slowRedirects })
  const config = kubeConfiguration({ issuer: { url: issuer.url, certificateAuthority: issuer.caPem } })
  const [problem] = await checkIssuers(config, { ...DEPS, totalMs: 300 })
  t.match(problem, { code: 'issuer_unreachable', message: /timeout/ })
  t.ok(issuer.fetches.discovery <= 3, 'not the ten redirects that would be followed')
  const [patient] = await checkIssuers(config, { ...DEPS, totalMs: 10_000 })
  t.match(patient, { code: 'issuer_unreachable', message: /stopped after 10 redirects/ })
  issuer.behave({})
  t.strictSame(
    await checkIssuers(config, { ...DEPS, totalMs: 2000 }),
    [],
    'and one that answers in time passes',
  )
})
