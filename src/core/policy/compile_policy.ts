// Compiles one policy to an immutable checker, once per configuration; requests share it. Says every problem of the
// policy that keeps it from being compiled. What is merely unwise is lint.ts's matter.
import type { Claims } from '#core/claims.ts'
import type { IssuerPreset } from '#core/issuer/preset.ts'
import type { Result } from '#core/result.ts'
import { compileCondition } from './cel.ts'
import type { CompiledCondition } from './cel.ts'
import { compileGrant } from './compile_grant.ts'
import type { GrantMaker } from './compile_grant.ts'
import { compilePin } from './pins.ts'
import type { PinCheck } from './pins.ts'
import { problemAt } from './problem.ts'
import type { PolicyProblem } from './problem.ts'
import type { PolicySource } from './trust_policy.ts'

export type CompiledPolicy = {
  readonly name: string
  readonly connector: string
  readonly disabled: boolean
  /** Milliseconds since the epoch; `Infinity` when it does not end. */
  readonly notAfter: number
  readonly clients: ReadonlySet<string> | undefined
  readonly events: PinCheck | undefined
  readonly pins: readonly NamedPin[]
  readonly condition: CompiledCondition | undefined
  /** Makes what it grants from verified claims. */
  readonly grant: GrantMaker
}

/** A pin, the step under which a miss is reported (`claims.ref`), and its check. */
type NamedPin = { readonly step: string; readonly check: PinCheck }

/** `Result` with the list of errors in place of a denial: a policy is refused at load, not at run. */
export function compilePolicy(
  source: PolicySource,
  preset: IssuerPreset,
): Result<CompiledPolicy, readonly PolicyProblem[]> {
  const problems: PolicyProblem[] = []
  const pins = compilePins(source, problems)
  const condition = compileIts(source.condition, problems)
  const grant = compileGrant(source, problems)
  const events = compileEvents(source, preset, problems)
  // Nothing pinned would make it a policy for everybody whom the issuer knows.
  if (Object.keys(source.claims).length === 0 && source.condition === undefined) {
    const message = 'without a pinned claim every token of the connector holds it'
    const wayOut = 'pin at least one claim, best an immutable id'
    problems.push(problemAt('error', ['claims'], { code: 'policy_without_pins', message, wayOut }))
  }
  if (problems.length > 0) return { ok: false, denial: problems }
  const compiled: CompiledPolicy = {
    name: source.name,
    connector: source.connector,
    disabled: source.disabled,
    notAfter: source.notAfter ?? Infinity,
    clients: source.clients === undefined ? undefined : new Set(source.clients),
    events,
    pins,
    condition,
    grant,
  }
  return { ok: true, value: Object.freeze(compiled) }
}

function compilePins(source: PolicySource, problems: PolicyProblem[]): readonly NamedPin[] {
  const pins: NamedPin[] = []
  for (const [claim, pin] of Object.entries(source.claims)) {
    const compiled = compilePin(claim, pin)
    if (compiled.ok) pins.push({ step: `claims.${claim}`, check: compiled.check })
    else problems.push(...compiled.problems.map((problem) => problemAt('error', ['claims', claim], problem)))
  }
  return pins
}

function compileIts(text: string | undefined, problems: PolicyProblem[]): CompiledCondition | undefined {
  if (text === undefined) return undefined
  const compiled = compileCondition(text)
  if (compiled.ok) return compiled.value
  const { line, column, wayOut } = compiled.denial
  const message = `${line}:${column}: ${compiled.denial.message}`
  problems.push(problemAt('error', ['condition'], { code: 'condition_invalid', message, wayOut }))
  return undefined
}

/** The events a policy lists replace the preset's; the claim that names the event is the preset's knowledge. */
function compileEvents(
  source: PolicySource,
  preset: IssuerPreset,
  problems: PolicyProblem[],
): PinCheck | undefined {
  if (preset.events === undefined) {
    if (source.events === undefined) return undefined
    const message = `nothing is known of events in tokens of "${preset.name}"`
    const wayOut = 'pin the claim that names the event under claims'
    problems.push(problemAt('error', ['events'], { code: 'events_without_claim', message, wayOut }))
    return undefined
  }
  const { claim } = preset.events
  const allowed: ReadonlySet<string> = new Set(source.events ?? preset.events.allowed)
  const missed = source.events === undefined ? 'default' : "policy's own"
  return (claims: Claims) => {
    const event = Object.hasOwn(claims, claim) ? claims[claim] : undefined
    if (typeof event === 'string' && allowed.has(event)) return undefined
    return `${claim} is not among the ${missed} events: ${[...allowed].join(', ')}`
  }
}
