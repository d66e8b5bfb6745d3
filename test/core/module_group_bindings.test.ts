import t from 'tap'
import { goPatternProblem } from '../../src/core/group_binding/go_pattern.ts'
import { readGroupBinding } from '../../src/core/module/module_object.ts'
import type { GroupBindingObject } from '../../src/core/module/module_object.ts'
import { NO_FACTS } from '../../src/core/module/ledger.ts'
import { judgeUnderPolicies } from '../../src/core/module/policy_choice.ts'
import type { Verdict } from '../../src/core/module/verdict.ts'
import { denialOf } from '../../src/core/module/verdict_message.ts'

function aBinding(spec: object): GroupBindingObject {
  const read = readGroupBinding({
    metadata: { namespace: 'opendepot-system', name: '10-platform' },
    spec: { expression: '"platform-team" in groups', moduleResources: ['terraform-*'], ...spec },
  })
  if (!read.ok) throw new Error(read.denial)
  return read.value
}

type Write = { readonly from?: object; readonly to?: object; readonly others?: readonly string[] }

function written({ from, to, others = [] }: Write): Verdict {
  const old = from === undefined ? undefined : aBinding(from)
  const about = { resource: 'groupbindings', subResource: '', dryRun: false } as const
  const where = { namespace: 'opendepot-system', name: '10-platform' }
  return judgeUnderPolicies(
    {
      ...about,
      ...where,
      operation: old === undefined ? 'CREATE' : 'UPDATE',
      old,
      new: aBinding(to ?? {}),
    },
    { user: undefined, mayDo: new Set(), atSeconds: 0 },
    [],
    { ...NO_FACTS, groupBindings: others },
  )
}

t.test('WH-G1: a condition that compiles is let in', async (t) => {
  t.equal(written({}).allowed, true)
})

t.test('WH-G1: one that does not is refused, with its place and whom it would shadow', async (t) => {
  const verdict = written({
    to: { expression: '"platform-team" in group' },
    others: ['00-first', '10-platform', '20-apps', '99-everybody'],
  })
  t.equal(verdict.allowed, false)
  const denial = denialOf(verdict)
  t.equal(denial?.code, 422)
  t.match(denial?.message, 'WH-G1')
  t.match(denial?.message, 'column 20: unknown name group')
  t.match(denial?.message, 'it would shadow 20-apps, 99-everybody')
  t.notMatch(denial?.message, '00-first')
})

t.test('WH-G1: a broken binding may be changed elsewhere, and mended', async (t) => {
  const broken = { expression: 'groups' }
  t.equal(written({ from: broken, to: { ...broken, moduleResources: ['a'] } }).allowed, true)
  t.equal(written({ from: broken, to: {} }).allowed, true)
  t.equal(written({ from: broken, to: { expression: 'groups[' } }).allowed, false)
})

t.test('WH-G1: a hostile condition is shown and not obeyed', async (t) => {
  const verdict = written({ to: { expression: '"\u001b[2J" in \u202egroup' } })
  t.notMatch(denialOf(verdict)?.message, /[\p{C}]/u)
})

t.test('WH-G2: a pattern that no name can match is refused', async (t) => {
  const verdict = written({ to: { moduleResources: ['terraform-*', 'aws-[a'] } })
  t.equal(verdict.allowed, false)
  t.match(denialOf(verdict)?.message, /WH-G2.*spec\.moduleResources\[1\]|"aws-\[a" is no pattern/)
  t.equal(
    written({ from: { moduleResources: ['aws-[a'] }, to: { moduleResources: ['aws-[a'] } }).allowed,
    true,
  )
})

t.test('WH-G2: a pattern among Providers is let in and told', async (t) => {
  const verdict = written({ to: { providerResources: ['aws*'] } })
  t.equal(verdict.allowed, true)
  t.match(verdict.warnings.join(), /exactly that name/)
  t.strictSame(written({ to: { providerResources: ['*', 'aws'] } }).warnings, [])
})

function many(prefix: string): readonly string[] {
  return Array.from({ length: 20_000 }, (_, index) => `${prefix}${String(index).padStart(6, '0')}`)
}

t.test('WH-G2: thousands of patterns are compared with thousands that were there', async (t) => {
  const from = { moduleResources: many('a'), providerResources: many('*a') }
  const to = { moduleResources: many('b'), providerResources: [...many('*a'), '*b'] }
  const before = process.threadCpuUsage()
  const verdict = written({ from, to })
  const { user, system } = process.threadCpuUsage(before)
  // Each with each, it was ten seconds.
  t.ok((user + system) / 1000 < 1000)
  t.equal(verdict.allowed, true)
  t.equal(verdict.findings.length, 1)
})

t.test("patterns are well-formed where Go's path.Match says so", async (t) => {
  for (const pattern of ['', '*', 'a?c', '[a-z]*', '[^a]', '[\\]]', '\\*', 'a[bc]d', '[a\\-z]', '[[]'])
    t.equal(goPatternProblem(pattern), undefined, pattern)
  for (const pattern of ['[', '[]', '[]a]', '[a', '[a-]', '[-a]', '[^]', 'a\\', '[a\\', '[a-\\', '[z-'])
    t.type(goPatternProblem(pattern), 'string', pattern)
})
