// Claims that a policy names and its issuer is not known to write, and refs spelled as another forge spells them: both
// compile, hold for nobody, and look right. Warnings only, since issuers add claims.
import type { IssuerPreset } from '#core/issuer/preset.ts'
import { nearest } from '#core/nearest.ts'
import { checkClaimReference } from './claim_reference.ts'
import { compileCondition } from './cel.ts'
import type { CompiledCondition } from './cel.ts'
import { problemAt } from './problem.ts'
import type { LocalProblem, PolicyProblem } from './problem.ts'
import { parseTemplate } from './template.ts'
import type { ClaimPin, PolicySource } from './trust_policy.ts'

type Named = { readonly keys: PolicyProblem['keys']; readonly claim: string }

/** `preset`: what is known of the issuer itself, whatever type its connector is given. */
export function* claimProblems(source: PolicySource, preset: IssuerPreset): Generator<PolicyProblem> {
  for (const { keys, claim } of claimsNamedBy(source)) {
    const problem = unknownClaim(claim, preset)
    if (problem !== undefined) yield problemAt('warning', keys, problem)
  }
  for (const [claim, pin] of Object.entries(source.claims)) {
    const spelling = preset.refs?.[claim]
    if (spelling === undefined) continue
    for (const written of spellingsOf(pin)) {
      const problem = refProblem(claim, written, spelling)
      if (problem !== undefined) yield problemAt('warning', ['claims', claim], problem)
    }
  }
  for (const { claim, text } of conditionOf(source)?.compared ?? []) {
    const spelling = preset.refs?.[claim]
    // `claims.ref != ""` asks whether there is one.
    if (spelling === undefined || text === '') continue
    const problem = refProblem(claim, { text, head: text, isWhole: true }, spelling)
    if (problem !== undefined) yield problemAt('warning', ['condition'], problem)
  }
}

function conditionOf({ condition }: PolicySource): CompiledCondition | undefined {
  const compiled = condition === undefined ? undefined : compileCondition(condition)
  return compiled?.ok === true ? compiled.value : undefined
}

function* claimsNamedBy(source: PolicySource): Generator<Named> {
  const { claims, grant } = source
  for (const claim of Object.keys(claims)) yield { keys: ['claims', claim], claim }
  for (const claim of conditionOf(source)?.claims ?? []) yield { keys: ['condition'], claim }
  const { username, groupsFrom } = grant
  if (groupsFrom !== undefined) yield { keys: ['grant', 'groupsFrom', 'claim'], claim: groupsFrom.claim }
  if (username !== undefined) yield* claimsOfTemplate(username, ['grant', 'username'])
  for (const [name, template] of Object.entries(grant.claims)) {
    yield* claimsOfTemplate(template, ['grant', 'claims', name])
  }
}

function* claimsOfTemplate(text: string, keys: PolicyProblem['keys']): Generator<Named> {
  const parsed = parseTemplate(text)
  if (!parsed.ok) return
  for (const claim of new Set(parsed.template.claims)) yield { keys, claim }
}

function unknownClaim(reference: string, { claims, name }: IssuerPreset): LocalProblem | undefined {
  // A malformed reference is refused by itself.
  if (claims === undefined || checkClaimReference(reference) !== undefined) return undefined
  const claim = outermost(reference)
  const isKnown = claims.some((known) =>
    known.endsWith('*') ? claim.startsWith(known.slice(0, -1)) : claim === known,
  )
  if (isKnown) return undefined
  const names = claims.filter((known) => !known.endsWith('*'))
  const guess = nearest(claim, names)
  return {
    code: 'claim_unknown',
    message: `no token of ${name} is known to have a claim "${claim}", and an absent claim holds nothing`,
    wayOut: guess === undefined ? `known are ${names.join(', ')}` : `did you mean ${guess}?`,
  }
}

/** The claim into which a JSON pointer points; any other reference is a claim's name. */
function outermost(reference: string): string {
  if (!reference.startsWith('/')) return reference
  const [, first = ''] = reference.split('/')
  return first.replaceAll('~1', '/').replaceAll('~0', '~')
}

function refProblem(
  claim: string,
  { text, head, isWhole }: Spelling,
  spelling: 'full' | 'short',
): LocalProblem | undefined {
  if (spelling === 'short') {
    const [, short] = /^refs\/(?:heads|tags)\/(.+)$/.exec(text) ?? []
    if (short === undefined) return undefined
    const message = `the issuer writes "${claim}" as a bare name: it is never "${text}"`
    return { code: 'pin_ref_spelling', message, wayOut: `write ${short}` }
  }
  if (head.startsWith('refs/') || (!isWhole && 'refs/'.startsWith(head))) return undefined
  const message = `the issuer writes "${claim}" in full: it is never "${text}"`
  const wayOut = /^(?:heads|tags)\//.test(text)
    ? `write refs/${text}`
    : `write refs/heads/${text}, or refs/tags/${text} for a tag`
  return { code: 'pin_ref_spelling', message, wayOut }
}

/** `head`: what a value begins with, as far as that is literal; `isWhole`: there is no more. */
type Spelling = { readonly text: string; readonly head: string; readonly isWhole: boolean }

function spellingsOf(pin: ClaimPin): readonly Spelling[] {
  switch (pin.kind) {
    case 'exact':
      return whole([pin.value])
    case 'any_of':
      return whole(pin.values)
    case 'prefix':
      return [{ text: pin.prefix, head: pin.prefix, isWhole: false }]
    case 'glob': {
      const [head = ''] = pin.pattern.split('*')
      return [{ text: pin.pattern, head, isWhole: false }]
    }
    case 're2': {
      // The last character may belong to a quantifier.
      const [, head = ''] = /^([\w/-]*)[\w/-]/.exec(pin.pattern) ?? []
      return pin.pattern.includes('|') ? [] : [{ text: pin.pattern, head, isWhole: false }]
    }
  }
}

function whole(values: readonly (string | number | boolean)[]): readonly Spelling[] {
  return values
    .filter((value) => typeof value === 'string')
    .map((text) => ({ text, head: text, isWhole: true }))
}
