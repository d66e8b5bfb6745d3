// Tokens that are none, as somebody sends them who has a client's credential and wants to cost the broker as much as can be:
// forged ones, whose signature has to be checked; ones of a key that nobody has; and ones that cannot be read.
import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'

/** Different ones, in turn. */
const TOKENS = 300

/** `exchange`: a file of good bodies, one a line. Writes one of bad ones, and nothing else of them is changed. */
export function writeGarbage(exchange: string, file: string): void {
  const bodies = readFileSync(exchange, 'utf8').trim().split('\n')
  const lines = Array.from({ length: TOKENS }, (_, index) => {
    const form = new URLSearchParams(bodies[index % bodies.length])
    form.set('subject_token', spoil(form.get('subject_token') ?? '', index))
    return String(form)
  })
  writeFileSync(file, `${lines.join('\n')}\n`)
}

function spoil(token: string, index: number): string {
  const [header = '', claims = '', signature = ''] = token.split('.')
  switch (index % 3) {
    case 0:
      return [header, withMember(claims, 'jti', randomUUID()), signature].join('.')
    case 1:
      return [withMember(header, 'kid', randomUUID()), claims, signature].join('.')
    default:
      return randomBytes(Math.ceil((token.length * 3) / 4)).toString('base64url')
  }
}

function withMember(segment: string, name: string, value: string): string {
  const members: unknown = JSON.parse(Buffer.from(segment, 'base64url').toString('utf8'))
  return Buffer.from(JSON.stringify({ ...Object(members), [name]: value })).toString('base64url')
}
