// Seed 001 with a real Argo CD on a real kube-apiserver: modules live in git, a merge becomes a Module, and what the webhook denies
// is what the team finds in the Application. Both manifests are the document's own, its repository aside.
import t from 'tap'
import { parse } from 'yaml'
import { argocdPrograms } from '../support/argocd.ts'
import { ARGOCD_NAMESPACE } from '../support/argocd_objects.ts'
import type { ArgoStatus } from '../support/argocd_status.ts'
import { kubeBinaries } from '../support/kube_binaries.ts'
import { peerOrSkip } from '../support/peers.ts'
import { withoutSeeds } from '../support/seeds.ts'
import { annotated, DENIED_COMMITS, hastyModule, pinnedTo, withVersion } from './webhook_argocd/commits.ts'
import { SEED_REPOSITORY, seedManifests } from './webhook_argocd/seed_001.ts'
import {
  applicationOf,
  CONTROLLER,
  gitopsPolicy,
  moduleText,
  NAMESPACE,
  startArgoWorld,
} from './webhook_argocd/world.ts'
import type { ArgoWorld, Fields } from './webhook_argocd/world.ts'

t.setTimeout(300_000)
const peers = await peerOrSkip(() => Promise.all([kubeBinaries(), argocdPrograms()]))
const skip = withoutSeeds() === false ? peers.skip : withoutSeeds()

const APPLICATION = 'my-org-opendepot-modules'
const EKS = 'modules/terraform-aws-eks.yaml'
const VPC = 'modules/terraform-aws-vpc.yaml'
const SNS = 'modules/terraform-aws-sns.yaml'
const IAM = 'modules/terraform-aws-iam.yaml'
const TEAM_A = 'modules-of-team-a'

/** What the webhook says, out of what Argo CD makes of it. */
function refusalIn(message: string): string {
  const [, refusal] = /admission webhook "[^"]+" denied the request: (.*)$/s.exec(message) ?? []
  return refusal ?? `no refusal: ${message}`
}

