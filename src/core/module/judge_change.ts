// The order in which a change is judged, and what comes of it: every rule is asked, so that one answer names every problem.
import { claimOf, isFromToken } from './actor.ts'
import { brokenGlass, brokenText } from './broken_glass.ts'
import type { Actor, Change } from './change.ts'
import type { LedgerFacts } from './ledger.ts'
import { moduleCase, providerCase } from './module_case.ts'
import type { ListCase, ModuleRule, ProviderRule } from './module_case.ts'
import type { ModulePolicySpec, NamedPolicy } from './module_policy.ts'
import { printable } from './printable.ts'
import { exceptionFor, modeOf } from './rule_mode.ts'
import { depotDefaults } from './rules/d2_depot.ts'
import { groupBinding } from './rules/g1_group_binding.ts'
import { ledgerEntry } from './rules/l1_ledger.ts'
import { ownName } from './rules/m1_name.ts'
import { takenNames } from './rules/m10_taken_names.ts'
import { deletedModule } from './rules/m12_deleted.ts'
import { recreatedModule } from './rules/m13_recreated.ts'
import { guardedDefinition } from './rules/m15_definitions.ts'
import { deselected, loosenedByLabel } from './rules/m15_deselected.ts'
import { guardedNamespace } from './rules/m15_namespaces.ts'
import { otherUpstream } from './rules/m2_other_upstream.ts'
import { repointed } from './rules/m2_repointed.ts'
import { staysImmutable } from './rules/m4_immutable.ts'
import { fileFormat } from './rules/m5_file_format.ts'
import { storageMoved } from './rules/m6_storage_moved.ts'
import { storageShape } from './rules/m7_storage_shape.ts'
import { credentials } from './rules/m8_credentials.ts'
import { policyRules } from './rules/o1_policies.ts'
import { depotAuthor } from './rules/p1_depot.ts'
import { publisher } from './rules/p1_publisher.ts'
import { pinnedVersions } from './rules/p2_pins.ts'
import { moduleStatus, providerStatus, versionStatus } from './rules/s1_status.ts'
import { checksum } from './rules/s2_checksum.ts'
import { versionSpec } from './rules/s3_version_spec.ts'
import { createdVersion } from './rules/s4_version_created.ts'
import { deletedVersion } from './rules/s5_version_deleted.ts'
import { forceSync } from './rules/s6_force_sync.ts'
import { removedVersions } from './rules/v1_removed.ts'
import { tooMuchAtOnce } from './rules/v11_at_once.ts'
import { tooManyVersions } from './rules/v11_too_many.ts'
import { historyLimit } from './rules/v12_history_limit.ts'
import { readdedVersions } from './rules/v2_readded.ts'
import { rewrittenVersions } from './rules/v4_rewritten.ts'
import { notVersions } from './rules/v7_not_a_version.ts'
import { versionOrder } from './rules/v9_order.ts'
import type { Finding, JudgedFinding, Mode, Verdict } from './verdict.ts'
import { versionCase } from './version_case.ts'
import type { VersionRule } from './version_case.ts'
import { isDenial, warningsOf } from './verdict_message.ts'

/** What was published first, then what is added, then what the Module itself says, then who says it. */
const MODULE_RULES: readonly ModuleRule[] = [
  deletedModule,
  removedVersions,
  readdedVersions,
  recreatedModule,
  rewrittenVersions,
  notVersions,
  versionOrder,
  tooManyVersions,
  historyLimit,
  ownName,
  repointed,
  staysImmutable,
  fileFormat,
  storageMoved,
  storageShape,
  credentials,
  takenNames,
  deselected,
  publisher,
  pinnedVersions,
]

/** Another spelling of a version is the same to OpenDepot here, and nothing pins what an upstream made. */
const PROVIDER_RULES: readonly ProviderRule[] = [
  deletedModule,
  removedVersions,
  readdedVersions,
  recreatedModule,
  notVersions,
  versionOrder,
  tooManyVersions,
  historyLimit,
  ownName,
  otherUpstream,
  storageMoved,
  storageShape,
  credentials,
  takenNames,
  deselected,
  publisher,
]

const VERSION_RULES: readonly VersionRule[] = [
  versionStatus,
  checksum,
  versionSpec,
  createdVersion,
  deletedVersion,
  forceSync,
]

