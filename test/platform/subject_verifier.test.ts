import t from 'tap'
import { algorithmOf, ALGORITHM_NAMES } from '../../src/core/jwt/algorithms.ts'
import { BROKER, NOW, NOW_SECONDS, VALID_CLAIMS, verificationOf } from '../support/subject_fixture.ts'
import { makeKey, startTestIssuer } from '../support/test_issuer.ts'

const issuer = await startTestIssuer({
  path: '/realms/platform',
  algorithms: ALGORITHM_NAMES,
  now: () => NOW,
})
const verification = verificationOf(issuer)
const { check } = verification
t.teardown(async () => {
  verification.close()
  await issuer.close()
})

t.test('a token of the issuer for this broker is accepted', async (t) => {
  t.match(await check(issuer.mint(VALID_CLAIMS)), { ok: true, value: { claims: { aud: BROKER } } })
})

t.test('every algorithm of the table verifies its own signatures', async (t) => {
  for (const alg of ALGORITHM_NAMES) {
    const token = issuer.mint(VALID_CLAIMS, { alg })
    t.equal((await check(token, { algorithms: ALGORITHM_NAMES })).ok, true, alg)
    t.match(await check(token, { algorithms: ALGORITHM_NAMES.filter((name) => name !== alg) }), {
      denial: { reason: 'subject_algorithm_not_allowed', got: alg },
    })
    const forged = issuer.mint(VALID_CLAIMS, { alg, kid: issuer.key(alg).kid, key: makeKey(alg).privateKey })
    t.match(await check(forged, { algorithms: ALGORITHM_NAMES }), {
      denial: { reason: 'subject_signature_invalid', kid: issuer.key(alg).kid },
    })
  }
  t.ok(algorithmOf('RS256'))
})

t.test('an expired token is refused', async (t) => {
  t.match(await check(issuer.mint({ ...VALID_CLAIMS, exp: NOW_SECONDS - 31 })), {
    denial: { reason: 'subject_expired' },
  })
})
