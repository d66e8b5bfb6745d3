// What a token of ours costs a kube-apiserver: TokenReviews of fresh broker tokens and of fresh ServiceAccount tokens, both
// ES256, one after the other in turn, over one kept connection. usage: node test/bench/token_review_times.ts [PAIRS]
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { startKubeBroker } from '../support/kube_broker.ts'
import { startKubeCluster } from '../support/kube_cluster.ts'
import type { KubeCluster } from '../support/kube_cluster.ts'
import { median } from './measure.ts'
import { judge } from './verdict.ts'
import type { Row } from './verdict.ts'

export type TokenReviewTimes = {
  readonly pairs: number
  /** Milliseconds at the client. */
  readonly broker: { readonly p50: number; readonly p95: number }
  readonly serviceAccount: { readonly p50: number; readonly p95: number }
  /** The median of the ratios of the pairs: what is slow for a moment is slow for both. */
  readonly pairedRatio: number
}

const WARM_UP = 50

export async function measureTokenReviews(pairs: number): Promise<TokenReviewTimes> {
  const cleanups: (() => unknown)[] = []
  try {
    const broker = await startKubeBroker({ teardown: (fn) => void cleanups.push(fn) })
    const cluster = await startKubeCluster({ authenticationConfig: broker.authenticationConfig() })
    cleanups.push(() => cluster.stop())
    const account = await makeServiceAccount(cluster)
    const ours: string[] = []
    const theirs: string[] = []
    for (let index = 0; index < pairs + WARM_UP; index += 1) {
      ours.push(await broker.token())
      theirs.push(await account.token())
    }
    return await compare(cluster, ours, theirs)
  } finally {
    for (const clean of cleanups.toReversed()) await clean()
  }
}

async function compare(
  cluster: KubeCluster,
  ours: readonly string[],
  theirs: readonly string[],
): Promise<TokenReviewTimes> {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 1,
    ca: cluster.caPem,
    cert: readFileSync(cluster.adminCert),
    key: readFileSync(cluster.adminKey),
  })
  const broker: number[] = []
  const serviceAccount: number[] = []
  for (const [index, token] of ours.entries()) {
    const other = theirs[index] ?? ''
    // Whoever comes second finds warmer caches of the CPU, so they take turns.
    const [first, second] = index % 2 === 0 ? [token, other] : [other, token]
    const times = [await timeReview(cluster, agent, first), await timeReview(cluster, agent, second)]
    if (index < WARM_UP) continue
    const [mine = 0, its = 0] = index % 2 === 0 ? times : times.toReversed()
    broker.push(mine)
    serviceAccount.push(its)
  }
  agent.destroy()
  return {
    pairs: broker.length,
    broker: percentiles(broker),
    serviceAccount: percentiles(serviceAccount),
    pairedRatio: median(broker.map((mine, index) => mine / (serviceAccount[index] ?? mine))),
  }
}

function percentiles(times: readonly number[]): { readonly p50: number; readonly p95: number } {
  const sorted = times.toSorted((a, b) => a - b)
  return { p50: median(times), p95: sorted[Math.floor(sorted.length * 0.95)] ?? 0 }
}

type ServiceAccount = { token(): Promise<string> }

async function makeServiceAccount(cluster: KubeCluster): Promise<ServiceAccount> {
  const made = await cluster.kubectl(['create', 'serviceaccount', 'bench', '--namespace', 'default'])
  if (made.code !== 0) throw new Error(`no service account: ${made.stderr}`)
  return {
    async token() {
      const { status, body } = await cluster.request(
        '/api/v1/namespaces/default/serviceaccounts/bench/token',
        {
          method: 'POST',
          body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
        },
      )
      const token: unknown = Object(Object(JSON.parse(body)).status).token
      if (status !== 201 || typeof token !== 'string')
        throw new Error(`TokenRequest answers ${status}: ${body}`)
      return token
    },
  }
}

/** Milliseconds from the call to the last byte. Throws where the token is nobody: that would be quick, and wrong. */
function timeReview(cluster: KubeCluster, agent: Agent, token: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const body = JSON.stringify({
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    spec: { token },
  })
  const began = performance.now()
  const outgoing = request(
    `${cluster.url}/apis/authentication.k8s.io/v1/tokenreviews`,
    {
      method: 'POST',
      agent,
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
    },
    (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.once('end', () => {
        if (text.includes('"authenticated":true')) resolve(performance.now() - began)
        else reject(new Error(`nobody: ${text}`))
      })
    },
  )
  outgoing.once('error', reject)
  outgoing.end(body)
  return promise
}

/** At most 1.4 times a ServiceAccount token's. */
export function judgeTokenReviews(times: TokenReviewTimes): Row {
  const ratio = times.broker.p50 / times.serviceAccount.p50
  return {
    title: 'TokenReview of a fresh token at kube-apiserver',
    figure: 'p50',
    ours: `${times.broker.p50.toFixed(2)} ms`,
    theirs: `${times.serviceAccount.p50.toFixed(2)} ms (ServiceAccount)`,
    ratio,
    cpuRatio: undefined,
    goal: '<= 1.4x',
    floor: '<= 1.4x',
    verdict: judge(ratio, 1.4, 1.4, 'atMost'),
    noisy: false,
  }
}

if (import.meta.main) {
  const times = await measureTokenReviews(Number(process.argv[2] ?? 300))
  console.log(JSON.stringify({ ...times, ratio: judgeTokenReviews(times).ratio }, undefined, 2))
}
