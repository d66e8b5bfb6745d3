// Every code of the linter, both ways: the file of the page that has it, and its twin that does not.
import t from 'tap'
import { ERROR_CODES, REFUSED_CODES, WARNING_CODES } from '../../src/core/kube/lint_codes.ts'
import { readAuthenticationFile } from '../../src/platform/kube/authentication_file.ts'
import { lintSource } from '../../src/cli/kube/lint_findings.ts'
import type { LintFinding } from '../../src/cli/kube/lint_findings.ts'
import { exampleContext, exampleFile, GOOD_FILE, LINT_EXAMPLES } from '../support/kube_lint_examples.ts'
import type { LintExample } from '../support/kube_lint_examples.ts'

const SEVERITIES = new Map<string, string>([
  ...REFUSED_CODES.map((code) => [code, 'refused'] as const),
  ...ERROR_CODES.map((code) => [code, 'error'] as const),
  ...WARNING_CODES.map((code) => [code, 'warning'] as const),
])

function findings(example: LintExample, lines: string): readonly LintFinding[] {
  const sources = readAuthenticationFile('example.yaml', exampleFile(example, lines))
  return sources.flatMap((source) => lintSource(source, exampleContext(example)).findings)
}

t.test('every code has an example, and every example a code', async (t) => {
  t.strictSame(
    LINT_EXAMPLES.map(({ code }) => code),
    [...SEVERITIES.keys()],
  )
})

t.test('there is nothing to say of the good file', async (t) => {
  t.strictSame(findings({ code: '', into: 'text', bad: '', good: '' }, GOOD_FILE), [])
})

for (const example of LINT_EXAMPLES) {
  const { code } = example
  t.test(`${code}: the bad example has it, the good one does not`, async (t) => {
    const told = findings(example, example.bad)
    const own = told.filter((finding) => finding.code === code)
    t.not(own.length, 0, `found ${told.map((finding) => finding.code).join(', ') || 'nothing'}`)
    t.strictSame(
      own.map(({ severity }) => severity),
      own.map(() => SEVERITIES.get(code)),
    )
    for (const { message, wayOut, place } of own) {
      t.not(message, '')
      t.not(wayOut, '')
      t.ok((place?.line ?? 0) > 0)
    }
    const mended = findings(example, example.good)
    const left = mended.filter((finding) => finding.code === code || finding.severity !== 'warning')
    t.strictSame(left, [])
  })
}
