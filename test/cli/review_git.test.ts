// Both states from git, as a job of a pull request has them: ranges, hostile names, and what git holds that is no file.
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { folder, runCli } from '../support/cli.ts'
import type { CliRun } from '../support/cli.ts'
import { gitRepository } from '../support/git_repository.ts'
import type { GitRepository } from '../support/git_repository.ts'
import { moduleYaml } from '../support/reviewed.ts'

const OLD = moduleYaml(['1.0.0', '1.1.0'])
const NEW = moduleYaml(['1.0.0', '1.1.0', '1.2.0'])
const BAD = moduleYaml(['1.0.0'])
const FILE = 'modules/eks.yaml'

async function review({ path }: Pick<GitRepository, 'path'>, ...argv: readonly string[]): Promise<CliRun> {
  return runCli(['review', ...argv], { cwd: path, env: { PATH: process.env['PATH'] ?? '' } })
}

t.test('a range of commits: what the branch changes, and nothing from the work tree', async (t) => {
  const repository = gitRepository(t)
  const base = repository.commit({ [FILE]: OLD, 'src/app.ts': 'x' })
  const good = repository.commit({ [FILE]: NEW })
  repository.commit({ [FILE]: BAD })
  writeFileSync(join(repository.path, FILE), 'not even YAML: [')
  t.match(await review(repository, '--git', `${base}..${good}`, '--', 'modules'), {
    code: 0,
    stdout: /1 object judged/,
  })
  const denied = await review(repository, '--git', 'HEAD~1..HEAD')
  t.equal(denied.code, 1)
  t.match(denied.stdout, /modules\/eks\.yaml:13:3: deny WH-V1/)
  t.match(await review(repository, '--git', `${base}..`), { code: 1 }, 'no end is HEAD')
})

t.test('three dots begin where both parted, as a pull request does', async (t) => {
  const repository = gitRepository(t)
  repository.commit({ [FILE]: OLD })
  repository.git('checkout', '--quiet', '-b', 'feature')
  repository.commit({ 'README.md': 'x' })
  repository.git('checkout', '--quiet', 'main')
  repository.commit({ [FILE]: NEW })
  t.match(await review(repository, '--git', 'main...feature'), { code: 0, stdout: /0 objects judged/ })
  t.match(
    await review(repository, '--git', 'main..feature'),
    { code: 1, stdout: /deny WH-V1/ },
    'its twin compares the ends',
  )
})

t.test('the first commit of a repository is compared with nothing', async (t) => {
  const repository = gitRepository(t)
  repository.commit({ [FILE]: moduleYaml(['1.0.0', 'main']) })
  t.match(await review(repository, '--git', `${'0'.repeat(40)}..HEAD`), {
    code: 1,
    stdout: /:15:7: deny WH-V7/,
  })
})

t.test('paths are of the current folder, and one that is nowhere is a mistake', async (t) => {
  const repository = gitRepository(t)
  repository.commit({ 'a/modules/eks.yaml': OLD, 'b/modules/eks.yaml': OLD })
  repository.commit({ 'a/modules/eks.yaml': NEW, 'b/modules/eks.yaml': BAD })
  t.match(await review(repository, '--git', 'HEAD~1..HEAD', '--', 'a'), { code: 0 })
  t.match(await review(repository, '--git', 'HEAD~1..HEAD', '--', 'b/modules/eks.yaml'), { code: 1 })
  const inFolder = { path: join(repository.path, 'b') }
  t.match(await review(inFolder, '--git', 'HEAD~1..HEAD', '--', 'modules'), {
    code: 1,
    stdout: /b\/modules\/eks\.yaml:13/,
  })
  t.match(await review(repository, '--git', 'HEAD~1..HEAD', '--', 'moduls'), {
    code: 2,
    stderr: 'error: neither commit has a manifest at "moduls"\n',
  })
  t.match(await review(repository, '--git', 'HEAD~1..HEAD', '--', 'a', 'polices'), {
    code: 0,
    stderr: /^warning: neither commit has a manifest at "polices"\n/,
  })
  t.match(await review(repository, '--git', 'HEAD~1..HEAD', '--', '../..'), {
    code: 2,
    stderr: /is outside of the repository/,
  })
})

