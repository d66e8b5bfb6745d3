// What an issuer's discovery document is believed, and what stands in its place.
import t from 'tap'
import { house, unavailable } from '../support/issuer_house.ts'
import { startTestIssuer } from '../support/test_issuer.ts'

const documents: readonly [title: string, members: Record<string, unknown>, detail: RegExp][] = [
  ['names another issuer (TH-F09)', { issuer: 'https://other.example.test' }, /another issuer/],
  ['names no issuer (TH-F09)', { issuer: undefined }, /no issuer/],
  ['names no jwks_uri (TH-F09)', { jwks_uri: undefined }, /no jwks_uri/],
  [
    'has a jwks_uri on another host (TH-F09)',
    { jwks_uri: 'https://attacker.example.test/jwks' },
    /host: attacker/,
  ],
  ['has a relative jwks_uri (TH-F09)', { jwks_uri: '/api/actions/jwks' }, /url: /],
  ['has a jwks_uri with userinfo (TH-F09)', { jwks_uri: 'http://u:p@localhost/jwks' }, /url: /],
  ['has a jwks_uri at the metadata service (TH-F06)', { jwks_uri: 'http://169.254.169.254/' }, /host: /],
  ['has a jwks_uri that is a number', { jwks_uri: 1 }, /no jwks_uri/],
]
for (const [title, members, detail] of documents) {
  t.test(`an issuer is not believed whose discovery document ${title}`, async (t) => {
    const { issuer, keys, kid, pass } = await house(t)
    issuer.setDiscovery(members)
    t.match(await keys.find('ES256', kid()), { denial: { reason: 'issuer_keys_unavailable', detail } })
    issuer.setDiscovery({})
    pass(3)
    t.match(await keys.find('ES256', kid()), { ok: true })
  })
}

t.test(
  'discovery by plain http is refused for an issuer that was configured with https (TH-F09)',
  async (t) => {
    const { issuer, keys, kid, pass } = await house(t, { scheme: 'https' })
    issuer.setDiscovery({ jwks_uri: issuer.jwksUri.replace('https:', 'http:') })
    t.match(await keys.find('ES256', kid()), {
      denial: { reason: 'issuer_keys_unavailable', detail: /plain http/ },
    })
    issuer.setDiscovery({})
    pass(3)
    t.match(await keys.find('ES256', kid()), { ok: true })
  },
)

t.test('a jwks_uri on another host works when the operator trusts that host', async (t) => {
  const elsewhere = await startTestIssuer({ algorithms: ['ES256'] })
  t.teardown(() => elsewhere.close())
  const jwksUri = elsewhere.jwksUri.replace('localhost', '127.0.0.1')
  const refused = await house(t, { scheme: 'https' })
  refused.issuer.setDiscovery({ jwks_uri: jwksUri })
  t.match(await refused.keys.find('ES256', elsewhere.key().kid), {
    denial: { detail: /neither the issuer's host nor trusted/ },
  })
  const trusted = await house(t, { scheme: 'https' }, () => ({ trustedHosts: ['127.0.0.1'] }))
  trusted.issuer.setDiscovery({ jwks_uri: jwksUri })
  t.match(await trusted.keys.find('ES256', elsewhere.key().kid), { ok: true })
})

t.test('an alias, an own discovery URL and an own JWKS URL do as they say', async (t) => {
  const alias = await house(t, {}, (issuer) => ({
    issuer: 'https://alias.example.test',
    keys: {
      kind: 'discovery',
      url: `${issuer.url}/.well-known/openid-configuration`,
      jwksUri: undefined,
      userinfoUri: undefined,
      documentIssuer: issuer.url,
    },
  }))
  t.match(await alias.keys.find('ES256', alias.kid()), { ok: true })
  const override = await house(t, {}, (issuer) => ({
    keys: {
      kind: 'discovery',
      url: undefined,
      jwksUri: issuer.jwksUri,
      userinfoUri: 'http://localhost/me',
      documentIssuer: issuer.url,
    },
  }))
  t.match(await override.keys.find('ES256', override.kid()), { ok: true })
  t.match(await override.keys.userinfoEndpoint(), { ok: true, value: 'http://localhost/me' })
  t.equal(override.issuer.fetches.discovery, 0)
  const direct = await house(t, {}, (issuer) => ({
    keys: { kind: 'jwks_uri', uri: issuer.jwksUri, userinfoUri: undefined },
  }))
  t.match(await direct.keys.find('ES256', direct.kid()), { ok: true })
  t.match(await direct.keys.userinfoEndpoint(), { denial: { reason: 'subject_userinfo_failed' } })
  t.equal(direct.issuer.fetches.discovery, 0)
})

t.test('discovery is asked again after an hour, and at once when its JWKS URL fails', async (t) => {
  const { issuer, keys, kid, pass } = await house(t)
  await keys.find('ES256', kid())
  await keys.refresh()
  t.match(issuer.fetches, { discovery: 1, jwks: 2 })
  pass(3600)
  await keys.refresh()
  t.match(issuer.fetches, { discovery: 2, jwks: 3 })
  issuer.behave({ jwks: 'status404' })
  t.equal(await keys.refresh(), false)
  issuer.behave({})
  t.equal(await keys.refresh(), true)
  t.match(issuer.fetches, { discovery: 3 })
})

t.test('the userinfo endpoint comes from discovery, or the issuer cannot be asked', async (t) => {
  const { issuer, keys, pass } = await house(t)
  issuer.behave({ discovery: 'status500' })
  await Promise.all(Array.from({ length: 10 }, () => keys.userinfoEndpoint()))
  t.match(await keys.userinfoEndpoint(), unavailable)
  t.equal(issuer.fetches.discovery, 1)
  issuer.behave({})
  pass(3)
  t.match(await keys.userinfoEndpoint(), { ok: true, value: issuer.userinfoEndpoint })
  pass(3600)
  issuer.setDiscovery({ userinfo_endpoint: undefined })
  t.match(await keys.userinfoEndpoint(), { denial: { reason: 'subject_userinfo_failed' } })
})
