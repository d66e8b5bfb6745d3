// Who asks: every way to prove a client, every way to fail at it, and what a caller cannot tell apart.
import { createHook } from 'node:async_hooks'
import { scryptSync } from 'node:crypto'
import t from 'tap'
import type { Test } from 'tap'
import { JWT_BEARER_ASSERTION } from '../../src/core/oauth/names.ts'
import { formatScrypt } from '../../src/core/secret_hash.ts'
import { SECRETS } from '../support/broker_config.ts'
import { asSigner, assertion } from '../support/client_assertion.ts'
import type { Assertion } from '../support/client_assertion.ts'
import { BROKER_ISSUER, START, basic, startTestBroker } from '../support/test_broker.ts'
import type { Form } from '../support/test_broker.ts'
import { makeKey } from '../support/test_issuer.ts'

const broker = await startTestBroker(t)
const { issuer } = broker
const seconds = START / 1000
const none: Form = { client_id: undefined, client_secret: undefined }
const WRONG = '{"error":"invalid_client","error_description":"Invalid client credentials."}'

t.test('a secret is taken from the Basic header and from the form', async (t) => {
  t.equal((await broker.exchange()).status, 200)
  t.equal((await broker.exchange(none, { headers: basic('ci', SECRETS.ci) })).status, 200)
  t.match(broker.audit(), { client: 'ci', clientAuth: 'client_secret' })
  t.equal(
    (await broker.exchange({ client_secret: undefined }, { headers: basic('ci', SECRETS.ci) })).status,
    200,
  )
})

t.test('the halves of Basic are form-decoded after base64 (TH-E04)', async (t) => {
  const odd = await startTestBroker(t, {
    issuer,
    env: { CI_SECRET: 'p+w d%20&=:0123456789abcdefghijk' },
  })
  const secret = 'p+w d%20&=:0123456789abcdefghijk'
  t.equal((await odd.exchange(none, { headers: basic('ci', secret) })).status, 200)
  const raw = { authorization: `Basic ${Buffer.from(`ci:${secret}`).toString('base64')}` }
  t.equal((await odd.exchange(none, { headers: raw })).text, WRONG, 'a raw + is a space')
  t.equal(odd.audit()?.reason, 'client_secret_wrong')
})

const BAD_ESCAPES: readonly (readonly [string, string, string])[] = [
  ['ci%zz:x', 'client_id improperly encoded', 'client_id_encoding'],
  ['ci:x%', 'client_secret improperly encoded', 'client_secret_encoding'],
]
for (const [credentials, description, reason] of BAD_ESCAPES) {
  t.test(`Basic with a bad escape is 400 "${description}"`, async (t) => {
    const authorization = `Basic ${Buffer.from(credentials).toString('base64')}`
    const answer = await broker.exchange(none, { headers: { authorization } })
    t.equal(answer.status, 400)
    t.same(answer.json, { error: 'invalid_request', error_description: description })
    t.equal(broker.audit()?.reason, reason)
  })
}

t.test('a malformed Basic header or another scheme falls back to the form', async (t) => {
  for (const authorization of [
    'Basic !!!',
    `Basic ${Buffer.from('nocolon').toString('base64')}`,
    'Bearer x',
    'Basic',
  ]) {
    t.equal((await broker.exchange({}, { headers: { authorization } })).status, 200, authorization)
    t.equal((await broker.exchange(none, { headers: { authorization } })).text, WRONG)
  }
})

const TWO_AT_ONCE: readonly (readonly [string, Form, Readonly<Record<string, string>>])[] = [
  ['Basic and client_secret', {}, basic('ci', SECRETS.ci)],
  ['Basic and another client_id', { client_id: 'open', client_secret: undefined }, basic('ci', SECRETS.ci)],
  ['Basic and an assertion', asSigner('x.y.z', { client_id: undefined }), basic('ci', SECRETS.ci)],
  ['a secret and an assertion', asSigner('x.y.z', { client_secret: SECRETS.ci }), {}],
]
for (const [says, change, headers] of TWO_AT_ONCE) {
  t.test(`${says} at once are invalid_request`, async (t) => {
    const answer = await broker.exchange(change, { headers })
    t.equal(answer.status, 400)
    t.same(answer.json, { error: 'invalid_request', error_description: 'More than one client credential.' })
    t.match(broker.audit(), { reason: 'credentials_repeated', step: 'client' })
  })
}

