// Whether the real kube-apiserver starts with an AuthenticationConfiguration. It reads the file before it needs its etcd,
// so none is there: a refused file ends the process within a second, an accepted one brings it further.
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateKeyPairSync } from 'node:crypto'

/** A second on a machine at rest. */
const TIMEOUT_MS = 120_000
/** What it logs once authentication is set up, of admission. */
const FURTHER = 'The manifest file is empty'

export type Loading = { readonly loads: boolean; readonly log: string }

/** Starts the apiserver with one file after another. `folder` is the test's own. */
export function apiserverLoader(
  binary: string,
  folder: string,
): (text: string | Uint8Array) => Promise<Loading> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const key = join(folder, 'sa.key')
  writeFileSync(key, privateKey.export({ type: 'pkcs1', format: 'pem' }))
  return async (text) => {
    const config = join(folder, 'authentication.yaml')
    writeFileSync(config, text)
    return load(binary, [
      '--etcd-servers=http://127.0.0.1:1',
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      '--secure-port=1',
      `--cert-dir=${join(folder, 'certs')}`,
      '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
      `--service-account-key-file=${key}`,
      `--service-account-signing-key-file=${key}`,
      '--service-cluster-ip-range=10.0.0.0/24',
      '--authorization-mode=RBAC',
      '--disable-admission-plugins=ServiceAccount',
      `--authentication-config=${config}`,
    ])
  }
}

async function load(binary: string, flags: readonly string[]): Promise<Loading> {
  const child = spawn(binary, flags, { stdio: ['ignore', 'ignore', 'pipe'] })
  const { promise, resolve, reject } = Promise.withResolvers<Loading>()
  const timer = setTimeout(
    () => reject(new Error(`neither started nor refused: ${log.slice(-2000)}`)),
    TIMEOUT_MS,
  )
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text
    if (log.includes(FURTHER)) resolve({ loads: true, log })
  })
  const closed = new Promise<void>((done) => {
    child.once('close', () => {
      done()
      resolve({ loads: false, log })
    })
  })
  child.once('error', reject)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    child.kill('SIGKILL')
    await closed
  }
}
