// Thousands of reviews that nobody means: recorded ones in which a few values are something else. Each gets an answer or is no
// review; no rule falls over, and no answer is more than kubectl and kube-apiserver can take.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { actorOf } from '../../src/core/module/actor.ts'
import { judgeChange } from '../../src/core/module/judge_change.ts'
import { NO_FACTS } from '../../src/core/module/ledger.ts'
import type { ModulePolicySpec } from '../../src/core/module/module_policy.ts'
import { readModulePolicy } from '../../src/core/module/read_module_policy.ts'
import { answerOf } from '../../webhook/review/answer.ts'
import type { AdmissionAnswer } from '../../webhook/review/answer.ts'
import { readReview } from '../../webhook/review/review.ts'
import { subjectOf } from '../../webhook/review/subject.ts'
import { RECORDED_REVIEWS, recordedReview } from '../support/admission_reviews.ts'

const ROUNDS = 6000

const ODD: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1e308,
  '',
  'main',
  '__proto__',
  'constructor',
  'v1.0.0+build',
  '1.0.0',
  'v1.0.0',
  '0.0.1',
  '1.0.0-rc.1',
  '../..',
  'github.com/acme/other',
  '\u001b[31m\r\n',
  '\u202e1.0.0',
  '\ud800',
  '😀'.repeat(3000),
  'a'.repeat(9000),
  [],
  [[]],
  ['x'],
  {},
  { version: '9.9.9' },
  { version: '\u001b]0;x\u0007' },
  { version: '1.0.0', synced: true },
]

const policies: readonly (ModulePolicySpec | undefined)[] = [
  undefined,
  ...['first_look', 'pipelines', 'gitops'].map((name) => {
    const file = join(import.meta.dirname, '..', '..', 'deploy', 'examples', `module_policy_${name}.yaml`)
    const policy = readModulePolicy(parse(readFileSync(file, 'utf8')))
    if (!policy.ok) throw new Error(policy.denial)
    return policy.value.spec
  }),
]

/** The same numbers in every run (mulberry32). */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

type Place = { readonly parent: object; readonly key: string }

function placesIn(value: unknown, places: Place[] = []): readonly Place[] {
  if (typeof value !== 'object' || value === null) return places
  for (const [key, inner] of Object.entries(value)) {
    if (key === 'managedFields') continue
    places.push({ parent: value, key })
    placesIn(inner, places)
  }
  return places
}

/** `undefined`: it is no review, or nothing that rules judge. */
function answerTo(
  body: unknown,
  policy: ModulePolicySpec | undefined,
): AdmissionAnswer['response'] | undefined {
  const review = readReview(body)
  if (!review.ok) return undefined
  const subject = subjectOf(review.value)
  if (!subject.ok) return undefined
  const user = actorOf(review.value.user, policy?.identities)
  const change = { ...subject.value, user, mayDo: new Set<never>(), atSeconds: 0 }
  return answerOf(review.value.uid, judgeChange(change, policy, NO_FACTS)).response
}

const STEERS = /[\p{C}\u2028\u2029]/u

t.test('no review makes the webhook fall over or say what steers', async (t) => {
  const upTo = numbers(20_261_121)
  const pick = <T>(list: readonly T[]): T | undefined => list[upTo(list.length)]
  const seen = { allowed: 0, denied: 0, refused: 0 }
  const wrong: string[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const body = recordedReview(pick(RECORDED_REVIEWS) ?? '')
    const places = placesIn(body.request)
    for (let left = 1 + upTo(3); left > 0; left -= 1) {
      const place = pick(places)
      if (place !== undefined) Reflect.set(place.parent, place.key, structuredClone(pick(ODD)))
    }
    const answer = answerTo(body, pick(policies))
    if (answer === undefined) seen.refused += 1
    else seen[answer.allowed ? 'allowed' : 'denied'] += 1
    const problem = answer === undefined ? undefined : problemOf(answer)
    if (problem !== undefined) wrong.push(problem)
  }
  t.same(wrong, [])
  t.ok(Math.min(...Object.values(seen)) > ROUNDS / 20, JSON.stringify(seen))
})

function problemOf({ allowed, status, warnings = [], auditAnnotations = {} }: AdmissionAnswer['response']) {
  const message = status?.message ?? ''
  if (allowed !== (status === undefined)) return 'neither yes nor no'
  if (!allowed && !/WH-[A-Z]\d/.test(message)) return `says no and not why: ${message}`
  if (Buffer.byteLength(message) > 2048) return `a message of ${Buffer.byteLength(message)} bytes`
  const texts = [message, ...warnings, ...Object.values(auditAnnotations)]
  const steers = texts.find((text) => STEERS.test(text))
  if (steers !== undefined) return `steers: ${JSON.stringify(steers)}`
  return warnings.join('').length > 4096 ? 'warnings that kube-apiserver would cut' : undefined
}
