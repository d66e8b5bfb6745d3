// Reads one policy as an attacker would. Errors refuse to start; warnings are said at each start. Whatever keeps a
// policy from being compiled is among the errors, so that a loader shows everything at once.
import type { IssuerPreset } from '#core/issuer/preset.ts'
import { sharedPreset } from '#core/issuer/presets.ts'
import { everyGroup } from './compile_grant.ts'
import { claimProblems } from './lint_claims.ts'
import { compilePolicy } from './compile_policy.ts'
import { problemAt } from './problem.ts'
import type { PolicyProblem, PolicyProblemCode } from './problem.ts'
import { hasUnescapedDot } from './re2.ts'
import { parseTemplate } from './template.ts'
import type { ClaimPin, PolicySource } from './trust_policy.ts'

/** Events in which code, a title or a comment of somebody without write access decides what runs. */
const STRANGER_EVENTS: ReadonlySet<string> = new Set(
  [
    'pull_request pull_request_target pull_request_review pull_request_review_comment pull_request_comment',
    'issue_comment issues discussion discussion_comment workflow_run fork',
    'merge_request_event external_pull_request_event',
  ].flatMap((names) => names.split(' ')),
)

/** Claims that name the code that runs, not who runs it: anybody on the issuer may call that code. */
const CODE_CLAIMS = ['job_workflow_ref', 'ci_config_ref_uri']
const OWNER_CLAIMS = [
  'repository',
  'repository_owner',
  'project_path',
  'namespace_path',
  'job_project_path',
  'job_namespace_path',
]

/** Every problem of one policy for the issuer of its connector, errors first. */
export function lintPolicy(
  source: PolicySource,
  preset: IssuerPreset,
  issuer: string,
): readonly PolicyProblem[] {
  const compiled = compilePolicy(source, preset)
  // A connector of another type on a shared issuer is no way around what is known of it: `sub` of a job is a name.
  const known = sharedPreset(issuer) ?? preset
  return [
    ...(compiled.ok ? [] : compiled.denial),
    ...identityProblems(source, preset, known, issuer),
    ...pinProblems(source, preset),
    ...wildcardProblems(source, known),
    ...claimProblems(source, known),
    ...eventProblems(source, preset),
    ...outputProblems(source),
  ].toSorted((a, b) => rank(a) - rank(b))
}

/** Names can be given up and registered by somebody else; ids cannot. */
function* identityProblems(
  source: PolicySource,
  preset: IssuerPreset,
  known: IssuerPreset,
  issuer: string,
): Generator<PolicyProblem> {
  const pinned = new Set(Object.keys(source.claims).filter((claim) => isExact(source.claims[claim])))
  const isImmutable = known.immutablePins.some((set) => set.every((claim) => pinned.has(claim)))
  const sets = known.immutablePins.map((set) => set.join(' + ')).join(', or ')
  // A token that cannot name the broker as audience may have been meant for anybody.
  const shared = known.isShared(issuer) || known.fixedAudience !== undefined
  if (shared && !isImmutable) {
    const message = 'strangers get tokens from this issuer, and nothing pinned here is yours for good'
    const wayOut = `${retype(source.connector, preset, known)}pin the exact value of ${sets}`
    yield error('shared_issuer_without_immutable_pin', ['claims'], message, wayOut)
  } else if (!isImmutable && known.immutablePins.length > 0) {
    const message = 'only names are pinned; whoever registers a freed name again is let in'
    yield warning('only_mutable_pins', ['claims'], message, `pin the exact value of ${sets}, too`)
  }
  const isOwned = isImmutable || (!shared && OWNER_CLAIMS.some((claim) => pinned.has(claim)))
  for (const claim of CODE_CLAIMS) {
    if (source.claims[claim] === undefined || isOwned) continue
    const message = `"${claim}" says which workflow runs, and any repository of the issuer may call it`
    yield error(
      'workflow_ref_without_owner',
      ['claims', claim],
      message,
      `pin the caller's owner, too: ${sets}`,
    )
  }
  if (!isImmutable && !pinned.has('repository')) yield* ambiguousSub(source, preset)
}

/** What to write first where a connector hides which kind its issuer is. */
function retype(connector: string, preset: IssuerPreset, known: IssuerPreset): string {
  if (preset.name === known.name) return ''
  return `give connector ${connector} type: ${known.name} (in an overlay: connectors.${connector}.type), and `
}