/**
 * The verdict on one change. Pure: the same for a dry run, and however often it is asked.
 * @param policy the one that selects the object as it is stored, or as it is created
 * @param policies all that there are, for a change to one of them
 */
export function judgeChange(
  change: Change,
  policy: ModulePolicySpec | undefined,
  ledger: LedgerFacts,
  policies: readonly NamedPolicy[] = [],
): Verdict {
  const judged = findingsOf(change, policy, ledger, policies).map((finding) =>
    judge(finding, change, policy, ledger),
  )
  return verdictOf(judged, change.user)
}

/** What the findings come to. */
export function verdictOf(findings: readonly JudgedFinding[], user: Actor): Verdict {
  const allowed = !findings.some(isDenial)
  // What is denied for something else broke nothing.
  const broken = allowed ? brokenGlass(findings) : []
  const annotations = new Map(annotationsOf(user, findings))
  if (broken.length > 0) annotations.set('broken', brokenText(broken))
  return { allowed, findings, warnings: warningsOf(findings), annotations, broken }
}

function findingsOf(
  change: Change,
  policy: ModulePolicySpec | undefined,
  ledger: LedgerFacts,
  policies: readonly NamedPolicy[],
): readonly Finding[] {
  switch (change.resource) {
    case 'modules': {
      const subject = moduleCase(change, policy, ledger)
      // The server takes nothing but the status from such a request.
      if (change.subResource === 'status') return moduleStatus(subject)
      return (
        atOnce(subject) ?? [
          ...MODULE_RULES.flatMap((rule) => rule(subject)),
          ...loosenedByLabel(subject, policies),
        ]
      )
    }
    case 'providers': {
      const subject = providerCase(change, policy, ledger)
      if (change.subResource === 'status') return providerStatus(change)
      return (
        atOnce(subject) ?? [
          ...PROVIDER_RULES.flatMap((rule) => rule(subject)),
          ...loosenedByLabel(subject, policies),
        ]
      )
    }
    case 'versions': {
      const subject = versionCase(change, policy, ledger)
      return VERSION_RULES.flatMap((rule) => rule(subject))
    }
    case 'groupbindings':
      return change.subResource === 'status' ? [] : groupBinding(change, ledger)
    case 'depots':
      return change.subResource === 'status' ? [] : [...depotDefaults(change, policy), ...depotAuthor(change)]
    case 'publishedversions':
      return ledgerEntry(change, ledger)
    case 'modulepolicies':
      return change.subResource === 'status' ? [] : policyRules(change, policies)
    case 'namespaces':
      return guardedNamespace(change, ledger)
    case 'customresourcedefinitions':
      return change.subResource === 'status' ? [] : guardedDefinition(change, ledger)
  }
}

/** All that is said of what is too much to be judged at once; `undefined` of everything else. */
function atOnce(subject: ListCase): readonly Finding[] | undefined {
  const finding = tooMuchAtOnce(subject.change, subject.versions)
  return finding === undefined ? undefined : [finding]
}

function judge(
  finding: Finding,
  change: Change,
  policy: ModulePolicySpec | undefined,
  ledger: LedgerFacts,
): JudgedFinding {
  if (finding.isAlwaysEnforced === true) return { ...finding, mode: 'enforce', exceptedBy: undefined }
  const mode = modeOf(finding.rule, policy)
  if (mode !== 'enforce' || finding.kind === 'notice') return { ...finding, mode, exceptedBy: undefined }
  const exception = exceptionFor(finding, change, policy, ledger)
  if (exception === undefined) return { ...finding, mode, exceptedBy: undefined }
  return { ...finding, mode: 'warn', exceptedBy: exception.approver }
}

function annotationsOf(user: Actor, findings: readonly JudgedFinding[]): ReadonlyMap<string, string> {
  // What an impersonator writes about a repository is no answer to who it was.
  const source = isFromToken(user) ? claimOf(user, 'source') : undefined
  const annotations = new Map<string, string>()
  if (user.kind !== 'unknown') annotations.set('publisher', printable(source ?? user.username))
  if (findings.length === 0) return annotations
  annotations.set('rule', [...new Set(findings.map(({ rule }) => rule))].join(','))
  annotations.set('mode', [...new Set(findings.map(modeShown))].join(','))
  return annotations
}

/** A notice is never enforced, whatever the rule's mode. */
export function modeShown({ kind, mode }: JudgedFinding): Mode {
  return kind === 'notice' && mode === 'enforce' ? 'warn' : mode
}
