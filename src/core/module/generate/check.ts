// What a generated policy is made of before it is YAML: for each rule an expression that says what is wrong.
import type { RuleId } from '#core/module/rule_id.ts'
import type { Cel, Variable } from './cel_text.ts'

/** One rule about one kind of object. Its problems are a variable of that name: a list of texts, empty when all is well. */
export type Check = {
  readonly rule: RuleId
  /** As `Finding.kind`: 403, 422, or told and let through. */
  readonly kind: 'forbidden' | 'invalid' | 'notice'
  readonly name: string
  readonly problems: Cel
  /** Whoever holds the verb does it all the same. Messages cannot ask the authorizer, so this stands beside the problems. */
  readonly unless?: Cel
  /** Exceptions are for another object of this name: none holds here. */
  readonly isNeverExcepted?: true
  /** Told only when this holds too, which asks the authorizer. */
  readonly onlyIf?: Cel
}

/** What is judged of one kind of object under one policy. */
export type ResourceChecks = {
  /** Part of the names of the objects that are made. */
  readonly name: string
  readonly apiGroup: string
  readonly apiVersion: string
  readonly resources: readonly string[]
  readonly operations: readonly string[]
  /** All that checks may read; only what they do read is printed. */
  readonly variables: readonly Variable[]
  /** `stored`: a policy's labels are looked for on the object itself. `namespace`: only its namespaces count. */
  readonly selectedBy: 'stored' | 'namespace'
  readonly checks: readonly Check[]
}