/** Forgejo joins names and ids with the hyphen that names may contain: `acme-123/net-456` is a repository, too. */
function* ambiguousSub(source: PolicySource, preset: IssuerPreset): Generator<PolicyProblem> {
  const pin = source.claims['sub']
  if (preset.ambiguousPins?.includes('sub') !== true || pin === undefined) return
  if (!textsOf(pin).some((text) => /-(?:\d|\*|\\d|\[0-9)[^/]*\/[^:]*-(?:\d|\*|\\d|\[0-9)/.test(text))) return
  yield error(
    'forgejo_sub_ambiguous',
    ['claims', 'sub'],
    'a user and a repository whose own names end in these numbers get the same sub',
    'pin repository_id and repository_owner_id, or repository',
  )
}

function* pinProblems(source: PolicySource, preset: IssuerPreset): Generator<PolicyProblem> {
  const ids = new Set(preset.immutablePins.flat())
  for (const [claim, pin] of Object.entries(source.claims)) {
    if (pin.kind === 're2' && hasUnescapedDot(pin.pattern)) {
      const message = 'a bare . matches any character'
      yield warning(
        're2_dot_unescaped',
        ['claims', claim],
        message,
        'write \\. for a dot, or a class such as [^/:@]+',
      )
    }
    for (const value of valuesOf(pin)) {
      // Forges that name events write booleans as strings; every issuer writes ids as strings.
      const isWrong = typeof value === 'number' ? ids.has(claim) : preset.events !== undefined
      if (typeof value === 'string' || !isWrong) continue
      const message = `the issuer writes this claim as a string, so the ${typeof value} ${value} never holds`
      yield error('pin_type_wrong', ['claims', claim], message, `put it in quotes: "${value}"`)
    }
  }
}

/** A plain value is compared byte for byte, so a star in it is a star. */
function* wildcardProblems(source: PolicySource, known: IssuerPreset): Generator<PolicyProblem> {
  const ids = new Set(known.immutablePins.flat())
  for (const [claim, pin] of Object.entries(source.claims)) {
    for (const value of valuesOf(pin)) {
      if (typeof value !== 'string' || !value.includes('*')) continue
      const message = `a plain value is compared byte for byte: "${value}" holds for a star and for nothing else`
      // A subject of RFC 7519 may be any text; every other immutable id is a number or a UUID.
      if (ids.has(claim) && claim !== 'sub') {
        const wayOut = 'write the id itself, or a list of ids'
        yield error('pin_wildcard_literal', ['claims', claim], message, wayOut)
      } else {
        const wayOut = value.startsWith('*')
          ? 'begin with a literal owner and use a glob, or leave the claim out if it may be anything'
          : `write {glob: ${JSON.stringify(value)}}`
        yield warning('pin_wildcard_literal', ['claims', claim], message, wayOut)
      }
    }
  }
}

function* eventProblems(source: PolicySource, preset: IssuerPreset): Generator<PolicyProblem> {
  const { grant } = source
  const gives = grant.audiences.length > 0 || grant.groups.length > 0 || grant.groupsFrom !== undefined
  const strange = (source.events ?? []).filter((event) => STRANGER_EVENTS.has(event))
  if (gives && strange.length > 0) {
    const message = `${strange.join(', ')}: what runs there is decided by people without write access`
    yield warning('events_pull_request', ['events'], message, 'leave them out of every policy that can write')
  }
  if (preset.events === undefined) return
  const { claim } = preset.events
  const pin = source.claims[claim]
  const allowed = source.events ?? preset.events.allowed
  if (pin === undefined || !isExact(pin)) return
  const never = valuesOf(pin).filter((value) => typeof value !== 'string' || !allowed.includes(value))
  if (never.length === 0) return
  const message = `${never.join(', ')} is pinned but not among the allowed events (${allowed.join(', ')})`
  yield warning(
    'events_contradict_pin',
    ['claims', claim],
    message,
    'list it under events instead of pinning it',
  )
}

function* outputProblems(source: PolicySource): Generator<PolicyProblem> {
  const { grant } = source
  for (const { group, keys } of everyGroup(grant)) {
    if (!group.startsWith('kube-')) continue
    const message = `"${group}" reads like a group of Kubernetes itself`
    yield warning('output_group_kube', keys, message, 'use a prefix of your own, such as ci:')
  }
  const template = grant.username === undefined ? undefined : parseTemplate(grant.username)
  if (template?.ok !== true || template.template.head !== '') return
  const message =
    'a user name that begins with a claim can be any name, also one that means something elsewhere'
  yield warning(
    'output_username_unprefixed',
    ['grant', 'username'],
    message,
    'begin with literal text: gitlab:${...}',
  )
}

function isExact(pin: ClaimPin | undefined): boolean {
  return pin?.kind === 'exact' || pin?.kind === 'any_of'
}

function valuesOf(pin: ClaimPin): readonly (string | number | boolean)[] {
  if (pin.kind === 'exact') return [pin.value]
  return pin.kind === 'any_of' ? pin.values : []
}

function textsOf(pin: ClaimPin): readonly string[] {
  switch (pin.kind) {
    case 'exact':
    case 'any_of':
      return valuesOf(pin).map(String)
    case 'prefix':
      return [pin.prefix]
    case 'glob':
    case 're2':
      return [pin.pattern]
  }
}

type Keys = PolicyProblem['keys']

function error(code: PolicyProblemCode, keys: Keys, message: string, wayOut: string): PolicyProblem {
  return problemAt('error', keys, { code, message, wayOut })
}

function warning(code: PolicyProblemCode, keys: Keys, message: string, wayOut: string): PolicyProblem {
  return problemAt('warning', keys, { code, message, wayOut })
}

function rank(problem: PolicyProblem): number {
  return problem.severity === 'error' ? 0 : 1
}
