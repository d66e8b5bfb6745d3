// Does our CEL say of each expression what kube-apiserver 1.36.4 says, and does it get the same values? Asked of the
// apiserver's own compiler and evaluator. Prints the figures; the one that counts is "we only accept", which must be 0.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseAllDocuments } from 'yaml'
import { checkExpression } from '../../src/core/kube/cel/check_expression.ts'
import type { ExpressionUse } from '../../src/core/kube/cel/check_expression.ts'
import { evaluateExpression } from '../../src/core/kube/cel/evaluate_expression.ts'
import type { JsonValue } from '../../src/core/claims.ts'
import { eachFunction, eachMacro, grownExpressions } from '../support/cel_expressions.ts'
import { folder } from '../support/cli.ts'
import { kubeBinaries, kubeVersions } from '../support/kube_binaries.ts'
import { KUBE_CORPUS_MISSING, kubeCorpus } from '../support/kube_corpus.ts'
import { apiserverLoader } from '../support/kube_loading.ts'
import { startKubeOracle } from '../support/kube_oracle.ts'
import type { KubeOracle } from '../support/kube_oracle.ts'
import { peerOrSkip } from '../support/peers.ts'
import { makeKey, publicJwk, signCompact } from '../support/test_issuer.ts'

t.setTimeout(600_000)
const peer = await peerOrSkip(startKubeOracle)
const started = 'value' in peer ? peer.value : undefined
const { skip } = peer
t.teardown(() => started?.close())

function oracle(): KubeOracle {
  if (started === undefined) throw new Error('the test should have been skipped')
  return started
}

/**
 * Refused here alone, which is the safe side. RE2 in JavaScript knows no repeated names and fewer Unicode classes; `list{}` is
 * the empty list from 1.37 on.
 */
const REFUSED_HERE_ALONE: ReadonlySet<string> = new Set([
  '"a".matches("(?P<n>a)(?P<n>b)")',
  String.raw`"a".matches("\\p{ASCII}")`,
  String.raw`"a".matches("\\p{greek}")`,
  'double("0x1p3")',
  'double("1_0.5")',
  'list{}',
])

type Case = { readonly from: string; readonly use: ExpressionUse; readonly text: string }

const USES: readonly ExpressionUse[] = [
  'claim_validation',
  'username',
  'groups',
  'uid',
  'extra',
  'user_validation',
]

/** Everything under a key that holds an expression, in every document, also where YAML stands inside of YAML. */
function expressionsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') {
    if (!/expression/i.test(value)) return []
    return parseAllDocuments(value).flatMap((document) => {
      const data: unknown = document.errors.length > 0 ? undefined : document.toJS()
      return typeof data === 'string' ? [] : expressionsIn(data)
    })
  }
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, member]) =>
    typeof member === 'string' && /^(?:value)?expression$/i.test(name) ? [member] : expressionsIn(member),
  )
}

function corpusCases(): readonly Case[] {
  const found = (kubeCorpus() ?? []).flatMap(({ text }) => expressionsIn(text))
  return [...new Set(found)]
    .filter((text) => text !== '')
    .flatMap((text) => USES.map((use) => ({ from: 'corpus', use, text })))
}

function casesFrom(from: string, texts: readonly string[], use: ExpressionUse): readonly Case[] {
  return texts.map((text) => ({ from, use, text }))
}

const WRITTEN = readFileSync(join(import.meta.dirname, 'kube_cel', 'expressions.txt'), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('# '))

const CASES: readonly Case[] = [
  ...corpusCases(),
  ...casesFrom('written', WRITTEN, 'username'),
  ...casesFrom('written', WRITTEN, 'claim_validation'),
  ...casesFrom(
    'written, of a user',
    WRITTEN.map((text) => text.replaceAll('claims', 'user')),
    'user_validation',
  ),
  ...casesFrom('function', eachFunction(), 'username'),
  ...casesFrom('macro', eachMacro(), 'username'),
  ...casesFrom('grown', grownExpressions(20, 3000), 'username'),
  ...casesFrom('grown', grownExpressions(21, 1000), 'claim_validation'),
]

