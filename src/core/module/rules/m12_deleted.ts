// WH-M12, M14: a Module (or Provider) with published versions is not deleted. Deleted and created again, every version of it could be
// something else.
import { isGarbageCollector, isNamespaceController } from '#core/module/actor.ts'
import { brokenBy, missingVerbText, unpublishReason, UNPUBLISH_ANNOTATION } from '#core/module/break_glass.ts'
import { heldKind, isVersionHeld, kindName, kubectlTarget } from '#core/module/module_case.ts'
import type { ListCase } from '#core/module/module_case.ts'
import { listed, quoted } from '#core/module/printable.ts'
import type { RuleId } from '#core/module/rule_id.ts'
import type { Finding } from '#core/module/verdict.ts'

export function deletedModule(subject: ListCase): readonly Finding[] {
  const { change, ledger } = subject
  if (change.operation !== 'DELETE') return []
  // Its deletion was admitted already, and finalizers hold it.
  if (change.old?.meta.isTerminating === true) return []
  // The deletion of the Namespace was judged; without this it would hang.
  if (isNamespaceController(change.user) && ledger.isNamespaceTerminating) return []
  const published = publishedVersions(subject)
  if (published.length === 0) return []
  const held = published.filter((plain) => isVersionHeld(subject, plain))
  const reason = held.length > 0 ? unpublishReason(change, '*') : undefined
  const kind = heldKind(held.length > 0 && reason === undefined)
  const message = `this ${kindName(change)} published ${listed(published, 5)} and would be deleted`
  const told = reason === undefined ? message : `${message}: unpublished (${quoted(reason)})`
  return [
    {
      rule: deletionRule(subject),
      kind,
      path: '',
      message: told,
      wayOut: kind === 'notice' ? '' : `${missingVerbText(change, '*')}${wayOut(subject)}`,
      ...brokenBy('unpublish', reason, held),
    },
  ]
}

export function publishedVersions({ ledger, versions }: ListCase): readonly string[] {
  const present = [...ledger.published].filter(([, facts]) => facts.state === 'present')
  return [...new Set([...versions.before.keys(), ...present.map(([plain]) => plain)])]
}

function deletionRule({ change }: ListCase): RuleId {
  return isGarbageCollector(change.user) || isNamespaceController(change.user) ? 'WH-M14' : 'WH-M12'
}

function wayOut({ change }: ListCase): string {
  const target = kubectlTarget(change)
  const keep = `leave the ${kindName(change)} where it is; in Argo CD set prune: false`
  if (target === undefined) return keep
  return `${keep}; to unpublish all of it: kubectl annotate ${target} '${UNPUBLISH_ANNOTATION}=*: <reason>' and the verb unpublish on this ${kindName(change)}`
}
