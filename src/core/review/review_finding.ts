// What a review says: each problem with the rule, the object and the place in a file.
import type { RuleId } from '#core/module/rule_id.ts'
import type { JudgedFinding } from '#core/module/verdict.ts'
import { isDenial } from '#core/module/verdict_message.ts'
import type { ArgoRuleId } from './argo/argo_rule.ts'
import { objectPath } from './object_path.ts'
import { shownObject } from './reviewed_object.ts'
import type { Place, ReviewedObject } from './reviewed_object.ts'

/** About the files themselves and what applying them does, whatever the objects say. */
export const TREE_RULE_IDS = ['GIT-1', 'GIT-2', 'GIT-3', 'GIT-4', 'GIT-5', 'GIT-6', 'GIT-7', 'GIT-8'] as const
type TreeRuleId = (typeof TREE_RULE_IDS)[number]

export type ReviewRuleId = RuleId | ArgoRuleId | TreeRuleId

/** `deny`: it would not get into the cluster, or would undo what was published; `notice`: nothing to do about it. */
export type Severity = 'deny' | 'warn' | 'notice'

export type ReviewFinding = {
  readonly rule: ReviewRuleId
  readonly severity: Severity
  /** `Module infra/terraform-aws-vpc`; '' of a file. */
  readonly object: string
  /** In the object: `spec.versions[1]`; '' of the whole. */
  readonly path: string
  readonly message: string
  /** '' when there is nothing to do. */
  readonly wayOut: string
  /** The plain spelling of the version that it is about. */
  readonly version: string | undefined
  /** In the new files; of what is gone from them in the old ones. */
  readonly place: Place | undefined
  /** Where what is taken away stood. */
  readonly was: Place | undefined
}

/** The words of a rule about files or about Argo CD. */
export type Said = {
  readonly severity: Severity
  readonly path: string
  readonly message: string
  readonly wayOut: string
}

export function findingAt(
  rule: ReviewRuleId,
  said: Said,
  object: ReviewedObject | undefined,
  place: Place | undefined,
  was?: Place,
): ReviewFinding {
  const { severity, path, message, wayOut } = said
  const shown = object === undefined ? '' : shownObject(object)
  return { rule, severity, path, message, wayOut, object: shown, version: undefined, place, was }
}

/** What whoever reads the object would refuse: `reader` says who, `sentence` begins with the field. */
export function unreadableFinding(object: ReviewedObject, reader: string, sentence: string): ReviewFinding {
  const [field = ''] = sentence.split(' is not ', 1)
  const wayOut = 'write it as the definition of its kind wants it'
  return findingAt(
    'GIT-1',
    { severity: 'deny', path: field, message: `${reader}: ${sentence}`, wayOut },
    object,
    object.placeOf(objectPath(field)),
  )
}

/** What the webhook would refuse is a denial; what it would only write down is a notice. */
export function severityOf(finding: JudgedFinding): Severity {
  if (isDenial(finding)) return 'deny'
  return finding.kind === 'notice' || finding.mode === 'audit' ? 'notice' : 'warn'
}