/** The first line of the apiserver's text, without the place. */
function words(error: string): string {
  return error.replace(/ERROR: <input>:\d+:\d+: /, '').split('\n', 1)[0] ?? ''
}

type Judged = Case & {
  readonly ours: boolean
  readonly theirs: boolean
  readonly sameType: boolean
  readonly sameWords: boolean
}

async function judge(one: Case): Promise<Judged> {
  const theirs = await oracle().compile({ expression: one.text, use: one.use })
  const ours = checkExpression(one.text, one.use)
  const type = (theirs.type ?? '').replaceAll(
    /google\.protobuf\.(Any|Duration|Timestamp)/g,
    (_, name: string) => name.toLowerCase(),
  )
  const said = ours.ok ? '' : ours.denial.message
  const isFreeText = said.includes('Syntax error') || said.includes('the apiserver does not refuse this')
  return {
    ...one,
    ours: ours.ok,
    theirs: theirs.ok,
    sameType: !ours.ok || !theirs.ok || type.replaceAll('null_type', 'null') === ours.value.resultType,
    sameWords: ours.ok || theirs.ok || isFreeText || words(theirs.error ?? '') === said,
  }
}

function matrix(judged: readonly Judged[]): string {
  const rows = [...new Set(judged.map(({ from }) => from)), 'all'].map((from) => {
    const own = judged.filter((one) => from === 'all' || one.from === from)
    const count = (ours: boolean, theirs: boolean): number =>
      own.filter((one) => one.ours === ours && one.theirs === theirs).length
    const cells = [own.length, count(true, true), count(false, false), count(false, true), count(true, false)]
    return `| ${from.padEnd(18)} |${cells.map((cell) => ` ${String(cell).padStart(6)} |`).join('')}`
  })
  return [
    '| expressions        |    all | accept | refuse | we only refuse | we only accept |',
    ...rows,
  ].join('\n')
}

t.test('the checker and the apiserver agree on every expression', { skip }, async (t) => {
  const judged: Judged[] = []
  for (const one of CASES) judged.push(await judge(one))
  t.comment(matrix(judged))
  if (kubeCorpus() === undefined) t.comment(KUBE_CORPUS_MISSING)
  const say = ({ use, text }: Judged): string => `${use}: ${text}`
  t.ok(judged.length >= 600)
  t.same(judged.filter(({ ours, theirs }) => ours && !theirs).map(say), [], 'we accept what it refuses')
  const strict = judged.filter(({ ours, theirs, text }) => !ours && theirs && !REFUSED_HERE_ALONE.has(text))
  t.same(strict.map(say), [], 'we refuse what it accepts')
  t.same(judged.filter(({ sameType }) => !sameType).map(say), [], 'we see another type')
  t.same(judged.filter(({ sameWords }) => !sameWords).map(say), [], 'we say other words')
})

/** Expressions of which the apiserver would die are not for a file with thousands of others. */
function isDeadly(text: string, minor: number): boolean {
  const ours = checkExpression(text, 'extra', minor)
  return !ours.ok && ours.denial.message.includes('it crashes')
}

/** One file with every expression in an `extra`: the apiserver says of each whether it compiles. */
function extraFile(texts: readonly string[]): string {
  const extra = texts.map((valueExpression, index) => ({ key: `example.com/x${index}`, valueExpression }))
  return JSON.stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthenticationConfiguration',
    jwt: [
      {
        issuer: { url: 'https://issuer.example.com', audiences: ['kube'] },
        claimValidationRules: [{ expression: 'claims.?email_verified.orValue(true) == true' }],
        claimMappings: { username: { claim: 'sub', prefix: '' }, extra },
      },
    ],
  })
}

