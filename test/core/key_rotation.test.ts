import t from 'tap'
import {
  leadSeconds,
  planFresh,
  planNext,
  planRevocation,
  planRotation,
  publicUntil,
  signingKeyAt,
} from '../../src/core/key_rotation.ts'
import type { RingKey, RotationPlan, RotationRules } from '../../src/core/key_rotation.ts'

const hour = 3_600_000
const lead = leadSeconds * 1000
const start = Date.UTC(2026, 10, 21)
const rules: RotationRules = { algorithm: 'ES256', rotationSeconds: 6 * 3600, maxTtlSeconds: 3600 }
const retention = (3600 + 10 + 60) * 1000

const key = (kid: string, signsFrom: number, over: Partial<RingKey> = {}): RingKey => ({
  kid,
  algorithm: 'ES256',
  publishedAt: signsFrom - lead,
  signsFrom,
  maxTtlSeconds: 3600,
  privateKey: `secret of ${kid}`,
  ...over,
})

let made = 0
/** Carries a plan out, as the key ring does. */
function carryOut(plan: RotationPlan<RingKey>): readonly RingKey[] {
  if (plan.create === undefined) return plan.kept
  made += 1
  return [...plan.kept, { kid: `made-${made}`, privateKey: 'new', ...plan.create }]
}

t.test('an empty ring makes a key that signs at once', async (t) => {
  t.same(planRotation([], rules, start), {
    kept: [],
    create: { algorithm: 'ES256', publishedAt: start, signsFrom: start, maxTtlSeconds: 3600 },
    changed: true,
  })
})

t.test('the lead covers the JWKS cache, the refresh of replicas and a minute', async (t) => {
  t.equal(leadSeconds, 90 + 10 + 60)
})

t.test(
  'the next key is published one lead before its turn, and not a millisecond earlier (TH-G15)',
  async (t) => {
    const ring = [key('a', start)]
    const due = start + 6 * hour - lead
    t.equal(planRotation(ring, rules, due - 1).changed, false)
    t.match(planRotation(ring, rules, due), { create: { publishedAt: due, signsFrom: due + lead } })
  },
)

t.test('a published key signs when its time has come, for every replica at the same moment', async (t) => {
  const ring = [key('a', start), key('b', start + 6 * hour)]
  t.equal(signingKeyAt(ring, start + 6 * hour - 1)?.kid, 'a')
  t.equal(signingKeyAt(ring, start + 6 * hour)?.kid, 'b')
})

t.test('while the next key waits no other is published', async (t) => {
  const ring = [key('a', start), key('b', start + 6 * hour)]
  t.equal(planRotation(ring, rules, start + 6 * hour - 1).changed, false)
})

t.test('a key that was followed loses its private half after a minute', async (t) => {
  const ring = [key('a', start), key('b', start + 6 * hour)]
  t.equal(planRotation(ring, rules, start + 6 * hour + 59_999).changed, false)
  const plan = planRotation(ring, rules, start + 6 * hour + 60_000)
  t.equal(plan.changed, true)
  t.equal(plan.kept.find((each) => each.kid === 'a')?.privateKey, undefined)
  t.ok(plan.kept.find((each) => each.kid === 'b')?.privateKey)
})

t.test('a key that was followed is served until its last token has expired everywhere', async (t) => {
  const ring = [key('a', start, { privateKey: undefined }), key('b', start + 6 * hour)]
  const until = start + 6 * hour + retention
  t.same(
    ring.map((each) => publicUntil(ring, each)),
    [until, undefined],
  )
  t.equal(planRotation(ring, rules, until - 1).kept.length, 2)
  t.same(
    planRotation(ring, rules, until).kept.map((each) => each.kid),
    ['b'],
  )
})

t.test(
  'a lifetime that was lowered does not shorten the stay of keys that signed longer tokens',
  async (t) => {
    const ring = [
      key('a', start, { maxTtlSeconds: 86_400, privateKey: undefined }),
      key('b', start + 6 * hour),
    ]
    const plan = planRotation(ring, { ...rules, maxTtlSeconds: 60 }, start + 6 * hour + retention)
    t.equal(plan.kept.length, 2)
  },
)

t.test(
  'a lifetime that was raised counts for the key that signs, not for those that no longer do',
  async (t) => {
    const ring = [key('a', start, { privateKey: undefined }), key('b', start + 6 * hour)]
    const plan = planRotation(ring, { ...rules, maxTtlSeconds: 86_400 }, start + 6 * hour + 1)
    t.same(
      plan.kept.map((each) => each.maxTtlSeconds),
      [3600, 86_400],
    )
  },
)

t.test(
  'another algorithm is published at once and signs after the lead, the present key until then',
  async (t) => {
    const now = start + hour
    const ring = carryOut(planRotation([key('a', start)], { ...rules, algorithm: 'RS256' }, now))
    t.equal(signingKeyAt(ring, now + lead - 1)?.algorithm, 'ES256')
    t.equal(signingKeyAt(ring, now + lead)?.algorithm, 'RS256')
  },
)

t.test('two replicas that want different algorithms change at most once for each lead', async (t) => {
  const changed = [key('a', start, { algorithm: 'RS256' })]
  t.equal(planRotation(changed, rules, start + lead - 1).create, undefined)
  t.match(planRotation(changed, rules, start + lead).create, { algorithm: 'ES256' })
})

t.test('a rotation shorter than the lead allows does not make the ring grow', async (t) => {
  let ring: readonly RingKey[] = []
  const hasty = { ...rules, rotationSeconds: 1, maxTtlSeconds: 60 }
  for (let now = start; now < start + 2 * hour; now += 10_000) ring = carryOut(planRotation(ring, hasty, now))
  t.ok(ring.length <= 3, `${ring.length} keys`)
})

