// Claims in a cluster whose answers get lost; on a real one: test/e2e/kube_store*.test.ts.
import t from 'tap'
import { isJsonObject } from '../../src/core/claims.ts'
import type { JsonObject } from '../../src/core/claims.ts'
import type { KubeConnection, KubeRequest } from '../../src/platform/kube/kube_connection.ts'
import type { KubeFailure } from '../../src/platform/kube/kube_target.ts'
import { KubeClaims } from '../../src/platform/store/kube_claims.ts'
import { KubeObjects } from '../../src/platform/store/kube_objects.ts'
import { SettledEntries } from '../../src/platform/store/kube_settled.ts'

const now = Date.UTC(2026, 10, 21)
const claim = { key: 'replay/a', parts: [], expiresAt: now + 60_000 }

/** What becomes of the answer to a write that was made. */
type Fate = 'comes' | 'lost, and asked again' | 'lost'

function failed(kind: KubeFailure['kind'], status: number | undefined, message: string) {
  return { ok: false, denial: { kind, status, message } } as const
}

/** A cluster of entries; the apiserver has made each write, whatever is heard of it. */
function clusterWith(fate: { next: Fate }): KubeClaims {
  const objects = new Map<string, JsonObject>()
  const answer = ({ method, path, body = {} }: KubeRequest) => {
    const [resource = '', last = ''] = path.split('/').slice(-2)
    const metadata = isJsonObject(body['metadata']) ? body['metadata'] : {}
    const name = method === 'POST' ? `${last}/${String(Object(metadata).name)}` : `${resource}/${last}`
    const found = objects.get(name)
    if (method === 'GET')
      return found === undefined
        ? failed('status', 404, `"${last}" not found`)
        : ({ ok: true, value: found } as const)
    if (method === 'POST' && found !== undefined) return failed('status', 409, 'already exists')
    const made = { ...body, metadata: { uid: 'u', ...metadata, resourceVersion: String(objects.size + 1) } }
    objects.set(name, made)
    const heard = fate.next
    fate.next = 'comes'
    if (heard === 'lost') return failed('network', undefined, 'no answer within 1 s')
    if (heard === 'lost, and asked again') return failed('status', 409, 'already exists')
    return { ok: true, value: made } as const
  }
  const connection: KubeConnection = {
    place: { kubeconfig: 'k', context: 'c', server: 'https://cluster' },
    request: async (asked) => answer(asked),
    stream: async () => ({ ok: true, value: undefined }),
    close: () => {},
  }
  const kube = new KubeObjects({ connection, namespace: 'n', requestTimeoutMs: 1000 })
  let drawn = 0
  return new KubeClaims({
    objects: kube,
    entries: new SettledEntries(kube, async () => {}, 1000),
    clock: () => now,
    randomBytes: (length) => new Uint8Array(length).fill((drawn += 1)),
    log: { warn: () => {} },
  })
}

t.test('a claim whose answer was lost, and that was sent again, knows itself', async (t) => {
  const claims = clusterWith({ next: 'lost, and asked again' })
  t.equal(await claims.claim([claim]), true)
  t.equal(await claims.claim([claim]), false)
})

t.test('a claim whose answer never came counts as made', async (t) => {
  const claims = clusterWith({ next: 'lost' })
  await t.rejects(claims.claim([claim]), { name: 'StoreFailure', message: /no answer within 1 s/ })
  t.equal(await claims.claim([claim]), false)
})
