// A cluster in memory for what the webhook knows of one: lists, watches and writes of any resource, by the rules that matter here
// (resourceVersion, 409, 404). The real one is asked in test/e2e.
import type { JsonObject, JsonValue } from '../../src/core/claims.ts'
import type { KubeConnection, KubeRequest, KubeStream } from '../../src/platform/kube/kube_connection.ts'
import type { KubeFailure } from '../../src/platform/kube/kube_target.ts'

type Stored = { readonly path: string; readonly object: JsonObject }
type Watcher = { readonly path: string; readonly stream: KubeStream }

export type MemoryKube = {
  readonly connection: KubeConnection
  /** Every request that is no list, in order: `POST /apis/...`. */
  readonly writes: readonly string[]
  /** Creates or replaces; gives it an uid and a resourceVersion. */
  put(path: string, object: JsonObject): JsonObject
  delete(path: string, name: string, namespace?: string): void
  objects(path: string): readonly JsonObject[]
  /** Answers instead of it, until it gives `undefined`. */
  intercept: (asked: KubeRequest) => JsonObject | KubeFailure | undefined
}

export function memoryKube(): MemoryKube {
  const objects = new Map<string, Stored>()
  const watchers = new Set<Watcher>()
  const writes: string[] = []
  let version = 100
  const tell = (path: string, type: string, object: JsonObject): void => {
    for (const watcher of watchers) if (watcher.path === path) watcher.stream.onLine({ type, object })
  }
  const put = (path: string, object: JsonObject): JsonObject => {
    version += 1
    const meta = Object(object['metadata'])
    const key = keyOf(path, meta)
    const known = objects.get(key)?.object
    const uid = meta.uid ?? Object(known?.['metadata']).uid ?? `uid-${version}`
    const made: JsonObject = { ...object, metadata: { ...meta, uid, resourceVersion: String(version) } }
    objects.set(key, { path, object: made })
    tell(path, known === undefined ? 'ADDED' : 'MODIFIED', made)
    return made
  }
  const kube: MemoryKube = {
    writes,
    put,
    intercept: () => undefined,
    delete(path, name, namespace) {
      const key = keyOf(path, { name, namespace })
      const gone = objects.get(key)?.object
      objects.delete(key)
      version += 1
      if (gone === undefined) throw new Error(`there is no ${key}`)
      const metadata = { ...Object(gone['metadata']), resourceVersion: String(version) }
      tell(path, 'DELETED', { ...gone, metadata })
    },
    objects: (path) => [...objects.values()].filter((one) => one.path === path).map(({ object }) => object),
    connection: {
      place: { kubeconfig: 'memory', context: 'memory', server: 'https://memory.test' },
      async request(asked) {
        const [path = ''] = asked.path.split('?')
        if (asked.method !== 'GET') writes.push(`${asked.method} ${path}`)
        const instead = kube.intercept(asked)
        if (instead !== undefined)
          return 'kind' in instead && 'message' in instead ? failed(instead) : { ok: true, value: instead }
        return answer(asked, path)
      },
      stream: (stream) =>
        new Promise((resolve) => {
          const [path = ''] = stream.path.split('?')
          const watcher = { path, stream }
          watchers.add(watcher)
          stream.onOpen()
          stream.signal.addEventListener('abort', () => {
            watchers.delete(watcher)
            resolve({ ok: false, denial: { kind: 'network', status: undefined, message: 'aborted' } })
          })
        }),
      close: () => undefined,
    },
  }
  function answer(
    { method, body = {} }: KubeRequest,
    path: string,
  ): Awaited<ReturnType<KubeConnection['request']>> {
    if (path.endsWith('/selfsubjectreviews')) {
      return {
        ok: true,
        value: { status: { userInfo: { username: 'system:serviceaccount:sallyport:webhook' } } },
      }
    }
    const [parent, name] = [path.slice(0, path.lastIndexOf('/')), path.slice(path.lastIndexOf('/') + 1)]
    const known = objects.get(keyOf(parent, { name }))?.object
    switch (method) {
      case 'GET': {
        if (known !== undefined) return { ok: true, value: known }
        if (name.startsWith('pv-')) return refused(404)
        return {
          ok: true,
          value: { metadata: { resourceVersion: String(version) }, items: kube.objects(path) },
        }
      }
      case 'POST': {
        const taken = objects.has(keyOf(path, Object(body['metadata'])))
        return taken ? refused(409) : { ok: true, value: put(path, body) }
      }
      case 'PATCH': {
        if (known === undefined) return refused(404)
        const [meta, wanted] = [Object(known['metadata']), Object(body['metadata'])]
        if (meta.resourceVersion !== wanted.resourceVersion) return refused(409)
        const merged = Object.entries<JsonValue>({ ...Object(known['spec']), ...Object(body['spec']) })
        const spec = Object.fromEntries(merged.filter(([, value]) => value !== null))
        return { ok: true, value: put(parent, { ...known, spec }) }
      }
      case 'PUT':
      case 'DELETE':
        throw new Error(`nobody asks for ${method}`)
    }
  }
  return kube
}

function keyOf(path: string, { name, namespace }: Meta): string {
  return `${path} ${namespace ?? ''}/${name}`
}

type Meta = { readonly name: string; readonly namespace?: string | undefined; readonly uid?: string }

function refused(status: number): { readonly ok: false; readonly denial: KubeFailure } {
  return { ok: false, denial: { kind: 'status', status, message: `answers ${status}` } }
}

function failed(value: JsonObject | KubeFailure): { readonly ok: false; readonly denial: KubeFailure } {
  const { status, message } = Object(value)
  return { ok: false, denial: { kind: 'status', status, message } }
}
