// Which policies a change is judged under, and what comes of several: every door asks here.
import type { KubeUser } from '#core/kube/kube_user.ts'
import { actorOf, UNKNOWN_ACTOR } from './actor.ts'
import type { BreakGlassVerb, ChangeSubject } from './change.ts'
import { judgeChange, verdictOf } from './judge_change.ts'
import type { LedgerFacts } from './ledger.ts'
import { coverageOf } from './listing_bounds.ts'
import type { Coverage } from './listing_bounds.ts'
import type { ModulePolicySpec, NamedPolicy } from './module_policy.ts'
import type { JudgedFinding, Mode, Verdict } from './verdict.ts'
import { isDenial } from './verdict_message.ts'

export type { NamedPolicy } from './module_policy.ts'

export type Asker = {
  /** As the API server names who asks; `undefined` where nobody has asked yet, as in a review of files. */
  readonly user: KubeUser | undefined
  readonly mayDo: ReadonlySet<BreakGlassVerb>
  /** Seconds since the epoch. */
  readonly atSeconds: number
}

/**
 * The verdict on one change under all policies that select the object as it is stored (as it is created, where it is new).
 * Policies that overlap are refused when they are written; where two do all the same, what either denies is denied. Where nobody
 * knows whether one selects it, what is denied with it or without any is denied.
 * @param policies all that there are
 */
export function judgeUnderPolicies(
  subject: ChangeSubject,
  asker: Asker,
  policies: readonly NamedPolicy[],
  facts: LedgerFacts,
): Verdict {
  const [only, ...others] = specsCovering(subject, policies, facts)
  const judged = (spec: ModulePolicySpec | undefined): Verdict => {
    const { mayDo, atSeconds } = asker
    const change = { ...subject, user: actorUnder(asker, spec), mayDo, atSeconds }
    return judgeChange(change, spec, facts, policies)
  }
  const verdict = judged(only)
  if (others.length === 0) return verdict
  const verdicts = [
    verdict,
    ...others.map((spec) => (spec === undefined ? denialsOf(judged(spec)) : judged(spec))),
  ]
  return verdictOf(mergedFindings(verdicts), actorUnder(asker, only))
}

/** Who is told to have a policy list him is listed, if the one that may hold does. */
function denialsOf({ findings }: Verdict): Pick<Verdict, 'findings'> {
  return { findings: findings.filter(isDenial) }
}

/** `undefined`: there may be none. */
function specsCovering(
  subject: ChangeSubject,
  policies: readonly NamedPolicy[],
  facts: LedgerFacts,
): readonly (ModulePolicySpec | undefined)[] {
  const covering: ModulePolicySpec[] = []
  let isOneSure = false
  for (const { spec } of policies) {
    const covers = coverage(subject, spec, facts)
    if (covers !== 'no') covering.push(spec)
    if (covers === 'yes') isOneSure = true
  }
  return covering.length === 0 || isOneSure ? covering : [...covering, undefined]
}

/** Those that select the object, or may: none or one, unless somebody wrote two at once. */
export function policiesCovering(
  subject: ChangeSubject,
  policies: readonly NamedPolicy[],
  facts: LedgerFacts,
): readonly NamedPolicy[] {
  return policies.filter(({ spec }) => coverage(subject, spec, facts) !== 'no')
}

function actorUnder({ user }: Asker, policy: ModulePolicySpec | undefined): ReturnType<typeof actorOf> {
  return user === undefined ? UNKNOWN_ACTOR : actorOf(user, policy?.identities)
}

function coverage(subject: ChangeSubject, { selector }: ModulePolicySpec, facts: LedgerFacts): Coverage {
  switch (subject.resource) {
    case 'depots': {
      // What it publishes may have any label, and none: a policy for some of it does not speak for the rest.
      const inNamespace = coverageOf({ ...selector, labels: new Map() }, subject.namespace, undefined)
      return inNamespace === 'yes' && selector.labels.size > 0 ? 'maybe' : inNamespace
    }
    case 'modules':
    case 'providers':
    case 'groupbindings':
      return coverageOf(selector, subject.namespace, (subject.old ?? subject.new)?.meta)
    case 'versions': {
      // The labels of its owner are what the policy is about. Its own nobody guards: whoever makes a Version of no Module, or
      // relabels one, would choose his policy by them.
      const owner = facts.module ?? facts.provider
      return coverageOf(selector, subject.namespace, owner?.meta)
    }
    // A policy for some of what goes with it has no say in the rest.
    case 'namespaces':
      return selector.labels.size === 0 ? coverageOf(selector, subject.name, undefined) : 'no'
    case 'customresourcedefinitions':
      return selector.labels.size === 0 && selector.namespaces.length === 0 ? 'yes' : 'no'
    case 'publishedversions':
    case 'modulepolicies':
      // Whoever may write a policy would else let himself through by it.
      return 'no'
  }
}

/** Each finding once, as strict as the strictest says it. */
function mergedFindings(verdicts: readonly Pick<Verdict, 'findings'>[]): readonly JudgedFinding[] {
  const merged = new Map<string, JudgedFinding>()
  for (const finding of verdicts.flatMap(({ findings }) => findings)) {
    const key = JSON.stringify([finding.rule, finding.path, finding.version, finding.message])
    const known = merged.get(key)
    if (known === undefined || strictness(finding) > strictness(known)) merged.set(key, finding)
  }
  return [...merged.values()]
}

const STRICTNESS: Readonly<Record<Mode, number>> = { audit: 0, warn: 1, enforce: 2 }

/** A notice lets through in every mode. */
function strictness({ kind, mode }: JudgedFinding): number {
  return (kind === 'notice' ? 0 : 3) + STRICTNESS[mode]
}
