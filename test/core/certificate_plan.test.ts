import t from 'tap'
import {
  planCertificate,
  secondsToNextLook,
  servedAt,
  switchDelaySeconds,
} from '../../src/core/certificate_plan.ts'
import type {
  CertificateFacts,
  CertificateStep,
  Generation,
  KeptCertificates,
} from '../../src/core/certificate_plan.ts'

const day = 86_400
const start = 1_790_000_000
const old: Generation = { startsAt: start, endsAt: start + 90 * day }
const fresh: Generation = { startsAt: start + 60 * day, endsAt: start + 150 * day }
const delay = 600
const kept: KeptCertificates<Generation> = { current: old, next: undefined, previousUntil: undefined }
const announced = { generation: fresh, trustedSince: undefined, dropCurrentAt: old.endsAt }
const trustedSince = start + 60 * day + 5
const rotating: KeptCertificates<Generation> = { ...kept, next: announced }
const trusted: KeptCertificates<Generation> = { ...kept, next: { ...announced, trustedSince } }
const calm: CertificateFacts = { isLost: false, isNextTrusted: false }
const later = start + 61 * day

const cases = [
  ['nothing stored: one is made', { ...kept, current: undefined }, calm, start, { do: 'create' }],
  ['a young one stays', kept, calm, start + 59 * day, { do: 'nothing' }],
  ['two days before a third of its life is left, too', kept, calm, start + 58 * day, { do: 'nothing' }],
  [
    'with a third of its life left another is announced',
    kept,
    calm,
    start + 60 * day,
    { do: 'announce', dropCurrentAt: old.endsAt },
  ],
  ['also with a day left', kept, calm, start + 89 * day, { do: 'announce', dropCurrentAt: old.endsAt }],
  ['one that has ended is replaced at once', kept, calm, old.endsAt, { do: 'create' }],
  ['an announced one waits for trust', rotating, calm, later, { do: 'nothing' }],
  [
    'trust is written down',
    rotating,
    { ...calm, isNextTrusted: true },
    later,
    { do: 'trust', trustedSince: later },
  ],
  ['a trusted one waits for the delay', trusted, calm, trustedSince + delay - 1, { do: 'nothing' }],
  [
    'after the delay it is switched to, and the old CA stays',
    trusted,
    calm,
    trustedSince + delay,
    { do: 'switch', previousUntil: old.endsAt },
  ],
  [
    'one nobody trusts serves all the same once the old one has ended',
    rotating,
    calm,
    old.endsAt,
    { do: 'switch', previousUntil: old.endsAt + delay },
  ],
  ['both have ended: one is made', rotating, calm, fresh.endsAt, { do: 'create' }],
  [
    'a lost one is replaced, and its CA leaves early',
    kept,
    { ...calm, isLost: true },
    start + day,
    { do: 'announce', dropCurrentAt: start + day },
  ],
  [
    'the CA before stays until its end',
    { ...kept, previousUntil: start + day },
    calm,
    start + day - 1,
    { do: 'nothing' },
  ],
  ['and leaves then', { ...kept, previousUntil: start + day }, calm, start + day, { do: 'forget' }],
] as const

for (const [title, stored, facts, now, step] of cases) {
  t.test(title, async (t) => {
    t.same(planCertificate(stored, facts, now), step)
  })
}

t.test('an announced one that is itself due is announced anew', async (t) => {
  const current = { startsAt: start, endsAt: start + 300 * day }
  const due = fresh.startsAt + 60 * day
  const stored = { ...rotating, current }
  t.same(planCertificate(stored, calm, due - 1), { do: 'nothing' })
  t.same(planCertificate({ ...stored, current: { ...current, endsAt: due + 30 * day } }, calm, due), {
    do: 'announce',
    dropCurrentAt: due + 30 * day,
  })
})

t.test('a lost one gives its place after the delay, and its CA leaves one delay later', async (t) => {
  const now = start + day
  const next = {
    generation: { startsAt: now, endsAt: now + 90 * day },
    trustedSince: now,
    dropCurrentAt: now,
  }
  t.same(planCertificate({ ...kept, next }, calm, now + delay), {
    do: 'switch',
    previousUntil: now + 2 * delay,
  })
})

t.test('what is served changes by time alone, at the moment of the switch', async (t) => {
  t.equal(servedAt(rotating, old.endsAt - 1), old)
  t.equal(servedAt(trusted, trustedSince + delay - 1), old)
  t.equal(servedAt(trusted, trustedSince + delay), fresh)
  t.equal(servedAt(rotating, old.endsAt), fresh)
  t.equal(servedAt(trusted, fresh.endsAt), old, 'an ended one never replaces anything')
  t.equal(servedAt({ ...kept, current: undefined }, start), undefined)
})

t.test('a replica whose clock is behind serves what the others trust, too', async (t) => {
  const behind = trustedSince - 30
  t.equal(servedAt(trusted, behind), old)
  t.same(planCertificate(trusted, calm, behind), { do: 'nothing' })
})

t.test('it looks again when something falls due, and every half minute', async (t) => {
  t.equal(secondsToNextLook(kept, start), 30)
  t.equal(secondsToNextLook(kept, start + 60 * day - 7), 7)
  t.equal(secondsToNextLook(trusted, trustedSince + delay - 3), 3)
  t.equal(secondsToNextLook({ ...kept, previousUntil: start + 12 }, start), 12)
  t.equal(secondsToNextLook(kept, old.endsAt - 1), 1)
})

t.test('the delay is ten minutes, of short lives a part', async (t) => {
  t.equal(switchDelaySeconds(old), 600)
  t.equal(switchDelaySeconds({ startsAt: 0, endsAt: 120 }), 5)
})

type State = KeptCertificates<Generation>

/** A step as the keeper does it. */
function advance(state: State, step: CertificateStep, made: Generation): State {
  switch (step.do) {
    case 'nothing':
      return state
    case 'create':
      return { ...state, current: made }
    case 'announce':
      return {
        ...state,
        next: { generation: made, trustedSince: undefined, dropCurrentAt: step.dropCurrentAt },
      }
    case 'trust':
      if (state.next === undefined) return state
      return { ...state, next: { ...state.next, trustedSince: step.trustedSince } }
    case 'switch':
      return { current: state.next?.generation, next: undefined, previousUntil: step.previousUntil }
    case 'forget':
      return { ...state, previousUntil: undefined }
  }
}

t.test('a year of steps: a certificate at every moment, and six rotations', async (t) => {
  let state: State = { current: undefined, next: undefined, previousUntil: undefined }
  const steps: string[] = []
  for (let now = start; now < start + 400 * day; now += 300) {
    const step = planCertificate(state, { isLost: false, isNextTrusted: true }, now)
    if (step.do !== 'nothing') steps.push(step.do)
    state = advance(state, step, { startsAt: now, endsAt: now + 90 * day })
    if ((servedAt(state, now)?.endsAt ?? 0) <= now) throw new Error(`nothing to serve at ${now}`)
  }
  const rotation = ['announce', 'trust', 'switch', 'forget']
  t.same(steps, ['create', ...Array.from({ length: 6 }, () => rotation).flat()])
})