t.test('while a secret is rotated both work, and after it only the new one', async (t) => {
  const rotating = await startTestBroker(t, {
    issuer,
    env: { CI_NEXT: SECRETS.next },
    change: (config) => setAuth(config, { method: 'client_secret', secretEnv: ['CI_SECRET', 'CI_NEXT'] }),
  })
  t.equal((await rotating.exchange()).status, 200)
  t.equal((await rotating.exchange({ client_secret: SECRETS.next })).status, 200)
  t.equal((await rotating.exchange({ client_secret: SECRETS.other })).text, WRONG)
  rotating.reload((config) => setAuth(config, { method: 'client_secret', secretEnv: 'CI_NEXT' }))
  t.equal((await rotating.exchange({ client_secret: SECRETS.next })).status, 200)
  t.equal((await rotating.exchange()).text, WRONG)
  t.equal(rotating.audit()?.reason, 'client_secret_wrong')
})

t.test('a public client is known by its id; a secret it sends is wrong', async (t) => {
  const open = { client_id: 'open', client_secret: undefined }
  t.equal((await broker.exchange(open)).status, 200)
  t.equal((await broker.exchange({ ...open, client_secret: 'x' })).text, WRONG)
  t.equal(broker.audit()?.reason, 'client_secret_wrong')
})

t.test('a client with a key of its own signs an assertion (RFC 7523)', async (t) => {
  const answer = await broker.exchange(asSigner(assertion()))
  t.equal(answer.status, 200)
  t.match(broker.audit(), { client: 'signer', clientAuth: 'private_key_jwt' })
  t.equal(
    (await broker.exchange(asSigner(assertion(), { client_id: undefined }))).status,
    200,
    'client_id may be left out',
  )
  t.equal(
    (await broker.exchange(asSigner(assertion({ header: { typ: 'client-authentication+jwt' } })))).status,
    200,
  )
})

const BAD_ASSERTIONS: readonly (readonly [says: string, Assertion, cause: unknown])[] = [
  [
    'the token endpoint as aud',
    { claims: { aud: `${BROKER_ISSUER}/token` } },
    'aud must be this issuer alone',
  ],
  ['an array as aud', { claims: { aud: [BROKER_ISSUER] } }, 'aud must be this issuer alone'],
  [
    'another server as aud',
    { claims: { aud: 'https://other.example.test' } },
    'aud must be this issuer alone',
  ],
  ['another iss', { claims: { iss: 'ci' } }, 'iss and sub must be the client id'],
  ['another sub', { claims: { sub: 'ci' } }, 'iss and sub must be the client id'],
  ['a life of a day', { claims: { exp: seconds + 86_400 } }, 'subject_lifetime_too_long'],
  ['no exp', { claims: { exp: undefined } }, 'subject_claim_invalid'],
  ['an exp that is over', { claims: { exp: seconds - 60, iat: seconds - 120 } }, 'subject_expired'],
  ['no jti', { claims: { jti: undefined } }, 'jti is missing'],
  ['a key that is not the client’s', { key: makeKey('ES256') }, 'signature'],
  ['an unknown kid', { header: { kid: 'other' } }, 'no key of the client fits'],
  ['an HMAC', { header: { alg: 'HS256' } }, 'algorithm HS256'],
  ['no algorithm', { header: { alg: 'none' } }, 'algorithm none'],
  ['another kind of token', { header: { typ: 'at+jwt' } }, 'typ at+jwt'],
]
for (const [says, change, cause] of BAD_ASSERTIONS) {
  t.test(`an assertion with ${says} is 401 like a wrong secret`, async (t) => {
    const answer = await broker.exchange(asSigner(assertion(change)))
    t.equal(answer.status, 401)
    t.equal(answer.text, WRONG)
    t.match(broker.audit(), { reason: 'client_assertion_invalid', evidence: { client: 'signer' } })
    t.match(broker.audit()?.evidence?.['cause'], cause)
  })
}