t.test('seed 001 with a real Argo CD', { skip }, async (t) => {
  const policy = gitopsPolicy((spec) => {
    spec['ordering'] = 'backport'
    spec['modes'] = { 'WH-V9': 'warn' }
  })
  const ofTeamA = gitopsPolicy((spec) => {
    spec['selector'] = { namespaces: [TEAM_A] }
    spec['identities'] = { gitops: { users: [`system:serviceaccount:${ARGOCD_NAMESPACE}:team-a`] } }
  }).replace('name: gitops', 'name: team-a')
  const world = await startArgoWorld(t, { policies: [policy, ofTeamA] })
  await world.must(['create', 'namespace', TEAM_A])
  const { argo, must, push, repository, synced, failed, versionsOf } = world
  const seed = seedManifests()
  const released = withVersion(seed.module, '21.14.0')
  const changeApplication = (spec: Fields) =>
    must([...patchOf('application', APPLICATION), JSON.stringify({ spec })])

  await t.test('a merge becomes a Module', async (t) => {
    const first = await repository.commit('modules of my-org', {
      'kustomization.yaml': 'resources: [modules/terraform-aws-eks.yaml]\n',
      [EKS]: seed.moduleBefore,
    })
    const began = performance.now()
    await must(['apply', '-f', '-'], seed.application.replace(SEED_REPOSITORY, repository.url))
    await synced(APPLICATION, first)
    t.comment(`Application made to Synced: ${Math.round(performance.now() - began)} ms`)
    t.same(await versionsOf('terraform-aws-eks'), ['21.10.1', '21.11.0', '21.12.0'])

    const pushed = performance.now()
    const merged = await push(APPLICATION, 'pull request 42', { [EKS]: seed.module })
    const { phase, health, conditions } = await synced(APPLICATION, merged)
    t.comment(`merge to Synced: ${Math.round(performance.now() - pushed)} ms`)
    t.same([phase, health, conditions], ['Succeeded', 'Healthy', []])
    t.same(await versionsOf('terraform-aws-eks'), ['21.10.1', '21.11.0', '21.12.0', '21.13.0'])
  })

  await t.test(
    'with the retries that an Application has by default, a denial keeps it Running',
    async (t) => {
      const bad = await push(APPLICATION, 'drop a release, add a module', {
        [EKS]: seed.module.replace('    - version: "21.11.0"\n', ''),
        [VPC]: moduleText('terraform-aws-vpc', { versions: ['1.0.0'] }),
      })
      const shown = await argo.waitFor(APPLICATION, 'retries', ({ phase, message, operationRevision }) => {
        return operationRevision === bad && phase === 'Running' && message.includes('Retrying attempt #1')
      })
      t.same([shown.sync, shown.health], ['OutOfSync', 'Healthy'])
      t.match(
        shown.message,
        /^one or more objects failed to apply, reason: error when patching "\/dev\/shm\/\d+": admission webhook "[^"]+" denied the request: WH-V1: version 21\.11\.0 was published .* due to application controller sync timeout\. Retrying attempt #1 at \d+:\d+[AP]M\.$/,
      )
      t.same(await versionsOf('terraform-aws-eks'), ['21.10.1', '21.11.0', '21.12.0', '21.13.0'])
      t.same(await versionsOf('terraform-aws-vpc'), ['1.0.0'], 'the other file of the commit is applied')
      const byName = new Map(shown.results.map((result) => [result.name, result]))
      t.equal(byName.get('terraform-aws-vpc')?.status, 'Synced')
      t.equal(byName.get('terraform-aws-eks')?.status, 'SyncFailed')
      t.match(byName.get('terraform-aws-eks')?.message, 'WH-V1: version 21.11.0 was published')

      const fix = await push(APPLICATION, 'put the release back', { [EKS]: seed.module })
      const waiting = await argo.waitFor(APPLICATION, 'sees the fix', ({ revision }) => revision === fix)
      t.same(
        [waiting.phase, waiting.operationRevision],
        ['Running', bad],
        'the fix waits until the retries are over',
      )
      // As `argocd app terminate-op` does.
      const ended = { status: { operationState: { phase: 'Terminating' } } }
      await must([...patchOf('application', APPLICATION), JSON.stringify(ended)])
      await synced(APPLICATION, fix)
    },
  )

  await t.test('a denied commit shows rule, version and way out in the Application', async (t) => {
    await changeApplication({ syncPolicy: { retry: { limit: 0 } } })
    for (const { title, module, says } of DENIED_COMMITS) {
      const began = performance.now()
      const bad = await push(APPLICATION, title, { [EKS]: module(seed.module) })
      const shown = await failed(APPLICATION, bad)
      t.comment(`${title}: denied after ${Math.round(performance.now() - began)} ms: ${shown.message}`)
      t.same([shown.sync, shown.phase, shown.health], ['OutOfSync', 'Failed', 'Healthy'], title)
      const refusal = refusalIn(shown.message)
      for (const text of says) t.match(refusal, text, title)
      const whole = `Failed sync attempt to ${bad}: ${shown.message}`
      t.same(shown.conditions, [{ type: 'SyncError', message: whole }], 'and the condition says all of it')
      t.match(
        shown.results.find(({ name }) => name === 'terraform-aws-eks')?.message,
        refusalIn(shown.message),
      )
      t.same(await versionsOf('terraform-aws-eks'), ['21.10.1', '21.11.0', '21.12.0', '21.13.0'], title)
    }
  })

  await t.test('the next commit that is right goes through', async (t) => {
    const same = await push(APPLICATION, 'back to what was published', { [EKS]: seed.module })
    const back = await synced(APPLICATION, same)
    t.same([back.phase, back.conditions], ['Failed', []], 'in sync, and still showing what failed last')
    const fix = await push(APPLICATION, 'a release', { [EKS]: released })
    t.equal((await synced(APPLICATION, fix)).phase, 'Succeeded')
    t.same((await versionsOf('terraform-aws-eks')).at(-1), '21.14.0')
  })

  await t.test('a pin that moves in git, or goes, is a version that changes', async (t) => {
    await synced(APPLICATION, await push(APPLICATION, 'a pinned module', { [IAM]: pinnedTo('a') }))
    for (const moved of [pinnedTo('b'), pinnedTo(undefined)]) {
      const shown = await failed(APPLICATION, await push(APPLICATION, 'pin something else', { [IAM]: moved }))
      t.comment(`a pin moved: ${shown.message}`)
      t.match(
        refusalIn(shown.message),
        `WH-P2: version 1.0.0 is pinned to ${'a'.repeat(40)}, and its pin would say`,
      )
    }
    await synced(APPLICATION, await push(APPLICATION, 'pin it as it was', { [IAM]: pinnedTo('a') }))
  })

  await t.test('retries are counted in the message', async (t) => {
    const retry = { limit: 2, backoff: { duration: '1s', factor: 1, maxDuration: '1s' } }
    await changeApplication({ syncPolicy: { retry } })
    const bad = await push(APPLICATION, 'drop a release', { [EKS]: seed.module })
    const shown = await failed(APPLICATION, bad)
    t.match(shown.message, /denied the request: WH-V1: .* \(retried 2 times\)\.$/)
    t.equal(shown.retryCount, 2)
    await changeApplication({ syncPolicy: { retry: { limit: 0 } } })
    const fix = await push(APPLICATION, 'put it back', { [EKS]: released })
    await synced(APPLICATION, fix)
  })

  await t.test('a webhook that is away for a moment costs a retry', async (t) => {
    const [replica] = world.webhook.replicas
    await replica?.kill('SIGKILL')
    const retry = { limit: 20, backoff: { duration: '1s', factor: 1, maxDuration: '1s' } }
    await changeApplication({ syncPolicy: { retry } })
    const commit = await push(APPLICATION, 'a module while it is away', {
      [SNS]: moduleText('terraform-aws-sns', { versions: ['1.0.0'] }),
    })
    const shown = await argo.waitFor(APPLICATION, 'is refused', ({ phase, message, operationRevision }) => {
      return operationRevision === commit && phase === 'Running' && message.includes('Retrying attempt')
    })
    t.comment(`the webhook away: ${shown.message}`)
    t.match(shown.message, 'Internal error occurred: failed calling webhook')
    await replica?.restart()
    t.equal((await synced(APPLICATION, commit)).phase, 'Succeeded')
    t.same(await versionsOf('terraform-aws-sns'), ['1.0.0'])
    await changeApplication({ syncPolicy: { retry: { limit: 0, backoff: null } } })
  })

  await t.test('what somebody changes by hand is denied or healed', async (t) => {
    await healthyAgain(world, 'a commit, since nothing is healed after a failure')
    const target = ['terraform-aws-eks', '-n', NAMESPACE]
    const retag = [{ op: 'replace', path: '/spec/versions/0/version', value: '21.10.2' }]
    const denied = await world.cluster.kubectl([
      'patch',
      'module',
      ...target,
      '--type=json',
      '-p',
      JSON.stringify(retag),
    ])
    t.match(denied.stderr, 'WH-V3: version 21.10.1 was published')

    const began = performance.now()
    const drift = { spec: { moduleConfig: { githubClientConfig: { useAuthenticatedClient: false } } } }
    await must(['patch', 'module', ...target, '--type=merge', '-p', JSON.stringify(drift)])
    while (clientOf(await world.module('terraform-aws-eks')) !== true) {
      if (performance.now() - began > 15_000) throw new Error(`the drift stays: ${argo.log().slice(-4000)}`)
    }
    t.comment(`drift healed after ${Math.round(performance.now() - began)} ms`)
  })

  await t.test('a warning stays between the webhook and the log of the controller', async (t) => {
    const backport = await push(APPLICATION, 'a back-port', {
      [EKS]: withVersion(released, '21.10.3'),
    })
    const shown = await synced(APPLICATION, backport)
    t.equal(shown.phase, 'Succeeded')
    t.notMatch(JSON.stringify(shown), 'WH-V9')
    t.match(argo.log(), 'Warning: WH-V9: version 21.10.3 is below 21.14.0')
  })

  await t.test('the glass is broken in git only as far as the role of Argo CD goes', async (t) => {
    const leaves = withVersion(seed.module, '21.10.3')
    const unpublishing = annotated(leaves, "sallyport.dev/unpublish: '21.14.0: has a key in its examples'")
    await verbsOfArgo(world, ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete'])
    const bad = await push(APPLICATION, 'unpublish', { [EKS]: unpublishing })
    const refused = refusalIn((await failed(APPLICATION, bad)).message)
    t.match(refused, /^WH-V1: version 21\.14\.0 was published .* the verb unpublish on this Module$/)

    await verbsOfArgo(world, ['*'])
    const merged = await push(APPLICATION, 'unpublish, now that it may', { [EKS]: unpublishing })
    t.equal((await synced(APPLICATION, merged)).phase, 'Succeeded')
    t.notOk((await versionsOf('terraform-aws-eks')).includes('21.14.0'))
    t.match(argo.log(), /Warning: WH-V1: version 21\.14\.0 .*unpublished/)

    const again = await push(APPLICATION, 'publish it again', { [EKS]: withVersion(leaves, '21.14.0') })
    const shown = await failed(APPLICATION, again)
    t.comment(`published again: ${shown.message}`)
    t.match(refusalIn(shown.message), 'WH-V2: version 21.14.0 was published before')
    await synced(APPLICATION, await push(APPLICATION, 'without it', { [EKS]: leaves }))
  })

  await t.test('what an operator unpublishes does not come back because git still lists it', async (t) => {
    const unpublish = {
      metadata: { annotations: { 'sallyport.dev/unpublish': '21.10.3: built from the wrong branch' } },
      spec: Object(parse(seed.module)).spec,
    }
    await must([
      'patch',
      'module',
      'terraform-aws-eks',
      '-n',
      NAMESPACE,
      '--type=merge',
      '-p',
      JSON.stringify(unpublish),
    ])
    const shown = await argo.waitFor(APPLICATION, 'fails to heal it', ({ phase }) => phase === 'Failed')
    t.equal(shown.sync, 'OutOfSync')
    t.match(refusalIn(shown.message), 'WH-V2: version 21.10.3 was published before')
    await synced(APPLICATION, await push(APPLICATION, 'without it in git, too', { [EKS]: seed.module }))
    t.notOk((await versionsOf('terraform-aws-eks')).includes('21.10.3'))
  })

  await t.test('a file that is removed leaves its Module', async (t) => {
    const removed = await push(APPLICATION, 'remove a module', { [VPC]: undefined })
    const shown = await argo.waitFor(APPLICATION, 'misses the file', ({ revision, resources }) => {
      return revision === removed && resources.some(({ requiresPruning }) => requiresPruning)
    })
    t.equal(shown.sync, 'OutOfSync')
    t.not(shown.operationRevision, removed, 'and no sync is tried')
    t.same(await versionsOf('terraform-aws-vpc'), ['1.0.0'])

    await argo.sync(APPLICATION, { revision: removed, prune: true })
    const pruned = await argo.waitFor(APPLICATION, 'fails to prune', (seen) => {
      return seen.operationRevision === removed && seen.phase === 'Failed'
    })
    t.comment(`prune: ${pruned.message}`)
    t.match(
      refusalIn(pruned.message),
      /^WH-M12: .*1\.0\.0.* Instead: leave the Module where it is; in Argo CD set prune: false/,
    )
    t.same(await versionsOf('terraform-aws-vpc'), ['1.0.0'])

    const back = await push(APPLICATION, 'put the module back', {
      [VPC]: moduleText('terraform-aws-vpc', { versions: ['1.0.0'] }),
    })
    await synced(APPLICATION, back)
  })

  await t.test('neither prune: true nor Force and Replace deletes a Module', async (t) => {
    const first = await repository.commit('modules of a hasty team', {
      'hasty/one.yaml': hastyModule('terraform-aws-one'),
      'hasty/two.yaml': hastyModule('terraform-aws-two'),
    })
    const hasty = applicationOf('hasty', repository.url, (spec) => {
      Object(spec['syncPolicy']).automated.prune = true
    })
    await must(['apply', '-f', '-'], hasty)
    await synced('hasty', first)
    const before = Object(await world.module('terraform-aws-two')).metadata.uid

    const removed = await failed(
      'hasty',
      await push('hasty', 'remove a file', { 'hasty/one.yaml': undefined }),
    )
    t.match(refusalIn(removed.message), 'WH-M12: this Module published 1.0.0 and would be deleted')
    await synced(
      'hasty',
      await push('hasty', 'put it back', { 'hasty/one.yaml': hastyModule('terraform-aws-one') }),
    )

    const client = { githubClientConfig: { useAuthenticatedClient: true } }
    const replaced = { 'hasty/two.yaml': hastyModule('terraform-aws-two', client) }
    const shown = await failed('hasty', await push('hasty', 'replace a Module', replaced))
    t.comment(`Force and Replace: ${shown.message}`)
    t.match(refusalIn(shown.message), 'WH-M12: this Module published 1.0.0 and would be deleted')
    t.equal(
      Object(await world.module('terraform-aws-two')).metadata.uid,
      before,
      'it is still the same object',
    )
    t.same(await versionsOf('terraform-aws-two'), ['1.0.0'])
  })

  await t.test('with ServerSideDiff a denial shows up in the comparison', async (t) => {
    const path = { 'compared/x.yaml': moduleText('terraform-aws-kms', { versions: ['1.0.0', '1.1.0'] }) }
    const first = await repository.commit('a module that is compared on the server', path)
    // With a plain sync it would own no entry, and its dry run would take none away.
    const compared = applicationOf('compared', repository.url, (spec) => {
      Object(spec['syncPolicy']).syncOptions = ['ServerSideApply=true']
    })
    await must(['apply', '-f', '-'], compared)
    const option = 'argocd.argoproj.io/compare-options=ServerSideDiff=true'
    await must(['annotate', 'application', 'compared', '-n', ARGOCD_NAMESPACE, option])
    await synced('compared', first)

    const bad = await push('compared', 'drop a release', {
      'compared/x.yaml': moduleText('terraform-aws-kms', { versions: ['1.0.0'] }),
    })
    const shown = await argo.waitFor('compared', 'cannot compare', ({ conditions, revision }) => {
      return revision === bad && conditions.length > 0
    })
    t.equal(shown.sync, 'Unknown')
    t.equal(shown.operationRevision, first, 'no sync is tried')
    t.match(shown.conditions, [{ type: 'ComparisonError', message: /WH-V1: version 1\.1\.0 was published/ }])
    t.comment(`ServerSideDiff: ${shown.conditions[0]?.message}`)
    const fix = await push('compared', 'put it back', path)
    t.same((await synced('compared', fix)).conditions, [])
  })

  await t.test('an Application with a finalizer does not take its Modules along', async (t) => {
    const finalizers = ['resources-finalizer.argocd.argoproj.io']
    const application = ['application', APPLICATION, '-n', ARGOCD_NAMESPACE]
    const finalize = (list: readonly string[]) =>
      must([...patchOf('application', APPLICATION), JSON.stringify({ metadata: { finalizers: list } })])
    await finalize(finalizers)
    await must(['delete', ...application, '--wait=false'])
    const hanging = await argo.waitFor(APPLICATION, 'cannot be deleted', ({ conditions, isBeingDeleted }) => {
      return isBeingDeleted && conditions.some(({ type }) => type === 'DeletionError')
    })
    const error = hanging.conditions.find(({ type }) => type === 'DeletionError')
    t.comment(`deletion: ${error?.message}`)
    t.match(refusalIn(error?.message ?? ''), /^WH-M12: /)
    await finalize([])
    t.equal(await must(['get', ...application, '--ignore-not-found']), '')
    t.equal((await versionsOf('terraform-aws-eks')).length, 4)
    t.equal((await versionsOf('terraform-aws-vpc')).length, 1)
  })

  await t.test(
    'each project syncs as its own account, and a policy says whose Modules are whose',
    async (t) => {
      await must(['apply', '-f', '-'], listOf(['team-a', 'team-b'].flatMap(projectOf)))
      const impersonate = { data: { 'application.sync.impersonation.enabled': 'true' } }
      await must([...patchOf('configmap', 'argocd-cm'), JSON.stringify(impersonate)])
      const theirs = (name: string) =>
        moduleText(name, { versions: ['1.0.0'] }).replace(`namespace: ${NAMESPACE}`, `namespace: ${TEAM_A}`)
      const commit = await repository.commit('modules of team A', {
        'own/x.yaml': theirs('terraform-aws-rds'),
        'foreign/x.yaml': theirs('terraform-aws-sqs'),
      })
      const ofProject = (project: string) => (spec: Fields) => {
        spec['project'] = project
        spec['destination'] = { server: 'https://kubernetes.default.svc', namespace: TEAM_A }
      }
      await must(['apply', '-f', '-'], applicationOf('own', repository.url, ofProject('team-a')))
      await must(['apply', '-f', '-'], applicationOf('foreign', repository.url, ofProject('team-b')))
      t.equal((await synced('own', commit)).phase, 'Succeeded')
      const refused = await failed('foreign', commit)
      t.comment(`another team: ${refused.message}`)
      t.match(
        refusalIn(refused.message),
        'WH-P1: version 1.0.0 may not be published by "system:serviceaccount:argocd:team-b": nothing in its credentials names a repository',
      )
      t.equal(
        await must(['get', 'modules', '-n', TEAM_A, '-o', 'name']),
        'module.opendepot.defdev.io/terraform-aws-rds\n',
      )
    },
  )
})