for (const version of kubeVersions()) {
  t.test(`the checker and the real kube-apiserver ${version} agree on every expression`, async (t) => {
    const minor = Number(version.split('.')[1])
    const texts = [...new Set(CASES.filter(({ use }) => use !== 'user_validation').map(({ text }) => text))]
    const asked = texts.filter((text) => text !== '' && !isDeadly(text, minor))
    const { apiserver } = await kubeBinaries(version)
    const { loads, log } = await apiserverLoader(apiserver, folder(t))(extraFile(asked))
    t.notOk(loads)
    const refused = new Set(
      [
        ...log.matchAll(/claimMappings\.extra\[(\d+)\]\.valueExpression: (?:Invalid value|Internal error)/g),
      ].map(([, index]) => Number(index)),
    )
    const judged = asked.map((text, index) => ({
      from: version,
      use: 'extra' as const,
      text,
      ours: checkExpression(text, 'extra', minor).ok,
      theirs: !refused.has(index),
      sameType: true,
      sameWords: true,
    }))
    t.comment(matrix(judged))
    t.ok(judged.length > 5000)
    t.same(
      judged.filter(({ ours, theirs }) => ours && !theirs).map(({ text }) => text),
      [],
      'we accept what it refuses',
    )
    const strict = judged.filter(({ ours, theirs, text }) => !ours && theirs && !REFUSED_HERE_ALONE.has(text))
    t.same(
      strict.map(({ text }) => text),
      [],
      'we refuse what it accepts',
    )
  })
}

const CLAIMS: Readonly<Record<string, JsonValue>> = {
  sub: 'alice',
  email: 'a@b.c',
  groups: ['a', 'b', ''],
  exp: 1_767_323_045,
  flag: true,
  nested: { a: { b: 1 }, 'x.y': 'dot', n: null },
  nums: [1, 2.5, 'x'],
  nul: null,
  empty: '',
  'a/b': 'slash',
  csv: 'a,b,,c',
}

