// A folder with a kustomization is reviewed as it renders; one that would fetch something is not rendered, and refused.
import { createServer } from 'node:http'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import t from 'tap'
import { folder, runCli } from '../support/cli.ts'
import type { CliRun } from '../support/cli.ts'
import { gitRepository } from '../support/git_repository.ts'
import type { GitRepository } from '../support/git_repository.ts'
import { applicationYaml, moduleYaml } from '../support/reviewed.ts'

const OLD = moduleYaml(['1.0.0', '1.1.0'])
const NEW = moduleYaml(['1.0.0', '1.1.0', '1.2.0'])
const BAD = moduleYaml(['1.0.0'])
const KUSTOMIZATION = 'kustomization.yaml'

const PATH = process.env['PATH'] ?? ''
const kubectl = PATH.split(delimiter)
  .map((dir) => join(dir, 'kubectl'))
  .find((file) => existsSync(file))
const skip = kubectl === undefined ? 'kubectl is not on the PATH' : false

async function review({ path }: Pick<GitRepository, 'path'>, ...argv: readonly string[]): Promise<CliRun> {
  return runCli(['review', ...argv], { cwd: path, env: { PATH } })
}

t.test(
  'what a patch changes is reviewed, at the line of the file that it comes from',
  { skip },
  async (t) => {
    const repository = gitRepository(t)
    repository.commit({
      'modules/eks.yaml': OLD,
      [`modules/${KUSTOMIZATION}`]: 'resources: [eks.yaml]\nnamespace: team-a\n',
    })
    t.match(await review(repository, '--git', 'HEAD..HEAD', '--', 'modules'), {
      code: 0,
      stdout: /1 unchanged/,
    })
    repository.commit({
      [`modules/${KUSTOMIZATION}`]: `resources: [eks.yaml]\nnamespace: team-a\npatches:\n  - target: {kind: Module}\n    patch: '[{"op": "remove", "path": "/spec/versions/1"}]'\n`,
    })
    const denied = await review(repository, '--git', 'HEAD~1..HEAD', '--', 'modules')
    t.match(denied, {
      code: 1,
      stdout: /^modules\/eks\.yaml:\d+:\d+: deny WH-V1 .*Module team-a\/terraform-aws-eks: version 1\.1\.0/,
    })
    repository.commit({ 'modules/eks.yaml': moduleYaml(['1.0.1', '1.1.0']) })
    t.match(
      await review(repository, '--git', 'HEAD~1..HEAD', '--', 'modules'),
      {
        code: 1,
        stdout: /^modules\/eks\.yaml:14:7: deny WH-V3/,
      },
      'what is as it was written has its own line',
    )
  },
)

const layers = (text: string): Record<string, string> => ({
  'base/eks.yaml': text,
  [`base/${KUSTOMIZATION}`]: 'resources: [eks.yaml]\n',
  [`overlays/prod/${KUSTOMIZATION}`]: 'resources: [../../base]\nnamePrefix: prod-\n',
})

t.test('bases above the folder come along, from git and from disk', { skip }, async (t) => {
  const repository = gitRepository(t)
  repository.commit(layers(OLD))
  repository.commit(layers(BAD))
  const git = await review(repository, '--git', 'HEAD~1..HEAD', '--', 'overlays/prod')
  t.match(git, {
    code: 1,
    stdout:
      /overlays\/prod\/kustomization\.yaml:1:1: deny WH-V1 .*Module opendepot-system\/prod-terraform-aws-eks/,
  })
  const other = gitRepository(t)
  other.commit(layers(OLD))
  const disk = await review(repository, join(other.path, 'overlays/prod'), 'overlays/prod')
  t.match(disk, { code: 1, stdout: /deny WH-V1/ })
})

t.test('a file that the kustomization does not name is not applied, and not judged', { skip }, async (t) => {
  const repository = gitRepository(t)
  const list = { [`modules/${KUSTOMIZATION}`]: 'resources: [eks.yaml]\n', 'modules/eks.yaml': OLD }
  repository.commit({ ...list, 'modules/draft.yaml': moduleYaml(['1.0.0'], { 'aws-eks': 'aws-vpc' }) })
  repository.commit({ 'modules/draft.yaml': moduleYaml(['main'], { 'aws-eks': 'aws-vpc' }) })
  t.match(await review(repository, '--git', 'HEAD~1..HEAD', '--', 'modules'), {
    code: 0,
    stdout: /0 objects judged/,
  })
  repository.commit({ [`modules/${KUSTOMIZATION}`]: 'resources: [eks.yaml, draft.yaml]\n' })
  t.match(await review(repository, '--git', 'HEAD~1..HEAD', '--', 'modules'), {
    code: 1,
    stdout: /draft\.yaml:14:7: deny WH-V7/,
  })
})