function patchOf(kind: string, name: string): readonly string[] {
  return ['patch', kind, name, '-n', ARGOCD_NAMESPACE, '--type=merge', '-p']
}

/** A project of Argo CD, the account that it syncs as, and what that may do in the namespace of team A. */
function projectOf(team: string): readonly object[] {
  const destination = { server: 'https://kubernetes.default.svc', namespace: TEAM_A }
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: team, namespace: ARGOCD_NAMESPACE } },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: team, namespace: TEAM_A },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: [{ kind: 'ServiceAccount', name: team, namespace: ARGOCD_NAMESPACE }],
    },
    {
      apiVersion: 'argoproj.io/v1alpha1',
      kind: 'AppProject',
      metadata: { name: team, namespace: ARGOCD_NAMESPACE },
      spec: {
        sourceRepos: ['*'],
        destinations: [destination],
        destinationServiceAccounts: [
          { ...destination, defaultServiceAccount: `${ARGOCD_NAMESPACE}:${team}` },
        ],
      },
    },
  ]
}

function listOf(items: readonly object[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
}

/** What Argo CD may do with Modules, in effect when it returns. As it is installed it may do everything. */
async function verbsOfArgo({ must, cluster }: ArgoWorld, verbs: readonly string[]): Promise<void> {
  const others = { apiGroups: ['', 'argoproj.io', 'apiextensions.k8s.io'], resources: ['*'], verbs: ['*'] }
  const rules = [
    others,
    { apiGroups: ['*'], resources: ['*'], verbs },
    { nonResourceURLs: ['*'], verbs: ['*'] },
  ]
  const role = ['patch', 'clusterrole', 'argocd-application-controller', '--type=merge', '-p']
  await must([...role, JSON.stringify({ rules })])
  const mayUnpublish = [
    'auth',
    'can-i',
    'unpublish',
    'modules.opendepot.defdev.io',
    '-n',
    NAMESPACE,
    '--as',
    CONTROLLER,
  ]
  const wanted = verbs.includes('*') ? 'yes' : 'no'
  const deadline = performance.now() + 15_000
  while ((await cluster.kubectl(mayUnpublish)).stdout.trim() !== wanted) {
    if (performance.now() > deadline) throw new Error('the role is not taken up')
  }
}

/** A new commit without a change of any file: Argo CD heals nothing while its last try has failed. */
async function healthyAgain({ repository, argo, synced }: ArgoWorld, message: string): Promise<ArgoStatus> {
  const commit = await repository.commit(message, {})
  await argo.refresh(APPLICATION)
  return synced(APPLICATION, commit)
}

function clientOf(module: Fields | undefined): unknown {
  return Object(Object(Object(module)['spec']).moduleConfig).githubClientConfig?.useAuthenticatedClient
}
