// One attempt to load an issuer's keys: over discovery, straight from a JWKS URL, or from a file. Holds no keys; what
// an attempt is worth, and when there is the next, issuer_keys.ts decides.
import type { Clock } from '#core/clock.ts'
import type { Connector, KeySource } from '#core/connector.ts'
import type { Result } from '#core/result.ts'
import { FETCH_LIMITS } from '#platform/egress/bounded_fetch.ts'
import type { BoundedFetch } from '#platform/egress/bounded_fetch.ts'
import { createDiscovery, discoveryUrlOf } from './discovery.ts'
import { readUsableKeys } from './key_document.ts'
import type { LoadedKeys } from './key_document.ts'
import { loadKeyFile } from './key_file.ts'

export interface KeyLoader {
  /** At most 5 s. The denial is a phrase for logs and `/readyz`. */
  load(): Promise<Result<LoadedKeys, string>>
  /** `undefined` when the issuer has none. */
  userinfoEndpoint(): Promise<Result<string | undefined, string>>
}

export type KeyLoaderDeps = { readonly clock: Clock; readonly fetch: BoundedFetch }

export function createKeyLoader(connector: Connector, deps: KeyLoaderDeps): KeyLoader {
  const { keys } = connector
  switch (keys.kind) {
    case 'discovery':
      return discoveringLoader(connector, keys, deps)
    case 'jwks_uri':
      return {
        load: () => loadJwks(keys.uri, deps.fetch, FETCH_LIMITS.totalMs),
        userinfoEndpoint: async () => ({ ok: true, value: keys.userinfoUri }),
      }
    case 'file':
      return {
        load: () => loadKeyFile(keys.path),
        userinfoEndpoint: async () => ({ ok: true, value: undefined }),
      }
  }
}

type DiscoverySource = Extract<KeySource, { kind: 'discovery' }>

function discoveringLoader(connector: Connector, source: DiscoverySource, deps: KeyLoaderDeps): KeyLoader {
  const discovery = createDiscovery(source.url ?? discoveryUrlOf(connector.issuer), {
    ...deps,
    issuers: [source.documentIssuer, connector.issuer],
  })
  return {
    async load() {
      if (source.jwksUri !== undefined) return loadJwks(source.jwksUri, deps.fetch, FETCH_LIMITS.totalMs)
      const deadline = performance.now() + FETCH_LIMITS.totalMs
      const document = await discovery.read()
      if (!document.ok) return document
      const loaded = await loadJwks(document.value.jwksUri, deps.fetch, deadline - performance.now())
      // The endpoint may have moved: the next attempt asks again.
      if (!loaded.ok) discovery.forget()
      return loaded
    },
    async userinfoEndpoint() {
      if (source.userinfoUri !== undefined) return { ok: true, value: source.userinfoUri }
      const failure = discovery.recentFailure()
      if (failure !== undefined) return no(failure)
      const document = await discovery.read()
      return document.ok ? { ok: true, value: document.value.userinfoEndpoint } : document
    },
  }
}

async function loadJwks(
  uri: string,
  fetch: BoundedFetch,
  timeoutMs: number,
): Promise<Result<LoadedKeys, string>> {
  const headers = { accept: 'application/jwk-set+json, application/json' }
  const answer = await fetch.get(uri, { timeoutMs, headers })
  if (!answer.ok) return no(`jwks: ${answer.kind}: ${answer.detail}`)
  if (answer.status !== 200) return no(`jwks: status ${answer.status}`)
  const set = readUsableKeys(answer.body)
  if (!set.ok) return set
  return { ok: true, value: { set: set.value, maxAgeSeconds: maxAgeOf(answer.cacheControl) } }
}

/** RFC 9111 §5.2.2; `no-store` and `no-cache` mean now. */
function maxAgeOf(cacheControl: string): number | undefined {
  if (/(?:^|[\s,])no-(?:store|cache)(?:$|[\s,=])/i.test(cacheControl)) return 0
  const maxAge = /(?:^|[\s,])max-age=(\d{1,9})(?:$|[\s,])/i.exec(cacheControl)
  return maxAge === null ? undefined : Number(maxAge[1])
}

function no(denial: string): Result<never, string> {
  return { ok: false, denial }
}
