// Requests for the store's objects in one namespace: bounded in number and time. What another replica did meanwhile is an
// answer; whatever else goes wrong is a StoreFailure.
import { isJsonObject } from '#core/claims.ts'
import type { JsonObject } from '#core/claims.ts'
import type { KubeConnection, KubeRequest } from '#platform/kube/kube_connection.ts'
import type { Asked, KubeFailure } from '#platform/kube/kube_target.ts'
import { STORE_API } from './kube_entries.ts'
import type { ObjectVersion, StoreResource } from './kube_entries.ts'
import { StoreFailure } from './store.ts'

export type KubeObjectsOptions = {
  readonly connection: KubeConnection
  readonly namespace: string
  /** For one answer, and for the wait before it is asked for. */
  readonly requestTimeoutMs: number
}

/** `taken`: there is one of that name, or it is not in the state any more that was expected. */
export type Written = { readonly is: 'done'; readonly object: JsonObject } | { readonly is: 'taken' }

type Waiting = {
  readonly go: () => void
  readonly refuse: (failure: StoreFailure) => void
  /** Monotonic. */
  readonly untilMs: number
}

type ListQuery = {
  readonly selector?: string
  /** Objects of a page. */
  readonly limit: number
  readonly metadataOnly?: boolean
  readonly next?: string
}
export type ObjectPage = {
  readonly items: readonly JsonObject[]
  /** Where the next page begins; '': there is none. */
  readonly next: string
  /** On later pages; `undefined` where the server does not say. */
  readonly remaining: number | undefined
}

/** Sockets of the connection; a few are left for readiness and the key ring. */
const UNDER_WAY = 48
/** Beyond it is refused at once: a broker serves 1,024 requests at a time. */
const MAX_WAITING = 5000

export class KubeObjects {
  readonly place: string
  readonly #options: KubeObjectsOptions
  readonly #waiting: Waiting[] = []
  #underWay = 0
  #isClosed = false

  constructor(options: KubeObjectsOptions) {
    this.#options = options
    this.place = `kubernetes ${options.connection.place.server}, namespace ${options.namespace}`
  }

  /** `undefined`: there is none of that name. A server that does not know the resource (yet) is a failure. */
  async get(resource: StoreResource, name: string): Promise<JsonObject | undefined> {
    const answer = await this.#ask({ method: 'GET', path: this.#path(resource, name) })
    if (answer.ok) return answer.value
    if (isAbsent(answer.denial, name)) return undefined
    throw this.failure(answer.denial)
  }

  async create(resource: StoreResource, object: JsonObject, query = ''): Promise<Written> {
    const path = `${this.#path(resource)}${query}`
    return this.#written(await this.#ask({ method: 'POST', path, body: object }), '')
  }

  /** The object says by its resourceVersion what it replaces. */
  async replace(resource: StoreResource, name: string, object: JsonObject): Promise<Written> {
    const path = this.#path(resource, name)
    return this.#written(await this.#ask({ method: 'PUT', path, body: object }), name)
  }

