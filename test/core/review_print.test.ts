// How a review is shown: to people, programs, pull requests and code scanning pages, and what survives hostile texts.
import t from 'tap'
import { fingerprints } from '../../src/core/review/fingerprint.ts'
import { githubOf } from '../../src/core/review/print/github.ts'
import { gitlabOf } from '../../src/core/review/print/gitlab.ts'
import { jsonOf } from '../../src/core/review/print/json.ts'
import { sarifOf } from '../../src/core/review/print/sarif.ts'
import { textOf } from '../../src/core/review/print/text.ts'
import type { Review } from '../../src/core/review/review.ts'
import type { ReviewFinding } from '../../src/core/review/review_finding.ts'
import { RULE_HELP } from '../../src/core/review/rule_help.ts'
import { moduleYaml, reviewed } from '../support/reviewed.ts'

const FINDING: ReviewFinding = {
  rule: 'WH-V3',
  severity: 'deny',
  object: 'Module infra/vpc',
  path: 'spec.versions',
  message: 'version 1.0.0 goes',
  wayOut: 'keep it',
  version: '1.0.0',
  place: { file: 'modules/vpc.yaml', line: 12, column: 7 },
  was: { file: 'modules/vpc.yaml', line: 11, column: 7 },
}

function reviewOf(...edits: readonly Partial<ReviewFinding>[]): Review {
  const findings = edits.map((edit) => Object.assign({}, FINDING, edit))
  return { findings, judged: 1, unchanged: 2, isIncomplete: false }
}

const HOSTILE = 'a\r\n::error::b\u001B[31m%0A\u202E,:c'

t.test('for people: place, rule and way out, and the verdict at the end', async (t) => {
  t.equal(
    textOf(reviewOf({}, { severity: 'notice', rule: 'GIT-4', wayOut: '', path: '', place: undefined })),
    `modules/vpc.yaml:12:7: deny WH-V3 (spec.versions): Module infra/vpc: version 1.0.0 goes [it stood at modules/vpc.yaml:11:7]
    -> keep it
modules/vpc.yaml:11:7: notice GIT-4: Module infra/vpc: version 1.0.0 goes
review: denied: 1 object judged, 2 unchanged, 1 denial, 0 warnings, 1 notice
`,
  )
  t.equal(
    textOf({ findings: [], judged: 0, unchanged: 1, isIncomplete: true }),
    'review: nothing denied: 0 objects judged, 1 unchanged, 0 denials, 0 warnings, 0 notices; not everything could be read\n',
  )
})

t.test('for programs: everything, in one line', async (t) => {
  const line = jsonOf(reviewOf({}))
  t.equal(line.split('\n').length, 2)
  t.match(JSON.parse(line), {
    verdict: 'denied',
    judged: 1,
    unchanged: 2,
    complete: true,
    findings: [
      {
        rule: 'WH-V3',
        severity: 'deny',
        place: { line: 12 },
        was: { line: 11 },
        fingerprint: /^[0-9a-f]{32}$/,
      },
    ],
  })
  t.match(JSON.parse(jsonOf(reviewOf({ severity: 'warn' }))), { verdict: 'allowed' })
})

t.test('on GitHub: one annotation a line, denials first, whatever the texts hold', async (t) => {
  t.equal(
    githubOf(
      reviewOf(
        {},
        { severity: 'warn', wayOut: '' },
        { severity: 'notice', place: undefined, was: undefined, object: '' },
      ),
    ),
    `::error file=modules/vpc.yaml,line=12,col=7,title=WH-V3::Module infra/vpc: version 1.0.0 goes. Instead: keep it
::warning file=modules/vpc.yaml,line=12,col=7,title=WH-V3::Module infra/vpc: version 1.0.0 goes
::notice title=WH-V3::version 1.0.0 goes. Instead: keep it
`,
  )
  const hostile = githubOf(reviewOf({ message: HOSTILE, place: { file: HOSTILE, line: 1, column: 1 } }))
  t.equal(
    hostile,
    '::error file=a\\u{d}\\u{a}%3A%3Aerror%3A%3Ab\\u{1b}[31m%250A\\u{202e}%2C%3Ac,line=1,col=1,title=WH-V3::Module infra/vpc: a\\u{d}\\u{a}::error::b\\u{1b}[31m%250A\\u{202e},:c. Instead: keep it\n',
  )
})

