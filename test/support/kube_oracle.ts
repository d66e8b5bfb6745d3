// The apiserver's own loader, validator, CEL compiler and OIDC authenticator as a process that answers in milliseconds
// (test/peers/kube-authn-oracle, Kubernetes 1.36.4). Says what a real apiserver says, without starting one.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { KubeUser } from '../../src/core/kube/kube_user.ts'
import { kubeAuthnOracleBinary } from './peers.ts'

/** Where an expression stands in the file. */
export type OracleUse = 'claim_validation' | 'username' | 'groups' | 'uid' | 'extra' | 'user_validation'

export type OracleLoad = {
  /** Loaded, valid, and its authenticators can be built on an apiserver without an egress selector. */
  readonly ok: boolean
  /** What load and validation say, one text for each problem, as the apiserver writes it. */
  readonly errors: readonly string[]
  /** What building the authenticators says when load and validation were content. */
  readonly startErrors: readonly string[]
}

export type OracleAuthenticate = {
  readonly config: string
  readonly token: string
  /** The JWKS that every issuer of the file is taken to publish. */
  readonly jwks: unknown
  /** The apiserver's clock; the machine's when absent. */
  readonly nowSeconds?: number
}

/** Exactly one of the three; `user` without `system:authenticated`, which the apiserver adds afterwards. */
export type OracleVerdict = {
  readonly user?: KubeUser
  /** As in `status.error` of a TokenReview, without `[invalid bearer token, ...]` around it. */
  readonly error?: string
  /** No issuer of the file is the token's. */
  readonly notMine?: boolean
}

export type OracleEvaluate = {
  readonly expression: string
  readonly use: OracleUse
  readonly claims?: Readonly<Record<string, unknown>>
  /** For `user_validation`. */
  readonly user?: KubeUser
}

export type KubeOracle = {
  load(text: string, options?: { serviceAccountIssuers?: readonly string[] }): Promise<OracleLoad>
  /** `type` is CEL's result type; an error is the apiserver's text. */
  compile(expression: {
    expression: string
    use: OracleUse
  }): Promise<{ ok: boolean; type?: string; error?: string }>
  /** The value as JSON (`{type, text}` where JSON cannot say it), or the apiserver's error text. */
  evaluate(asked: OracleEvaluate): Promise<{ value?: unknown; error?: string }>
  authenticate(asked: OracleAuthenticate): Promise<OracleVerdict>
  close(): Promise<void>
}

type Answer = {
  readonly errors?: readonly string[]
  readonly startErrors?: readonly string[]
  readonly type?: string
  readonly value?: unknown
  readonly user?: KubeUser
  readonly error?: string
  readonly notMine?: boolean
}

/** Builds the oracle when it is not there yet, and starts it. Rejects when it cannot be built. */
export async function startKubeOracle(): Promise<KubeOracle> {
  const child = spawn(await kubeAuthnOracleBinary(), [], { stdio: ['pipe', 'pipe', 'pipe'] })
  const waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void }[] = []
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-4000)))
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.resolve(JSON.parse(line)))
  const exited = new Promise<void>((resolve) => {
    child.once('close', () => {
      for (const { reject } of waiting.splice(0)) reject(new Error(`the oracle is gone: ${stderr}`))
      resolve()
    })
  })
  // A process that ends leaves no oracle: its stdin closes, and it reads until then.
  const ask = (request: Readonly<Record<string, unknown>>): Promise<Answer> =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject })
      child.stdin.write(`${JSON.stringify(request)}\n`)
    })
  return {
    async load(config, options = {}) {
      const { errors = [], startErrors = [], error } = await ask({ op: 'load', config, ...options })
      if (error !== undefined) throw new Error(error)
      return { ok: errors.length === 0 && startErrors.length === 0, errors, startErrors }
    },
    async compile(expression) {
      const answer = await ask({ op: 'compile', ...expression })
      return { ok: answer.error === undefined, ...answer }
    },
    evaluate: (asked) => ask({ op: 'evaluate', ...asked }),
    async authenticate(asked) {
      const verdict = await ask({ op: 'authenticate', ...asked })
      if (verdict.error?.startsWith('oracle: ') === true) throw new Error(verdict.error)
      return verdict
    },
    async close() {
      child.stdin.end()
      await exited
    },
  }
}
