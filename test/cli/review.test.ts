// The command: two files or folders, what is given beside them, formats, exit codes, and what is no good.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { folder, runCli } from '../support/cli.ts'
import type { CliRun } from '../support/cli.ts'
import { argo } from '../support/module_changes.ts'
import { applicationYaml, moduleYaml } from '../support/reviewed.ts'

const OLD = moduleYaml(['1.0.0', '1.1.0'])
const NEW = moduleYaml(['1.0.0', '1.1.0', '1.2.0'])
const BAD = moduleYaml(['1.0.0'])

type World = {
  readonly dir: string
  readonly review: (...argv: readonly string[]) => Promise<CliRun>
}

/** A folder with these files, and the command in it. */
function world(t: Test, files: Readonly<Record<string, string>>, stdin = ''): World {
  const dir = folder(t)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true })
    writeFileSync(join(dir, name), text)
  }
  const env = { PATH: process.env['PATH'] ?? '' }
  return { dir, review: async (...argv) => runCli(['review', ...argv], { cwd: dir, stdin, env }) }
}

t.test('two files: nothing denied is 0, a denial is 1', async (t) => {
  const { review } = world(t, { 'old.yaml': OLD, 'new.yaml': NEW, 'bad.yaml': BAD })
  t.same(await review('old.yaml', 'new.yaml'), {
    code: 0,
    stdout: 'review: nothing denied: 1 object judged, 0 unchanged, 0 denials, 0 warnings, 0 notices\n',
    stderr:
      'warning: there is no ModulePolicy, so the rules of one are not asked (who may publish, pins, what never changes)\n' +
      "    -> name their folder beside the Modules', or --policy FILE\n",
  })
  const denied = await review('old.yaml', 'bad.yaml')
  t.equal(denied.code, 1)
  t.match(
    denied.stdout,
    /^bad\.yaml:13:3: deny WH-V1 \(spec\.versions\): .* \[it stood at old\.yaml:15:7\]\n/,
  )
})

t.test('with a policy, beside the Modules or by --policy, nothing warns', async (t) => {
  const policy = `apiVersion: sallyport.dev/v1alpha1\nkind: ModulePolicy\nmetadata: {name: p}\nspec: {selector: {}}\n`
  const { review } = world(t, {
    'old/vpc.yaml': OLD,
    'old/policy.yaml': policy,
    'new/vpc.yaml': NEW,
    'new/policy.yaml': policy,
    'policy.yaml': policy,
  })
  t.match(await review('old', 'new'), { code: 0, stderr: '' })
  t.match(await review('old/vpc.yaml', 'new/vpc.yaml', '--policy', 'policy.yaml'), { code: 0, stderr: '' })
})

t.test('a file without what it is named for is refused, since the verdict would be another', async (t) => {
  const { dir, review } = world(t, {
    'old.yaml': OLD,
    'new.yaml': NEW,
    'typo.yaml': 'apiVersion: sallyport.dev/v1alpha1\nkind: ModulePolcy\nmetadata: {name: p}\n',
  })
  mkdirSync(join(dir, 'empty'))
  for (const name of ['empty', 'typo.yaml', 'old.yaml']) {
    t.match(await review('old.yaml', 'new.yaml', '--policy', name), {
      code: 2,
      stderr: `error: --policy: there is no ModulePolicy in ${name}\n`,
    })
  }
  t.match(await review('old.yaml', 'new.yaml', '--application', 'old.yaml'), {
    code: 2,
    stderr: 'error: --application: there is no Application, ApplicationSet or AppProject in old.yaml\n',
  })
})

t.test('two folders: files of both are compared by what they hold', async (t) => {
  const { review } = world(t, {
    'old/modules/a.yaml': OLD,
    'new/elsewhere/b.yml': BAD,
    'new/README.md': 'opendepot.defdev.io',
    'new/elsewhere/c.json': '{"kind": "ConfigMap"}',
  })
  const { code, stdout } = await review('old', 'new/')
  t.equal(code, 1)
  t.match(stdout, /^new\/elsewhere\/b\.yml:13:3: deny WH-V1/)
  t.match(stdout, /notice GIT-3: .*moved here from old\/modules\/a\.yaml:1/)
})