t.test('a range that names no commits says so', async (t) => {
  const repository = gitRepository(t)
  repository.commit({ [FILE]: OLD })
  const cases: readonly (readonly [string, RegExp])[] = [
    ['HEAD', /--git wants BASE\.\.HEAD/],
    [
      'nowhere..HEAD',
      /"nowhere" is no commit of this clone: fetch it \(GitHub: fetch-depth: 0, GitLab: GIT_DEPTH: 0\)/,
    ],
    ['--output=/tmp/x..HEAD', /"--output=\/tmp\/x" names no commit/],
    ['HEAD..-x', /"-x" names no commit/],
    ['a b..HEAD', /"a b" names no commit/],
    [`HEAD:${FILE}..HEAD`, /is no commit of this clone/],
  ]
  for (const [range, says] of cases) {
    t.match(await review(repository, `--git=${range}`), { code: 2, stdout: '', stderr: says }, range)
  }
  t.match(await review({ path: folder(t) }, '--git', 'HEAD..HEAD'), {
    code: 2,
    stderr: 'error: this is no git repository\n',
  })
})

t.test('branches of two histories have nothing in common', async (t) => {
  const repository = gitRepository(t)
  repository.commit({ [FILE]: OLD })
  repository.git('checkout', '--quiet', '--orphan', 'other')
  repository.commit({ [FILE]: BAD })
  t.match(await review(repository, '--git', 'main...other'), {
    code: 2,
    stderr: /have no common commit in this clone/,
  })
  t.match(await review(repository, '--git', 'main..other'), { code: 1, stdout: /deny WH-V1/ })
})

const edit = (index: number): Readonly<Record<string, string>> => ({
  'terraform-aws-eks': `terraform-aws-${index}`,
})

t.test('no name of a file or a branch is an option, a pattern or another line', async (t) => {
  const repository = gitRepository(t)
  const names = [
    '--upload-pack=x.yaml',
    '-.yaml',
    'a\nb.yaml',
    'a\tb.yaml',
    ':(exclude)x.yaml',
    '*.yaml',
    'ä"$(x).yaml',
    '\u202Eevil.yaml',
  ]
  const all = (versions: readonly string[]): Record<string, string> =>
    Object.fromEntries(names.map((name, index) => [name, moduleYaml(versions, edit(index))]))
  repository.commit(all(['1.0.0', '1.1.0']))
  repository.commit(all(['1.0.0']))
  repository.git('branch', 'a;touch${IFS}x')
  const { code, stdout } = await review(repository, '--git', 'HEAD~1..a;touch${IFS}x', '--format', 'json')
  t.equal(code, 1)
  const { findings }: { findings: { rule: string; place: { file: string } }[] } = JSON.parse(stdout)
  t.same(
    findings.map(({ rule, place }) => `${rule} ${place.file}`).toSorted(),
    names.map((name) => `WH-V1 ${name}`).toSorted(),
  )
  const text = await review(
    repository,
    '--git',
    'HEAD~1..HEAD',
    '--',
    '--upload-pack=x.yaml',
    ':(exclude)x.yaml',
    '*.yaml',
  )
  t.equal(
    text.stdout.split('\n').filter((line) => line.includes('deny WH-V1')).length,
    3,
    'each path is itself',
  )
  t.notMatch((await review(repository, '--git', 'HEAD~1..HEAD')).stdout, '\u202E')
})

t.test('a submodule, a link that leads out and an LFS pointer are told', async (t) => {
  const repository = gitRepository(t)
  const base = repository.commit({ [FILE]: OLD })
  repository.git('update-index', '--add', '--cacheinfo', `160000,${base},vendor`)
  repository.git('commit', '--quiet', '--message=submodule')
  t.match(await review(repository, '--git', `${base}..HEAD`), {
    code: 2,
    stdout: /^vendor:1:1: deny GIT-5: this is a submodule \(commit [0-9a-f]{12}\)/,
  })
  t.match(await review(repository, '--git', `${base}..HEAD`, '--', 'modules'), {
    code: 0,
    stdout: /0 objects judged/,
  })
  t.match(
    await review(repository, '--git', 'HEAD..HEAD'),
    { code: 0, stdout: /^vendor:1:1: notice GIT-5/ },
    'it stood before',
  )
})

