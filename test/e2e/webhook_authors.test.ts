// What docs/webhook-authors.md has the author of a Module type, typed as it stands, at a real kube-apiserver that asks the webhook.
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse, stringify } from 'yaml'
import { openGuide } from '../support/guide.ts'
import { kubeBinaries } from '../support/kube_binaries.ts'
import type { KubectlResult } from '../support/kube_cluster.ts'
import { eventually, must, mustPrint } from '../support/kube_modules.ts'
import { startKubeWebhook } from '../support/kube_webhook.ts'
import { peerOrSkip } from '../support/peers.ts'

t.setTimeout(300_000)
const { skip } = await peerOrSkip(() => kubeBinaries())

const NAME = 'terraform-aws-eks'
const NAMESPACE = 'opendepot-system'

function eks(versions: readonly string[]): object {
  return {
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Module',
    metadata: { name: NAME, namespace: NAMESPACE },
    spec: {
      moduleConfig: {
        name: NAME,
        provider: 'aws',
        repoOwner: 'acme',
        fileFormat: 'zip',
        immutable: true,
        storageConfig: { s3: { bucket: 'modules', region: 'us-east-1' } },
      },
      versions: versions.map((version) => ({ version })),
    },
  }
}

t.test('the guide for authors', { skip }, async (t) => {
  const webhook = await startKubeWebhook()
  t.teardown(() => webhook.stop())
  const { cluster } = webhook
  const guide = openGuide(t, 'webhook-authors.md', cluster)
  const typed = async (words: string): Promise<KubectlResult> => {
    const done = await guide.run(words)
    if (done.code !== 0) throw new Error(`${words}: ${done.stderr}`)
    return done
  }
  const module = ['module', NAME, '-n', NAMESPACE]
  const stored = (path: string): Promise<string> =>
    mustPrint(cluster, ['get', ...module, '-o', `jsonpath=${path}`])
  const patch = (type: string, change: unknown): Promise<KubectlResult> =>
    cluster.kubectl(['patch', ...module, '--type', type, '-p', JSON.stringify(change)])
  const entry = (version: string, field: string): Promise<string> =>
    mustPrint(cluster, [
      'get',
      'publishedversions',
      '-o',
      `jsonpath={.items[?(@.spec.version=="${version}")].spec.${field}}`,
    ])
  /** As the table of what it says quotes it, about another version. */
  const quoted = (rule: string, version: string): RegExp => {
    const [, text = ''] = new RegExp(`^\\| \`(${rule}: [^\`]+)\``, 'm').exec(guide.text) ?? []
    return new RegExp(text.replace('1.2.0', version).replaceAll('.', '[.]').replaceAll('[.][.][.]', '.*'))
  }
  await must(cluster, ['create', '-f', '-'], JSON.stringify(eks(['21.11.0', '21.12.0'])))

  await t.test('the next version is appended, and pinned by an annotation', async (t) => {
    const pins: unknown = parse(
      guide.blocks('yaml').find((block) => block.includes('sallyport.dev/pins')) ?? '',
    )
    t.equal((await patch('merge', pins)).code, 0)
    t.match(await stored('{.metadata.annotations}'), '"sallyport.dev/pins":"21.13.0=')
    t.match((await typed('/spec/versions/-')).stdout, `${NAME} patched`)
    t.equal(await stored('{.spec.versions[*].version}'), '21.11.0 21.12.0 21.13.0')
    await eventually(
      async () => (await entry('21.13.0', 'state')) === 'present' || undefined,
      'it is remembered',
    )
  })

  await t.test('what takes a version away is refused in the words of the guide', async (t) => {
    const refused = await patch('json', [{ op: 'remove', path: '/spec/versions/1' }])
    t.equal(refused.code, 1)
    t.match(refused.stderr, quoted('WH-V1', '21.12.0'))
  })

  await t.test('the review says the same before the merge', async (t) => {
    const file = join(guide.folder, 'modules', 'eks.yaml')
    mkdirSync(join(guide.folder, 'modules'))
    const git = (...args: readonly string[]): unknown =>
      execFileSync('git', ['-c', 'user.name=jo', '-c', 'user.email=jo@acme.example', ...args], {
        cwd: guide.folder,
        stdio: 'ignore',
      })
    const commit = (versions: readonly string[]): void => {
      writeFileSync(file, stringify(eks(versions)))
      git('add', 'modules')
      git('commit', '--quiet', '-m', 'modules')
    }
    git('init', '--quiet', '--initial-branch=main')
    commit(['21.11.0', '21.12.0'])
    git('update-ref', 'refs/remotes/origin/main', 'HEAD')
    commit(['21.11.0', '21.12.0', '21.13.0'])
    await typed('sallyport review --git')
    commit(['21.11.0'])
    const { code, stdout } = await guide.run('sallyport review --git')
    t.equal(code, 1)
    t.match(stdout, /modules\/eks\.yaml:\d+.*WH-V1/)
  })

  await t.test('a version is taken back for good, with the reason', async (t) => {
    await typed('sallyport.dev/unpublish=21.13.0')
    const removed = await patch('json', [{ op: 'remove', path: '/spec/versions/2' }])
    t.equal(removed.code, 0, removed.stderr)
    t.match(removed.stderr, /^Warning: .*WH-V1/m)
    await eventually(async () => (await entry('21.13.0', 'reason')) || undefined, 'the ledger knows why')
    t.equal(await entry('21.13.0', 'state'), 'unpublished')
    t.equal(await entry('21.13.0', 'reason'), 'leaked a key in its examples')
  })

  await t.test('its number is not used again, unless it is pinned to what it was', async (t) => {
    const add = (version: string): Promise<KubectlResult> =>
      patch('json', [{ op: 'add', path: '/spec/versions/-', value: { version } }])
    const pinned = await add('21.13.0')
    t.equal(pinned.code, 0, pinned.stderr)
    const other = ['sallyport.dev/unpublish=21.12.0: its tag was moved', '--overwrite']
    await must(cluster, ['annotate', ...module, ...other])
    const removed = await patch('json', [{ op: 'remove', path: '/spec/versions/1' }])
    t.equal(removed.code, 0, removed.stderr)
    await eventually(async () => (await entry('21.12.0', 'reason')) || undefined, 'the ledger knows why')
    const again = await add('21.12.0')
    t.equal(again.code, 1)
    t.match(again.stderr, quoted('WH-V2', '21.12.0'))
  })

  t.strictSame(
    guide.blocks('sh').filter((block) => !guide.done.has(block)),
    [],
    'every command of the guide was run',
  )
})
