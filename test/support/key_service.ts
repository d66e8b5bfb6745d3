// A key service of our own, as a process: what docs/remote-signing.md calls the protocol, over TLS, with keys that it
// makes itself. It stands for a wrapped cloud KMS and is none.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { ensureDevCertificate } from '../../src/platform/dev_certificate.ts'
import type { Behaviour, FromService, ToService } from './key_service_process.ts'

export type KeyService = {
  readonly url: string
  readonly caPem: string
  readonly caFile: string
  readonly tokenFile: string
  /** From the next request on. */
  behave(behaviour: Behaviour): Promise<void>
  /** From now on it takes this token alone; the file is left as it is. */
  setToken(token: string): Promise<void>
  /** Requests that reached it so far. */
  asked(): Promise<number>
  /** PKCS #8 of its private keys, PEM. */
  secrets(): Promise<readonly string[]>
  /** The process ends, and its port is closed. */
  stop(): Promise<void>
}

export async function startKeyService(t: Test, folder: string, token: string): Promise<KeyService> {
  mkdirSync(folder, { recursive: true })
  const { caFile, certFile, keyFile } = await ensureDevCertificate(
    join(folder, 'tls'),
    ['localhost', '127.0.0.1'],
    Date.now,
  )
  const tokenFile = join(folder, 'token')
  writeFileSync(tokenFile, `${token}\n`, { mode: 0o600 })
  const child = fork(join(import.meta.dirname, 'key_service_process.ts'), [certFile, keyFile], {
    execArgv: [],
    env: {},
  })
  t.teardown(() => child.kill('SIGKILL'))
  const next = async (): Promise<FromService> => {
    const [message] = await once(child, 'message')
    return message
  }
  const tell = async (message: ToService): Promise<FromService> => {
    const answer = next()
    child.send(message)
    return answer
  }
  const { port } = await next()
  await tell({ token })
  return {
    url: `https://localhost:${port}/v1`,
    caPem: readFileSync(caFile, 'utf8'),
    caFile,
    tokenFile,
    behave: async (behaviour) => void (await tell({ behaviour })),
    setToken: async (changed) => void (await tell({ token: changed })),
    asked: async () => (await tell({})).asked,
    secrets: async () => (await tell({})).secrets,
    async stop() {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    },
  }
}