t.test('a link is read as the file of the same commit that it leads to', async (t) => {
  const repository = gitRepository(t)
  repository.commit({ [FILE]: OLD })
  repository.link(FILE, '../parts/eks.txt')
  repository.commit({ 'parts/eks.txt': BAD })
  t.match(await review(repository, '--git', 'HEAD~1..HEAD', '--', 'modules'), {
    code: 1,
    stdout: /^modules\/eks\.yaml:13:3: deny WH-V1/,
  })
  repository.link('modules/out.yaml', '/etc/passwd')
  repository.link('modules/loop.yaml', 'loop.yaml')
  repository.commit({})
  const { code, stdout } = await review(repository, '--git', 'HEAD~1..HEAD')
  t.equal(code, 2)
  t.match(
    stdout,
    /modules\/loop\.yaml:1:1: deny GIT-5: this is a link to something that is no file of this commit/,
  )
  t.match(stdout, /modules\/out\.yaml:1:1: deny GIT-5/)
})

t.test('what the repository is configured to run is not run', async (t) => {
  const repository = gitRepository(t)
  repository.commit({ [FILE]: OLD, '.gitattributes': '*.yaml filter=evil diff=evil textconv=evil\n' })
  repository.commit({ [FILE]: NEW })
  const trap = join(repository.path, 'trapped')
  for (const key of [
    'core.fsmonitor',
    'core.pager',
    'filter.evil.smudge',
    'diff.evil.textconv',
    'core.sshCommand',
  ]) {
    repository.git('config', key, `touch ${trap}; cat`)
  }
  mkdirSync(join(repository.path, '.git/hooks'), { recursive: true })
  writeFileSync(join(repository.path, '.git/hooks/post-checkout'), `#!/bin/sh\ntouch ${trap}\n`, {
    mode: 0o755,
  })
  t.match(await review(repository, '--git', 'HEAD~1..HEAD'), { code: 0, stdout: /1 object judged/ })
  t.throws(() => execFileSync('ls', [trap], { stdio: 'ignore' }), 'nothing was run')
})

t.test('a commit that is put in the place of another changes nothing', async (t) => {
  const repository = gitRepository(t)
  const old = repository.commit({ [FILE]: OLD })
  const bad = repository.commit({ [FILE]: BAD })
  repository.git('replace', old, bad)
  t.match(await review(repository, '--git', `${old}..${bad}`), { code: 1, stdout: /deny WH-V1/ })
})

t.test('a clone without its files says so and fetches nothing', async (t) => {
  const origin = gitRepository(t)
  origin.commit({ [FILE]: OLD })
  origin.commit({ [FILE]: BAD })
  origin.git('config', 'uploadpack.allowFilter', 'true')
  const path = join(folder(t), 'clone')
  execFileSync('git', [
    'clone',
    '--quiet',
    '--filter=blob:none',
    '--no-checkout',
    `file://${origin.path}`,
    path,
  ])
  t.match(await review({ path }, '--git', 'HEAD~1..HEAD'), { code: 2, stdout: '', stderr: /^error: / })
  execFileSync('git', ['checkout', '--quiet', 'HEAD~1'], { cwd: path })
  execFileSync('git', ['checkout', '--quiet', 'main'], { cwd: path })
  t.match(
    await review({ path }, '--git', 'HEAD~1..HEAD'),
    { code: 1, stdout: /deny WH-V1/ },
    'its twin has been fetched',
  )
})

t.test('without git there is no reading of it', async (t) => {
  const { path } = gitRepository(t)
  const run = await runCli(['review', '--git', 'a..b'], { cwd: path, env: { PATH: folder(t) } })
  t.match(run, { code: 2, stderr: 'error: git cannot be started: ENOENT\n' })
})