t.test('standard input is one of both, and nothing at all is an old state, too', async (t) => {
  const { review } = world(t, { 'old.yaml': OLD }, BAD)
  t.match(await review('old.yaml', '-'), { code: 1, stdout: /^stdin:13:3: deny WH-V1/ })
  t.match(await review('-', 'old.yaml'), { code: 0 })
  t.match(await review('/dev/null', 'old.yaml'), { code: 0, stdout: /1 object judged/ })
  t.match(await review('-', '-'), { code: 2, stderr: /standard input can be one of the files, not two/ })
})

t.test('who asks is said in each of the forms in which Kubernetes says it', async (t) => {
  const policy = `apiVersion: sallyport.dev/v1alpha1\nkind: ModulePolicy\nmetadata: {name: p}\nspec: {selector: {}}\n`
  const { dir, review } = world(t, { 'old.yaml': OLD, 'new.yaml': NEW, 'policy.yaml': policy })
  const forms = {
    'whoami.json': { kind: 'SelfSubjectReview', status: { userInfo: argo } },
    'token_review.json': { kind: 'TokenReview', status: { authenticated: true, user: argo } },
    'admission.json': { kind: 'AdmissionReview', request: { userInfo: argo } },
    'user.json': argo,
  }
  for (const [name, value] of Object.entries(forms)) {
    writeFileSync(join(dir, name), JSON.stringify(value))
    const run = await review('old.yaml', 'new.yaml', '--policy', 'policy.yaml', '--user', name)
    t.match(
      run,
      { code: 1, stdout: /deny WH-P1 .*"system:serviceaccount:argocd:argocd-application-controller"/ },
      name,
    )
  }
  t.match(await review('old.yaml', 'new.yaml', '--policy', 'policy.yaml'), { code: 0 }, 'nobody knows who')
  const listed = policy.replace(
    'selector: {}',
    `selector: {}, identities: {gitops: {users: ['${argo.username}']}}`,
  )
  writeFileSync(join(dir, 'policy.yaml'), listed)
  t.match(await review('old.yaml', 'new.yaml', '--policy', 'policy.yaml', '--user', 'user.json'), { code: 0 })
  writeFileSync(join(dir, 'user.json'), '{"groups": []}')
  t.match(await review('old.yaml', 'new.yaml', '--user', 'user.json'), {
    code: 2,
    stderr: 'error: --user: user.json: it has no username: give what kubectl auth whoami -o json prints\n',
  })
})

t.test('the ledger remembers what both files have forgotten', async (t) => {
  const line = {
    kind: 'Module',
    namespace: 'opendepot-system',
    name: 'terraform-aws-eks',
    version: '1.2.0',
    state: 'unpublished',
    immutable: true,
  }
  const { dir, review } = world(t, {
    'old.yaml': OLD,
    'new.yaml': NEW,
    'ledger.jsonl': `${JSON.stringify(line)}\n\n`,
  })
  t.match(await review('old.yaml', 'new.yaml', '--ledger', 'ledger.jsonl'), {
    code: 1,
    stdout: /^new\.yaml:16:7: deny WH-V2/,
  })
  writeFileSync(join(dir, 'ledger.jsonl'), `${JSON.stringify({ ...line, name: 'other' })}\n`)
  t.match(await review('old.yaml', 'new.yaml', '--ledger', 'ledger.jsonl'), { code: 0 })
  writeFileSync(join(dir, 'ledger.jsonl'), `${JSON.stringify(line)}\n{"kind": "Pod"}\n`)
  t.match(await review('old.yaml', 'new.yaml', '--ledger', 'ledger.jsonl'), {
    code: 2,
    stderr: /^error: --ledger: ledger\.jsonl: line 2: /,
  })
})

