// Seed 001's repository as a team has it: pull requests that publish, re-tag, remove and edit, reviewed by the command as its job
// starts it; and its SARIF against the schema of the standard.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { Ajv } from 'ajv'
import t from 'tap'
import type { Test } from 'tap'
import { gitRepository } from '../support/git_repository.ts'
import type { GitRepository } from '../support/git_repository.ts'
import { applicationYaml } from '../support/reviewed.ts'
import { sarifSchema } from '../support/sarif_schema.ts'

const MODULE = `apiVersion: opendepot.defdev.io/v1alpha1
kind: Module
metadata:
  name: terraform-aws-eks
  namespace: opendepot-system
spec:
  moduleConfig:
    name: terraform-aws-eks
    provider: aws
    repoOwner: my-org
    repoUrl: https://github.com/my-org/terraform-aws-eks
    fileFormat: zip
    immutable: true
    storageConfig:
      s3:
        bucket: my-org-opendepot-modules
        region: us-west-2
    githubClientConfig:
      useAuthenticatedClient: true
  versions:
    - version: "21.10.1"
    - version: "21.11.0"
    - version: "21.12.0"
    - version: "21.13.0" # added in PR #42
`
const FILE = 'modules/terraform-aws-eks.yaml'

/** The manifests of seed 001, with the Application beside them. */
function seed(): Readonly<Record<string, string>> {
  return {
    [FILE]: MODULE,
    'kustomization.yaml': `resources: [${FILE}]\n`,
    'argocd/application.yaml': applicationYaml(),
  }
}

type Reviewed = { readonly code: number; readonly stdout: string; readonly stderr: string }

async function review(repository: GitRepository, format: string): Promise<Reviewed> {
  const { promise, resolve } = Promise.withResolvers<Reviewed>()
  const main = join(import.meta.dirname, '../../src/main.ts')
  const args = [main, 'review', '--git', 'main...feature', '--format', format, '--', 'modules', 'argocd']
  const env = { PATH: process.env['PATH'] ?? '', HOME: repository.path }
  execFile(process.execPath, args, { cwd: repository.path, env, timeout: 60_000 }, (error, stdout, stderr) =>
    resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
  )
  return promise
}

/** A branch `feature` that changes the Module so. */
function pullRequest(test: Test, files: Readonly<Record<string, string | undefined>>): GitRepository {
  const repository = gitRepository(test)
  repository.commit(seed())
  repository.git('checkout', '--quiet', '-b', 'feature')
  repository.commit(files)
  return repository
}

/** Said once, beside the annotations: seed 001's repository holds no policy. */
const NO_POLICY = `warning: there is no ModulePolicy, so the rules of one are not asked (who may publish, pins, what never changes)
    -> name their folder beside the Modules', or --policy FILE
`
const APPEND = 'keep - version: "21.11.0" and add new versions below it'
const GLASS =
  'to unpublish for good: the annotation sallyport.dev/unpublish: "21.11.0: <reason>", applied by somebody with the verb unpublish (--may unpublish)'

t.test('a pull request that appends a version passes without an annotation', async (t) => {
  const repository = pullRequest(t, { [FILE]: `${MODULE}    - version: "21.14.0" # added in PR #43\n` })
  t.same(await review(repository, 'github'), { code: 0, stdout: '', stderr: NO_POLICY })
})

t.test('one that re-tags is annotated at the entry', async (t) => {
  const repository = pullRequest(t, { [FILE]: MODULE.replace('21.11.0', '21.11.1') })
  t.same(await review(repository, 'github'), {
    code: 1,
    stdout: `::error file=${FILE},line=22,col=7,title=WH-V3::Module opendepot-system/terraform-aws-eks: version 21.11.0 was published and is taken off spec.versions. Instead: ${APPEND}; ${GLASS}\n`,
    stderr: NO_POLICY,
  })
})

t.test('one that removes a version is annotated at the list', async (t) => {
  const repository = pullRequest(t, { [FILE]: MODULE.replace('    - version: "21.11.0"\n', '') })
  t.same(await review(repository, 'github'), {
    code: 1,
    stdout: `::error file=${FILE},line=20,col=3,title=WH-V1::Module opendepot-system/terraform-aws-eks: version 21.11.0 was published and is taken off spec.versions. Instead: ${APPEND}; ${GLASS}\n`,
    stderr: NO_POLICY,
  })
})

t.test('one that edits where versions come from is annotated at each field', async (t) => {
  const edited = MODULE.replace(
    'terraform-aws-eks\n    fileFormat: zip',
    'terraform-aws-eks-fork\n    fileFormat: zip',
  ).replace('bucket: my-org', 'bucket: evil')
  const { code, stdout } = await review(pullRequest(t, { [FILE]: edited }), 'github')
  t.equal(code, 1)
  t.match(stdout.split('\n'), [
    /^::error file=modules\/terraform-aws-eks\.yaml,line=11,col=5,title=WH-M2::/,
    /^::error file=modules\/terraform-aws-eks\.yaml,line=14,col=5,title=WH-M6::/,
    '',
  ])
})

t.test(
  'one that deletes the file is told what stays, and one that turns pruning on is stopped',
  async (t) => {
    const gone = await review(pullRequest(t, { [FILE]: undefined }), 'github')
    t.equal(gone.code, 0)
    t.match(
      gone.stdout,
      /^::warning file=modules\/terraform-aws-eks\.yaml,line=1,col=1,title=GIT-4::.* it stays in the cluster with all its versions/,
    )
    const pruning = { 'argocd/application.yaml': applicationYaml({ 'prune: false': 'prune: true' }) }
    const stopped = await review(pullRequest(t, pruning), 'github')
    t.equal(stopped.code, 1)
    t.match(stopped.stdout, /^::error file=argocd\/application\.yaml,line=17,col=7,title=ARGO-1::/)
    const both = await review(pullRequest(t, { ...pruning, [FILE]: undefined }), 'text')
    t.match(both, { code: 1, stdout: /deny WH-M12[^]*deny ARGO-1|deny ARGO-1[^]*deny WH-M12/ })
  },
)

const noNpm = !(process.env['PATH'] ?? '').split(delimiter).some((dir) => existsSync(join(dir, 'npm')))

t.test(
  'its SARIF is what the schema of the standard wants',
  { skip: noNpm ? 'npm is not on the PATH' : false },
  async (t) => {
    const validate = new Ajv({
      strict: false,
      allErrors: true,
      unicodeRegExp: false,
      validateFormats: false,
    }).compile(await sarifSchema())
    const changes = [
      {},
      { [FILE]: MODULE.replace('21.11.0', '21.11.1') },
      { [FILE]: undefined, 'argocd/application.yaml': applicationYaml({ 'prune: false': 'prune: true' }) },
      { 'modules/ä b#1.yaml': 'opendepot.defdev.io: [', [FILE]: MODULE.replace('zip', 'rar') },
    ]
    for (const files of changes) {
      const { stdout } = await review(pullRequest(t, files), 'sarif')
      t.ok(validate(JSON.parse(stdout)), JSON.stringify(validate.errors))
    }
    t.notOk(validate({ version: '2.1.0', runs: [{ results: [] }] }), 'its twin: a run without a tool')
  },
)
