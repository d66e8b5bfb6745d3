// WH-V1, V3, V13, D1: a published version leaves the list. OpenDepot then deletes the archive and the checksum with it,
// so the same version can come back as something else.
import { brokenBy, missingVerbText, unpublishReason, UNPUBLISH_ANNOTATION } from '#core/module/break_glass.ts'
import type { PublishedFacts } from '#core/module/ledger.ts'
import { heldKind, isVersionHeld, kindName, kubectlTarget } from '#core/module/module_case.ts'
import type { ListCase } from '#core/module/module_case.ts'
import { quoted } from '#core/module/printable.ts'
import type { RuleId } from '#core/module/rule_id.ts'
import type { Finding } from '#core/module/verdict.ts'
import { readVersionIdentity } from '#core/module/version_identity.ts'
import { versionOrder } from './v9_order.ts'

export function removedVersions(subject: ListCase): readonly Finding[] {
  const { change, versions } = subject
  if (change.operation !== 'UPDATE') return []
  const wayOut = wayBack(subject)
  const ruleAt = removalRules(subject)
  return versions.removed.flatMap(({ index, plain }) => {
    const isHeld = isVersionHeld(subject, plain)
    const rule = ruleAt(index)
    // Pruning is what versionHistoryLimit is for, where nothing is immutable.
    if (!isHeld && rule === 'WH-V13') return []
    const version = readVersionIdentity(plain).ok ? plain : quoted(plain)
    const stored = storedAs(subject.ledger.published.get(plain))
    const reason = isHeld ? unpublishReason(change, plain) : undefined
    const message = `version ${version} was published${stored} and is taken off spec.versions`
    const told = reason === undefined ? message : `${message}: unpublished (${quoted(reason)})`
    const kind = heldKind(isHeld && reason === undefined)
    return [
      {
        rule,
        kind,
        path: 'spec.versions',
        message: told,
        wayOut: kind === 'notice' ? '' : `${missingVerbText(change, plain)}${wayOut}`,
        version: plain,
        ...brokenBy('unpublish', reason, [version]),
      },
    ]
  })
}

/** By where the version stood. */
function removalRules({ change, versions }: ListCase): (index: number) => RuleId {
  if (change.user.kind === 'controller') {
    const rule = (change.old?.config.versionHistoryLimit ?? 0) > 0 ? 'WH-V13' : 'WH-D1'
    return () => rule
  }
  const isSameLength = change.old?.versions.length === change.new?.versions.length
  const replaced = new Set(isSameLength ? versions.added.map(({ index }) => index) : [])
  return (index) => (replaced.has(index) ? 'WH-V3' : 'WH-V1')
}

/** ` from commit 9f2c...`, as far as it is remembered. */
export function storedAs(facts: PublishedFacts | undefined): string {
  const parts = [
    facts?.commit === undefined ? '' : ` from commit ${facts.commit}`,
    facts?.digest === undefined ? '' : ` as ${facts.digest}`,
    facts?.by === undefined ? '' : ` by ${quoted(facts.by)}`,
  ]
  return parts.join('')
}

/** Appending is all that a patch of more versions than this would still show. */
const MAX_APPENDED = 6

/** Somebody who sent a whole list meant to add to it, mostly: the command that does only that. */
function wayBack(subject: ListCase): string {
  const { change, versions } = subject
  const target = kubectlTarget(change)
  // What is refused for its place in the order would be refused again.
  const refused = new Set(versionOrder(subject).map(({ version }) => version))
  // As it was written: the same version in another spelling would be fetched again.
  const fresh = versions.added.flatMap(({ index, plain }) =>
    refused.has(plain) ? [] : [change.new?.versions[index]?.version ?? plain],
  )
  if (change.user.kind === 'controller') {
    return 'remove versionHistoryLimit, or pin the Depot to versions that stay; what was published stays listed'
  }
  const breaking = `to unpublish for good: annotation ${UNPUBLISH_ANNOTATION}="<version>: <reason>" and the verb unpublish on this ${kindName(change)}`
  // Who reads this in Argo CD or in a pull request has no use for a command: what it would write, git takes away again.
  if (change.user.kind === 'gitops' || change.user.kind === 'unknown')
    return `put what was published back in git and add to it; ${breaking}`
  if (target === undefined || fresh.length === 0 || fresh.length > MAX_APPENDED) {
    return `leave every published entry in spec.versions and add to it; ${breaking}`
  }
  const patch = fresh.map((version) => ({ op: 'add', path: '/spec/versions/-', value: { version } }))
  return `append instead of replacing the list: kubectl patch ${target} --type json -p '${JSON.stringify(patch)}'; ${breaking}`
}
