// docs/review.md: its jobs run as they stand, its settings of Argo CD pass, and its tables name every rule there is.
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { ARGO_RULE_IDS } from '../../src/core/review/argo/argo_rule.ts'
import { TREE_RULE_IDS } from '../../src/core/review/review_finding.ts'
import { folder, runCli } from '../support/cli.ts'
import { gitRepository } from '../support/git_repository.ts'
import type { GitRepository } from '../support/git_repository.ts'
import { applicationYaml, ledgerEntry, moduleYaml, reviewed, told } from '../support/reviewed.ts'

const page = readFileSync(new URL('../../docs/review.md', import.meta.url), 'utf8')
const blocks = [...page.matchAll(/```(sh|yaml|text)\n([\s\S]*?)```/g)].map(([, kind = '', text = '']) => ({
  kind,
  text,
}))
const PATH = process.env['PATH'] ?? ''

const main = join(import.meta.dirname, '../../src/main.ts')

type Ran = { readonly code: number; readonly output: string }

/** One line of a job, with `sallyport` on the PATH. */
async function typed(
  line: string,
  cwd: string,
  bin: string,
  env: Readonly<Record<string, string>>,
): Promise<Ran> {
  mkdirSync(bin, { recursive: true })
  writeFileSync(join(bin, 'sallyport'), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`, {
    mode: 0o755,
  })
  const { promise, resolve } = Promise.withResolvers<Ran>()
  const options = { cwd, env: { PATH: `${bin}${delimiter}${PATH}`, HOME: bin, ...env }, timeout: 60_000 }
  execFile('/bin/sh', ['-e', '-c', line], options, (error, stdout, stderr) =>
    resolve({ code: error === null ? 0 : Number(error.code), output: `${stdout}${stderr}` }),
  )
  return promise
}

type Proposal = { readonly repository: GitRepository; readonly base: string; readonly head: string }

/** A branch that adds a version, or takes one away, in a clone whose origin has the main branch. */
function proposal(t: Parameters<typeof folder>[0], versions: readonly string[]): Proposal {
  const repository = gitRepository(t)
  const base = repository.commit({
    'modules/terraform-aws-eks.yaml': moduleYaml(['21.10.1', '21.11.0']),
    'apps/modules.yaml': applicationYaml(),
    'policies/README.md': 'none yet',
  })
  repository.git('update-ref', 'refs/remotes/origin/main', base)
  repository.git('checkout', '--quiet', '-b', 'feature')
  const head = repository.commit({ 'modules/terraform-aws-eks.yaml': moduleYaml(versions) })
  return { repository, base, head }
}

const APPENDED = ['21.10.1', '21.11.0', '21.12.0']
const RETAGGED = ['21.10.1', '21.11.1']

function record(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw new Error('no mapping')
  return Object.fromEntries(Object.entries(value))
}

t.test(
  'the job for GitLab passes what adds a version, and stops what re-tags one with a report',
  async (t) => {
    const text = blocks.find((block) => block.text.startsWith('review-modules:'))?.text ?? ''
    const job = record(record(parse(text))['review-modules'])
    const [line] = Object.values(record(job['script']))
    for (const [versions, code] of [
      [APPENDED, 0],
      [RETAGGED, 1],
    ] as const) {
      const { repository, base, head } = proposal(t, versions)
      const env = { CI_MERGE_REQUEST_DIFF_BASE_SHA: base, CI_COMMIT_SHA: head }
      const ran = await typed(String(line), repository.path, folder(t), env)
      t.equal(ran.code, code, ran.output)
      const report: unknown = JSON.parse(readFileSync(join(repository.path, 'gl-code-quality.json'), 'utf8'))
      if (code === 0) t.same(report, [])
      else
        t.match(report, [
          { check_name: 'WH-V3', location: { path: 'modules/terraform-aws-eks.yaml', lines: { begin: 15 } } },
        ])
    }
    t.match(job, { artifacts: { reports: { codequality: 'gl-code-quality.json' } } })
  },
)

t.test('the job for GitHub annotates, and leaves a file for the code scanning page', async (t) => {
  const text = blocks.find((block) => block.text.includes('upload-sarif'))?.text ?? ''
  const steps = Object.values(record(record(record(record(parse(text))['jobs'])['modules'])['steps'])).map(
    record,
  )
  const lines = steps.flatMap(({ run }) => (typeof run === 'string' ? [run] : []))
  t.equal(lines.length, 2)
  for (const [versions, code] of [
    [APPENDED, 0],
    [RETAGGED, 1],
  ] as const) {
    const { repository } = proposal(t, versions)
    const env = { GITHUB_BASE_REF: 'main', GITHUB_WORKSPACE: repository.path }
    const ran = await typed(lines.join('\n'), repository.path, folder(t), env)
    t.equal(ran.code, code, ran.output)
    t.match(
      ran.output,
      // This repository has no policies.
      code === 0
        ? /^warning: neither commit has a manifest at "policies"\nwarning: there is no ModulePolicy/
        : /^::error file=modules\/terraform-aws-eks\.yaml,line=15,col=7,title=WH-V3::/,
    )
    t.match(JSON.parse(readFileSync(join(repository.path, 'review.sarif'), 'utf8')), { version: '2.1.0' })
  }
  t.match(steps.at(-1), { with: { sarif_file: 'review.sarif' } })
})

t.test('the other lines run as they stand', async (t) => {
  const { repository } = proposal(t, RETAGGED)
  const first = blocks.find(({ kind }) => kind === 'sh')
  const ran = await typed(first?.text ?? '', repository.path, folder(t), {})
  t.match(ran, { code: 1, output: /^modules\/terraform-aws-eks\.yaml:15:7: deny WH-V3/ })
  for (const name of ['old', 'new']) mkdirSync(join(repository.path, name))
  const last = blocks.findLast(({ kind }) => kind === 'sh')?.text ?? ''
  t.match(await typed(last, repository.path, folder(t), {}), { code: 0 })
  t.ok(existsSync(join(repository.path, 'review.json')))
})

t.test('what the page shows is what is printed', async (t) => {
  const shown = blocks.find(({ kind }) => kind === 'text')?.text ?? ''
  const dir = folder(t)
  for (const [name, versions] of [
    ['old', ['21.10.1', '21.11.0']],
    ['new', RETAGGED],
  ] as const) {
    mkdirSync(join(dir, name))
    writeFileSync(join(dir, name, 'a.yaml'), moduleYaml(versions))
  }
  const { stdout } = await runCli(['review', 'old', 'new'], { cwd: dir, env: { PATH } })
  t.equal(stdout.replaceAll(/(?:old|new)\/a\.yaml/g, 'modules/terraform-aws-eks.yaml'), shown)
})

t.test('both ways for CI and Argo CD to write one Module pass where the base does not', async (t) => {
  const ways = blocks.filter(({ text }) => text.startsWith('spec:\n'))
  t.equal(ways.length, 2)
  const files = { 'modules/eks.yaml': moduleYaml(['21.10.1', '21.11.0']) }
  const ledger = ['21.10.1', '21.11.0', '21.12.0'].map((version) => ledgerEntry(version))
  const said = (application: string): readonly string[] => {
    const crd = readFileSync(new URL('../../deploy/crds/opendepot/modules.yaml', import.meta.url), 'utf8')
    return told(
      reviewed({
        before: files,
        after: { ...files, 'apps/a.yaml': application },
        ledger,
        around: { 'crd.yaml': crd },
      }),
    )
  }
  t.match(said(applicationYaml()), [/deny ARGO-3/, /notice ARGO-6/])
  const base = applicationYaml().replace(/ {2}syncPolicy:[\s\S]*$/, '')
  for (const { text } of ways) {
    const merged = `${base}${text.replace(/^spec:\n/, '')}`
    t.equal(
      parseAllDocuments(merged).flatMap((document) => ('errors' in document ? document.errors : [])).length,
      0,
    )
    t.same(
      said(merged).filter((line) => !line.includes(' notice ')),
      [],
    )
  }
})

t.test('the tables have a line for each rule', async (t) => {
  for (const rule of [...TREE_RULE_IDS, ...ARGO_RULE_IDS]) t.match(page, `\`${rule}\``)
})
