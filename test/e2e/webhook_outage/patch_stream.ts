// Many patches of one Module at once, half of which the webhook must never let through.
import { setTimeout as sleep } from 'node:timers/promises'
import type { KubeCluster } from '../../support/kube_cluster.ts'

export type Patched = {
  readonly kind: 'publish' | 'retag'
  readonly version: string
  readonly status: number
  readonly message: string
  /** From when until when, milliseconds of the process. */
  readonly began: number
  readonly ended: number
}

export type Stream = {
  readonly cluster: KubeCluster
  /** Path of the Module at the API server. */
  readonly path: string
  readonly count: number
  readonly atOnce: number
  /** Number of the first patch, after those of a stream before it; 0 by default. */
  readonly first?: number
  /** Called once when a third of the patches have been answered. */
  readonly inTheMiddle?: () => Promise<void>
}

const PAUSE_MS = 400

/** Every other patch appends `1.<index>.0`, which is right. The others replace the first version in its place. */
export async function patchStream(stream: Stream): Promise<readonly Patched[]> {
  const { count, atOnce, inTheMiddle = async () => {}, first = 0 } = stream
  const patched: Patched[] = []
  let next = 0
  let middle: Promise<void> | undefined
  async function worker(): Promise<void> {
    while (next < count) {
      const index = first + next++
      const one = await patchOnce(stream, index)
      patched.push(one)
      // A refused connection is answered at once, and the stream should last longer than the outage.
      if (isOutage(one)) await sleep(PAUSE_MS)
      if (patched.length * 3 > count) middle ??= inTheMiddle()
    }
  }
  try {
    await Promise.all(Array.from({ length: atOnce }, worker))
  } finally {
    await middle
  }
  return patched
}

async function patchOnce({ cluster, path }: Stream, index: number): Promise<Patched> {
  const isRight = index % 2 === 0
  const version = `1.${index + 1}.0`
  const patch = isRight
    ? { op: 'add', path: '/spec/versions/-', value: { version } }
    : { op: 'replace', path: '/spec/versions/0/version', value: version }
  const began = performance.now()
  const contentType = 'application/json-patch+json'
  const { status, body } = await cluster.request(path, { method: 'PATCH', body: [patch], contentType })
  const message = String(Object(JSON.parse(body)).message ?? '')
  const kind = isRight ? 'publish' : 'retag'
  return { kind, version, status, message, began, ended: performance.now() }
}

/** Whether nobody judged it, and so nobody let it through. */
export function isOutage({ status, message }: Patched): boolean {
  return status === 500 && message.startsWith('Internal error occurred: failed calling webhook')
}
