// Templates of names, character by character.
import { claimAt } from '../../../src/core/claims.ts'
import type { Claims } from '../../../src/core/claims.ts'

type Piece = { readonly literal: string } | { readonly claim: string }

/** Renders with claims (`undefined`: must not render), or is `undefined` itself when the template must be refused. */
export function slowTemplate(text: string): ((claims: Claims) => string | undefined) | undefined {
  if (text === '' || hasOddCharacter(text)) return undefined
  const pieces: Piece[] = []
  for (let at = 0; at < text.length; at += 1) {
    if (text.startsWith('$${', at)) {
      pieces.push({ literal: '${' })
      at += 2
    } else if (text.startsWith('${', at)) {
      const end = text.indexOf('}', at)
      const claim = text.slice(at + 2, end)
      if (end === -1 || !isReference(claim)) return undefined
      pieces.push({ claim })
      at = end
    } else pieces.push({ literal: text.charAt(at) })
  }
  const firstClaim = pieces.findIndex((piece) => 'claim' in piece)
  const head = firstClaim === -1 ? pieces : pieces.slice(0, firstClaim)
  if (head.map((piece) => ('literal' in piece ? piece.literal : '')).join('').length > 1024) return undefined
  return (claims) => {
    let rendered = ''
    for (const piece of pieces) {
      const value = 'literal' in piece ? piece.literal : claimAt(claims, piece.claim)
      if (!['string', 'number', 'boolean'].includes(typeof value) || value === '') return undefined
      rendered += typeof value === 'string' ? value : JSON.stringify(value)
    }
    return rendered.length > 1024 || hasOddCharacter(rendered) ? undefined : rendered
  }
}

function isReference(name: string): boolean {
  if (
    name === '' ||
    ['$', '#/', 'claims.', 'claims[', 'assertion.', 'assertion[', 'token.', 'token['].some((start) =>
      name.startsWith(start),
    )
  )
    return false
  if (!name.startsWith('/')) return true
  return name
    .slice(1)
    .split('/')
    .every((part) => part !== '' && part !== '-' && !/^[0-9]+$/.test(part) && !/~([^01]|$)/.test(part))
}

/** Controls, line and paragraph separators, and the ten characters that turn the direction of writing. */
function hasOddCharacter(text: string): boolean {
  return Array.from(text).some((character) => {
    const code = character.codePointAt(0) ?? 0
    const isControl = code < 0x20 || (code >= 0x7f && code <= 0x9f)
    const isTurning = (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069)
    return isControl || isTurning || code === 0x2028 || code === 0x2029
  })
}
