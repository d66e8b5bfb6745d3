// The real servers that the webhook's demo runs. The first time they are built, which takes minutes: it says so, and how far
// it is.
import { kubeBinaries } from '../../support/kube_binaries.ts'
import { peerCacheRoot } from '../../support/peer_cache.ts'
import { etcdBinary } from '../../support/peers.ts'

/** Who has them already is told nothing. */
const QUIET_MS = 2000
const EVERY_MS = 15_000

/** False when they cannot be had; why, and what to do, is printed then. */
export async function preparePeers(env: NodeJS.ProcessEnv = process.env): Promise<boolean> {
  const isGiven = (env['KUBEBUILDER_ASSETS'] ?? '') !== ''
  try {
    if (!isGiven) await withProgress('etcd 3.6, about a minute on two cores', etcdBinary)
    await withProgress('kube-apiserver 1.36, five to ten minutes on two cores', () => kubeBinaries())
    return true
  } catch (error) {
    console.error(`\nThe demo runs a real kube-apiserver, and there is none: ${firstLines(error)}`)
    console.error(wanted(env))
    return false
  }
}

function wanted(env: NodeJS.ProcessEnv): string {
  return [
    'It needs one of',
    '  - Go 1.26 on the PATH, which builds kube-apiserver and etcd once, in about ten minutes, and keeps them',
    `    (230 MB) in ${peerCacheRoot(env)};`,
    '  - KUBEBUILDER_ASSETS=FOLDER, a folder with kube-apiserver and etcd, as setup-envtest makes it.',
  ].join('\n')
}

async function withProgress(what: string, make: () => Promise<unknown>): Promise<void> {
  const began = performance.now()
  let isTold = false
  const tell = (): void => {
    const seconds = Math.round((performance.now() - began) / 1000)
    console.log(isTold ? `  still building, ${seconds} s` : `Building ${what}, this once.`)
    isTold = true
  }
  const first = setTimeout(tell, QUIET_MS)
  const later = setInterval(tell, EVERY_MS)
  try {
    await make()
    if (isTold) console.log(`  built in ${Math.round((performance.now() - began) / 1000)} s`)
  } finally {
    clearTimeout(first)
    clearInterval(later)
  }
}

/** A failed build says a lot; its beginning and its end are enough. */
function firstLines(error: unknown): string {
  const lines = String(error).trim().split('\n')
  return lines.length <= 4 ? lines.join('\n') : [lines[0], '…', ...lines.slice(-2)].join('\n')
}
