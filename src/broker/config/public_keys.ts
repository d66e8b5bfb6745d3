// Public key sets that an operator hands over, in the file or inline: read, and refused when they are not public.
import { createPublicKey } from 'node:crypto'
import type { YamlPath } from '#platform/config/yaml_document.ts'
import { readNamedFile, reportError } from './load_context.ts'
import type { LoadContext } from './load_context.ts'

export type PublicJwk = Readonly<Record<string, unknown>>

/** RFC 7518 §6: members that only a private or a secret key has. */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const

/** Keys of the JWKS in `file`, or `undefined` after a finding. */
export function readJwksFile(
  context: LoadContext,
  path: YamlPath,
  file: string,
): readonly PublicJwk[] | undefined {
  const text = readNamedFile(context, path, file)
  if (text === undefined) return undefined
  const keys = keysOf(text)
  if (keys !== undefined) return checkPublicKeys(context, path, keys)
  const message = `${JSON.stringify(file)} is not a JWKS: {"keys": [...]}`
  reportError(context, { code: 'jwks_malformed', path, message })
  return undefined
}

/** `keys` if each is a public key that Node can read, or `undefined` after a finding for each that is not. */
export function checkPublicKeys(
  context: LoadContext,
  path: YamlPath,
  keys: readonly PublicJwk[],
): readonly PublicJwk[] | undefined {
  const problems = keys.map((key, index) => problemOf(key, index)).filter((problem) => problem !== undefined)
  if (keys.length === 0) problems.push({ code: 'jwks_malformed', message: 'the key set is empty' })
  for (const problem of problems) reportError(context, { ...problem, path })
  return problems.length === 0 ? keys : undefined
}

type KeyProblem = { code: 'jwks_malformed' | 'jwks_private'; message: string; wayOut?: string }

function problemOf(key: PublicJwk, index: number): KeyProblem | undefined {
  const name = typeof key['kid'] === 'string' ? `key ${JSON.stringify(key['kid'])}` : `key ${index + 1}`
  const member = PRIVATE_MEMBERS.find((candidate) => Object.hasOwn(key, candidate))
  if (member !== undefined || key['kty'] === 'oct') {
    const message = `${name} is private or secret (member ${member ?? 'kty: oct'})`
    return {
      code: 'jwks_private',
      message,
      wayOut: 'give the public key only, and replace a key that lay open',
    }
  }
  try {
    createPublicKey({ key, format: 'jwk' })
    return undefined
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { code: 'jwks_malformed', message: `${name} cannot be read: ${why}` }
  }
}

function keysOf(text: string): PublicJwk[] | undefined {
  const data = parseJson(text)
  if (!isRecord(data) || !Array.isArray(data['keys'])) return undefined
  const keys: unknown[] = data['keys']
  return keys.every((key) => isRecord(key)) ? keys : undefined
}

function parseJson(text: string): unknown {
  try {
    const data: unknown = JSON.parse(text)
    return data
  } catch {
    // the caller says that this is no JWKS; where JSON went wrong would not help
    return undefined
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
