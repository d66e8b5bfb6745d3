// Templates of outputs: `gitlab:${project_path}`, `${/kubernetes.io/namespace}`, `$${` for a literal `${`.
// They read verified string, number and boolean claims and nothing else; there is no default and no expression.
import type { Claims } from '#core/claims.ts'
import { checkClaimReference, claimReader, typeOf } from './claim_reference.ts'
import type { ClaimReader } from './claim_reference.ts'
import type { LocalProblem } from './problem.ts'

/** Kubernetes and most readers stop well before this. */
const MAX_OUTPUT_LENGTH = 1024

type Rendered = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly detail: string }

export type Template = {
  readonly text: string
  /** Literal text in front of the first claim. */
  readonly head: string
  readonly claims: readonly string[]
  readonly render: (claims: Claims) => Rendered
}

export type TemplateParsed =
  | { readonly ok: true; readonly template: Template }
  | { readonly ok: false; readonly problem: LocalProblem }

type Part = string | { readonly name: string; readonly read: ClaimReader }

export function parseTemplate(text: string): TemplateParsed {
  const parts: Part[] = []
  for (const token of text.match(/\$\$\{|\$\{[^}]*\}?|[^$]+|\$/g) ?? []) {
    if (token === '$${') parts.push('${')
    else if (!token.startsWith('${')) parts.push(token)
    else {
      if (!token.endsWith('}')) return malformed(`"${token}" is not closed`)
      const name = token.slice(2, -1)
      const problem = checkClaimReference(name)
      if (problem !== undefined) return { ok: false, problem }
      parts.push({ name, read: claimReader(name) })
    }
  }
  const fixed = literalHead(parts)
  if (text === '') return malformed('the template is empty')
  if (fixed.length > MAX_OUTPUT_LENGTH || hasControl(text)) {
    return malformed(`longer than ${MAX_OUTPUT_LENGTH} characters, or with control characters`)
  }
  const claims = parts.flatMap((part) => (typeof part === 'string' ? [] : [part.name]))
  return { ok: true, template: { text, head: fixed, claims, render: (input) => render(parts, input) } }
}

function render(parts: readonly Part[], claims: Claims): Rendered {
  let text = ''
  for (const part of parts) {
    if (typeof part === 'string') text += part
    else {
      const value = part.read(claims)
      if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
        return { ok: false, detail: `claim ${part.name} is ${typeOf(value)}` }
      }
      if (value === '') return { ok: false, detail: `claim ${part.name} is empty` }
      text += String(value)
    }
  }
  if (text.length > MAX_OUTPUT_LENGTH)
    return { ok: false, detail: `longer than ${MAX_OUTPUT_LENGTH} characters` }
  if (hasControl(text)) return { ok: false, detail: 'has control characters' }
  return { ok: true, text }
}

/** C0, DEL, C1, line and paragraph separators, and the bidi controls that make a name read as another. */
function hasControl(text: string): boolean {
  return /[\p{Cc}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]/u.test(text)
}

function literalHead(parts: readonly Part[]): string {
  let head = ''
  for (const part of parts) {
    if (typeof part !== 'string') break
    head += part
  }
  return head
}

function malformed(message: string): TemplateParsed {
  const wayOut = 'write ${claim} or ${/json/pointer}; $${ stands for a literal ${'
  return { ok: false, problem: { code: 'template_malformed', message, wayOut } }
}
