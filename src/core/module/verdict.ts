// What the rules answer: every problem of a change, each with its rule, its mode and its way out.
import type { BreakGlassVerb } from './change.ts'
import type { RuleId } from './rule_id.ts'

/** What a finding does: refuse, let it pass with a warning, or only write it down. */
export type Mode = 'enforce' | 'warn' | 'audit'

export type Finding = {
  readonly rule: RuleId
  /** `forbidden`: policy says no (403); `invalid`: malformed whoever asks (422); `notice`: allowed in every mode, and told. */
  readonly kind: 'forbidden' | 'invalid' | 'notice'
  /** In the object: `spec.versions`, `metadata.annotations["sallyport.dev/pins"]`. */
  readonly path: string
  /** One sentence without control characters: what was found and what is stored. */
  readonly message: string
  /** What to do instead, with the command where there is one. '' of a notice that asks for nothing. */
  readonly wayOut: string
  /** The plain spelling of the version that it is about. */
  readonly version?: string
  /** Whatever mode and exceptions a policy has for the rule. */
  readonly isAlwaysEnforced?: true
  /** It is a notice because the glass was broken for it. */
  readonly broken?: BrokenGlass
}

/** Under which verb, for which versions or settings, and why: as somebody else wrote it. */
export type BrokenGlass = {
  readonly verb: BreakGlassVerb
  readonly covers: readonly string[]
  readonly reason: string
}

export type JudgedFinding = Finding & {
  readonly mode: Mode
  /** The exception that turned `enforce` into `warn`: who approved it. */
  readonly exceptedBy: string | undefined
}

export type Verdict = {
  readonly allowed: boolean
  /** In the order of the rules. */
  readonly findings: readonly JudgedFinding[]
  /** Whole sentences for `Warning:` headers, free of control characters, at most 256 characters each. */
  readonly warnings: readonly string[]
  /** Audit annotations by key part: `rule`, `mode`, `publisher`, `broken`. */
  readonly annotations: ReadonlyMap<string, string>
  /** For what the glass was broken: printable, at most 256 characters each, 21 of one list. */
  readonly broken: readonly BrokenGlass[]
}
