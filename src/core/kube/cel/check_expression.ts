// The door: does kube-apiserver take this CEL expression at this place of an AuthenticationConfiguration, and what
// does it read? Refuses what the apiserver refuses, in its words; docs/decisions/0005-kubernetes-cel.md says how.
import { checkTypes } from './checker.ts'
import { Environment } from './environment.ts'
import { mentionedClaims } from './mentions.ts'
import { parseExpression } from './parser.ts'
import { findPlanProblem } from './plan.ts'
import { formatType } from './type.ts'
import { validate } from './validators.ts'
import { wayOutOf } from './way_out.ts'
import type { TypedTree } from './checker.ts'
import type { ExpressionUse } from './environment.ts'
import type { Place } from './syntax.ts'
import type { Result } from '#core/result.ts'

export type { ExpressionUse } from './environment.ts'

export type ExpressionProblem = {
  /** As the apiserver says it, without the lines that show the text: `compilation failed: undeclared reference to …`. */
  readonly message: string
  readonly wayOut: string
  /** Both from 1; columns in UTF-16 units. */
  readonly line: number
  readonly column: number
}

export type CheckedExpression = {
  readonly text: string
  readonly use: ExpressionUse
  /** As cel-go spells it: `bool`, `list(string)`, `any` for a claim as it is. */
  readonly resultType: string
  /** Claims selected as `claims.x`, `claims.?x` or `has(claims.x)`: what the apiserver's rule on email_verified sees. */
  readonly claimsRead: ReadonlySet<string>
  /** Claims selected as `claims['x']`, which that rule does not see. */
  readonly claimsIndexed: ReadonlySet<string>
  readonly typed: TypedTree
}

/** The release against whose own checker and evaluator ours are held, expression for expression. */
const MEASURED_MINOR = 36

/**
 * Checks `text`, which may not be empty. Kubernetes 1.30 to 1.37: each has its own functions and macros; grammar, limits and
 * words are those of 1.36 for the releases before it, too.
 */
export function checkExpression(
  text: string,
  use: ExpressionUse,
  minor = MEASURED_MINOR,
): Result<CheckedExpression, ExpressionProblem> {
  const parsed = parseExpression(text, minor)
  if (!parsed.ok) return refuse('compilation failed: ', parsed.problem)
  const checked = checkTypes(parsed.tree, new Environment(use, minor))
  if (!checked.ok) return refuse('compilation failed: ', ...checked.problems)
  const { typed } = checked
  const problems = validate(typed)
  const crash = problems.find((problem) => problem.isCrash)
  if (crash !== undefined) return refuse(CRASH, crash)
  if (problems.length > 0) return refuse('compilation failed: ', ...problems)
  const resultType = typed.types.get(typed.tree)
  const isBool = resultType?.kind === 'bool' && !resultType.nullable
  if (!isBool && (use === 'claim_validation' || use === 'user_validation')) {
    return refuse('', { message: 'must evaluate to bool', place: { line: 1, column: 1 } })
  }
  const planned = findPlanProblem(typed)
  if (planned !== undefined)
    return refuse(planned.isCrash ? CRASH : 'program instantiation failed: ', planned)
  const result = resultType === undefined ? 'dyn' : formatType(resultType)
  return { ok: true, value: { text, use, resultType: result, typed, ...mentionedClaims(typed) } }
}

const CRASH = 'the apiserver does not refuse this, it crashes: '

function refuse(
  prefix: string,
  ...problems: readonly { readonly message: string; readonly place: Place }[]
): Result<CheckedExpression, ExpressionProblem> {
  const [first] = problems
  const place = first?.place ?? { line: 1, column: 1 }
  const message = `${prefix}${first?.message ?? ''}`
  return { ok: false, denial: { message, wayOut: wayOutOf(message), ...place } }
}