/** Values that JSON cannot carry, in either direction. */
function isComparable(type: string, value: unknown): boolean {
  const isOther = /optional_type|type\(|duration|timestamp|map\(|net\.|kubernetes\./.test(type)
  return !isOther && !(typeof value === 'object' && value !== null && JSON.stringify(value).includes('{'))
}

/** Go tells nil from empty, and null from 0, where JSON does not. */
function plain(value: unknown): string {
  return JSON.stringify(value) === 'null' || value === 0 ? '[]' : JSON.stringify(value)
}

type Evaluated =
  | 'same'
  | 'same error'
  | 'not comparable'
  | 'not evaluated here'
  | { readonly differs: string }

async function evaluateBoth(text: string): Promise<Evaluated | undefined> {
  const checked = checkExpression(text, 'username')
  if (!checked.ok) return undefined
  const ours = evaluateExpression(checked.value, { claims: CLAIMS })
  if (!ours.ok && ours.denial.kind === 'unknown') return 'not evaluated here'
  const theirs = await oracle().evaluate({ expression: text, use: 'username', claims: CLAIMS })
  const error = theirs.error?.replace(/^expression '.*' resulted in error: /s, '')
  const said = ours.ok ? plain(ours.value) : `✗ ${ours.denial.message}`
  if (error !== undefined) {
    // Where Go's cost tracker panics, or an index stands past 2^53, only the words differ.
    if (!ours.ok) return 'same error'
    return { differs: `${text}: ✗ ${error}, not ${said}` }
  }
  if (!ours.ok && ours.denial.kind === 'result') return 'not comparable'
  if (!isComparable(checked.value.resultType, theirs.value)) return 'not comparable'
  const expected = plain(theirs.value)
  return expected === (ours.ok && ours.value === null ? '[]' : said)
    ? 'same'
    : { differs: `${text}: ${expected}, not ${said}` }
}

t.test('the evaluator and the apiserver get the same values and errors', { skip }, async (t) => {
  const texts = [...WRITTEN, ...eachFunction(), ...eachMacro(), ...grownExpressions(30, 3000)]
  // A list of 9e18 numbers is made by the apiserver in earnest; the order of two keys is another one each time in Go.
  const harmless = texts.filter((text) => !/lists\.range|, \??"[b-d]": |claims\.(?:map|filter)\(/.test(text))
  const counts = new Map<string, number>()
  const differing: string[] = []
  for (const text of harmless) {
    const outcome = await evaluateBoth(text)
    if (outcome === undefined) continue
    if (typeof outcome === 'object') differing.push(outcome.differs)
    const name = typeof outcome === 'object' ? 'different' : outcome
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  t.comment([...counts].map(([name, count]) => `${name}: ${count}`).join(', '))
  t.same(differing, [])
})

const GROUPS: readonly string[] = [
  'claims.sub',
  'claims.groups',
  'claims.nul',
  'claims.nums',
  'claims.empty',
  'claims.nested',
  'claims.csv.split(",")',
  'claims.csv.split(",").map(g, g)',
  'claims.csv.split(",").filter(g, g != "a")',
  '["a"] + ["b"]',
  '["a"] + []',
  '[] + claims.csv.split(",")',
  'claims.groups + ["c"]',
  'dyn(claims.groups).map(g, "p:" + g)',
  'dyn(claims.groups).filter(g, true) + ["x"]',
  '(dyn(claims.groups) + ["x"]).map(g, g)',
  'claims.?missing.orValue([])',
  'claims.?groups.orValue([])',
  'claims.?groups',
  '[?claims.?sub]',
  'claims.csv.split(",") + ["d"]',
  '[claims.?sub]',
  '[type(1)]',
  '[b"a"]',
  '["b", "a", "b"].distinct()',
  '["b", "a"].sort()',
  'claims.csv.findAll("[a-z]")',
  'claims.csv.split(",").slice(0, 2)',
  'claims.csv.split(",").reverse()',
  '["a"].flatten(1)',
  '[["a"], ["b"]].flatten()',
  'claims.flag ? ["a"] : []',
  '[claims.csv.split(",")][0]',
  '{"a": claims.csv.split(",")}.a',
  '["a", "b"].transformList(i, v, v)',
  '[["a"] + ["b"]][0]',
  '[["a"], ["b"]].map(l, l + ["c"])[0]',
  '["a", "b"].map(x, [x]).flatten()',
  '{"a": 1}.map(k, k)',
  'optional.of(["a"]).orValue(["b"])',
  '1',
  'null',
  '""',
  '[]',
  '[""]',
]

t.test('groups are read from an expression as the apiserver reads them', { skip }, async (t) => {
  const nowSeconds = 1_795_219_200
  const issuer = 'https://issuer.example.test'
  const key = makeKey('ES256')
  const claims = { ...CLAIMS, iss: issuer, aud: 'kube', iat: nowSeconds, exp: nowSeconds + 600 }
  const token = signCompact({ alg: 'ES256', kid: key.kid }, claims, 'ES256', key.privateKey)
  for (const text of GROUPS) {
    const config = JSON.stringify({
      apiVersion: 'apiserver.config.k8s.io/v1',
      kind: 'AuthenticationConfiguration',
      jwt: [
        {
          issuer: { url: issuer, audiences: ['kube'] },
          claimMappings: { username: { claim: 'sub', prefix: '' }, groups: { expression: text } },
        },
      ],
    })
    const verdict = await oracle().authenticate({
      config,
      token,
      jwks: { keys: [publicJwk(key)] },
      nowSeconds,
    })
    const theirs = verdict.user?.groups ?? verdict.error?.replace(/^.*claim expression: /, '')
    t.same(groupsOf(text), theirs, text)
  }
})

/** The groups, without empty ones, or why there are none. */
function groupsOf(text: string): unknown {
  const checked = checkExpression(text, 'groups')
  if (!checked.ok) return checked.denial.message
  const evaluated = evaluateExpression(checked.value, { claims: CLAIMS })
  if (!evaluated.ok) return evaluated.denial.message
  const { value } = evaluated
  if (value === null) return []
  const texts = Array.isArray(value) ? value : [value]
  const isTexts = texts.every((each) => typeof each === 'string')
  return isTexts
    ? texts.filter((each) => each !== '')
    : 'expression must return a string or a list of strings'
}
