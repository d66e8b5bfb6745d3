// One pinned claim: ClaimPin -> predicate. Strings compare byte for byte, without normalisation and without case
// folding; a number never equals a string; a list or object never holds, since membership is not what a pin says.
import type { Claims } from '#core/claims.ts'
import { checkClaimReference, claimReader, typeOf } from './claim_reference.ts'
import { DELIMITERS, globMatches, isDelimiter } from './glob.ts'
import type { LocalProblem } from './problem.ts'
import { compileAnchored } from './re2.ts'
import type { TextTest } from './re2.ts'
import type { ClaimPin } from './trust_policy.ts'

/** Says why the claim does not hold, without its value, or `undefined` when it holds. */
export type PinCheck = (claims: Claims) => string | undefined

export type CompiledPin =
  | { readonly ok: true; readonly check: PinCheck }
  | { readonly ok: false; readonly problems: readonly LocalProblem[] }

/** Wildcards in one glob: more is a regular expression in disguise. */
const MAX_WILDCARDS = 8

/**
 * Claims whose value is one free name, where `v*` is a habit and no owner stands in front of the wildcard.
 * Everywhere else a wildcard fills a whole segment's beginning, or `repo:acme*` would match `repo:acme-evil/x`.
 */
const FREE_NAMES: ReadonlySet<string> = new Set([
  'ref',
  'ref_path',
  'head_ref',
  'base_ref',
  'target_ref',
  'build_branch',
  'build_tag',
  'rpo_ref',
  'step_key',
  'environment',
  'oidc.circleci.com/vcs-ref',
])

export function compilePin(claim: string, pin: ClaimPin): CompiledPin {
  const reference = checkClaimReference(claim)
  if (reference !== undefined) return failed(reference)
  const read = claimReader(claim)
  switch (pin.kind) {
    case 'exact': {
      const { value } = pin
      const missed = `is not the pinned ${typeof value}`
      return passed((claims) => {
        const got = read(claims)
        if (got === value) return undefined
        return typeof got === typeof value ? missed : `is ${typeOf(got)}, the pin is a ${typeof value}`
      })
    }
    case 'any_of': {
      if (pin.values.length === 0) return failed(empty('the list of allowed values is empty'))
      const values: ReadonlySet<unknown> = new Set(pin.values)
      return passed((claims) => {
        const got = read(claims)
        if (values.has(got)) return undefined
        return `is ${typeOf(got)} that is not one of the ${values.size} pinned values`
      })
    }
    case 'prefix':
      return compilePrefix(claim, pin.prefix)
    case 'glob':
      return compileGlob(claim, pin.pattern)
    case 're2': {
      const compiled = compileAnchored(pin.pattern)
      if (!compiled.ok) return failed(compiled.problem)
      return passed(textCheck(claim, compiled.test, 'does not match the pinned pattern'))
    }
  }
}

function compilePrefix(claim: string, prefix: string): CompiledPin {
  if (prefix === '') return failed(empty('the prefix is empty'))
  if (!isDelimiter(prefix.at(-1))) {
    return failed({
      code: 'prefix_off_delimiter',
      message: `the prefix "${prefix}" also matches "${prefix}-evil"`,
      wayOut: `end it on one of ${DELIMITERS}: "${prefix}/"`,
    })
  }
  const holds: TextTest = (text) => text.length > prefix.length && text.startsWith(prefix)
  return passed(textCheck(claim, holds, 'does not begin with the pinned prefix'))
}

function compileGlob(claim: string, pattern: string): CompiledPin {
  if (pattern === '') return failed(empty('the glob is empty'))
  const problems = [...globProblems(claim, pattern)]
  if (problems.length > 0) return failed(...problems)
  return passed(textCheck(claim, (text) => globMatches(pattern, text), 'does not match the pinned glob'))
}

function* globProblems(claim: string, pattern: string): Generator<LocalProblem> {
  if (pattern.startsWith('*')) {
    yield {
      code: 'glob_leading_wildcard',
      message: `"${pattern}" leaves the owner open`,
      wayOut: 'begin with a literal owner, or list them: {anyOf: [acme/a, acme/b]}',
    }
  } else if (pattern.includes('**') || pattern.split('*').length - 1 > MAX_WILDCARDS) {
    yield {
      code: 'glob_malformed',
      message: `"${pattern}" has ** or more than ${MAX_WILDCARDS} wildcards; * never crosses ${DELIMITERS}`,
      wayOut: 'write one * for each segment, or a prefix that ends on a delimiter',
    }
  } else if (!FREE_NAMES.has(claim) && /[^/:@]\*/.test(pattern)) {
    const open = pattern.slice(0, pattern.search(/[^/:@]\*/) + 1)
    yield {
      code: 'glob_off_delimiter',
      message: `"${pattern}" also matches names that begin with "${open}-evil"`,
      wayOut: `put * right after a delimiter ("${open}/*"), or use re2 for parts of a name`,
    }
  }
}

/** A check of a string claim; anything but a string does not hold. */
function textCheck(claim: string, holds: TextTest, missed: string): PinCheck {
  const read = claimReader(claim)
  return (claims) => {
    const got = read(claims)
    if (typeof got !== 'string') return `is ${typeOf(got)}, the pin wants a string`
    return holds(got) ? undefined : missed
  }
}

function empty(message: string): LocalProblem {
  return { code: 'pin_empty', message, wayOut: 'write the value that the claim must have' }
}

function passed(check: PinCheck): CompiledPin {
  return { ok: true, check }
}

function failed(...problems: readonly LocalProblem[]): CompiledPin {
  return { ok: false, problems }
}
