// How the tests of generated policies ask a real kube-apiserver: where objects are, and until something is said of them.
import type { Ask, KubeAsker, Told } from '../../support/kube_asker.ts'
import { API_VERSION } from './attack.ts'
import type { Place } from './attack.ts'

const API = `/apis/${API_VERSION}`
export const MERGE = 'application/merge-patch+json'
export const WRITER = 'system:serviceaccount:sallyport-system:sallyport-webhook'
export const KEEPER = 'system:serviceaccount:cert-manager:cert-manager-cainjector'

export function placeOf(namespace: string, name: string): Place {
  return {
    name,
    path: (kind, of) => `${API}/namespaces/${namespace}/${kind}${of === undefined ? '' : `/${of}`}`,
  }
}

export async function done(asker: KubeAsker, asked: Ask): Promise<Told> {
  const told = await asker.ask(asked)
  if (told.status > 201) throw new Error(`${asked.method} ${asked.path}: ${told.status} ${told.message}`)
  return told
}

export async function untilTold(rule: string, ask: () => Promise<Told>): Promise<Told> {
  const deadline = Date.now() + 60_000
  for (;;) {
    const told = await ask()
    if ([told.message, ...told.warnings].some((text) => text.includes(`${rule}: `))) return told
    if (Date.now() > deadline) throw new Error(`nothing is told of ${rule}: ${told.status} ${told.message}`)
  }
}