t.test(
  'at every moment of a year there is a key that signs, and it was published one lead before',
  async (t) => {
    let ring: readonly RingKey[] = []
    const firstSeen = new Map<string, number>()
    for (let now = start; now < start + 365 * 24 * hour; now += 17 * 60_000) {
      ring = carryOut(planRotation(ring, rules, now))
      for (const each of ring) if (!firstSeen.has(each.kid)) firstSeen.set(each.kid, now)
      const signing = signingKeyAt(ring, now)
      const seen = firstSeen.get(signing?.kid ?? '') ?? Infinity
      if (signing === undefined || (seen > now - lead && seen !== start)) t.fail(`at ${now}`)
    }
    t.ok(firstSeen.size > 1000)
  },
)

t.test('running a plan a second time at once changes nothing', async (t) => {
  for (const now of [start, start + 6 * hour, start + 12 * hour, start - 1000 * hour]) {
    const ring = carryOut(planRotation([key('a', start), key('b', start + 6 * hour)], rules, now))
    t.equal(planRotation(ring, rules, now).changed, false)
  }
})

t.test('a clock that jumps back keeps the key that signs, and the ring goes on from there', async (t) => {
  const ring = [key('a', start - 6 * hour, { privateKey: undefined }), key('b', start)]
  const past = start - 1000 * hour
  t.equal(signingKeyAt(ring, past)?.kid, 'b')
  const moved = planRotation(ring, rules, past)
  t.equal(moved.changed, true)
  t.equal(moved.create, undefined)
  t.equal(signingKeyAt(moved.kept, past)?.kid, 'b')
  t.same(
    moved.kept.map((each) => each.signsFrom),
    [past + lead - 6 * hour, past + lead],
  )
  t.match(planRotation(moved.kept, rules, past + 6 * hour).create, { publishedAt: past + 6 * hour })
})

t.test('clocks of replicas that differ by less than a minute leave the times alone', async (t) => {
  const ring = [key('a', start), key('b', start + hour + lead)]
  t.equal(planRotation(ring, rules, start + hour - 59_000).changed, false)
  t.equal(planRotation(ring, rules, start + hour - 61_000).changed, true)
})

t.test('a rotation by hand publishes the next key now, once', async (t) => {
  const first = planNext([key('a', start)], rules, start + hour)
  t.match(first.create, { publishedAt: start + hour, signsFrom: start + hour + lead })
  const ring = carryOut(first)
  t.equal(planNext(ring, rules, start + hour + 1).changed, false)
  t.equal(signingKeyAt(ring, start + hour + 1)?.kid, 'a')
})

t.test('revoking the signing key hands over to the published next one at once', async (t) => {
  const plan = planRevocation([key('a', start), key('b', start + 6 * hour)], 'a', rules, start + hour)
  t.equal(plan.create, undefined)
  t.equal(signingKeyAt(plan.kept, start + hour)?.kid, 'b')
  t.equal(plan.kept.length, 1)
})

t.test('revoking the only key makes one that signs at once', async (t) => {
  const plan = planRevocation([key('a', start)], 'a', rules, start + hour)
  t.same(plan.kept, [])
  t.match(plan.create, { publishedAt: start + hour, signsFrom: start + hour })
})

t.test('revoking the signing key just after a switch does not bring the old key back', async (t) => {
  const now = start + 6 * hour + 30_000
  const ring = carryOut(planRevocation([key('a', start), key('b', start + 6 * hour)], 'b', rules, now))
  t.match(signingKeyAt(ring, now)?.kid, /^made-/)
})

t.test('revoking a retired key unpublishes it and leaves the signing key alone', async (t) => {
  const ring = [key('a', start, { privateKey: undefined }), key('b', start + 6 * hour)]
  const plan = planRevocation(ring, 'a', rules, start + 7 * hour)
  t.match(plan, { kept: [{ kid: 'b' }], create: undefined, changed: true })
})

t.test(
  'a fresh key is published beside the promoted one, which verifiers may have met already',
  async (t) => {
    const now = start + hour
    const revoked = planRevocation([key('a', start), key('b', start + 6 * hour)], 'a', rules, now)
    const plan = planFresh(revoked, rules, now)
    t.match(plan, { changed: true, create: { publishedAt: now, signsFrom: now + lead } })
    const ring = carryOut(plan)
    t.equal(signingKeyAt(ring, now)?.kid, 'b')
    t.equal(planRotation(ring, rules, now).changed, false, 'the ring is at rest')
    t.equal(planRotation(ring, rules, now + lead).changed, false, 'and after the fresh one took over')
  },
)

t.test('a key that a revocation makes is fresh as it is', async (t) => {
  const plan = planRevocation([key('a', start)], 'a', rules, start + hour)
  t.equal(planFresh(plan, rules, start + hour), plan)
})

t.test('a fresh key signs after those that wait already', async (t) => {
  const now = start + 6 * hour
  const waiting = key('b', now + lead)
  const plan = planFresh({ kept: [key('a', start), waiting], create: undefined, changed: false }, rules, now)
  t.equal(plan.create?.signsFrom, waiting.signsFrom + 1)
  t.equal(planRotation(carryOut(plan), rules, now).kept.at(-1)?.signsFrom, waiting.signsFrom + 1)
})

t.test('revoking a key that is not there changes nothing', async (t) => {
  t.equal(planRevocation([key('a', start)], 'x', rules, start).changed, false)
})