t.test('policies come from files and folders, and one that cannot be meant ends the review', async (t) => {
  const { dir, review } = world(t, {
    'old.yaml': OLD,
    'bad.yaml': BAD,
    'policies/a.yaml': `apiVersion: sallyport.dev/v1alpha1\nkind: ModulePolicy\nmetadata: {name: p}\nspec: {selector: {}, modes: {WH-V1: warn}}\n`,
  })
  t.match(await review('old.yaml', 'bad.yaml', '--policy', 'policies'), { code: 0, stdout: /warn WH-V1/ })
  writeFileSync(
    join(dir, 'policies/b.yaml'),
    `apiVersion: sallyport.dev/v1alpha1\nkind: ModulePolicy\nmetadata: {name: q}\nspec: {selector: {}, modes: {WH-V99: warn}}\n`,
  )
  t.match(await review('old.yaml', 'bad.yaml', '--policy', 'policies'), {
    code: 2,
    stderr: /^error: --policy: policies\/b\.yaml:1:1: spec\.modes is not /,
  })
})

t.test('who deletes, who may, and where: --prune, --may, --application, -n', async (t) => {
  const annotated = BAD.replace(
    'metadata:\n',
    'metadata:\n  annotations: {sallyport.dev/unpublish: "1.1.0: leaked a key"}\n',
  )
  const { review } = world(t, {
    'old.yaml': OLD,
    'annotated.yaml': annotated,
    'empty.yaml': '',
    'app.yaml': applicationYaml({ 'prune: false': 'prune: true' }),
    'bare_old.yaml': OLD.replace('  namespace: opendepot-system\n', ''),
  })
  t.match(await review('old.yaml', 'empty.yaml'), { code: 0, stdout: /notice GIT-4/ })
  t.match(await review('old.yaml', 'empty.yaml', '--prune'), { code: 1, stdout: /deny WH-M12/ })
  t.match(await review('old.yaml', 'empty.yaml', '--application', 'app.yaml'), {
    code: 1,
    stdout: /deny WH-M12/,
  })
  t.match(await review('old.yaml', 'annotated.yaml'), { code: 1 })
  t.match(await review('old.yaml', 'annotated.yaml', '--may', 'unpublish'), {
    code: 0,
    stdout: /notice WH-V1/,
  })
  t.match(await review('old.yaml', 'annotated.yaml', '--may', 'delete'), {
    code: 2,
    stderr: /--may is "delete": write unpublish or migrate/,
  })
  t.match(await review('bare_old.yaml', 'annotated.yaml', '-n', 'opendepot-system'), {
    code: 1,
    stdout: /deny WH-V1/,
  })
})

t.test('each format has the same findings', async (t) => {
  const { review } = world(t, { 'old.yaml': OLD, 'bad.yaml': BAD })
  const run = async (format: string): Promise<string> => {
    const { code, stdout } = await review('old.yaml', 'bad.yaml', '--format', format)
    t.equal(code, 1, format)
    return stdout
  }
  t.match(JSON.parse(await run('json')), {
    verdict: 'denied',
    findings: [{ rule: 'WH-V1', place: { file: 'bad.yaml' } }],
  })
  t.match(JSON.parse(await run('sarif')), { version: '2.1.0', runs: [{ results: [{ ruleId: 'WH-V1' }] }] })
  t.match(JSON.parse(await run('gitlab')), [
    { check_name: 'WH-V1', location: { path: 'bad.yaml', lines: { begin: 13 } } },
  ])
  t.match(await run('github'), /^::error file=bad\.yaml,line=13,col=3,title=WH-V1::/)
  t.match(await review('old.yaml', 'bad.yaml', '--format', 'xml'), { code: 2, stderr: /Allowed choices are/ })
})