t.test('an assertion is good once, also under an old jti', async (t) => {
  const once = assertion()
  t.equal((await broker.exchange(asSigner(once))).status, 200)
  t.equal((await broker.exchange(asSigner(once))).text, WRONG)
  t.equal(broker.audit()?.evidence?.['cause'], 'used before')
  const twin = assertion({ claims: { jti: 'same', iat: seconds - 1 } })
  t.equal((await broker.exchange(asSigner(assertion({ claims: { jti: 'same' } })))).status, 200)
  t.equal((await broker.exchange(asSigner(twin))).text, WRONG)
})

t.test('an assertion without its type, or of another type, is invalid_request', async (t) => {
  for (const client_assertion_type of [
    undefined,
    'urn:ietf:params:oauth:client-assertion-type:saml2-bearer',
  ]) {
    t.equal((await broker.exchange(asSigner(assertion(), { client_assertion_type }))).status, 400)
    t.equal(broker.audit()?.reason, 'form_malformed')
  }
})

t.test('each client proves itself in its own way and in no other', async (t) => {
  const rows: readonly (readonly [Form, string])[] = [
    [{ client_id: 'signer', client_secret: SECRETS.ci }, 'client_auth_method_wrong'],
    [asSigner(assertion(), { client_id: 'ci' }), 'client_auth_method_wrong'],
    [asSigner(assertion(), { client_id: 'open' }), 'client_auth_method_wrong'],
    [{ client_id: 'job', client_secret: SECRETS.ci }, 'client_auth_method_wrong'],
  ]
  for (const [change, reason] of rows) {
    t.equal((await broker.exchange(change)).text, WRONG)
    t.equal(broker.audit()?.reason, reason)
  }
})

t.test('the token of the job is the credential, in an exchange by itself', async (t) => {
  const job = { client_id: 'job', client_secret: undefined }
  t.equal((await broker.exchange(job)).status, 200)
  t.match(broker.audit(), { client: 'job', clientAuth: 'federated_jwt', policy: 'acme-main' })
  const token = broker.mint()
  const named = {
    ...job,
    client_assertion_type: JWT_BEARER_ASSERTION,
    client_assertion: token,
    subject_token: token,
  }
  t.equal((await broker.exchange(named)).status, 200, 'the same token may be assertion and subject token')
  t.equal((await broker.exchange({ ...job, subject_token: broker.mint({ ref: 'feature' }) })).text, WRONG)
  t.match(broker.audit(), {
    reason: 'client_assertion_invalid',
    evidence: { cause: { reason: 'policy_none_matched' } },
    // Whose job it was is proven, and an operator wants to know it.
    connector: 'gitlab',
    subject: { sub: /^project_path:acme/, hash: /^[\w-]{43}$/ },
  })
  t.equal((await broker.exchange({ ...job, subject_token: `${token.slice(0, -4)}AAAA` })).text, WRONG)
  t.equal(broker.audit()?.subject, undefined, 'nothing is told of a job that proves nothing')
})

t.test('a CI token names no client: without client_id there is no search for one that fits', async (t) => {
  const change = {
    ...none,
    client_assertion_type: JWT_BEARER_ASSERTION,
    client_assertion: broker.mint({ sub: 'job' }),
  }
  t.equal((await broker.exchange(change)).text, WRONG)
  t.equal(broker.audit()?.reason, 'client_unknown')
})

