// What kube-apiserver does with a token, step by step, and the words for it. The steps of an authenticator are planned
// from its configuration, so that those behind the first "no" are shown as not reached.
import { clip } from '#core/audit_event.ts'
import type { JsonValue } from '#core/claims.ts'
import type { ClaimOrExpression, JwtAuthenticator } from './authentication_configuration.ts'
import type { KubeUser } from './kube_user.ts'

type TraceStepName =
  | 'token'
  | 'authenticator'
  | 'issuer'
  | 'header'
  | 'algorithm'
  | 'signature'
  | 'claims'
  | 'audience'
  | 'expiry'
  | 'not before'
  | 'username'
  | 'groups'
  | 'uid'
  | 'credential id'
  | 'extra'
  | 'required claim'
  | 'claim rule'
  | 'user rule'

export type TraceStep = {
  readonly step: TraceStepName
  /** Which one of several: the key of an extra, the expression of a rule; '' otherwise. */
  readonly of: string
  /** What of the configuration it follows: `['jwt', 0, 'issuer', 'audiences']`. */
  readonly keys: readonly (string | number)[]
  /** `unchecked`: nobody could be asked, so what follows holds only if the answer would have been yes. */
  readonly outcome: 'yes' | 'no' | 'unchecked' | 'not reached'
  /** What the token says there, cut to a length for people. */
  readonly value: string
}

/** Listed in docs/kube-explain.md. */
export const REFUSAL_CODES = [
  'token_not_jwt',
  'issuer_not_configured',
  'issuer_not_reached',
  'token_header_malformed',
  'algorithm_not_accepted',
  'keys_not_readable',
  'signature_not_verified',
  'claim_of_wrong_type',
  'distributed_claim',
  'audience_not_accepted',
  'token_expired',
  'token_not_yet_valid',
  'claim_missing',
  'email_not_verified',
  'username_empty',
  'expression_failed',
  'expression_of_wrong_type',
  'required_claim_differs',
  'claim_rule_failed',
  'user_rule_failed',
  'configuration_refused',
] as const

/** `not_known_here`: no refusal at all; what the apiserver would find cannot be told without it. */
type KubeRefusalCode = (typeof REFUSAL_CODES)[number] | 'not_known_here'

export type KubeRefusal = {
  readonly code: KubeRefusalCode
  /** The apiserver's own words, as its log and TokenReview's `status.error` have them behind `[invalid bearer token, `. */
  readonly reason: string
  /** What to do about it, in ours. */
  readonly wayOut: string
}

export type Authentication = {
  /** Which member of `jwt` takes the token; `undefined`: none. */
  readonly authenticator: number | undefined
  readonly steps: readonly TraceStep[]
  readonly outcome:
    | { readonly kind: 'authenticated'; readonly user: KubeUser }
    | { readonly kind: 'refused'; readonly refusal: KubeRefusal }
    /** It depends on something that only the apiserver knows. */
    | { readonly kind: 'unknown'; readonly why: string; readonly wayOut: string }
}

type Planned = Pick<TraceStep, 'step' | 'of' | 'keys'>

/** Collects the steps of one token in order. */
export class Trace {
  readonly #steps: TraceStep[] = []
  #plan: readonly Planned[] = BEFORE_AUTHENTICATOR

  /** From here on the steps are those of this authenticator. */
  follow(jwt: JwtAuthenticator, index: number): void {
    this.#plan = [...BEFORE_AUTHENTICATOR, ...planOf(jwt, index)]
  }

  note(outcome: TraceStep['outcome'], value: JsonValue | undefined): void {
    const planned = this.#plan[this.#steps.length]
    if (planned === undefined) throw new Error('a step that no authenticator has')
    this.#steps.push({ ...planned, outcome, value: shown(value) })
  }

  /** All steps of the plan; those that nobody came to are `not reached`. */
  steps(): readonly TraceStep[] {
    const rest = this.#plan.slice(this.#steps.length)
    return [...this.#steps, ...rest.map(notReached)]
  }
}

function notReached({ step, of, keys }: Planned): TraceStep {
  return { step, of, keys, outcome: 'not reached', value: '' }
}

const BEFORE_AUTHENTICATOR: readonly Planned[] = [
  { step: 'token', of: '', keys: [] },
  { step: 'authenticator', of: '', keys: ['jwt'] },
]

function isMapped({ claim, expression }: ClaimOrExpression): boolean {
  return claim !== '' || expression !== ''
}

/** In the order of oidc.go `AuthenticateToken` and go-oidc's `Verify`. */
function planOf(jwt: JwtAuthenticator, index: number): readonly Planned[] {
  const at = (step: TraceStepName, keys: readonly (string | number)[], of = ''): Planned => ({
    step,
    of,
    keys: ['jwt', index, ...keys],
  })
  const { username, groups, uid, extra } = jwt.claimMappings
  const rules = [...jwt.claimValidationRules.entries()]
  return [
    at('issuer', ['issuer']),
    at('header', []),
    at('algorithm', []),
    at('signature', ['issuer']),
    at('claims', []),
    ...verifyOrder(jwt).map((step) => at(step, step === 'audience' ? ['issuer', 'audiences'] : [])),
    at('username', ['claimMappings', 'username'], username.expression),
    ...(isMapped(groups) ? [at('groups', ['claimMappings', 'groups'], groups.expression)] : []),
    ...(isMapped(uid) ? [at('uid', ['claimMappings', 'uid'], uid.expression)] : []),
    at('credential id', []),
    ...extra.map(({ key }, n) => at('extra', ['claimMappings', 'extra', n], key)),
    ...rules.flatMap(([n, { claim }]) =>
      claim === '' ? [] : [at('required claim', ['claimValidationRules', n], claim)],
    ),
    ...rules.flatMap(([n, { expression }]) =>
      expression === '' ? [] : [at('claim rule', ['claimValidationRules', n], expression)],
    ),
    ...jwt.userValidationRules.map(({ expression }, n) =>
      at('user rule', ['userValidationRules', n], expression),
    ),
  ]
}

/** One audience go-oidc compares itself, before the times; several are left to the apiserver, behind them. */
export function verifyOrder({ issuer }: JwtAuthenticator): readonly ('audience' | 'expiry' | 'not before')[] {
  return issuer.audiences.length > 1
    ? ['expiry', 'not before', 'audience']
    : ['audience', 'expiry', 'not before']
}

function shown(value: JsonValue | undefined): string {
  if (value === undefined) return 'absent'
  return clip(typeof value === 'string' ? value : JSON.stringify(value))
}