  /** This state of it, and no other. */
  async remove(resource: StoreResource, { name, uid, resourceVersion }: ObjectVersion): Promise<Written> {
    const preconditions = { uid, resourceVersion }
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions }
    const path = this.#path(resource, name)
    return this.#written(await this.#ask({ method: 'DELETE', path, body }), name)
  }

  /** One page; `undefined` when the list that it goes on with is too old by now. */
  async page(resource: StoreResource, query: ListQuery): Promise<ObjectPage | undefined> {
    const { selector, limit, metadataOnly = false, next = '' } = query
    const parameters = new URLSearchParams({ limit: String(limit) })
    if (selector !== undefined) parameters.set('labelSelector', selector)
    if (next !== '') parameters.set('continue', next)
    const answer = await this.#ask({
      method: 'GET',
      path: `${this.#path(resource)}?${parameters.toString()}`,
      ...(metadataOnly ? { accept: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1' } : {}),
    })
    if (answer.ok) return pageOf(answer.value)
    if (answer.denial.status === 410) return undefined
    throw this.failure(answer.denial)
  }

  /** Whether the server knows the resource at all. */
  async isServed(resource: StoreResource): Promise<boolean> {
    const answer = await this.#ask({ method: 'GET', path: `${this.#path(resource)}?limit=1` })
    if (answer.ok) return true
    if (answer.denial.status === 404) return false
    throw this.failure(answer.denial)
  }

  /** What is not the store's own, such as definitions; outside of the queue. */
  ask(asked: KubeRequest): Asked<JsonObject> {
    return this.#options.connection.request({ timeoutMs: this.#options.requestTimeoutMs, ...asked })
  }

  failure({ status, message }: KubeFailure): StoreFailure {
    const wayOut = WAYS_OUT.get(status)
    return new StoreFailure(`${this.place}: ${message}${wayOut === undefined ? '' : `\n    -> ${wayOut}`}`)
  }

  close(): void {
    this.#isClosed = true
    for (const { refuse } of this.#waiting.splice(0)) refuse(this.#closed())
    this.#options.connection.close()
  }

  #path(resource: StoreResource, name?: string): string {
    const all = `/apis/${STORE_API}/namespaces/${this.#options.namespace}/${resource}`
    return name === undefined ? all : `${all}/${name}`
  }

  #written(answer: Awaited<Asked<JsonObject>>, name: string): Written {
    if (answer.ok) return { is: 'done', object: answer.value }
    if (answer.denial.status === 409 || isAbsent(answer.denial, name)) return { is: 'taken' }
    throw this.failure(answer.denial)
  }

  async #ask(asked: KubeRequest): Asked<JsonObject> {
    await this.#turn()
    try {
      const answer = await this.ask(asked)
      if (!answer.ok && answer.denial.kind === 'network') this.#refuseWaiting()
      return answer
    } finally {
      this.#underWay -= 1
      this.#next()
    }
  }

  #turn(): Promise<void> {
    if (this.#isClosed) return Promise.reject(this.#closed())
    if (this.#underWay < UNDER_WAY) {
      this.#underWay += 1
      return Promise.resolve()
    }
    if (this.#waiting.length >= MAX_WAITING) return Promise.reject(this.#tooMany())
    return new Promise((resolve, reject) => {
      this.#waiting.push({
        go: resolve,
        refuse: reject,
        untilMs: performance.now() + this.#options.requestTimeoutMs,
      })
    })
  }

  #next(): void {
    const now = performance.now()
    for (;;) {
      const first = this.#waiting.shift()
      if (first === undefined) return
      if (first.untilMs < now) {
        first.refuse(this.#tooMany())
        continue
      }
      this.#underWay += 1
      first.go()
      return
    }
  }

  /** Nobody has answered: whoever waits behind would only wait as long again. */
  #refuseWaiting(): void {
    for (const { refuse } of this.#waiting.splice(0)) refuse(this.#tooMany())
  }

  #closed(): StoreFailure {
    return new StoreFailure(`${this.place} is closed`)
  }

  #tooMany(): StoreFailure {
    return new StoreFailure(`${this.place}: too many requests wait for it already`)
  }
}

function pageOf({ items, metadata }: JsonObject): ObjectPage {
  const meta = isJsonObject(metadata) ? metadata : {}
  const { continue: next, remainingItemCount: remaining } = meta
  return {
    items: Array.isArray(items) ? items.filter(isJsonObject) : [],
    next: typeof next === 'string' ? next : '',
    remaining: typeof remaining === 'number' ? remaining : undefined,
  }
}

/** By its words: a server that does not serve the resource answers 404 as well, and then nobody knows what there is. */
function isAbsent({ status, message }: KubeFailure, name: string): boolean {
  return status === 404 && name !== '' && message.includes(`"${name}" not found`)
}

/** By the status of the answer. */
const WAYS_OUT: ReadonlyMap<number | undefined, string> = new Map([
  [403, 'bind the Role of deploy/kubernetes/components/kubernetes-store to this account'],
  [404, 'kubectl apply -k deploy/crds/store, or sallyport store migrate; the namespace must be there, too'],
  [413, 'a value is larger than a cluster keeps: take PostgreSQL'],
  [
    422,
    'it is larger than a cluster keeps, or the definitions are of another release: sallyport store migrate',
  ],
])
