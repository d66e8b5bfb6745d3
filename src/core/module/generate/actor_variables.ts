// Who asks, in CEL, as actor.ts says it.
import { GARBAGE_COLLECTOR, NAMESPACE_CONTROLLER, listOf } from '#core/module/actor.ts'
import type { Identities, IdentityList } from '#core/module/module_policy.ts'
import { CREDENTIAL_ID_KEY, extraKeyOf } from '#core/kube/source_extra.ts'
import { anyOf, celList, celText } from './cel_text.ts'
import type { Cel, Variable } from './cel_text.ts'

const GROUPS: Cel = 'request.userInfo.?groups.orValue([])'

function isListedIn(list: IdentityList | undefined): Cel {
  const { users = [], groups = [] } = list ?? {}
  return anyOf([
    ...(users.length === 0 ? [] : [`request.userInfo.username in ${celList(users)}`]),
    ...(groups.length === 0 ? [] : [`${GROUPS}.exists(group, group in ${celList(groups)})`]),
  ])
}

/** More than one value is not from our mapping, and says nothing. */
function claim(name: string): Cel {
  const values = `request.userInfo.?extra[?${celText(extraKeyOf(name))}].orValue([])`
  return `${values}.size() == 1 ? ${values}[0] : ''`
}

const CLUSTER_ACCOUNTS = [GARBAGE_COLLECTOR, NAMESPACE_CONTROLLER]

export function actorVariables(identities: Identities | undefined): readonly Variable[] {
  const credential = `request.userInfo.?extra[?${celText(CREDENTIAL_ID_KEY)}].orValue([])`
  const isIn = (kind: 'controller' | 'gitops' | 'importer' | 'human'): Cel =>
    isListedIn(listOf(identities, kind))
  return [
    { name: 'isController', inline: true, expression: isIn('controller') },
    { name: 'isGitops', inline: true, expression: isIn('gitops') },
    { name: 'isImporter', inline: true, expression: isIn('importer') },
    { name: 'isListedHuman', inline: true, expression: isIn('human') },
    { name: 'claimedSource', inline: true, expression: claim('source') },
    { name: 'source', inline: true, expression: 'variables.claimedSource.lowerAscii()' },
    { name: 'repositoryId', inline: true, expression: claim('repository_id') },
    { name: 'ref', inline: true, expression: claim('ref') },
    { name: 'sha', inline: true, expression: claim('sha') },
    {
      name: 'isFromToken',
      inline: true,
      expression: `${credential}.size() == 1 && ${credential}[0].startsWith('JTI=')`,
    },
    {
      name: 'isByCluster',
      inline: true,
      expression: `request.userInfo.username in ${celList(CLUSTER_ACCOUNTS)}`,
    },
    {
      name: 'isListed',
      inline: true,
      expression:
        'variables.isController || variables.isGitops || variables.isImporter || variables.isListedHuman',
    },
    { name: 'isPipeline', inline: true, expression: "!variables.isListed && variables.source != ''" },
  ]
}
