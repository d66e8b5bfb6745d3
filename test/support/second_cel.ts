// A second opinion on CEL conditions: @bufbuild/cel over the same claims, with its own checks and without our door.
import { CelScalar, celEnv, isCelError, mapType, parse, plan } from '@bufbuild/cel'
import { strings } from '@bufbuild/cel/ext'
import type { Claims, JsonValue } from '../../src/core/claims.ts'

/** `error`: it does not parse, does not evaluate, or gives something else than a bool. */
export type CelOpinion = 'true' | 'false' | 'error'

const environment = celEnv({
  variables: {
    claims: mapType(CelScalar.STRING, CelScalar.DYN),
    client: CelScalar.STRING,
    connector: CelScalar.STRING,
  },
  funcs: strings,
})

/** JSON as this engine takes it in. */
type Input = null | boolean | number | string | Input[] | { [name: string]: Input }

/** Over `claims`; client and connector are `ci` and `gitlab`. */
export function secondOpinion(text: string, claims: Claims): CelOpinion {
  try {
    const result = plan(
      environment,
      parse(text),
    )({
      claims: new Map(Object.entries(claims).map(([name, value]) => [name, input(value)])),
      client: 'ci',
      connector: 'gitlab',
    })
    if (isCelError(result) || typeof result !== 'boolean') return 'error'
    return result ? 'true' : 'false'
  } catch {
    // It throws for what it cannot parse or plan: an opinion like any other.
    return 'error'
  }
}

function input(value: JsonValue): Input {
  if (typeof value !== 'object' || value === null) return value
  if (isList(value)) return value.map(input)
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, input(member)]))
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value)
}