t.test('on GitLab: a Code Quality report', async (t) => {
  const issues: unknown = JSON.parse(
    gitlabOf(
      reviewOf(
        {},
        { severity: 'warn' },
        { severity: 'notice', place: { file: './a.yaml', line: 1, column: 1 } },
      ),
    ),
  )
  t.match(issues, [
    {
      description: 'WH-V3: Module infra/vpc: version 1.0.0 goes. Instead: keep it',
      check_name: 'WH-V3',
      fingerprint: /^[0-9a-f]{32}$/,
      severity: 'blocker',
      location: { path: 'modules/vpc.yaml', lines: { begin: 12 } },
    },
    { severity: 'minor' },
    { severity: 'info', location: { path: 'a.yaml' } },
  ])
  t.equal(gitlabOf({ findings: [], judged: 0, unchanged: 0, isIncomplete: false }), '[]\n')
})

t.test('in SARIF: the rules that are named, and where, with file names as URIs', async (t) => {
  const file = 'modules/ä b#1%.yaml'
  const log: unknown = JSON.parse(
    sarifOf(
      reviewOf(
        { place: { file, line: 12, column: 7 } },
        { rule: 'GIT-5', severity: 'warn', object: '', was: undefined },
      ),
      '1.2.3',
    ),
  )
  t.match(log, {
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'sallyport review',
            version: '1.2.3',
            rules: [
              { id: 'GIT-5' },
              {
                id: 'WH-V3',
                shortDescription: { text: 'A published version is not replaced by another one.' },
              },
            ],
          },
        },
        results: [
          {
            ruleId: 'WH-V3',
            ruleIndex: 1,
            level: 'error',
            locations: [
              {
                physicalLocation: {
                  artifactLocation: { uri: 'modules/%C3%A4%20b%231%25.yaml', uriBaseId: 'SRCROOT' },
                  region: { startLine: 12, startColumn: 7 },
                },
                logicalLocations: [{ fullyQualifiedName: 'Module infra/vpc spec.versions' }],
              },
            ],
            relatedLocations: [{ physicalLocation: { region: { startLine: 11 } } }],
          },
          { ruleIndex: 0, level: 'warning' },
        ],
      },
    ],
  })
})

t.test('every rule has words for whoever never read the documentation', async (t) => {
  for (const [rule, { title, why }] of Object.entries(RULE_HELP)) {
    t.match(title, /^\S.{10,100}\.$/, rule)
    t.match(why, /^\S.{10,200}\.$/, rule)
  }
})

t.test('a problem keeps its fingerprint while lines and files move around it', async (t) => {
  const moved = { place: { file: 'other.yaml', line: 99, column: 1 }, path: 'spec.versions[7]' }
  const [first] = fingerprints(reviewOf({ path: 'spec.versions[1]' }).findings)
  t.same(fingerprints(reviewOf(moved).findings), [first])
  for (const edit of [{ rule: 'WH-V1' }, { version: '1.0.1' }, { object: 'Module infra/eks' }] as const) {
    t.not(fingerprints(reviewOf({ path: 'spec.versions[1]', ...edit }).findings)[0], first)
  }
  const alike = fingerprints(reviewOf({}, {}, {}).findings)
  t.equal(new Set(alike).size, 3, 'no two findings of one report share one')
})

const ids = (after: string): readonly string[] =>
  fingerprints(
    reviewed({ before: { 'a.yaml': moduleYaml(['1.0.0', '2.0.0']) }, after: { 'a.yaml': after } }).findings,
  )

t.test('lines move between two reviews of one change, fingerprints do not', async (t) => {
  const one = ids(moduleYaml(['1.0.0']))
  t.same(ids(`# a comment\n\n${moduleYaml(['1.0.0'])}`), one)
  t.equal(one.length, 1)
})