t.test('a job without any secret gets a token for its client', async (t) => {
  const job = (claims: Readonly<Record<string, unknown>> = {}): Form => ({
    ...none,
    client_id: 'job',
    client_assertion_type: JWT_BEARER_ASSERTION,
    client_assertion: broker.mint(claims),
    scope: 'openid audience:server:client_id:registry',
  })
  const answer = await broker.credentials(job())
  t.equal(answer.status, 200)
  t.match(answer.token?.claims, {
    sub: 'job',
    aud: 'registry',
    client_id: 'job',
    policy: 'acme-main',
    repository_id: '48291',
  })
  t.match(broker.audit(), {
    clientAuth: 'federated_jwt',
    policy: 'acme-main',
    subject: { sub: /^project_path:/ },
  })
  t.equal((await broker.credentials(job({ ref: 'feature' }))).text, WRONG)
  t.equal((await broker.credentials({ ...none, client_id: 'job' })).text, WRONG, 'no token, no client')
})

t.test('Keycloak’s access token is an assertion as it stands', async (t) => {
  const keycloak = await startTestBroker(t, {
    issuer,
    change: (config) => {
      const policy = {
        name: 'robot',
        connector: 'kc',
        claims: { sub: 'robot' },
        grant: { audiences: ['app', 'job'] },
      }
      const connector = { id: 'kc', type: 'keycloak', issuer: issuer.url, caFile: 'ca.pem' }
      Object.assign(config, {
        connectors: [connector],
        policies: [policy],
        clients: [
          { id: 'ci', auth: { method: 'client_secret', secretEnv: 'CI_SECRET' } },
          {
            id: 'job',
            auth: { method: 'federated_jwt', connector: 'kc', policy: 'robot' },
            grants: ['client_credentials'],
          },
        ],
        audiences: [{ id: 'app', clients: ['ci', 'job'] }],
      })
    },
  })
  const form = (typ: string): Form => ({
    ...none,
    client_id: 'job',
    client_assertion_type: JWT_BEARER_ASSERTION,
    client_assertion: issuer.mint({ sub: 'robot', azp: 'robot', aud: BROKER_ISSUER, typ }),
  })
  t.equal((await keycloak.credentials(form('Bearer'))).status, 200)
  t.equal((await keycloak.credentials(form('Refresh'))).text, WRONG)
  t.match(keycloak.audit()?.evidence, { cause: { reason: 'subject_type_mismatch' } })
})

t.test('a wrong secret and an unknown client look alike and cost about the same (TH-I01)', async (t) => {
  const wrong = await broker.exchange({ client_secret: SECRETS.other })
  const unknown = await broker.exchange({ client_id: 'nobody' })
  const shape = ({ status, text, headers }: typeof wrong): unknown => [status, text, Object.keys(headers)]
  t.same(shape(wrong), shape(unknown))
  const time = async (change: Form): Promise<number> => {
    const times: number[] = []
    for (let round = 0; round < 200; round += 1) {
      const began = performance.now()
      await broker.exchange({ ...change, subject_token: 'x' })
      times.push(performance.now() - began)
    }
    return times.sort((left, right) => left - right)[100] ?? 0
  }
  await time({ client_id: 'nobody' })
  const [known, dummy] = [await time({ client_secret: SECRETS.other }), await time({ client_id: 'nobody' })]
  // Coarse on purpose: a machine under load is not a laboratory, a missing hash would still show as a factor.
  t.ok(Math.max(known, dummy) / Math.min(known, dummy) < 2, `${known.toFixed(3)} ms, ${dummy.toFixed(3)} ms`)
})

