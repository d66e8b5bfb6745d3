// A small client of kube-apiserver for people's questions: who is this token, what may it, what do the metrics say. Requests
// by node:https, bounded in time and size.
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { RequestOptions } from 'node:https'
import type { Cluster, KubeConfig, User } from '@kubernetes/client-node'
import { isJsonObject } from '#core/claims.ts'
import type { JsonObject, JsonValue } from '#core/claims.ts'
import type { KubeUser } from '#core/kube/kube_user.ts'
import type { Result } from '#core/result.ts'
import { readAnswer } from './kube_answer.ts'
import { withExecCredential } from './exec_credential.ts'
import { kubeFailure, messageOf, networkText, readKubeTarget, textOf } from './kube_target.ts'
import type { Asked, KubeClientOptions, KubeFailure, KubePlace } from './kube_target.ts'

type TokenReview = {
  readonly user: KubeUser | undefined
  /** The apiserver's own reason. */
  readonly error: string
}

/** What RBAC is asked: a resource, or a path outside all resources. */
export type AccessQuestion = { readonly verb: string } & (
  | { readonly path: string }
  | {
      readonly group: string
      readonly resource: string
      readonly subresource: string
      readonly name: string
      /** '' for cluster-wide resources, and for all namespaces. */
      readonly namespace: string
    }
)
export type AccessAnswer = { readonly allowed: boolean; readonly reason: string }

type ApiResource = {
  readonly group: string
  readonly resource: string
  readonly isNamespaced: boolean
}

export interface KubeClient {
  readonly place: KubePlace
  /** The same server, with this bearer token and nothing else. */
  as(token: string): KubeClient
  /** The same credentials at another address of the same cluster. */
  at(server: string): KubeClient
  /** As TokenReview of authentication.k8s.io/v1 says; needs `create tokenreviews`. */
  reviewToken(token: string): Asked<TokenReview>
  /** Who the client itself is to the server (SelfSubjectReview, Kubernetes 1.28). */
  whoAmI(): Asked<KubeUser>
  /** What the client itself may do (SelfSubjectAccessReview). */
  mayI(question: AccessQuestion): Asked<AccessAnswer>
  /** What a user may do (SubjectAccessReview); needs `create subjectaccessreviews`. */
  may(user: KubeUser, question: AccessQuestion): Asked<AccessAnswer>
  /** What is called so: `deployments`, `deploy`, `deployments.apps`. Empty when nothing is. */
  findResource(name: string): Asked<readonly ApiResource[]>
  /** /metrics as text. */
  metrics(): Asked<string>
}

const TIMEOUT_MS = 15_000

/** Reads the kubeconfig and prepares its credentials; asks nobody. */
export async function openKubeClient(options: KubeClientOptions): Asked<KubeClient> {
  const target = await readKubeTarget(options)
  if (!target.ok) return target
  const { make, cluster, user, file, context } = target.value
  let known: ReturnType<Login> | undefined
  // Once for all requests: a plugin may ask a person, and its credential outlives a person's question.
  const login = (): ReturnType<Login> =>
    (known ??= withExecCredential(user, options.env, options.execTimeoutMs))
  return { ok: true, value: clientOf({ make, cluster, login, file, context }) }
}

type Login = () => Promise<Result<User, string>>

type ClientParts = {
  readonly make: (cluster: Cluster, user: User) => KubeConfig
  readonly cluster: Cluster
  readonly login: Login
  readonly file: string
  readonly context: string
}

function clientOf(parts: ClientParts): KubeClient {
  const { make, cluster, login, file, context } = parts
  const place = { kubeconfig: file, context, server: cluster.server }
  const call = async (path: string, body?: JsonObject, accept?: string): Asked<string> => {
    const user = await login()
    return user.ok
      ? send(make(cluster, user.value), place, { path, body, accept })
      : kubeFailure('kubeconfig', place, user.denial)
  }
  const post = async (path: string, body: JsonObject): Asked<JsonObject> => {
    const answer = await call(path, body)
    return answer.ok ? statusOf(answer.value, path, place) : answer
  }
  const review = async (kind: string, path: string, spec: JsonObject): Asked<AccessAnswer> => {
    const status = await post(path, { apiVersion: 'authorization.k8s.io/v1', kind, spec })
    return status.ok ? { ok: true, value: accessAnswer(status.value) } : status
  }
  return {
    place,
    as: (token) =>
      clientOf({ ...parts, login: async () => ({ ok: true, value: { name: 'bearer', token } }) }),
    at: (server) => clientOf({ ...parts, cluster: { ...cluster, server } }),
    async reviewToken(token) {
      const status = await post('/apis/authentication.k8s.io/v1/tokenreviews', {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token },
      })
      if (!status.ok) return status
      const { authenticated, user: reviewed, error } = status.value
      return {
        ok: true,
        value: {
          user: authenticated === true ? userOf(reviewed) : undefined,
          error: typeof error === 'string' ? error : '',
        },
      }
    },
    async whoAmI() {
      const status = await post('/apis/authentication.k8s.io/v1/selfsubjectreviews', {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'SelfSubjectReview',
      })
      return status.ok ? { ok: true, value: userOf(status.value['userInfo']) } : status
    },
    mayI: (question) =>
      review(
        'SelfSubjectAccessReview',
        '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
        attributes(question),
      ),
    may: ({ username, uid, groups, extra }, question) =>
      review('SubjectAccessReview', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
        ...attributes(question),
        user: username,
        groups,
        extra,
        ...(uid === '' ? {} : { uid }),
      }),
    findResource: (name) => findResource(name, call, place),
    metrics: () => call('/metrics', undefined, 'text/plain'),
  }
}

