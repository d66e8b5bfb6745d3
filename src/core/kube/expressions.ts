// The CEL expressions of an AuthenticationConfiguration: where each stands, what it is for, and what the checker says.
import type { Result } from '#core/result.ts'
import type { AuthenticationConfiguration, JwtAuthenticator } from './authentication_configuration.ts'
import { checkExpression } from './cel/check_expression.ts'
import type { CheckedExpression, ExpressionProblem, ExpressionUse } from './cel/check_expression.ts'
import type { KubeProblem } from './kube_problem.ts'
import { NEWEST_MINOR, OLDEST_MINOR } from './kube_version.ts'

export type PlacedExpression = {
  readonly keys: KubeProblem['keys']
  /** Index in `jwt`. */
  readonly authenticator: number
  readonly use: ExpressionUse
  readonly text: string
  readonly checked: Result<CheckedExpression, ExpressionProblem>
  /** Of one that does not compile: the nearest release in which it does. */
  readonly otherRelease: OtherRelease | undefined
}

/** Kubernetes 1.`minor` and what comes after it, or before it. */
type OtherRelease = { readonly minor: number; readonly and: 'later' | 'before' }

type Checked = Pick<PlacedExpression, 'checked' | 'otherRelease'>

/**
 * Every expression that is not empty, in the order of the file; the same text for the same use is checked once.
 * @param minor of the Kubernetes 1 that will read it; without it, the one whose CEL is known best
 */
export function checkExpressions(
  config: AuthenticationConfiguration,
  minor?: number,
): readonly PlacedExpression[] {
  const known = new Map<string, Checked>()
  const check = (text: string, use: ExpressionUse): Checked => {
    const key = `${use} ${text}`
    const checked = known.get(key) ?? checkFor(text, use, minor)
    known.set(key, checked)
    return checked
  }
  return config.jwt.flatMap((authenticator, index) =>
    placedTexts(authenticator, index)
      .filter(({ text }) => text !== '')
      .map(({ keys, use, text }) => {
        const { checked, otherRelease } = check(text, use)
        return { keys, use, text, authenticator: index, checked, otherRelease }
      }),
  )
}

function checkFor(text: string, use: ExpressionUse, minor: number | undefined): Checked {
  const checked = checkExpression(text, use, minor)
  const otherRelease = checked.ok || minor === undefined ? undefined : findRelease(text, use, minor)
  return { checked, otherRelease }
}

/** Nothing is taken away and given back, so the ends tell whether it is worth looking between. */
function findRelease(text: string, use: ExpressionUse, minor: number): OtherRelease | undefined {
  const isTakenBy = (other: number): boolean => checkExpression(text, use, other).ok
  if (minor < NEWEST_MINOR && isTakenBy(NEWEST_MINOR)) {
    let first = NEWEST_MINOR
    while (first - 1 > minor && isTakenBy(first - 1)) first -= 1
    return { minor: first, and: 'later' }
  }
  for (let last = minor - 1; last >= OLDEST_MINOR; last -= 1) {
    if (isTakenBy(last)) return { minor: last, and: 'before' }
  }
  return undefined
}

type PlacedText = Pick<PlacedExpression, 'keys' | 'use' | 'text'>

function placedTexts(authenticator: JwtAuthenticator, index: number): readonly PlacedText[] {
  const { claimValidationRules, claimMappings, userValidationRules } = authenticator
  const mappings = ['jwt', index, 'claimMappings'] as const
  return [
    ...claimValidationRules.map(({ expression }, rule): PlacedText => ({
      keys: ['jwt', index, 'claimValidationRules', rule, 'expression'],
      use: 'claim_validation',
      text: expression,
    })),
    {
      keys: [...mappings, 'username', 'expression'],
      use: 'username',
      text: claimMappings.username.expression,
    },
    { keys: [...mappings, 'groups', 'expression'], use: 'groups', text: claimMappings.groups.expression },
    { keys: [...mappings, 'uid', 'expression'], use: 'uid', text: claimMappings.uid.expression },
    ...claimMappings.extra.map(({ valueExpression }, extra): PlacedText => ({
      keys: [...mappings, 'extra', extra, 'valueExpression'],
      use: 'extra',
      text: valueExpression,
    })),
    ...userValidationRules.map(({ expression }, rule): PlacedText => ({
      keys: ['jwt', index, 'userValidationRules', rule, 'expression'],
      use: 'user_validation',
      text: expression,
    })),
  ]
}
