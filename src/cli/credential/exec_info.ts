// KUBERNETES_EXEC_INFO: what kubectl tells an exec plugin (client.authentication.k8s.io/v1, ExecCredential.spec). With
// `provideClusterInfo` it carries the cluster's extension of that name from the kubeconfig, which is how one kubeconfig
// names an audience for each of its clusters.
import type { Result } from '#core/result.ts'
import { parseObject } from '../job_token/source.ts'

export const EXEC_API_VERSION = 'client.authentication.k8s.io/v1'

/** With the cluster's CA certificates, which are a few KB. */
const MAX_CHARACTERS = 1024 * 1024

/** Members of the extension that we read, and the flag each stands for. Others belong to other plugins. */
const MEMBERS: Readonly<Record<string, string>> = {
  broker: 'broker',
  audience: 'audience',
  clientId: 'client-id',
  clientAuth: 'client-auth',
  connector: 'connector',
  policy: 'policy',
  jobAudience: 'job-audience',
}

/** By the long name of the flag that each stands for. */
export type ClusterSettings = ReadonlyMap<string, string>

/** What the kubeconfig says of this cluster; nothing when kubectl says nothing. The denial is one sentence. */
export function readExecInfo(text: string | undefined): Result<ClusterSettings, string> {
  if (text === undefined || text === '') return { ok: true, value: new Map() }
  if (text.length > MAX_CHARACTERS) return problem(`is longer than ${MAX_CHARACTERS} characters`)
  const info = parseObject(text)
  if (info === undefined) return problem('is not a JSON object')
  if (info['kind'] !== 'ExecCredential') return problem('kind: is not ExecCredential')
  if (info['apiVersion'] !== EXEC_API_VERSION) {
    return problem(`apiVersion: set "apiVersion: ${EXEC_API_VERSION}" in users[].user.exec of the kubeconfig`)
  }
  const cluster = memberOf(info['spec'], 'cluster')
  return readConfig(memberOf(cluster, 'config'))
}

function readConfig(config: unknown): Result<ClusterSettings, string> {
  const settings = new Map<string, string>()
  if (config === undefined || config === null) return { ok: true, value: settings }
  if (typeof config !== 'object' || Array.isArray(config)) return problem(`${PLACE}: is not an object`)
  for (const [member, flag] of Object.entries(MEMBERS)) {
    const value = memberOf(config, member)
    if (value === undefined || value === null) continue
    if (typeof value !== 'string' || value === '') return problem(`${PLACE}.${member}: is not a text`)
    settings.set(flag, value)
  }
  return { ok: true, value: settings }
}

const PLACE = 'spec.cluster.config'

function problem(text: string): Result<ClusterSettings, string> {
  return { ok: false, denial: `KUBERNETES_EXEC_INFO ${text}` }
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  return Object.getOwnPropertyDescriptor(value, name)?.value
}
