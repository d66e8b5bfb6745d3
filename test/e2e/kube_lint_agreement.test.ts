// Does the linter say "would load" of exactly the files that kube-apiserver loads? Asked of its own loader and validator
// (k8s.io/apiserver v0.36.4) for every file, and of the real binary for a sample. Prints a matrix for each rule.
import t from 'tap'
import { lintSource } from '../../src/cli/kube/lint_findings.ts'
import { kubeVersion } from '../../src/core/kube/kube_version.ts'
import { readAuthenticationFile } from '../../src/platform/kube/authentication_file.ts'
import type { AuthenticationSource } from '../../src/platform/kube/authentication_file.ts'
import { folder } from '../support/cli.ts'
import { BYTES_CASES } from '../support/kube_bytes.ts'
import { kubeBinaries, kubeVersions } from '../support/kube_binaries.ts'
import { KUBE_CORPUS_MISSING, kubeCorpus, withRealCertificates } from '../support/kube_corpus.ts'
import { EXAMPLE_CA, exampleFile, LINT_EXAMPLES } from '../support/kube_lint_examples.ts'
import { apiserverLoader } from '../support/kube_loading.ts'
import { mutations } from '../support/kube_mutations.ts'
import type { Mutation } from '../support/kube_mutations.ts'
import { startKubeOracle } from '../support/kube_oracle.ts'

t.setTimeout(600_000)

const OWN_ISSUER = 'https://kubernetes.default.svc.cluster.local'

/** The YAML library does not read it; refusing it is the safe side. */
const REFUSED_HERE_ALONE: ReadonlySet<string> = new Set(['document: a flow list closed at the margin'])

type Case = Mutation
type Judged = Case & { readonly ours: boolean; readonly theirs: boolean; readonly errors: readonly string[] }

function sourcesOf(text: string): readonly AuthenticationSource[] {
  return readAuthenticationFile('a.yaml', text)
}

function wouldLoad(text: string, release = '1.36'): boolean {
  const version = kubeVersion(release)
  if (version === undefined) throw new Error(`${release} is known`)
  const context = { version, serviceAccountIssuers: [OWN_ISSUER] }
  return sourcesOf(text).every((source) => lintSource(source, context).loads)
}

/** Corpus files as they are and with real certificates; what is embedded is taken out, as the apiserver would be given it. */
function corpusCases(): readonly Case[] {
  return (kubeCorpus() ?? []).flatMap(({ name, text }) =>
    sourcesOf(text).flatMap((source, index) => {
      const own = source.bytes?.toString() ?? text
      const mended = withRealCertificates(own, EXAMPLE_CA)
      const says = `${name}${index === 0 ? '' : ` #${index}`}`
      return [
        { rule: 'corpus', says, text: own },
        { rule: 'corpus', says: `${says}, real certificate`, text: mended },
      ].slice(0, mended === own ? 1 : 2)
    }),
  )
}

function exampleCases(): readonly Case[] {
  return LINT_EXAMPLES.filter(({ release }) => release === undefined).flatMap((example) => [
    { rule: 'example', says: `${example.code}, bad`, text: exampleFile(example, example.bad) },
    { rule: 'example', says: `${example.code}, good`, text: exampleFile(example, example.good) },
  ])
}

function matrix(judged: readonly Judged[]): string {
  const rules = [...new Set(judged.map(({ rule }) => rule)), 'all']
  const rows = rules.map((rule) => {
    const own = judged.filter((one) => rule === 'all' || one.rule === rule)
    const count = (ours: boolean, theirs: boolean): number =>
      own.filter((one) => one.ours === ours && one.theirs === theirs).length
    const cells = [own.length, count(true, true), count(false, false), count(false, true), count(true, false)]
    return `| ${rule.padEnd(20)} |${cells.map((cell) => ` ${String(cell).padStart(6)} |`).join('')}`
  })
  const head = '| rule                 |  files | load   | refuse | we only refuse | we only load |'
  return [head, ...rows].join('\n')
}

t.test('the linter and the apiserver agree on every file', async (t) => {
  t.setTimeout(300_000)
  const oracle = await startKubeOracle()
  t.teardown(() => oracle.close())
  const cases = [...corpusCases(), ...exampleCases(), ...mutations(EXAMPLE_CA)]
  const judged: Judged[] = []
  for (const one of cases) {
    const { errors } = await oracle.load(one.text, { serviceAccountIssuers: [OWN_ISSUER] })
    judged.push({ ...one, ours: wouldLoad(one.text), theirs: errors.length === 0, errors })
  }
  t.comment(matrix(judged))
  t.ok(judged.length >= 150)
  const named = ({ rule, says, errors }: Judged): string =>
    `${rule}: ${says}: ${errors.join('; ').slice(0, 200)}`
  t.strictSame(
    judged.filter(({ ours, theirs }) => ours && !theirs).map(named),
    [],
    'nothing that the apiserver refuses is let through',
  )
  const tooStrict = judged.filter(({ ours, theirs }) => !ours && theirs)
  t.strictSame(
    tooStrict.filter(({ rule, says }) => !REFUSED_HERE_ALONE.has(`${rule}: ${says}`)).map(named),
    [],
    'nothing that it loads is refused, but for what is known',
  )
})