t.test('what is no good is said in a line, with exit code 2', async (t) => {
  const { review } = world(t, { 'old.yaml': OLD, 'broken.yaml': `${OLD}  x: [\n` })
  t.match(await review('old.yaml'), { code: 2, stderr: /name OLD and NEW, or --git BASE\.\.HEAD/ })
  t.match(await review('old.yaml', 'nowhere.yaml'), {
    code: 2,
    stderr: /^error: nowhere\.yaml cannot be read \(ENOENT\)/,
  })
  t.match(await review('old.yaml', 'broken.yaml'), { code: 2, stdout: /deny GIT-1: this cannot be read/ })
  t.match(await review('broken.yaml', 'broken.yaml'), { code: 0, stdout: /notice GIT-1/ })
  t.match(await review('old.yaml', 'old.yaml', '--policy', 'broken.yaml'), {
    code: 2,
    stderr: /^error: --policy: broken\.yaml:\d+:\d+: /,
  })
})

t.test('a denial wins over what could not be read', async (t) => {
  const { review } = world(t, {
    'old/a.yaml': OLD,
    'new/a.yaml': BAD,
    'new/b.yaml': 'opendepot.defdev.io: [',
  })
  t.match(await review('old', 'new'), {
    code: 1,
    stdout: /deny WH-V1[^]*deny GIT-1|deny GIT-1[^]*deny WH-V1/,
  })
})

t.test('links are followed inside of the folder and told outside of it', async (t) => {
  const { dir, review } = world(t, { 'old/a.yaml': OLD, 'new/real/a.txt': BAD, 'outside.yaml': BAD })
  symlinkSync('real/a.txt', join(dir, 'new/a.yaml'))
  t.match(await review('old', 'new'), { code: 1, stdout: /^new\/a\.yaml:13:3: deny WH-V1/ })
  symlinkSync('../outside.yaml', join(dir, 'new/b.yaml'))
  t.match(await review('old', 'new'), {
    code: 1,
    stdout: /new\/b\.yaml:1:1: deny GIT-5: this is a link to a file that is not among those reviewed/,
  })
  symlinkSync('loop.yaml', join(dir, 'old/loop.yaml'))
  t.match(await review('old', 'old'), { code: 0, stdout: /notice GIT-5/ })
})

t.test('a Git LFS pointer is no manifest', async (t) => {
  const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n'
  const { review } = world(t, { 'old/a.yaml': OLD, 'new/a.yaml': pointer })
  t.match(await review('old', 'new'), {
    code: 2,
    stdout: /^new\/a\.yaml:1:1: deny GIT-5: this is a Git LFS pointer/,
  })
})

t.test('names that steer a terminal do not', async (t) => {
  const name = 'new/\u001B[31m::error::x,y:z.yaml'
  const { review } = world(t, { 'old/a.yaml': OLD, [name]: BAD })
  const text = await review('old', 'new')
  t.notMatch(text.stdout, '\u001B')
  const github = await review('old', 'new', '--format', 'github')
  t.match(github.stdout, /^::error file=new\/\\u\{1b\}\[31m%3A%3Aerror%3A%3Ax%2Cy%3Az\.yaml,line=13/)
})

t.test(
  'a thousand files that are somebody else\u2019s, and a hundred that are ours, take moments',
  async (t) => {
    const pod = 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 2\n'
    const files: Record<string, string> = {}
    for (let index = 0; index < 900; index += 1) files[`new/web/${index}.yaml`] = pod
    for (let index = 0; index < 100; index += 1) {
      const edit = { 'terraform-aws-eks': `terraform-aws-${index}` }
      files[`old/modules/${index}.yaml`] = moduleYaml(['1.0.0', '1.1.0'], edit)
      files[`new/modules/${index}.yaml`] = moduleYaml(['1.0.0', '1.1.0', '1.2.0'], edit)
    }
    const { review } = world(t, files)
    const start = performance.now()
    t.match(await review('old', 'new'), { code: 0, stdout: /100 objects judged/ })
    t.ok(performance.now() - start < 10_000, 'far from a limit that anybody would notice')
  },
)
