// Keys in a PKCS#11 token: a smart card, an HSM, or SoftHSM. The library's calls block, so each runs on a thread of ours;
// the binding (pkcs11js) is native code and loaded when a configuration asks for it alone (ADR 12).
import { hash } from 'node:crypto'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { PublicJwk } from '#core/public_jwk.ts'
import { confinedTo } from '../confined_thread.ts'
import { createCredentialFile } from './credential_file.ts'
import type { CredentialFile } from './credential_file.ts'
import { SignerFailure } from './remote_signer.ts'
import type { RemoteSigner } from './remote_signer.ts'
import type { Job, RawPublicKey, ThreadAnswer, ThreadData } from './pkcs11/messages.ts'

export type Pkcs11SignerConfig = {
  /** Absolute path of the vendor's shared library. */
  readonly library: string
  /** Label of the token. */
  readonly token: string
  readonly pinFile: string
  /** Sessions, each with its thread. */
  readonly threads: number
}

type ThreadProgram = { readonly file: URL; readonly folder: URL }

/** Printable ASCII; tokens allow at most 255 bytes. */
const PIN = /^[ -~]{1,255}$/

/** `program`: another one for the threads, for tests. Throws SignerFailure when the binding is not installed. */
export function createPkcs11Signer(
  config: Pkcs11SignerConfig,
  program: ThreadProgram = threadProgram(),
): RemoteSigner {
  return new Pkcs11Signer(config, program)
}

class Pkcs11Signer implements RemoteSigner {
  readonly #pin: CredentialFile
  readonly #threads: readonly TokenThread[]
  /** What the token refused: sent again it would lock the token. */
  #refusedPin: string | undefined

  constructor(config: Pkcs11SignerConfig, program: ThreadProgram) {
    this.#pin = createCredentialFile(config.pinFile, 'PIN', PIN)
    const { library, token } = config
    const data: ThreadData = { library, token, binding: findBinding() }
    this.#threads = Array.from({ length: config.threads }, () => new TokenThread(data, program))
  }

  async publicKey(key: string): Promise<PublicJwk> {
    const answer = await this.#ask({ job: 'public_key', key })
    if (answer.outcome !== 'public_key') throw unexpected(answer)
    return jwkOf(answer.publicKey)
  }

  async sign({ key, algorithm, input }: Parameters<RemoteSigner['sign']>[0]): Promise<Buffer> {
    const digest = hash('sha256', input, 'buffer')
    const answer = await this.#ask({ job: 'sign', key, algorithm, digest })
    if (answer.outcome !== 'signature') throw unexpected(answer)
    return Buffer.from(answer.signature)
  }

  close(): void {
    for (const thread of this.#threads) thread.close()
  }

  async #ask(task: Task): Promise<ThreadAnswer> {
    const pin = await this.#pin.read()
    if (pin === this.#refusedPin)
      throw new SignerFailure('credential', 'the token refused this PIN: put the right one into its file')
    const thread = this.#threads.find(({ isFree }) => isFree)
    if (thread === undefined) throw new SignerFailure('busy', 'every session with the token is in use')
    const answer = await thread.ask(task, pin)
    if (answer.outcome !== 'failed') return answer
    if (answer.isPinRefused) this.#refusedPin = pin
    throw new SignerFailure(answer.why, `PKCS#11: ${answer.detail}`)
  }
}

type Task =
  | { readonly job: 'public_key'; readonly key: string }
  | {
      readonly job: 'sign'
      readonly key: string
      readonly algorithm: 'ES256' | 'RS256'
      readonly digest: Uint8Array
    }

type Waiting = {
  readonly resolve: (answer: ThreadAnswer) => void
  readonly reject: (failure: SignerFailure) => void
}

/** One thread with one session, started with its first job and again when it is lost. */
class TokenThread {
  readonly #data: ThreadData
  readonly #program: ThreadProgram
  #worker: Worker | undefined
  #waiting: Waiting | undefined
  #jobs = 0

  constructor(data: ThreadData, program: ThreadProgram) {
    this.#data = data
    this.#program = program
  }

  get isFree(): boolean {
    return this.#waiting === undefined
  }

  ask(task: Task, pin: string): Promise<ThreadAnswer> {
    const worker = (this.#worker ??= this.#start())
    this.#jobs += 1
    const job: Job = { ...task, id: this.#jobs, pin }
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      // A job keeps the process alive, an idle thread does not.
      worker.ref()
      worker.postMessage(job, [])
    })
  }

  close(): void {
    // One that hangs in the library cannot be ended before it comes back; nobody waits for it.
    void this.#worker?.terminate()
    this.#worker = undefined
  }

  #start(): Worker {
    const { file, folder } = this.#program
    const worker = new Worker(file, {
      workerData: this.#data,
      resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32 },
      execArgv: [...confinedTo(folder), '--allow-addons', `--allow-fs-read=${dirname(this.#data.binding)}`],
      env: {},
      name: 'pkcs11',
    })
    worker.unref()
    worker.on('message', (answer: ThreadAnswer) => {
      const waiting = this.#waiting
      this.#waiting = undefined
      worker.unref()
      waiting?.resolve(answer)
    })
    worker.once('error', (error) => this.#lose(worker, startFailure(error)))
    worker.once('exit', () =>
      this.#lose(worker, new SignerFailure('unreachable', 'the PKCS#11 thread ended')),
    )
    return worker
  }

  #lose(worker: Worker, failure: SignerFailure): void {
    if (this.#worker === worker) this.#worker = undefined
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.reject(failure)
  }
}

/** The package, which is an optional dependency. */
function findBinding(): string {
  try {
    return createRequire(import.meta.url).resolve('pkcs11js')
  } catch (cause) {
    throw new SignerFailure('unreachable', `the package pkcs11js is not installed: ${INSTALL}`, { cause })
  }
}

const INSTALL = 'docs/remote-signing.md says how'

function startFailure(error: unknown): SignerFailure {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ERR_DLOPEN_DISABLED')
    return new SignerFailure(
      'unreachable',
      "Node's permissions allow no native code: add --allow-addons to NODE_OPTIONS, or where --permission stands",
      { cause: error },
    )
  if (code === 'MODULE_NOT_FOUND')
    return new SignerFailure('unreachable', `the native part of pkcs11js is not built: ${INSTALL}`, {
      cause: error,
    })
  const message = error instanceof Error ? error.message : String(error)
  return new SignerFailure('unreachable', `the PKCS#11 thread: ${message}`, { cause: error })
}

function unexpected(answer: ThreadAnswer): Error {
  return new Error(`the PKCS#11 thread answered with ${answer.outcome}`)
}

function jwkOf(key: RawPublicKey): PublicJwk {
  return key.kind === 'ec'
    ? { kty: 'EC', crv: 'P-256', x: base64url(key.x), y: base64url(key.y) }
    : { kty: 'RSA', n: base64url(withoutZeros(key.n)), e: base64url(withoutZeros(key.e)) }
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}

/** RFC 7518 §6.3.1: the minimum of octets. */
function withoutZeros(number: Uint8Array): Uint8Array {
  const start = number.findIndex((byte) => byte !== 0)
  return start === -1 ? number : number.subarray(start)
}

/** The bundle has it beside itself (build_bundle.ts). */
function threadProgram(): ThreadProgram {
  const here = import.meta.url
  return here.endsWith('.ts')
    ? { file: new URL('./pkcs11/thread.ts', here), folder: new URL('./pkcs11/', here) }
    : { file: new URL('./pkcs11_thread.js', here), folder: new URL('./', here) }
}
