// What holds of every change, whatever it is: a thousand of each, from a seed that the title names.
import t from 'tap'
import { identitiesOf } from '../../src/core/module/ledger.ts'
import { denialOf, MAX_MESSAGE_BYTES } from '../../src/core/module/verdict_message.ts'
import {
  aModule,
  aPolicy,
  alice,
  argo,
  controller,
  judged,
  pipeline,
  said,
} from '../support/module_changes.ts'

const SEED = 20_261_121
const USERS = [alice, argo, controller, pipeline()]
const TEXTS = [
  '1.0.0',
  'v1.0.0',
  '1.1.0',
  '1.1.0-rc.1',
  '1.1.0-RC-1',
  '2.0.0',
  'v2.0.0',
  '1.0',
  'main',
  '',
  '1.0.0+x',
]

/** Marsaglia's xorshift: the same numbers each time. */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

function someTexts(random: (below: number) => number): readonly string[] {
  return Array.from({ length: random(6) }, () => TEXTS[random(TEXTS.length)] ?? '')
}

t.test(
  `no change that loses a published version of an immutable Module is allowed (seed ${SEED})`,
  async (t) => {
    const random = numbers(SEED)
    let lost = 0
    for (let round = 0; round < 1000; round++) {
      const before = aModule({ versions: someTexts(random), config: { immutable: random(2) === 0 } })
      const after = aModule({ versions: someTexts(random), config: { immutable: random(2) === 0 } })
      const user = USERS[random(USERS.length)] ?? alice
      const policy = aPolicy(before.config.immutable ? {} : { immutability: 'required' })
      const verdict = judged(before, after, { user, policy })
      const kept = identitiesOf(after)
      if ([...identitiesOf(before).keys()].every((plain) => kept.has(plain))) continue
      lost += 1
      if (verdict.allowed) t.fail(JSON.stringify([before.versions, after.versions, user.username]))
    }
    t.ok(lost > 500, `${lost} changes lost a version`)
  },
)

t.test(`what is stored can be written again, by anybody, and is then no change (seed ${SEED})`, async (t) => {
  const random = numbers(SEED)
  for (let round = 0; round < 1000; round++) {
    const after = aModule({ versions: someTexts(random), config: { versionHistoryLimit: random(4) } })
    const user = USERS[random(USERS.length)] ?? alice
    t.same(said(judged(after, after, { user })), [])
  }
})

t.test(`every denial is one message within its bounds (seed ${SEED})`, async (t) => {
  const random = numbers(SEED)
  let denied = 0
  for (let round = 0; round < 1000; round++) {
    const noise = String.fromCodePoint(random(0xd7ff), random(0x20), random(0xd7ff)).repeat(1 + random(60))
    const before = aModule({ versions: someTexts(random) })
    const after = aModule({
      versions: [...someTexts(random), noise],
      config: { repoUrl: noise, fileFormat: noise },
    })
    const verdict = judged(before, after, { user: { ...alice, username: noise } })
    const denial = denialOf(verdict)
    if (denial === undefined) continue
    denied += 1
    const isBounded = Buffer.byteLength(denial.message) <= MAX_MESSAGE_BYTES && denial.message.isWellFormed()
    const isTold = /^(\(1\) )?WH-/.test(denial.message)
    if (!isBounded || !isTold || /[\p{Cc}\u2028\u2029]/u.test(denial.message))
      t.fail(JSON.stringify(denial.message))
  }
  t.ok(denied > 500, `${denied} were denied`)
})
