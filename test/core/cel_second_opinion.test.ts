// Our door beside @bufbuild/cel: what loads here means the same there, or the difference stands below with its reason.
import { array, constantFrom, oneof } from 'fast-check'
import t from 'tap'
import { compileCondition } from '../../src/core/policy/cel.ts'
import { CEL_PROBES, PROBE_CLAIMS } from '../support/cel_probes.ts'
import type { DoorSays } from '../support/cel_probes.ts'
import { anyCondition } from '../support/cel_conditions.ts'
import { secondOpinion } from '../support/second_cel.ts'
import { anyText, holdsForAll } from '../fuzz/property.ts'

// It counts hours in the zone of the process, we count them in UTC.
process.env['TZ'] = 'UTC'

const NULL_MEMBER = 'it takes a member that is null for an absent one; CEL asks for the name alone'
const HAS_OF_NO_OBJECT =
  'it says that a list, a text or a number lacks the field; CEL says that it has none to ask for'
const HOST_NAMES = 'it reads an object with a member "constructor" as an object of the host'
const LOOSE_NUMBER = "it converts texts with JavaScript's Number: an empty one is 0, and no number is NaN"
const UTF16 = 'it counts UTF-16 units; CEL counts code points'
const MILLISECONDS = 'it reads the number of timestamp() as milliseconds; CEL reads seconds'
const TYPE_NAME = 'it reads a claim with a "$typeName" as a protobuf message'

/** Probe -> why the second opinion is not ours. */
const THEIR_DIFFERENCES: ReadonlyMap<string, string> = new Map([
  ['claims.odd.constructor == "x"', HOST_NAMES],
  ['has(claims.odd.toString)', HOST_NAMES],
  ['has(claims.odd.valueOf)', HOST_NAMES],
  ['has(claims.nothing)', NULL_MEMBER],
  ['"nothing" in claims', NULL_MEMBER],
  ['has(claims.ref.x)', HAS_OF_NO_OBJECT],
  ['!has(claims.ref.length)', HAS_OF_NO_OBJECT],
  ['!has(claims.groups.length)', HAS_OF_NO_OBJECT],
  ['!has(claims.groups.x)', HAS_OF_NO_OBJECT],
  ['!has(claims.exp.x)', HAS_OF_NO_OBJECT],
  ['!has(claims.nothing.x)', HAS_OF_NO_OBJECT],
  ['claims.lists.exists(l, has(l.x))', HAS_OF_NO_OBJECT],
  ['int(claims.empty) == 0', LOOSE_NUMBER],
  ['double(claims.ref) != 1.0', LOOSE_NUMBER],
  ['claims.emoji.indexOf("b") == 1', UTF16],
  ['claims.emoji.substring(1) == "b"', UTF16],
  ['claims.ref == "main" // comment', 'its grammar wants a line feed behind a comment'],
  ['claims.wrapped == true', TYPE_NAME],
  ['claims.wrapped.value == true', TYPE_NAME],
  ['timestamp(1795219200) == timestamp("2026-11-21T00:00:00Z")', MILLISECONDS],
  ['timestamp(int(claims.exp)) == timestamp("2026-11-21T00:00:00Z")', MILLISECONDS],
])

/** Probe -> why the door is not cel-go. docs/policies.md says each to operators. */
const OUR_DIFFERENCES: ReadonlyMap<string, string> = new Map([
  [
    String.raw`"\U0001f600" < "\uffff"`,
    'texts are ordered by UTF-16 units, as by JavaScript; no condition orders emoji',
  ],
  [
    'int("-9223372036854775808") % -1 == 0',
    'the remainder is 0; cel-go calls the division in between an overflow',
  ],
])

function doorSays(text: string): DoorSays {
  const compiled = compileCondition(text)
  if (!compiled.ok) return 'refused'
  const { held, detail } = compiled.value.holds({ claims: PROBE_CLAIMS, client: 'ci', connector: 'gitlab' })
  if (held) return 'true'
  return detail === 'is false' ? 'false' : 'error'
}