t.test('the folder of an Application is rendered without being named', { skip }, async (t) => {
  const repository = gitRepository(t)
  const files = { 'apps/modules.yaml': applicationYaml(), 'modules/eks.yaml': OLD }
  repository.commit({ ...files, [`modules/${KUSTOMIZATION}`]: 'resources: [eks.yaml]\n' })
  repository.commit({ [`modules/${KUSTOMIZATION}`]: 'resources: []\n' })
  const { code, stdout } = await review(repository, '--git', 'HEAD~1..HEAD')
  t.equal(code, 0)
  t.match(
    stdout,
    /warn GIT-4: Module opendepot-system\/terraform-aws-eks: gone from the files, and Application my-org/,
  )
})

t.test(
  'nothing is fetched: each way of naming something remote is refused before anything runs',
  { skip },
  async (t) => {
    const asked: string[] = []
    const server = createServer((request, response) => {
      asked.push(request.url ?? '')
      response.end()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const dir = folder(t)
    for (const name of ['old', 'new']) {
      mkdirSync(join(dir, name))
      writeFileSync(join(dir, name, 'eks.yaml'), OLD)
    }
    const kustomized = async (text: string): Promise<CliRun> => {
      writeFileSync(join(dir, 'new', KUSTOMIZATION), text)
      return runCli(['review', 'old', 'new'], { cwd: dir, env: { PATH } })
    }
    const remotes = [
      `resources: [http://127.0.0.1:${port}/x.yaml]`,
      'resources: [https://example.com/x.yaml]',
      'resources: [github.com/acme/base]',
      'resources: ["git@github.com:acme/base"]',
      'resources: ["ssh://git@example.com/acme/base"]',
      'resources: ["example.com/acme/base.git//deploy?ref=main"]',
      `components: [http://127.0.0.1:${port}/c]`,
      `patches: [{path: "http://127.0.0.1:${port}/p.yaml"}]`,
      `configMapGenerator: [{name: x, files: ["http://127.0.0.1:${port}/f"]}]`,
      `crds: [http://127.0.0.1:${port}/crd.json]`,
      `openapi: {path: "http://127.0.0.1:${port}/o.json"}`,
    ]
    for (const remote of remotes) {
      const { code, stdout } = await kustomized(`${remote}\n`)
      t.equal(code, 2, remote)
      t.match(
        stdout,
        /^new\/kustomization\.yaml:1:1: deny GIT-8: .*a review fetches nothing: kustomization\.yaml names "/,
        remote,
      )
    }
    t.same(asked, [])
    const told = 'resources: [eks.yaml]\ncommonAnnotations: {docs: "https://example.com/docs"}\n'
    t.match(await kustomized(told), { code: 0 }, 'an annotation is nobody\u2019s address')
  },
)

t.test('a kustomization that does not build is refused where it is new', { skip }, async (t) => {
  const repository = gitRepository(t)
  const scratch = folder(t)
  const before = process.env['TMPDIR']
  process.env['TMPDIR'] = scratch
  t.teardown(() => {
    if (before === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = before
  })
  const base = repository.commit({
    'modules/eks.yaml': OLD,
    [`modules/${KUSTOMIZATION}`]: 'resources: [eks.yaml]\n',
  })
  const head = repository.commit({ [`modules/${KUSTOMIZATION}`]: 'resources: [nowhere.yaml]\n' })
  t.match(await review(repository, '--git', `${base}..${head}`, '--', 'modules'), {
    code: 2,
    stdout: /deny GIT-8: kubectl kustomize refuses this kustomization: /,
  })
  t.match(await review(repository, '--git', `${head}..${head}`, '--', 'modules'), {
    code: 0,
    stdout: /notice GIT-8/,
  })
  t.same(readdirSync(scratch), [], 'no copy is left behind')
})

t.test('plugins and charts of a kustomization are not run', { skip }, async (t) => {
  const repository = gitRepository(t)
  const base = repository.commit({
    'modules/eks.yaml': OLD,
    [`modules/${KUSTOMIZATION}`]: 'resources: [eks.yaml]\n',
  })
  const trap = join(folder(t), 'trapped')
  repository.commit({
    'modules/run.sh': `#!/bin/sh\ntouch ${trap}\n`,
    'modules/plugin.yaml': `apiVersion: v1\nkind: X\nmetadata:\n  name: x\n  annotations:\n    config.kubernetes.io/function: |\n      exec: {path: ./run.sh}\n`,
    [`modules/${KUSTOMIZATION}`]: 'resources: [eks.yaml]\ngenerators: [plugin.yaml]\n',
  })
  t.match(await review(repository, '--git', `${base}..HEAD`, '--', 'modules'), {
    code: 2,
    stdout: /deny GIT-8/,
  })
  t.notOk(existsSync(trap))
})

t.test('without kubectl the files are reviewed one by one, and that is said', async (t) => {
  const bin = folder(t)
  for (const name of ['git']) {
    const target = PATH.split(delimiter)
      .map((dir) => join(dir, name))
      .find((file) => existsSync(file))
    symlinkSync(target ?? '', join(bin, name))
  }
  const repository = gitRepository(t)
  repository.commit({ 'modules/eks.yaml': OLD, [`modules/${KUSTOMIZATION}`]: 'resources: [eks.yaml]\n' })
  repository.commit({ 'modules/eks.yaml': BAD })
  const run = await runCli(['review', '--git', 'HEAD~1..HEAD', '--', 'modules'], {
    cwd: repository.path,
    env: { PATH: bin },
  })
  t.match(run, {
    code: 1,
    stdout:
      /modules\/eks\.yaml:13:3: deny WH-V1[^]*notice GIT-8: this kustomization is not rendered \(kubectl is not on the PATH\)/,
  })
})

t.test('a kustomization in a folder that nobody named is told', async (t) => {
  const dir = folder(t)
  for (const state of ['old', 'new']) {
    for (const [name, text] of Object.entries({
      'a/eks.yaml': state === 'old' ? OLD : NEW,
      [`a/${KUSTOMIZATION}`]: 'resources: [eks.yaml]\n',
    })) {
      mkdirSync(dirname(join(dir, state, name)), { recursive: true })
      writeFileSync(join(dir, state, name), text)
    }
  }
  const run = await runCli(['review', 'old', 'new'], { cwd: dir, env: { PATH } })
  t.match(run, {
    code: 0,
    stdout:
      /^new\/a\/kustomization\.yaml:1:1: notice GIT-8: the files of this folder are reviewed one by one/,
  })
})

t.test('what makes Argo CD read a folder as something else does not come in silence', async (t) => {
  const repository = gitRepository(t)
  const base = repository.commit({
    'apps/modules.yaml': applicationYaml(),
    'modules/eks.yaml': OLD,
    'web/app.yaml': 'kind: Pod\n',
  })
  const cases = [
    [
      'modules/Chart.yaml',
      2,
      /^modules\/Chart\.yaml:1:1: deny GIT-8: with this file Argo CD takes the folder for a Helm chart/,
    ],
    ['modules/.argocd-source-x.yaml', 2, /deny GIT-8: this file overrides how Argo CD makes the manifests/],
    ['modules/x.jsonnet', 0, /warn GIT-8: Argo CD evaluates this Jsonnet/],
    ['web/Chart.yaml', 0, /^review: nothing denied: 0 objects judged/],
  ] as const
  for (const [name, code, says] of cases) {
    repository.git('checkout', '--quiet', '--force', base)
    const head = repository.commit({ [name]: 'name: x\n' })
    t.match(await review(repository, '--git', `${base}..${head}`), { code, stdout: says }, name)
    t.match(
      await review(repository, '--git', `${head}..${head}`),
      { code: 0 },
      'where it stood before it is told',
    )
  }
})

t.test('a folder that is not named and that no Application applies is read file by file', async (t) => {
  const repository = gitRepository(t)
  repository.commit({
    'modules/eks.yaml': OLD,
    [KUSTOMIZATION]: 'resources: [modules/eks.yaml]\nnamespace: other\n',
  })
  repository.commit({ 'modules/eks.yaml': BAD })
  const run = await review(repository, '--git', 'HEAD~1..HEAD')
  t.match(run, { code: 1, stdout: /^modules\/eks\.yaml:13:3: deny WH-V1 .*Module opendepot-system\// })
  const named = await review(repository, '--git', 'HEAD~1..HEAD', '--', '.')
  t.match(named, {
    code: 1,
    stdout: kubectl === undefined ? /opendepot-system/ : /deny WH-V1 .*Module other\//,
  })
})

t.test('a base is not applied beside the overlay that is made from it', { skip }, async (t) => {
  const repository = gitRepository(t)
  const application = applicationYaml({ 'path: modules': 'path: overlays/prod' })
  repository.commit({ ...layers(OLD), 'apps/modules.yaml': application })
  repository.commit(layers(NEW))
  t.match(await review(repository, '--git', 'HEAD~1..HEAD'), {
    code: 0,
    stdout: /: 1 object judged, 1 unchanged, 0 denials/,
  })
})
