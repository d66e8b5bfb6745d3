// The CEL expressions of an AuthenticationConfiguration: where each stands, what it is for, and what the checker says.
import type { Result } from '#core/result.ts'
import type { AuthenticationConfiguration, JwtAuthenticator } from './authentication_configuration.ts'
import { checkExpression } from './cel/check_expression.ts'
import type { CheckedExpression, ExpressionProblem, ExpressionUse } from './cel/check_expression.ts'
import type { KubeProblem } from './kube_problem.ts'

export type PlacedExpression = {
  readonly keys: KubeProblem['keys']
  /** Index in `jwt`. */
  readonly authenticator: number
  readonly use: ExpressionUse
  readonly text: string
  readonly checked: Result<CheckedExpression, ExpressionProblem>
}

/** Every expression that is not empty, in the order of the file; the same text for the same use is checked once. */
export function checkExpressions(config: AuthenticationConfiguration): readonly PlacedExpression[] {
  const known = new Map<string, PlacedExpression['checked']>()
  const check = (text: string, use: ExpressionUse): PlacedExpression['checked'] => {
    const key = `${use} ${text}`
    const checked = known.get(key) ?? checkExpression(text, use)
    known.set(key, checked)
    return checked
  }
  return config.jwt.flatMap((authenticator, index) =>
    placedTexts(authenticator, index)
      .filter(({ text }) => text !== '')
      .map(({ keys, use, text }) => ({ keys, use, text, authenticator: index, checked: check(text, use) })),
  )
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