t.test('each probe says at our door what was recorded', async (t) => {
  for (const [text, , door] of CEL_PROBES) t.equal(doorSays(text), door, text)
  t.equal(new Set(CEL_PROBES.map(([text]) => text)).size, CEL_PROBES.length, 'no probe stands twice')
  t.ok(CEL_PROBES.length >= 120, `${CEL_PROBES.length} probes`)
  t.ok(CEL_PROBES.filter(([, , door]) => door !== 'refused').length >= 120, 'as many of them load')
})

t.test('what loads here is what cel-go says of it, but for the differences that are listed', async (t) => {
  for (const [text, spec, door] of CEL_PROBES) {
    if (door === 'refused') continue
    const isListed = OUR_DIFFERENCES.has(text)
    t.equal(
      door !== spec,
      isListed,
      `${text}: ${isListed ? 'listed, and no difference any more' : `cel-go says ${spec}`}`,
    )
  }
})

t.test('what cel-go refuses or calls an error never holds here', async (t) => {
  for (const [text, spec, door] of CEL_PROBES) {
    if (spec === 'error' && !OUR_DIFFERENCES.has(text)) t.ok(door === 'error' || door === 'refused', text)
  }
})

t.test('the second opinion is ours, but for the differences that are listed with their reason', async (t) => {
  const listed = new Set<string>()
  for (const [text, , door] of CEL_PROBES) {
    if (door === 'refused') continue
    const other = secondOpinion(text, PROBE_CLAIMS)
    const why = THEIR_DIFFERENCES.get(text)
    if (why !== undefined) listed.add(text)
    t.equal(other !== door, why !== undefined, `${text}: we ${door}, it ${other}; ${why ?? 'not listed'}`)
  }
  t.same(
    [...THEIR_DIFFERENCES.keys()].filter((text) => !listed.has(text)),
    [],
    'each listed one is a probe',
  )
})

/** Without what the second opinion is known to read differently: null members, `$typeName`, other planes, odd names. */
const PLAIN_CLAIMS = Object.fromEntries(
  Object.entries(PROBE_CLAIMS).filter(([name]) =>
    ['ref', 'empty', 'exp', 'half', 'flag', 'groups', 'numbers', 'lists', 'none'].includes(name),
  ),
)

t.test('a grown condition that holds here holds there', async (t) => {
  const seen = { grown: 0, held: 0, loaded: 0 }
  holdsForAll(t, 2000, anyCondition, (text) => {
    seen.grown += 1
    const compiled = compileCondition(text)
    if (!compiled.ok) return
    seen.loaded += 1
    const { held } = compiled.value.holds({ claims: PLAIN_CLAIMS, client: 'ci', connector: 'gitlab' })
    if (!held) return
    seen.held += 1
    const other = secondOpinion(text, PLAIN_CLAIMS)
    if (other !== 'true') throw new Error(`it says ${other}`)
  })
  t.ok(seen.loaded > seen.grown / 2 && seen.held > seen.grown / 10, JSON.stringify(seen))
})

t.test('any text is refused or compiled, and never throws', async (t) => {
  const scraps = array(
    oneof(
      anyCondition,
      constantFrom(
        '(',
        ')',
        '[',
        ']',
        '{',
        '}',
        '.',
        '"',
        '\\',
        '!',
        '-',
        '?',
        ':',
        '//',
        '1u',
        'b""',
        'has(',
        '.all(',
        '\u0000',
        '𝒳',
      ),
    ),
    { maxLength: 5 },
  )
  holdsForAll(
    t,
    3000,
    oneof(
      scraps.map((parts) => parts.join('')),
      anyText(),
    ),
    (text) => {
      const compiled = compileCondition(text)
      if (compiled.ok) compiled.value.holds({ claims: PROBE_CLAIMS, client: 'ci', connector: 'gitlab' })
    },
  )
})
