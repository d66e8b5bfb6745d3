// What the webhook's demo shows, in order: each scene goes on where the last one ended.
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '../../support/kube_modules.ts'
import type { KubeWebhookReplica } from '../../support/kube_webhook.ts'
import type { Stage } from './stage.ts'
import { MODULE, NAMESPACE } from './world.ts'
import type { World } from './world.ts'

const FORBIDDEN = 'Error from server (Forbidden): admission webhook'
const OWNER = { repository: `acme/${MODULE}`, repositoryId: '739500857' }
const OTHER = { repository: 'acme/billing', repositoryId: '739511002' }

export async function adoptScene({ type, part }: Stage, { admin, policyText }: World): Promise<void> {
  const counted = 'with 2 versions in 1 namespace'
  await type(admin, 'sallyport webhook adopt', {
    code: 0,
    says: [`1 Module ${counted}; no ModulePolicy`, 'Nothing that is stored would be denied'],
  })
  part(
    'The policy of this demo is deploy/examples/module_policy_pipelines.yaml, with maintainers and without pins:',
  )
  await type(admin, 'cat pipelines.yaml', { code: 0, says: [policyText] })
  await type(admin, 'sallyport webhook adopt -f pipelines.yaml', {
    code: 0,
    says: [
      'judged under pipelines',
      'denied  WH-M4 spec.moduleConfig.immutable: the policy requires immutable Modules',
      'What is stored stays as it is',
    ],
  })
}

export async function publishScene({ type, typeUntil }: Stage, world: World): Promise<void> {
  const job = world.pipeline(OWNER, '1.2.0')
  await type(job, world.exchange, { code: 0, says: [] })
  await type(job, append('1.2.0'), { code: 0, says: [`${MODULE} patched`] })
  await typeUntil(world.admin, LEDGER, {
    code: 0,
    says: ['1.2.0  present  immutable', `by ci:github:${OWNER.repositoryId}`, 'commit 9f2c1d7e5b0a'],
  })
}

export async function foreignScene({ type }: Stage, world: World): Promise<void> {
  const job = world.pipeline(OTHER, '1.3.0')
  await type(job, world.exchange, { code: 0, says: [] })
  await type(job, append('1.3.0'), {
    code: 1,
    says: [
      FORBIDDEN,
      'WH-P1: version 1.3.0 may not be published by',
      `its pipeline is of "github.com/acme/billing", this Module is published by "github.com/${OWNER.repository}"`,
    ],
  })
}

/** Returns the rules that denied it. */
export async function retagScene({ type, check }: Stage, { jo }: World): Promise<readonly string[]> {
  await type(jo, patch([{ op: 'remove', path: '/spec/versions/1' }]), {
    code: 1,
    says: [FORBIDDEN, 'WH-V1: version 1.1.0 was published'],
  })
  const denied = await type(jo, overwrite(2, '1.3.0'), {
    code: 1,
    says: [FORBIDDEN, `WH-V3: version 1.2.0 was published from commit 9f2c1d7e5b0a`],
  })
  const wayOut = /kubectl patch module .*? -p '[^']*'/.exec(denied)?.[0]
  check(wayOut !== undefined, 'the message has a line to type instead')
  if (wayOut !== undefined) await type(jo, wayOut, { code: 0, says: [`${MODULE} patched`] })
  await type(jo, VERSIONS, { code: 0, says: ['1.0.0 1.1.0 1.2.0 1.3.0'] })
  return rulesIn(denied)
}

export async function reviewScene(
  { type, check }: Stage,
  { joInGit, repository, manifest, policyText }: World,
  rules: readonly string[],
): Promise<void> {
  const file = `modules/${MODULE}.yaml`
  const published = ['1.0.0', '1.1.0', '1.2.0']
  repository.commit({ [file]: manifest(published), 'policies/pipelines.yaml': policyText })
  repository.git('checkout', '--quiet', '-b', 'retag')
  repository.commit({ [file]: manifest(['1.0.0', '1.1.0', '1.3.0']) })
  await type(joInGit, `git diff --unified=0 main...retag -- modules | grep '^[-+] '`, {
    code: 0,
    says: ['-    - version: 1.2.0', '+    - version: 1.3.0'],
  })
  const denied = await type(joInGit, 'sallyport review --git main...retag -- modules policies', {
    code: 1,
    says: ['deny WH-V3', `${file}:`, 'version 1.2.0 was published', 'review: denied'],
  })
  const said = rulesIn(denied)
  check(
    said.join() === rules.join(),
    `the review names the rules of the webhook, ${rules.join(', ')} (it names ${said.join(', ')})`,
  )
  repository.git('checkout', '--quiet', '-b', 'append', 'main')
  repository.commit({ [file]: manifest([...published, '1.3.0']) })
  await type(joInGit, 'sallyport review --git main...append -- modules policies', {
    code: 0,
    says: ['0 denials'],
  })
}

