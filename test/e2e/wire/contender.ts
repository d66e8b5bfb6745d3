// One server under comparison: sends probes to it, fills in the tokens they name.
import { aspectsOf, parseObject, publishedKeys } from './compare.ts'
import type { Aspects, Published } from './compare.ts'
import type { Expected, Probe } from './probe.ts'
import { send } from './wire_client.ts'
import type { WireRequest, WireResponse } from './wire_client.ts'
import { prefixOf } from './world.ts'
import type { World } from './world.ts'

type Answer = { readonly response: WireResponse; readonly aspects: Aspects }

export type Contender = {
  /** Sends the probe once more. */
  ask(probe: Probe): Promise<Answer>
}

export type ContenderOptions = {
  readonly origin: string
  readonly world: World
  readonly subjectTokens: Readonly<Record<string, string>>
  /** All probes by name, for those whose token comes from another. */
  readonly probes: ReadonlyMap<string, Probe>
}

export async function createContender(options: ContenderOptions): Promise<Contender> {
  const { origin, world } = options
  const issued = new Map<string, Promise<Record<string, unknown>>>()
  const keys: Published = publishedKeys(
    await send(origin, { method: 'GET', path: `${prefixOf(world)}/keys`, headers: {}, body: '' }),
  )

  async function fill(text: string): Promise<string> {
    const [before, name] = split(text)
    if (name === undefined) return text
    const own = /^(issued|issued_id) (.*)$/.exec(name)
    if (own === null) return before + found(options.subjectTokens[name], name)
    const token = (await issue(own[2] ?? ''))[own[1] === 'issued_id' ? 'id_token' : 'access_token']
    return before + found(typeof token === 'string' ? token : undefined, name)
  }

  function issue(probeName: string): Promise<Record<string, unknown>> {
    const known = issued.get(probeName)
    if (known !== undefined) return known
    const fresh = (async () => {
      const probe = found(options.probes.get(probeName), probeName)
      const { response } = await ask(probe)
      return parseObject(response.body.toString())
    })()
    issued.set(probeName, fresh)
    return fresh
  }

  async function toRequest(probe: Probe): Promise<WireRequest> {
    const headers: Record<string, string> = {}
    for (const [name, value] of Object.entries(probe.headers ?? {})) headers[name] = await fill(value)
    const parts: string[] = []
    for (const [name, value] of probe.form ?? []) {
      parts.push(`${encodeURIComponent(name)}=${encodeURIComponent(await fill(value))}`)
    }
    return {
      method: probe.method ?? 'POST',
      path: (probe.atRoot === true ? '' : prefixOf(world)) + probe.path,
      headers,
      body: probe.body ?? parts.join('&'),
    }
  }

  async function ask(probe: Probe): Promise<Answer> {
    const request = await toRequest(probe)
    const response = await send(origin, request)
    const now = Math.floor(Date.now() / 1000)
    return { response, aspects: aspectsOf({ response, method: request.method, now, keys }) }
  }
  return { ask }
}

/** `Bearer @name` into `Bearer ` and `name`. */
function split(text: string): [string, string | undefined] {
  if (text.startsWith('@')) return ['', text.slice(1)]
  const match = /^([A-Za-z]+ )@(.*)$/.exec(text)
  return match === null ? [text, undefined] : [match[1] ?? '', match[2]]
}

function found<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new Error(`the probes name ${name}, which is not there`)
  return value
}

/** Why an answer is not what was expected of it; undefined if it is. */
export function unexpected(response: WireResponse, expected: Expected): string | undefined {
  const text = response.body.toString()
  const shown = `${response.status} ${text.slice(0, 300)}`
  if (response.status !== expected.status) return `status ${expected.status} was expected, got ${shown}`
  if (expected.has !== undefined && !text.includes(expected.has)) return `no ${expected.has} in ${shown}`
  if (expected.error === undefined || response.body.length === 0) return undefined
  const parsed = parseObject(text)
  if (parsed['error'] !== expected.error) return `error ${expected.error} was expected, got ${shown}`
  const described = expected.description
  return described === undefined || parsed['error_description'] === described
    ? undefined
    : `description ${described} was expected, got ${shown}`
}