function attributes(question: AccessQuestion): JsonObject {
  const { verb } = question
  if ('path' in question) return { nonResourceAttributes: { path: question.path, verb } }
  const { group, resource, subresource, name, namespace } = question
  return { resourceAttributes: { verb, group, resource, subresource, name, namespace } }
}

function accessAnswer({ allowed, reason, evaluationError }: JsonObject): AccessAnswer {
  return {
    allowed: allowed === true,
    reason: textsOf([reason ?? '', evaluationError ?? ''])
      .filter(Boolean)
      .join('; '),
  }
}

function userOf(value: JsonValue | undefined): KubeUser {
  const { username, uid, groups, extra } = isJsonObject(value) ? value : {}
  const lists = isJsonObject(extra) ? Object.entries(extra) : []
  return {
    username: typeof username === 'string' ? username : '',
    uid: typeof uid === 'string' ? uid : '',
    groups: textsOf(groups),
    extra: Object.fromEntries(lists.map(([key, values]) => [key, textsOf(values)])),
  }
}

function textsOf(value: JsonValue | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}

/** Both documents of aggregated discovery (Kubernetes 1.30), which name every resource in two requests. */
const DISCOVERY = ['/api', '/apis']
const DISCOVERY_ACCEPT =
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList'

async function findResource(
  name: string,
  call: (path: string, body?: JsonObject, accept?: string) => Asked<string>,
  place: KubePlace,
): Asked<readonly ApiResource[]> {
  const [resource = '', ...rest] = name.split('.')
  const group = rest.join('.')
  const found: ApiResource[] = []
  for (const path of DISCOVERY) {
    const answer = await call(path, undefined, DISCOVERY_ACCEPT)
    if (!answer.ok) return answer
    const list = parse(answer.value, path, place)
    if (!list.ok) return list
    found.push(...resourcesIn(list.value, resource).filter((one) => group === '' || one.group === group))
  }
  return { ok: true, value: found }
}

function resourcesIn(list: JsonObject, wanted: string): readonly ApiResource[] {
  return objectsIn(list['items']).flatMap((item) => {
    const metadata = item['metadata']
    const name = isJsonObject(metadata) && typeof metadata['name'] === 'string' ? metadata['name'] : ''
    // The first version is the preferred one.
    const [version] = objectsIn(item['versions'])
    return objectsIn(version?.['resources']).flatMap((one) => {
      const { resource, scope, singularResource, shortNames } = one
      const names = [resource, singularResource, ...textsOf(shortNames)]
      if (typeof resource !== 'string' || !names.includes(wanted)) return []
      return [{ group: name, resource, isNamespaced: scope === 'Namespaced' }]
    })
  })
}

function objectsIn(value: JsonValue | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : []
}

function statusOf(text: string, path: string, place: KubePlace): Result<JsonObject, KubeFailure> {
  const parsed = parse(text, path, place)
  if (!parsed.ok) return parsed
  const status = parsed.value['status']
  return isJsonObject(status)
    ? { ok: true, value: status }
    : kubeFailure('unreadable', place, `${path} answers without a status`)
}

function parse(text: string, path: string, place: KubePlace): Result<JsonObject, KubeFailure> {
  try {
    const value: JsonValue = JSON.parse(text)
    if (isJsonObject(value)) return { ok: true, value }
  } catch {
    // Told below: what the server sent is no JSON.
  }
  return kubeFailure(
    'unreadable',
    place,
    `${path} does not answer with a JSON object: is this a kube-apiserver?`,
  )
}

type Call = {
  readonly path: string
  readonly body: JsonObject | undefined
  readonly accept: string | undefined
}

async function send(config: KubeConfig, place: KubePlace, { path, body, accept }: Call): Asked<string> {
  const url = new URL(`${place.server.replace(/\/$/, '')}${path}`)
  const payload = body === undefined ? undefined : JSON.stringify(body)
  const options: RequestOptions = {
    method: payload === undefined ? 'GET' : 'POST',
    headers: {
      accept: accept ?? 'application/json',
      'user-agent': 'sallyport',
      ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
    },
    // Said out loud, so that NODE_TLS_REJECT_UNAUTHORIZED cannot say otherwise; insecure-skip-tls-verify can.
    rejectUnauthorized: true,
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }
  try {
    await config.applyToHTTPSOptions(options)
  } catch (error) {
    return kubeFailure('kubeconfig', place, `its credentials cannot be used: ${textOf(error)}`)
  }
  try {
    const { status, text } = await exchange(url, options, payload)
    if (status >= 200 && status < 300) return { ok: true, value: text }
    return kubeFailure('status', place, `${path} answers ${status}${messageOf(text)}`, status)
  } catch (error) {
    return kubeFailure('network', place, networkText(error, TIMEOUT_MS))
  }
}

function exchange(
  url: URL,
  options: RequestOptions,
  payload: string | undefined,
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const answered = (message: IncomingMessage): void => {
      readAnswer(message).then((text) => resolve({ status: message.statusCode ?? 0, text }), reject)
    }
    const sent =
      url.protocol === 'http:' ? httpRequest(url, options, answered) : httpsRequest(url, options, answered)
    sent.on('error', reject)
    sent.end(payload)
  })
}