export async function glassScene({ type, typeUntil, part }: Stage, world: World): Promise<void> {
  const { admin, jo } = world
  const left = ['1.0.0', '1.2.0', '1.3.0'].map((version) => ({ version }))
  const annotations = { 'sallyport.dev/unpublish': '1.1.0: a key in its examples' }
  const denied = { code: 1, says: [FORBIDDEN, 'WH-V1: version 1.1.0 was published'] }
  part('The annotation alone:')
  await type(jo, merge({ metadata: { annotations }, spec: { versions: left } }), denied)
  part('The verb alone:')
  await type(
    admin,
    `kubectl create role unpublisher -n ${NAMESPACE} --verb=unpublish --resource=modules.opendepot.defdev.io --resource-name=${MODULE}`,
    { code: 0, says: ['unpublisher created'] },
  )
  await type(admin, `kubectl create rolebinding jo -n ${NAMESPACE} --role=unpublisher --user=jo`, {
    code: 0,
    says: ['jo created'],
  })
  await untilMay(world, 'unpublish')
  await type(jo, merge({ spec: { versions: left } }), denied)
  part('Both:')
  await type(jo, merge({ metadata: { annotations }, spec: { versions: left } }), {
    code: 0,
    says: ['Warning: WH-V1: version 1.1.0 was published', 'unpublished', `${MODULE} patched`],
  })
  await typeUntil(admin, LEDGER, {
    code: 0,
    says: ['1.1.0  unpublished  immutable', 'taken away by jo', 'because: a key in its examples'],
  })
  part('And it does not come back as something else:')
  await type(jo, append('1.1.0'), {
    code: 1,
    says: [FORBIDDEN, 'WH-V2: version 1.1.0 was published before'],
  })
}

export async function outageScene(
  { type, part }: Stage,
  world: World,
  replica: KubeWebhookReplica,
): Promise<void> {
  const { admin, jo } = world
  const job = world.pipeline(OWNER, '1.4.0')
  await type(admin, `kill -9 ${replica.pid}`, { code: 0, says: [] })
  await gone(replica.pid)
  await type(job, world.exchange, { code: 0, says: [] })
  await type(job, append('1.4.0'), { code: 1, says: ['failed calling webhook', 'connection refused'] })
  await replica.restart()
  part(`The webhook is back, as process ${replica.pid}.`)
  await type(jo, overwrite(1, '1.4.0'), { code: 1, says: [FORBIDDEN, 'WH-V3: version 1.2.0 was published'] })
  await type(job, append('1.4.0'), { code: 0, says: [`${MODULE} patched`] })
  await type(jo, VERSIONS, { code: 0, says: ['1.0.0 1.2.0 1.3.0 1.4.0'] })
}

const LEDGER = `sallyport ledger show ${NAMESPACE}/${MODULE}`
const TARGET = `kubectl patch module ${MODULE} -n ${NAMESPACE}`
const VERSIONS = `kubectl get module ${MODULE} -n ${NAMESPACE} -o jsonpath='{.spec.versions[*].version}'`

function append(version: string): string {
  return patch([{ op: 'add', path: '/spec/versions/-', value: { version } }])
}

function overwrite(index: number, version: string): string {
  return patch([{ op: 'replace', path: `/spec/versions/${index}/version`, value: version }])
}

function patch(operations: readonly object[]): string {
  return `${TARGET} --type json -p '${JSON.stringify(operations)}'`
}

function merge(change: object): string {
  return `${TARGET} --type merge -p '${JSON.stringify(change)}'`
}

function rulesIn(text: string): readonly string[] {
  return [...new Set(Array.from(text.matchAll(/\bWH-[A-Z]\d+/g), ([rule]) => rule))].sort()
}

/** The apiserver hears of a role a moment after it is written. */
async function untilMay({ cluster, jo }: World, verb: string): Promise<void> {
  const args = ['auth', 'can-i', verb, `modules.opendepot.defdev.io/${MODULE}`, '-n', NAMESPACE]
  const options = { kubeconfig: jo.env['KUBECONFIG'] ?? '' }
  await eventually(
    async () => ((await cluster.kubectl(args, options)).code === 0 ? true : undefined),
    `jo may ${verb}`,
  )
}

/** A killed process is one for some milliseconds more. */
async function gone(pid: number): Promise<void> {
  while (isAlive(pid)) await sleep(20)
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    // ESRCH: there is no such process.
    return false
  }
}