t.test('the corpus is part of it', { skip: kubeCorpus() === undefined && KUBE_CORPUS_MISSING }, async (t) => {
  t.ok(corpusCases().length >= 32)
})

/** One file of each rule, accepted and refused ones by turns as far as there are. */
function sample(release: string): readonly Judgement[] {
  const cases = [...corpusCases(), ...mutations(EXAMPLE_CA)]
    .filter(({ rule }) => rule !== 'egress')
    .map((one) => judgement(one, release))
  const rules = [...new Set(cases.map(({ rule }) => rule))]
  return rules.flatMap((rule, index) => {
    const own = cases.filter((one) => one.rule === rule)
    return own.findLast(({ ours }) => ours === (index % 2 === 0)) ?? own.slice(-1)
  })
}

type Judgement = Case & { readonly ours: boolean }

/** An apiserver without an egress selector does not start with one named, which is the flags' affair. */
function judgement({ rule, says, text: whole }: Case, release: string): Judgement {
  const text = whole.replaceAll(/^ +egressSelectorType: cluster\n|,\s*"egressSelectorType": ?"cluster"/gm, '')
  return { rule, says, text, ours: wouldLoad(text, release) }
}

for (const version of kubeVersions()) {
  t.test(`the real kube-apiserver ${version} says the same of a sample`, async (t) => {
    t.setTimeout(600_000)
    const { apiserver } = await kubeBinaries(version)
    const load = apiserverLoader(apiserver, folder(t))
    for (const { rule, says, text, ours } of sample(version)) {
      const { loads, log } = await load(text)
      t.equal(
        loads,
        ours,
        `${rule}: ${says}: ${loads ? 'loads' : (/err="(.{0,120})/.exec(log)?.[1] ?? 'refused')}`,
      )
    }
  })
}

/** What the releases that are played tell apart, each with whether 1.36 and 1.37 take it. */
const RELEASED: readonly (readonly [string, boolean, boolean])[] = [
  ["claims.roles.includes('admin')", false, true],
  ['claims.`kubernetes.io`.namespace == "x"', false, true],
  ['has(claims.`a-b`) && claims.?`a/b`.hasValue()', false, true],
  ['duration(int(claims.exp)) > duration("1s")', true, false],
  ['["a"].map(net, type(net.IP) == type)[0]', true, false],
  ['[1, 2].map(claims, .claims.sub == "x")[0]', false, true],
  ['claims.roles.split(",").distinct().first().hasValue()', true, true],
  ['claims.nosuch.nosuch()', false, false],
]

for (const version of kubeVersions()) {
  t.test(`the real kube-apiserver ${version} takes the expressions that its release has`, async (t) => {
    const { apiserver } = await kubeBinaries(version)
    const load = apiserverLoader(apiserver, folder(t))
    for (const [expression, in136, in137] of RELEASED) {
      const text = JSON.stringify({
        apiVersion: 'apiserver.config.k8s.io/v1',
        kind: 'AuthenticationConfiguration',
        jwt: [
          {
            issuer: { url: 'https://issuer.example.com', audiences: ['kube'] },
            claimValidationRules: [{ expression }],
            claimMappings: { username: { claim: 'sub', prefix: 'ci:' } },
          },
        ],
      })
      const expected = version.startsWith('1.37') ? in137 : in136
      t.equal(wouldLoad(text, version), expected, `we: ${expression}`)
      t.equal((await load(text)).loads, expected, `${version}: ${expression}`)
    }
  })
}

for (const version of kubeVersions()) {
  t.test(`the real kube-apiserver ${version} reads bytes as the linter does`, async (t) => {
    const { apiserver } = await kubeBinaries(version)
    const load = apiserverLoader(apiserver, folder(t))
    for (const { says, bytes, loads } of BYTES_CASES) t.equal((await load(bytes)).loads, loads, says)
  })
}

t.test('150 files are linted in less than 2 seconds', async (t) => {
  const texts = mutations(EXAMPLE_CA)
    .filter((_, index) => index % 19 === 0)
    .slice(0, 150)
    .map(({ text }) => text)
  t.equal(texts.length, 150)
  const start = performance.now()
  for (const text of texts) wouldLoad(text)
  const took = performance.now() - start
  t.comment(`150 files: ${took.toFixed(0)} ms`)
  t.ok(took < 2000, `${took.toFixed(0)} ms`)
})
