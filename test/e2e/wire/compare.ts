// Makes two answers comparable: what is different each time (time, random ids, keys, signatures) is checked for its shape and
// replaced; everything else stays as it came, the order and escaping of claims included.
import { createHash, createPublicKey, verify } from 'node:crypto'
import type { JsonWebKey } from 'node:crypto'
import type { WireResponse } from './wire_client.ts'

/** One answer as comparable parts: `status`, `header content-type`, `body`, `access_token claims`, ... */
export type Aspects = ReadonlyMap<string, string>

export type Published = ReadonlyMap<string, JsonWebKey & { readonly kid?: string }>

export type Difference = {
  readonly aspect: string
  readonly dex: string | undefined
  readonly ours: string | undefined
}

export type Received = {
  readonly response: WireResponse
  readonly method: string
  /** Seconds, when it came. */
  readonly now: number
  /** The server's own key set. */
  readonly keys: Published
}

/** Headers of the connection or of the moment, not of the answer. */
const UNCOMPARED = new Set(['date', 'connection', 'keep-alive'])

export function aspectsOf(received: Received): Aspects {
  const { response, method } = received
  const aspects = new Map<string, string>([['status', String(response.status)]])
  for (const [name, value] of response.headers) {
    if (UNCOMPARED.has(name)) continue
    const key = `header ${name}`
    const before = aspects.get(key)
    const shown = name === 'content-length' ? lengthShape(value, response, method) : value
    aspects.set(key, before === undefined ? shown : `${before} | ${shown}`)
  }
  let body = response.body.toString('utf8')
  const parsed = parseObject(body)
  const accessToken = textOf(parsed['access_token'])
  for (const name of ['access_token', 'id_token']) {
    const token = textOf(parsed[name])
    if (token === undefined) continue
    body = body.replace(token, `<${name}>`)
    describeToken(name, token, name === 'id_token' ? accessToken : undefined, received, aspects)
  }
  body = body.replace(/("expires_in":)(\d+)/, (all, name: string, value: string) =>
    lifetimeFits(Number(value), accessToken) ? `${name}<lifetime>` : all,
  )
  aspects.set('body', settle(body, received.now, undefined))
  return aspects
}

export function differences(dex: Aspects, ours: Aspects): Difference[] {
  const names = new Set([...dex.keys(), ...ours.keys()])
  return [...names]
    .map((aspect) => ({ aspect, dex: dex.get(aspect), ours: ours.get(aspect) }))
    .filter((pair) => pair.dex !== pair.ours)
}

/** The key set out of an answer of `/keys`. */
export function publishedKeys(response: WireResponse): Published {
  const { keys } = parseObject(response.body.toString('utf8'))
  if (!Array.isArray(keys)) throw new Error(`no keys in ${response.body.toString('utf8').slice(0, 200)}`)
  return new Map(keys.map((key: JsonWebKey & { kid?: string }) => [key.kid ?? '', key]))
}

function describeToken(
  name: string,
  token: string,
  accessToken: string | undefined,
  received: Received,
  aspects: Map<string, string>,
): void {
  const [header = '', payload = '', signature = '', ...rest] = token.split('.')
  if (rest.length > 0) aspects.set(`${name} parts`, 'more than three')
  const headerText = Buffer.from(header, 'base64url').toString()
  const kid = textOf(parseObject(headerText)['kid']) ?? ''
  const key = received.keys.get(kid)
  aspects.set(`${name} header`, key === undefined ? headerText : headerText.replace(kid, '<published kid>'))
  aspects.set(
    `${name} claims`,
    settle(Buffer.from(payload, 'base64url').toString(), received.now, accessToken),
  )
  if (key === undefined) return
  const good = verify(
    'sha256',
    Buffer.from(`${header}.${payload}`),
    { key: createPublicKey({ key, format: 'jwk' }), dsaEncoding: 'ieee-p1363' },
    Buffer.from(signature, 'base64url'),
  )
  aspects.set(`${name} signature`, good ? 'verifies' : 'does not verify')
}

const UUID4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** Replaces volatile members of JSON text by their shape. Works on the text, because its bytes are compared. */
function settle(text: string, now: number, accessToken: string | undefined): string {
  const iat = Number(/"iat":\s?(\d+)/.exec(text)?.[1] ?? Number.NaN)
  return text
    .replace(/("jti":\s?)"([^"]*)"/, (all, name: string, value: string) =>
      UUID4.test(value) ? `${name}"<uuid v4>"` : all,
    )
    .replaceAll(/("(?:iat|nbf)":\s?)(\d+)/g, (all, name: string, value: string) =>
      Math.abs(Number(value) - now) <= 10 ? `${name}<now>` : all,
    )
    .replace(/("exp":\s?)(\d+)/, (all, name: string, value: string) =>
      Number.isNaN(iat) ? all : `${name}<iat + ${Number(value) - iat}>`,
    )
    .replace(
      /("at_hash":\s?)"([^"]*)"/,
      (_all, name: string, value: string) => `${name}"${hashShape(value, accessToken)}"`,
    )
    .replaceAll(
      /("(kid|n|x|y)":\s?)"([A-Za-z0-9_-]+)"/g,
      (_all, name: string, member: string, value: string) =>
        member === 'kid' ? `${name}"<kid>"` : `${name}"<${value.length} characters>"`,
    )
}

/** Whole seconds until `exp`: the lifetime less the moment that passed since, which may cross a second. */
function lifetimeFits(seconds: number, token: string | undefined): boolean {
  const payload = Buffer.from(token?.split('.')[1] ?? '', 'base64url').toString()
  const { iat, exp } = parseObject(payload)
  const left = Number(exp) - Number(iat) - seconds
  return left >= 0 && left <= 2
}

function hashShape(value: string, accessToken: string | undefined): string {
  if (accessToken !== undefined) {
    const half = createHash('sha256').update(accessToken).digest().subarray(0, 16).toString('base64url')
    return value === half ? '<of the access token>' : '<of something else>'
  }
  return /^[A-Za-z0-9_-]{22}$/.test(value) ? '<22 characters>' : value
}

function lengthShape(value: string, response: WireResponse, method: string): string {
  if (method === 'HEAD') return '<present>'
  return Number(value) === response.body.length ? '<exact>' : `${value} for ${response.body.length} bytes`
}

/** The members of a JSON object; none if the text is something else (health, 404), which is compared as it is. */
export function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    // Not JSON is an answer like any other; the text itself is an aspect.
    return {}
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
