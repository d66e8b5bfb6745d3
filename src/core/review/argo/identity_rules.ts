// ARGO-13: as whom Argo CD writes. Without impersonation all projects are one identity; with it the policy must list each.
import { quoted } from '#core/module/printable.ts'
import { reading } from '#core/module/reading.ts'
import type { NamedPolicy } from '#core/module/policy_choice.ts'
import type { IdentityList } from '#core/module/module_policy.ts'
import { asStored } from '#core/review/subject.ts'
import type { ReviewedObject } from '#core/review/reviewed_object.ts'
import type { ArgoSaid } from './argo_context.ts'

/** Of an AppProject whose syncs impersonate ServiceAccounts (application.sync.impersonation.enabled in argocd-cm). */
export function projectIdentities(
  project: ReviewedObject,
  policies: readonly NamedPolicy[],
): readonly ArgoSaid[] {
  const read = reading(asStored(project), (root) =>
    root
      .mapping('spec')
      .mappings('destinationServiceAccounts')
      .map((entry) => ({
        account: entry.text('defaultServiceAccount'),
        namespace: entry.text('namespace'),
      })),
  )
  if (!read.ok) return []
  return read.value.flatMap(({ account, namespace }, index) => {
    const path = `spec.destinationServiceAccounts[${index}].defaultServiceAccount`
    const [home, name] = account.includes(':') ? account.split(':', 2) : [namespace, account]
    const username = `system:serviceaccount:${home}:${name}`
    return unplaced(account, namespace, path).concat(unlisted(username, home ?? '', policies, path))
  })
}

function unplaced(account: string, namespace: string, path: string): readonly ArgoSaid[] {
  if (account.includes(':')) return []
  const message = `${quoted(account)} names no namespace, so it is the ServiceAccount of the destination (${quoted(namespace)}), where whoever may make Pods can be it`
  const wayOut = `write it with its namespace: argocd:${/^[a-z0-9-]+$/.test(account) ? account : '<name>'}`
  return [{ rule: 'ARGO-13', severity: 'warn', path, message, wayOut }]
}

/** `*` and patterns stand for namespaces that are not known here. */
function unlisted(
  username: string,
  home: string,
  policies: readonly NamedPolicy[],
  path: string,
): readonly ArgoSaid[] {
  if (!/^[a-z0-9-]+$/.test(home)) return []
  const listing = policies.filter(({ spec }) => names(spec.identities.gitops))
  const blind = listing.find(({ spec }) => !isListed(username, home, spec.identities.gitops))
  if (blind === undefined) return []
  const message = `syncs of this project arrive as ${username}, which the ModulePolicy ${quoted(blind.name)} does not list under identities.gitops: what they publish is denied as by a stranger (WH-P1)`
  const wayOut = `add ${username} to spec.identities.gitops.users of that policy`
  return [{ rule: 'ARGO-13', severity: 'warn', path, message, wayOut }]
}

function names({ users, groups }: IdentityList): boolean {
  return users.length + groups.length > 0
}

function isListed(username: string, home: string, { users, groups }: IdentityList): boolean {
  const own = new Set([`system:serviceaccounts:${home}`, 'system:serviceaccounts', 'system:authenticated'])
  return users.includes(username) || groups.some((group) => own.has(group))
}