t.test(
  'beside a client with a chosen secret every refused secret takes as long as its own (TH-I01)',
  async (t) => {
    const chosen = chosenHash('correct horse')
    const slow = await startTestBroker(t, { issuer, change: (config) => addClient(config, 'person', chosen) })
    const derivations = countDerivations(t)
    const answered = async (change: Form, reason: string | undefined, expected: number): Promise<void> => {
      const before = derivations()
      const answer = await slow.exchange({ ...none, ...change })
      const says = JSON.stringify([reason, change['client_id']])
      t.equal(answer.status, reason === undefined ? 200 : 401, says)
      t.equal(slow.audit()?.reason, reason, says)
      t.equal(derivations() - before, expected, says)
    }
    const guess = { client_secret: 'guess' }
    await answered({ client_id: 'person', ...guess }, 'client_secret_wrong', 1)
    await answered({ client_id: 'nobody', ...guess }, 'client_unknown', 1)
    await answered({ client_id: 'ci', ...guess }, 'client_secret_wrong', 1)
    await answered({ client_id: 'open', ...guess }, 'client_secret_wrong', 1)
    await answered({ client_id: 'signer', ...guess }, 'client_auth_method_wrong', 1)
    await answered({ client_id: 'job', ...guess }, 'client_auth_method_wrong', 1)
    await answered({ client_id: 'ci', client_secret: SECRETS.ci }, undefined, 0)
    // Without a secret there is none to compare, for anybody.
    await answered({ client_id: 'person' }, 'client_secret_missing', 0)
    await answered({ client_id: 'nobody' }, 'client_unknown', 0)
    await answered({ client_id: 'signer' }, 'client_auth_method_wrong', 0)
    await answered(asSigner('x.y.z'), 'client_assertion_invalid', 0)
    await answered(asSigner('x.y.z', { client_id: 'ci' }), 'client_auth_method_wrong', 0)
    await answered(asSigner('x.y.z', { client_id: 'nobody' }), 'client_unknown', 0)
  },
)

t.test(
  'a chosen secret that was right is not derived again there while the client has these hashes',
  async (t) => {
    const chosen = chosenHash('correct horse')
    const clock = { now: START }
    const change = (config: Readonly<Record<string, unknown>>) => addClient(config, 'person', chosen)
    const world = await startTestBroker(t, { issuer, clock, change })
    const derivations = countDerivations(t)
    const paid = async (secret: string, address: string): Promise<readonly [boolean, number]> => {
      const before = derivations()
      await world.exchange({ client_id: 'person', client_secret: secret }, { address })
      return [world.audit()?.clientAuth === 'client_secret', derivations() - before]
    }
    t.same(await paid('correct horse', '192.0.2.1'), [true, 1])
    // Beyond the five minutes for which a derivation is remembered by itself.
    clock.now += 301_000
    t.same(await paid('correct horse', '192.0.2.1'), [true, 0])
    t.same(await paid('wrong horse', '192.0.2.1'), [false, 1])
    t.same(await paid('correct horse', '192.0.2.2'), [true, 1], 'nobody knows it there')
    clock.now += 301_000
    world.reload(() => {})
    t.same(await paid('correct horse', '192.0.2.1'), [true, 1], 'after a reload the client has others')
    t.same(await paid('correct horse', '192.0.2.1'), [true, 0])
  },
)

/** As the configuration has it. Cheaper than ours, so that tests do not wait. */
function chosenHash(secret: string): string {
  const cost = { ln: 12, r: 8, p: 1 }
  const salt = Buffer.alloc(16, 7)
  return formatScrypt(cost, salt, scryptSync(secret, salt, 32, { N: 2 ** cost.ln }))
}

function setAuth(config: Readonly<Record<string, unknown>>, auth: unknown): void {
  const { clients } = config
  if (!Array.isArray(clients)) throw new Error('no clients')
  Object.assign(clients[0], { auth })
}

function addClient(config: Readonly<Record<string, unknown>>, id: string, hash: string): void {
  const { clients } = config
  if (!Array.isArray(clients)) throw new Error('no clients')
  clients.push({ id, auth: { method: 'client_secret', secretHashes: [hash] } })
}

/** How many scrypt keys this process has derived since. */
function countDerivations(t: Test): () => number {
  let derived = 0
  const hook = createHook({
    init(_id, type) {
      if (type === 'SCRYPTREQUEST') derived += 1
    },
  }).enable()
  t.teardown(() => hook.disable())
  return () => derived
}
