// A pod with a projected ServiceAccount token for the broker. The kubelet renews the file, so it is read at each use.
import type { Environment, JobTokenSource } from './source.ts'
import { takeToken, without } from './source.ts'

const PROJECTED_TOKEN_FILE = '/var/run/secrets/sallyport/token'

export const kubernetes: JobTokenSource = {
  name: 'kubernetes',
  detect: (env) => (env['KUBERNETES_SERVICE_HOST'] ?? '') !== '',
  held: (env, deps) => deps.readFile(fileOf(env)),
  obtain: async (env, audience, deps) => {
    const file = fileOf(env)
    const wayOut = `mount a projected volume at ${PROJECTED_TOKEN_FILE.replace('/token', '')}: serviceAccountToken: {path: token, audience: "${audience}"}`
    try {
      return takeToken(`Kubernetes (${file})`, await deps.readFile(file), wayOut)
    } catch (error) {
      return without(`Kubernetes: ${error instanceof Error ? error.message : String(error)}`, wayOut)
    }
  },
}

function fileOf(env: Environment): string {
  return env['SALLYPORT_PROJECTED_TOKEN_FILE'] ?? PROJECTED_TOKEN_FILE
}
